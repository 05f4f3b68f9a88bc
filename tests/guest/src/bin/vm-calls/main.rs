//! Mach's `vm_*` calls as a program makes them, by their C names, over the real physmem: what each does to memory, what each refuses, whose
//! map it works on, and that nothing is left when all is deallocated. `vm-calls SEED` makes as many random calls as [`random::CALLS`], too.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use containers_api::space::{MapProtection, Unmap};
use hurd_glue_vm::bytes::{load, store, write};
use hurd_glue_vm::c::{self, mach_task_self};
use hurd_glue_vm::{OWN, with};
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{Attributes, Inheritance, KernError, Protection, Result as KernResult};
use kernel_abi::FRAME_BYTES as PAGE;
use kernel_runtime::Deadline;
use kernel_runtime::containers::{
    Allowance, NewSpace, OwnContainer, OwnContract, Space, contract_status, map_into,
};
use kernel_runtime::heap;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::{CONTRACT, SPACE, VM_BASE, VM_END};
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Report};

mod random;

kernel_runtime::program!(main);

/// `KERN_SUCCESS` and errors, as `mach/kern_return.h` numbers them.
const SUCCESS: i32 = 0;
const INVALID_ADDRESS: i32 = 1;
const PROTECTION_FAILURE: i32 = 2;
const NO_SPACE: i32 = 3;
const INVALID_ARGUMENT: i32 = 4;
const RESOURCE_SHORTAGE: i32 = 6;

type Outcome = Result<(), Failed>;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let seed = startup.arguments.first().and_then(|seed| core::str::from_utf8(seed).ok()?.parse().ok());
    let result = run(seed.unwrap_or(1), &mut report);
    report.finish("vm-calls", result)
}

fn run(seed: u64, report: &mut Report) -> Outcome {
    let tests: [(&str, fn() -> Outcome); 9] = [
        ("allocate and deallocate", allocations),
        ("protect, inherit, region", protections),
        ("copy, read, write", copies),
        ("remap", remaps),
        ("map an object", objects),
        ("wire, statistics", wiring),
        ("a child's map", children),
        ("msync, object_sync", syncs),
        ("what makes no sense", nonsense),
    ];
    // Twice: what the first round makes for good is there in the second.
    for round in 0..2 {
        for (name, test) in tests {
            let before = held()?;
            test().map_err(|Failed(reason)| Failed(alloc::format!("{name}: {reason}")))?;
            let after = held()?;
            if round == 1 && after > before {
                return Err(Failed(alloc::format!("{name}: {before} frames held before, {after} after")));
            }
        }
    }
    report.line(format_args!("vm-calls: {} kinds of calls, no frame left behind", tests.len()));
    let before = held()?;
    let worked = random::calls(seed)?;
    expect("everything deallocated", c::vm_deallocate(mach_task_self(), VM_BASE, VM_END - VM_BASE), SUCCESS)?;
    let after = held()?;
    report.line(format_args!("vm-calls: {worked} of {} random calls worked, seed {seed}", random::CALLS));
    if after > before {
        return Err(Failed(alloc::format!("{before} pages held before random calls, {after} after")));
    }
    Ok(())
}

/// Pages that the contract holds beside the heap: what tests allocate they give back before they end.
fn held() -> Result<u64, Failed> {
    Ok(contract_status(CONTRACT).map_err(|error| ("contract", error))?.pages - heap::bytes() / PAGE)
}

fn expect<T: PartialEq + core::fmt::Debug>(what: &str, is: T, must_be: T) -> Outcome {
    match is == must_be {
        true => Ok(()),
        false => Err(Failed(alloc::format!("{what}: {is:?}, not {must_be:?}"))),
    }
}

/// Fresh memory of some pages.
fn fresh(pages: u64) -> Result<u64, Failed> {
    let mut address = 0;
    expect("vm_allocate", c::vm_allocate(mach_task_self(), Some(&mut address), pages * PAGE, 1), SUCCESS)?;
    Ok(address)
}

fn gone(address: u64, pages: u64) -> Outcome {
    expect("vm_deallocate", c::vm_deallocate(mach_task_self(), address, pages * PAGE), SUCCESS)
}

fn bytes(address: u64, must_be: &[(u64, u8)]) -> Outcome {
    must_be.iter().try_for_each(|&(offset, byte)| expect("a byte", load(address + offset), Ok(byte)))
}

fn fill(address: u64, bytes: &[(u64, u8)]) -> Outcome {
    bytes.iter().try_for_each(|&(offset, byte)| expect("a store", store(address + offset, byte), Ok(())))
}

fn allocations() -> Outcome {
    let me = mach_task_self();
    let address = fresh(3)?;
    bytes(address, &[(0, 0), (3 * PAGE - 1, 0)])?;
    fill(address, &[(0, 1), (PAGE, 2), (3 * PAGE - 1, 3)])?;
    let mut taken = address + PAGE;
    expect("taken", c::vm_allocate(me, Some(&mut taken), PAGE, 0), NO_SPACE)?;
    gone(address + PAGE, 1)?;
    expect("a hole", load(address + PAGE), Err(KernError::InvalidAddress))?;
    bytes(address, &[(0, 1), (3 * PAGE - 1, 3)])?;
    // Nothing is mapped in the hole, or this would be refused.
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let hole = address + PAGE;
    map_into(SPACE, hole, &container, 0..1, MapProtection::WRITE).map_err(|error| ("the hole", error))?;
    call(SPACE, &Unmap { address: hole, pages: 1 }, &[], Deadline::NEVER)
        .map_err(|error| ("the hole", error))?;
    let mut unaligned = hole + 5;
    expect("at an address", c::vm_allocate(me, Some(&mut unaligned), 10, 0), SUCCESS)?;
    expect("rounded", unaligned, hole)?;
    bytes(hole, &[(0, 0), (PAGE - 1, 0)])?;
    gone(address, 3)
}

fn region(mut address: u64) -> Result<(u64, u64, u32, u32, u32, i32), i32> {
    let (mut size, mut offset) = (0, 0);
    let (mut protection, mut maximum, mut inheritance) = (0, 0, 0);
    let (mut is_shared, mut name) = (0, 0);
    let code = c::vm_region(
        mach_task_self(),
        Some(&mut address),
        Some(&mut size),
        Some(&mut protection),
        Some(&mut maximum),
        Some(&mut inheritance),
        Some(&mut is_shared),
        Some(&mut name),
        Some(&mut offset),
    );
    if code == SUCCESS { Ok((address, size, protection, maximum, inheritance, is_shared)) } else { Err(code) }
}

fn protections() -> Outcome {
    let me = mach_task_self();
    expect("no region", region(VM_BASE), Err(NO_SPACE))?;
    let address = fresh(4)?;
    fill(address, &[(PAGE, 7)])?;
    expect("one region", region(0), Ok((address, 4 * PAGE, 3, 7, 1, 0)))?;
    expect("read-only", c::vm_protect(me, address + PAGE, 1, 0, 1), SUCCESS)?;
    expect("a store", store(address + PAGE, 8), Err(KernError::ProtectionFailure))?;
    expect("the middle", region(address + PAGE + 9), Ok((address + PAGE, PAGE, 1, 7, 1, 0)))?;
    expect("nothing allowed", c::vm_protect(me, address + PAGE, PAGE, 0, 0), SUCCESS)?;
    expect("a load", load(address + PAGE), Err(KernError::ProtectionFailure))?;
    expect("back", c::vm_protect(me, address, 4 * PAGE, 0, 3), SUCCESS)?;
    bytes(address, &[(PAGE, 7)])?;
    expect("written and run", c::vm_protect(me, address, PAGE, 0, 7), PROTECTION_FAILURE)?;
    expect("inherit", c::vm_inherit(me, address, 4 * PAGE, 0), SUCCESS)?;
    expect("maximum", c::vm_protect(me, address, 4 * PAGE, 1, 1), SUCCESS)?;
    expect("one again", region(address), Ok((address, 4 * PAGE, 1, 1, 0, 0)))?;
    expect("beyond the maximum", c::vm_protect(me, address, PAGE, 0, 3), PROTECTION_FAILURE)?;
    expect("a hole", c::vm_protect(me, address, 5 * PAGE, 0, 1), INVALID_ADDRESS)?;
    gone(address, 4)
}

fn moved_bytes() -> KernResult<u64> {
    with(|vm| Ok(vm.memory().moved_bytes))
}

fn copies() -> Outcome {
    let me = mach_task_self();
    let address = fresh(8)?;
    fill(address, &[(0, 1), (PAGE, 2), (2 * PAGE - 1, 3)])?;
    let moved = moved_bytes();
    expect("vm_copy", c::vm_copy(me, address, 2 * PAGE, address + 4 * PAGE), SUCCESS)?;
    let (mut data, mut count) = (0, 0);
    let read = c::vm_read(me, address, 2 * PAGE, Some(&mut data), Some(&mut count));
    expect("vm_read", (read, count), (SUCCESS, 2 * PAGE as u32))?;
    expect("whole pages are not moved", moved_bytes(), moved)?;
    fill(address, &[(0, 11), (PAGE, 12)])?;
    bytes(address + 4 * PAGE, &[(0, 1), (PAGE, 2), (2 * PAGE - 1, 3)])?;
    bytes(data, &[(0, 1), (PAGE, 2), (2 * PAGE - 1, 3)])?;
    fill(data, &[(0, 21)])?;
    bytes(address, &[(0, 11), (PAGE, 12), (2 * PAGE - 1, 3)])?;
    // Ranges that overlap, and bytes that do not lie alike.
    expect("overlapping", c::vm_copy(me, address, 2 * PAGE, address + PAGE), SUCCESS)?;
    bytes(address, &[(0, 11), (PAGE, 11), (2 * PAGE, 12), (3 * PAGE - 1, 3)])?;
    expect("unaligned", c::vm_copy(me, address + 2 * PAGE, 5, address + 7 * PAGE - 2), SUCCESS)?;
    bytes(address, &[(7 * PAGE - 2, 12), (7 * PAGE, 0), (7 * PAGE - 3, 0)])?;
    expect("vm_write", write(OWN, address + PAGE - 2, b"abcd"), Ok(()))?;
    bytes(address, &[(PAGE - 3, 0), (PAGE - 2, b'a'), (PAGE + 1, b'd'), (PAGE + 2, 0)])?;
    expect("a hole", c::vm_copy(me, address, PAGE, VM_END - PAGE), INVALID_ADDRESS)?;
    expect("protect", c::vm_protect(me, address, PAGE, 0, 1), SUCCESS)?;
    expect("read-only", c::vm_copy(me, address + PAGE, PAGE, address), PROTECTION_FAILURE)?;
    gone(address, 8)?;
    gone(data, 2)
}

fn remaps() -> Outcome {
    let me = mach_task_self();
    let address = fresh(2)?;
    fill(address, &[(0, 1)])?;
    let (mut protection, mut maximum) = (0, 0);
    let mut places = [0, 0];
    for (copy, place) in places.iter_mut().enumerate() {
        let code = c::vm_remap(
            me,
            Some(place),
            2 * PAGE,
            0,
            1,
            me,
            address,
            copy as i32,
            Some(&mut protection),
            Some(&mut maximum),
            1,
        );
        expect("vm_remap", (code, protection, maximum), (SUCCESS, 3, 7))?;
    }
    fill(address, &[(0, 2), (PAGE, 3)])?;
    bytes(places[0], &[(0, 2), (PAGE, 3)])?;
    bytes(places[1], &[(0, 1), (PAGE, 0)])?;
    expect("shared", region(address).map(|region| region.5), Ok(1))?;
    // The memory lasts as long as one of its places.
    gone(address, 2)?;
    bytes(places[0], &[(0, 2), (PAGE, 3)])?;
    places.into_iter().try_for_each(|place| gone(place, 2))
}

fn objects() -> Outcome {
    let me = mach_task_self();
    let object = OwnContainer::new(4).map_err(|error| ("container", error))?;
    let mut places = [0, 0];
    for (copy, place) in places.iter_mut().enumerate() {
        let code = c::vm_map(me, Some(place), PAGE, 0, 1, object.handle().0, PAGE, copy as i32, 3, 3, 1);
        expect("vm_map", code, SUCCESS)?;
    }
    fill(places[0], &[(9, 1)])?;
    bytes(places[1], &[(9, 0)])?;
    let mut address = 0;
    let mask = 16 * PAGE - 1;
    let code = c::vm_map(me, Some(&mut address), 3 * PAGE, mask, 1, object.handle().0, 0, 0, 1, 1, 1);
    expect("vm_map", (code, address & mask), (SUCCESS, 0))?;
    bytes(address, &[(PAGE + 9, 1)])?;
    expect("its own maximum", c::vm_protect(me, address, PAGE, 0, 3), PROTECTION_FAILURE)?;
    let beyond = c::vm_map(me, Some(&mut 0), 4 * PAGE, 0, 1, object.handle().0, PAGE, 0, 1, 1, 1);
    expect("beyond its end", beyond, INVALID_ARGUMENT)?;
    let no_object = c::vm_map(me, Some(&mut 0), PAGE, 0, 1, SPACE.0, 0, 0, 1, 1, 1);
    expect("no container", no_object, INVALID_ARGUMENT)?;
    gone(address, 3)?;
    places.into_iter().try_for_each(|place| gone(place, 1))
}

fn wired() -> Result<i32, Failed> {
    let mut statistics = c::Statistics::default();
    let code = c::vm_statistics(mach_task_self(), Some(&mut statistics));
    expect("vm_statistics", (code, statistics.pagesize), (SUCCESS, PAGE as i32))?;
    let vital = contract_status(CONTRACT).map_err(|error| ("contract", error))?.vital;
    expect("vital pages", vital, statistics.wire_count as u64)?;
    Ok(statistics.wire_count)
}

fn wiring() -> Outcome {
    let me = mach_task_self();
    let address = fresh(6)?;
    fill(address, &[(0, 1), (2 * PAGE, 2)])?;
    expect("vm_wire", c::vm_wire(0, me, address + PAGE, 3 * PAGE, 3), SUCCESS)?;
    expect("wired", wired()?, 3)?;
    bytes(address, &[(0, 1), (PAGE, 0), (2 * PAGE, 2)])?;
    fill(address, &[(3 * PAGE, 3)])?;
    expect("twice", c::vm_wire(0, me, address + PAGE, PAGE, 1), SUCCESS)?;
    expect("vm_unwire", c::vm_wire(0, me, address + PAGE, 3 * PAGE, 0), SUCCESS)?;
    expect("one page has them all stay", wired().is_err(), true)?;
    expect("vm_unwire", c::vm_wire(0, me, address + PAGE, PAGE, 0), SUCCESS)?;
    expect("wired", wired()?, 0)?;
    expect("not wired", c::vm_wire(0, me, address, PAGE, 0), INVALID_ARGUMENT)?;
    bytes(address, &[(0, 1), (2 * PAGE, 2), (3 * PAGE, 3)])?;
    let much = fresh(1 << 24)?;
    expect("beyond the guarantee", c::vm_wire(0, me, much, PAGE << 24, 1), RESOURCE_SHORTAGE)?;
    expect("wired", wired()?, 0)?;
    gone(much, 1 << 24)?;
    gone(address, 6)
}

/// Another task's map, through its address space's capability: what it inherits, and calls that work on it.
fn children() -> Outcome {
    let allowance = Allowance { guaranteed: 64, extra_limit: 0, pin_limit: 0 };
    let contract = OwnContract::split(CONTRACT, &allowance, "child").map_err(|error| ("split", error))?;
    let NewSpace { space, task: _task } = contract.create_space("child").map_err(|error| ("space", error))?;
    let address = fresh(3)?;
    fill(address, &[(0, 1), (PAGE, 2)])?;
    expect("share", c::vm_inherit(mach_task_self(), address, PAGE, 0), SUCCESS)?;
    expect("nothing", c::vm_inherit(mach_task_self(), address + 2 * PAGE, PAGE, 2), SUCCESS)?;
    let child = with(|vm| {
        let child = vm.add_map(space.handle(), contract.handle(), VM_BASE..VM_END)?;
        vm.inherit_into(OWN, child)?;
        Ok(child)
    });
    let child = child.map_err(|error| ("the child's map", error))?;
    fill(address, &[(0, 11), (PAGE, 12)])?;
    let its = child.0 + 1;
    let (mut data, mut count) = (0, 0);
    let read = c::vm_read(its, address, 2 * PAGE, Some(&mut data), Some(&mut count));
    expect("vm_read of the child", (read, count), (SUCCESS, 2 * PAGE as u32))?;
    bytes(data, &[(0, 11), (PAGE, 2)])?;
    let hole = c::vm_read(its, address + 2 * PAGE, 1, Some(&mut data), Some(&mut count));
    expect("not inherited", hole, INVALID_ADDRESS)?;
    expect("vm_write to the child", write(child, address + PAGE - 1, b"xy"), Ok(()))?;
    bytes(address, &[(PAGE - 1, b'x'), (PAGE, 12)])?;
    check_occupied(&space, address)?;
    gone(data, 2)?;
    hurd_glue_vm::forget(child).map_err(|error| ("the child's map", error))?;
    expect("it is gone", c::vm_deallocate(its, address, PAGE), INVALID_ARGUMENT)?;
    gone(address, 3)
}

/// Something is mapped there in the other task's space.
fn check_occupied(space: &Space, address: u64) -> Outcome {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let mapped = space.map(address, &container, 0..1, MapProtection::WRITE);
    expect("mapped in the child", mapped.is_err(), true)
}

fn syncs() -> Outcome {
    let me = mach_task_self();
    let address = fresh(2)?;
    expect("vm_msync", c::vm_msync(me, address, 2 * PAGE, 2), SUCCESS)?;
    expect("both", c::vm_msync(me, address, 2 * PAGE, 3), INVALID_ARGUMENT)?;
    expect("a hole", c::vm_msync(me, address, 3 * PAGE, 1), INVALID_ADDRESS)?;
    let object = OwnContainer::new(4).map_err(|error| ("container", error))?;
    expect("vm_object_sync", c::vm_object_sync(object.handle().0, 0, 4 * PAGE, 0, 1, 1), SUCCESS)?;
    expect("no object", c::vm_object_sync(SPACE.0, 0, PAGE, 0, 1, 1), INVALID_ARGUMENT)?;
    gone(address, 2)
}

fn nonsense() -> Outcome {
    let me = mach_task_self();
    let mut address = 0;
    for task in [0, 77, u32::MAX] {
        expect("no task", c::vm_allocate(task, Some(&mut address), PAGE, 1), INVALID_ARGUMENT)?;
        expect("no task", c::vm_deallocate(task, 0, 0), INVALID_ARGUMENT)?;
    }
    expect("no result", c::vm_allocate(me, None, PAGE, 1), INVALID_ARGUMENT)?;
    expect("nothing", (c::vm_allocate(me, Some(&mut address), 0, 1), address), (SUCCESS, 0))?;
    expect("too much", c::vm_allocate(me, Some(&mut address), VM_END, 1), NO_SPACE)?;
    expect("wraps", c::vm_allocate(me, Some(&mut address), u64::MAX, 1), INVALID_ARGUMENT)?;
    let mut outside = 0x40_0000;
    expect("outside", c::vm_allocate(me, Some(&mut outside), PAGE, 0), INVALID_ADDRESS)?;
    expect("wraps", c::vm_deallocate(me, u64::MAX, 2), INVALID_ARGUMENT)?;
    expect("outside", c::vm_deallocate(me, 0x40_0000, PAGE), SUCCESS)?;
    expect("protection 8", c::vm_protect(me, VM_BASE, PAGE, 0, 8), INVALID_ARGUMENT)?;
    expect("inheritance 3", c::vm_inherit(me, VM_BASE, PAGE, 3), INVALID_ARGUMENT)?;
    let place = Place { address: VM_BASE, size: PAGE, mask: 1 << 63, anywhere: false };
    let aligned = with(|vm| vm.map_object(OWN, &place, None, false, Attributes::FRESH));
    expect("it fits the mask", aligned, Ok(VM_BASE))?;
    let remapped = with(|vm| vm.remap(OWN, &place, (OWN, VM_BASE), false, Inheritance::Share));
    expect("over itself", remapped.map(|remapped| remapped.protection), Err(KernError::NoSpace))?;
    expect("allowed", Protection::from_number(7), Ok(Protection::all()))?;
    gone(VM_BASE, 1)
}
