//! Single cases: a child's map, wiring, messages counted, limits.

use crate::fake::{Fake, check};
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{
    ALLOCATION_PAGES_MAX, ARENA_PAGES, Attributes, COPY_BYTES_MAX, Inheritance, KernError, MAPS_MAX, MapId,
    PAGE_BYTES, Protection, Vm, WIRE_PAGES,
};

const BASE: u64 = 0x10_0000;

fn at(page: u64) -> u64 {
    BASE + page * PAGE_BYTES
}

fn maps<const N: usize>(pages: u64) -> (Vm<Fake>, [MapId; N]) {
    let mut vm = Vm::new(Fake::new(N));
    let maps = core::array::from_fn(|space| vm.add_map(space, (), BASE..at(pages)).expect("there is room"));
    (vm, maps)
}

fn requests(vm: &mut Vm<Fake>, call: impl FnOnce(&mut Vm<Fake>)) -> u64 {
    let before = vm.memory().requests;
    call(vm);
    vm.memory().requests - before
}

#[test]
fn a_region_is_made_by_one_message_and_ended_by_two() {
    let (mut vm, [map]) = maps(64);
    // The first one makes the arena.
    vm.allocate(map, 0, PAGE_BYTES, true).expect("there is room");
    for pages in [1, 30] {
        let mut address = 0;
        let made = requests(&mut vm, |vm| {
            address = vm.allocate(map, 0, pages * PAGE_BYTES, true).expect("there is room");
        });
        let protected = requests(&mut vm, |vm| {
            vm.protect(map, address, PAGE_BYTES, false, Protection::READ).expect("it is there")
        });
        let ended =
            requests(&mut vm, |vm| vm.deallocate(map, address, pages * PAGE_BYTES).expect("it is there"));
        assert_eq!((made, protected, ended), (1, 1, 2));
    }
    assert_eq!(requests(&mut vm, |vm| drop(vm.region(map, 0))), 0);
    assert_eq!(requests(&mut vm, |vm| vm.inherit(map, BASE, 1, Inheritance::Nothing).expect("is there")), 0);
}

#[test]
fn memory_allocated_side_by_side_is_one_region() {
    let (mut vm, [map]) = maps(64);
    for page in 0..10 {
        assert_eq!(vm.allocate(map, at(page), PAGE_BYTES, false), Ok(at(page)));
    }
    assert_eq!(vm.region(map, 0).map(|region| region.range), Ok(at(0)..at(10)));
    assert_eq!(vm.entries(map).map(|entries| entries.iter().count()), Ok(1));
}

#[test]
fn a_child_gets_what_inheritance_says() {
    let (mut vm, [parent, child]) = maps(64);
    for (page, inheritance) in
        [Inheritance::Share, Inheritance::Copy, Inheritance::Nothing].into_iter().enumerate()
    {
        let page = page as u64;
        vm.allocate(parent, at(2 * page), PAGE_BYTES, false).expect("there is room");
        vm.inherit(parent, at(2 * page), PAGE_BYTES, inheritance).expect("it is there");
        assert!(vm.memory().store(0, at(2 * page), 1));
    }
    assert_eq!(vm.inherit_into(parent, child), Ok(()));
    check(&mut vm, &[parent, child], &[], false);
    for page in 0..3 {
        assert!(vm.memory().store(0, at(2 * page), 2));
    }
    let seen = [0, 2, 4].map(|page| vm.memory().load(1, at(page)));
    assert_eq!(seen, [Some(2), Some(1), None]);
    // The child's end leaves the parent its memory; so does the parent's the child.
    assert_eq!(vm.inherit_into(parent, child), Err(KernError::NoSpace));
    vm.remove_map(parent).expect("it is there");
    assert_eq!(vm.memory().load(1, at(0)), Some(2));
    vm.remove_map(child).expect("it is there");
    assert!(vm.objects().is_empty());
}

#[test]
fn wired_pages_are_there_and_vital_until_the_last_is_unwired() {
    let (mut vm, [map]) = maps(8 * WIRE_PAGES);
    let pages = WIRE_PAGES + 10;
    vm.allocate(map, at(0), pages * PAGE_BYTES, false).expect("there is room");
    assert!(vm.memory().store(0, at(WIRE_PAGES), 7));
    assert_eq!(vm.wire(map, at(0), pages * PAGE_BYTES, Protection::READ), Ok(()));
    check(&mut vm, &[map], &[], false);
    assert_eq!(vm.memory().load(0, at(WIRE_PAGES)), Some(7));
    assert_eq!(vm.statistics(map).map(|statistics| statistics.wired), Ok(pages));
    assert_eq!(vm.wire(map, at(0), PAGE_BYTES, Protection::READ), Ok(()));
    let vital = |vm: &mut Vm<Fake>| vm.memory().containers.iter().flatten().filter(|one| one.vital).count();
    assert_eq!(vital(&mut vm), 2);
    assert_eq!(vm.wire(map, at(0), pages * PAGE_BYTES, Protection::empty()), Ok(()));
    assert_eq!(vital(&mut vm), 1);
    assert_eq!(vm.wire(map, at(0), PAGE_BYTES, Protection::empty()), Ok(()));
    assert_eq!(vital(&mut vm), 0);
    assert_eq!(vm.wire(map, at(0), PAGE_BYTES, Protection::empty()), Err(KernError::InvalidArgument));
    // Shared memory stays where the others have it.
    let place = Place { address: 0, size: PAGE_BYTES, mask: 0, anywhere: true };
    vm.allocate(map, at(pages), PAGE_BYTES, false).expect("there is room");
    vm.remap(map, &place, (map, at(pages)), false, Inheritance::Share).expect("there is room");
    assert_eq!(vm.wire(map, at(pages), PAGE_BYTES, Protection::READ), Err(KernError::Failure));
}

#[test]
fn a_container_that_is_mapped_as_often_as_it_can_be_is_left() {
    let (mut vm, [map]) = maps(64);
    vm.memory().mappings_max = 4;
    for page in 0..12 {
        assert_eq!(vm.allocate(map, at(2 * page), PAGE_BYTES, false), Ok(at(2 * page)));
    }
    check(&mut vm, &[map], &[], false);
    vm.memory().mappings_max = 0;
    assert_eq!(vm.allocate(map, at(40), PAGE_BYTES, false), Err(KernError::ResourceShortage));
    check(&mut vm, &[map], &[], false);
}

#[test]
fn limits_are_reached() {
    // Nothing of this is mapped, for the fake counts pages.
    let mut vm = Vm::new(Fake::new(1));
    let bounds = PAGE_BYTES..(ALLOCATION_PAGES_MAX + 10) * PAGE_BYTES;
    let map = vm.add_map(0, (), bounds).expect("there is room");
    let nothing = Attributes { protection: Protection::empty(), ..Attributes::FRESH };
    let place = |pages: u64| Place { address: 0, size: pages * PAGE_BYTES, mask: 0, anywhere: true };
    let most = vm.map_object(map, &place(ALLOCATION_PAGES_MAX), None, false, nothing).expect("it fits");
    assert_eq!(vm.deallocate(map, most, ALLOCATION_PAGES_MAX * PAGE_BYTES), Ok(()));
    let beyond = vm.map_object(map, &place(ALLOCATION_PAGES_MAX + 1), None, false, nothing);
    assert_eq!(beyond, Err(KernError::ResourceShortage));

    // Page numbers are used once; when they are used up the next arena is made and the last one ends.
    let parts = ARENA_PAGES / 4;
    for _ in 0..4 {
        vm.map_object(map, &place(parts), None, false, nothing).expect("it fits");
    }
    assert_eq!(vm.objects().len(), 1);
    vm.map_object(map, &place(1), None, false, nothing).expect("it fits");
    assert_eq!(vm.objects().len(), 2);

    let size = COPY_BYTES_MAX + PAGE_BYTES;
    let source = vm.map_object(map, &place(size / PAGE_BYTES), None, false, nothing).expect("it fits");
    let copy = vm.remap(map, &place(size / PAGE_BYTES), (map, source), true, Inheritance::Copy);
    assert_eq!(copy.map(|copy| copy.address), Err(KernError::ResourceShortage));

    for number in 1..MAPS_MAX {
        assert_eq!(vm.add_map(0, (), BASE..at(1)), Ok(MapId(number as u32)));
    }
    assert_eq!(vm.add_map(0, (), BASE..at(1)), Err(KernError::ResourceShortage));
    assert_eq!(vm.add_map(0, (), BASE + 1..at(1)), Err(KernError::InvalidArgument));
    assert_eq!(vm.remove_map(MapId(MAPS_MAX as u32)), Err(KernError::InvalidArgument));
}

#[test]
fn what_names_no_map_or_object_is_refused_and_nothing_to_write_is_written() {
    let (mut vm, [map]) = maps(64);
    let nobody = MapId(7);
    assert_eq!(vm.allocate(nobody, 0, 0, true), Err(KernError::InvalidArgument));
    assert_eq!(vm.deallocate(nobody, 0, 0), Err(KernError::InvalidArgument));
    assert_eq!(vm.copy(nobody, 0, 0, 0), Err(KernError::InvalidArgument));
    assert_eq!(vm.transfer((map, 0), (nobody, 0), 0), Err(KernError::InvalidArgument));
    vm.allocate(map, at(0), 2 * PAGE_BYTES, false).expect("there is room");
    for (size, flags, result) in [
        (2 * PAGE_BYTES, 2, Ok(())),
        (3 * PAGE_BYTES, 2, Err(KernError::InvalidAddress)),
        (PAGE_BYTES, 3, Err(KernError::InvalidArgument)),
        (PAGE_BYTES, 1 << 20, Err(KernError::InvalidArgument)),
        (u64::MAX, 1, Err(KernError::InvalidArgument)),
        (0, 0, Ok(())),
    ] {
        assert_eq!(vm.synchronise(map, at(0), size, flags), result, "{size:#x} {flags}");
    }
    let object = vm.memory().make(4);
    assert_eq!(vm.synchronise_object(object, 0, 4 * PAGE_BYTES), Ok(()));
    assert_eq!(vm.synchronise_object(object, u64::MAX, 2), Err(KernError::InvalidArgument));
    assert_eq!(vm.synchronise_object(object + 1, 0, 1), Err(KernError::InvalidArgument));
}
