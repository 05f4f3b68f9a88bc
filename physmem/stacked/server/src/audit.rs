//! Which capabilities this task holds, by kind: what the kernel says of each entry of its table.

use core::fmt::Write;
use kernel_abi::capability::CAPABILITIES_PER_TASK;
use kernel_runtime::output::Output;
use kernel_runtime::{Handle, Kind, syscall};

/// Kinds that an entry can be of.
const KINDS: [Kind; 11] = [
    Kind::Frames,
    Kind::Hardware,
    Kind::Task,
    Kind::Thread,
    Kind::Endpoint,
    Kind::Notification,
    Kind::Reply,
    Kind::IoPorts,
    Kind::Interrupt,
    Kind::DeviceMemory,
    Kind::Log,
];

/// Writes a line with the number of capabilities of each kind that there are any of.
pub fn print(out: &mut Output) {
    let kinds =
        (1..CAPABILITIES_PER_TASK).filter_map(|entry| syscall::capability_identify(Handle(entry)).ok());
    let mut counts = [0; KINDS.len()];
    for identity in kinds {
        if let Some(index) = KINDS.iter().position(|&kind| kind == identity.kind) {
            counts[index] += 1;
        }
    }
    // Writing to the console's buffer cannot fail.
    let _ = write!(out, "stacked: holds");
    for (kind, count) in KINDS.iter().zip(counts).filter(|&(_, count)| count != 0) {
        let _ = write!(out, " {kind:?}={count}");
    }
    let _ = writeln!(out);
}
