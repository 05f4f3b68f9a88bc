//! Random calls: whatever the arguments, a call ends with a code, and nothing else notices.

use hurd_glue_vm::bytes::store;
use hurd_glue_vm::c::{self, mach_task_self};
use kernel_abi::FRAME_BYTES as PAGE;
use kernel_runtime::layout::VM_BASE;
use tests_guest::{Failed, Random};

/// Calls of a seed.
pub const CALLS: u32 = 1500;

const SUCCESS: i32 = 0;

/// Calls with numbers that are likely to be at some edge; how many worked.
pub fn calls(seed: u64) -> Result<u32, Failed> {
    let mut random = Random::new(seed);
    let task = mach_task_self();
    let mut worked = 0;
    for _ in 0..CALLS {
        let address = |random: &mut Random| match random.below(4) {
            0 => random.edgy(),
            _ => VM_BASE + random.below(64 * PAGE),
        };
        let size = |random: &mut Random| match random.below(4) {
            0 => random.edgy(),
            _ => random.below(8 * PAGE),
        };
        let (mut at, mut other, bytes) = (address(&mut random), address(&mut random), size(&mut random));
        let (number, flag) = (random.below(9) as u32, random.below(2) as i32);
        let (mut protection, mut maximum, mut count) = (0, 0, 0);
        let code = match random.below(10) {
            0 | 1 => c::vm_allocate(task, Some(&mut at), bytes, flag),
            2 => c::vm_deallocate(task, at, bytes),
            3 => c::vm_protect(task, at, bytes, flag & (number & 1) as i32, number),
            4 => c::vm_inherit(task, at, bytes, number),
            5 => c::vm_copy(task, at, bytes, other),
            6 => c::vm_read(task, at, bytes.min(64 * PAGE), Some(&mut other), Some(&mut count)),
            7 => c::vm_remap(
                task,
                Some(&mut other),
                bytes.min(64 * PAGE),
                0,
                1,
                task,
                at,
                flag,
                Some(&mut protection),
                Some(&mut maximum),
                1,
            ),
            8 => c::vm_wire(0, task, at, bytes, number),
            _ => match store(at, 1) {
                Ok(()) => SUCCESS,
                Err(error) => error.code(),
            },
        };
        worked += u32::from(code == SUCCESS);
    }
    match worked {
        0 => Err(Failed("no random call worked".into())),
        _ => Ok(worked),
    }
}
