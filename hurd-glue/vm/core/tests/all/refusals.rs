//! physmem refuses a request in the middle of a call: whatever was done, the map says what is mapped, and no page has a frame for nobody.

use crate::fake::{Fake, check};
use containers_api::MemoryError;
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{Attributes, Inheritance, KernError, MapId, PAGE_BYTES, Protection, Result, Vm};

const BASE: u64 = 0x10_0000;
const PAGES: u64 = 64;
const OBJECT: usize = 0;

type Call = fn(&mut Vm<Fake>, MapId, MapId) -> Result<()>;

fn at(page: u64) -> u64 {
    BASE + page * PAGE_BYTES
}

/// Two maps; the first with regions of all kinds.
fn prepared() -> (Vm<Fake>, [MapId; 2]) {
    let mut vm = Vm::new(Fake::new(2));
    assert_eq!(vm.memory().make(16), OBJECT);
    let maps = [0, 1].map(|space| vm.add_map(space, (), BASE..at(PAGES)).expect("there is room"));
    let map = maps[0];
    vm.allocate(map, at(0), 12 * PAGE_BYTES, false).expect("fresh");
    vm.protect(map, at(3), 2 * PAGE_BYTES, false, Protection::READ).expect("read-only");
    vm.protect(map, at(7), PAGE_BYTES, false, Protection::empty()).expect("nothing");
    let place = Place { address: at(14), size: 4 * PAGE_BYTES, mask: 0, anywhere: false };
    vm.map_object(map, &place, Some((OBJECT, 0)), false, Attributes::FRESH).expect("an object");
    let place = Place { address: at(20), size: 2 * PAGE_BYTES, mask: 0, anywhere: false };
    vm.remap(map, &place, (map, at(1)), false, Inheritance::Share).expect("shared");
    for page in [0, 1, 2, 5, 6, 8, 14, 15, 20] {
        assert!(vm.memory().store(0, at(page), page as u8 + 1));
    }
    (vm, maps)
}

const CALLS: [(&str, Call); 12] = [
    ("allocate", |vm, map, _| vm.allocate(map, 0, 5 * PAGE_BYTES, true).map(drop)),
    ("deallocate", |vm, map, _| vm.deallocate(map, at(1), 18 * PAGE_BYTES)),
    ("protect", |vm, map, _| vm.protect(map, at(1), 11 * PAGE_BYTES, false, Protection::READ)),
    ("protect none", |vm, map, _| vm.protect(map, at(1), 11 * PAGE_BYTES, false, Protection::empty())),
    ("copy", |vm, map, _| vm.copy(map, at(0), 3 * PAGE_BYTES, at(8))),
    ("copy over itself", |vm, map, _| vm.copy(map, at(8), PAGE_BYTES, at(8) + 100)),
    ("read", |vm, map, other| vm.read(map, at(0) + 5, 6 * PAGE_BYTES, other).map(drop)),
    ("map", |vm, map, _| {
        let place = Place { address: at(0), size: 3 * PAGE_BYTES, mask: 0, anywhere: true };
        vm.map_object(map, &place, Some((OBJECT, PAGE_BYTES)), false, Attributes::FRESH).map(drop)
    }),
    ("map a copy", |vm, map, _| {
        let place = Place { address: at(0), size: 3 * PAGE_BYTES, mask: 0, anywhere: true };
        vm.map_object(map, &place, Some((OBJECT, PAGE_BYTES)), true, Attributes::FRESH).map(drop)
    }),
    ("remap a copy", |vm, map, other| {
        let place = Place { address: at(2), size: 12 * PAGE_BYTES, mask: 0, anywhere: false };
        vm.remap(other, &place, (map, at(0)), true, Inheritance::Copy).map(drop)
    }),
    ("wire", |vm, map, _| vm.wire(map, at(8), 4 * PAGE_BYTES, Protection::READ)),
    ("inherit into", |vm, map, other| vm.inherit_into(map, other)),
];

#[test]
fn a_call_that_is_refused_at_any_request_leaves_the_map_true() {
    for (name, call) in CALLS {
        let mut refused = 0;
        for before in 0.. {
            let (mut vm, maps) = prepared();
            vm.memory().refuse_after = Some(before);
            let result = call(&mut vm, maps[0], maps[1]);
            let reached = vm.memory().refuse_after.is_none();
            vm.memory().refuse_after = None;
            // Frames that physmem did not take back are left with their container; their pages are not given out again.
            check(&mut vm, &maps, &[OBJECT], reached);
            if !reached {
                assert_eq!(result, Ok(()), "{name}");
                break;
            }
            refused += u32::from(result == Err(KernError::ResourceShortage));
            // Fresh memory is zeros whatever went wrong before.
            let fresh = vm.allocate(maps[0], 0, 4 * PAGE_BYTES, true).expect("there is room");
            let zeros = (0..4).all(|page| vm.memory().load(0, fresh + page * PAGE_BYTES) == Some(0));
            assert!(zeros, "{name}: fresh memory is not zero after a refusal at request {before}");
            for map in maps {
                vm.remove_map(map).expect("it is there");
            }
            assert_eq!(vm.memory().containers.iter().flatten().count(), 1, "{name}: a container is left");
        }
        assert!(refused > 0, "{name} was never refused");
    }
}

#[test]
fn physmems_refusals_have_machs_meanings() {
    for (refusal, code) in [
        (MemoryError::ContractExhausted, KernError::ResourceShortage),
        (MemoryError::NoRecord, KernError::ResourceShortage),
        (MemoryError::MissingRight, KernError::ProtectionFailure),
        (MemoryError::Sealed, KernError::ProtectionFailure),
        (MemoryError::Stale, KernError::InvalidArgument),
        (MemoryError::Lost, KernError::MemoryError),
        (MemoryError::Locked, KernError::Failure),
    ] {
        let (mut vm, [map, _]) = prepared();
        (vm.memory().refuse_after, vm.memory().refusal) = (Some(0), Some(refusal));
        assert_eq!(vm.copy(map, at(0), PAGE_BYTES, at(8)), Err(code), "{refusal:?}");
    }
}
