//! The kernel's calls: [`raw`] enters the kernel, the functions here give each call its types.
//!
//! Every function is safe in Rust's sense but for what it does to address spaces and threads: whoever holds
//! a capability for its own space can take its own memory away, by message or by call, and no type prevents
//! it. IPC proper is in [`crate::ipc`] and [`crate::server`].

pub mod raw;

mod memory;
mod task;

pub use memory::*;
pub use task::*;

use kernel_abi::call::ProcessorCounter;
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};
use kernel_abi::{Handle, KernelError, Kind, Rights, SystemCall};
use raw::plain;

/// A call that stopped half-way or needs something: why, and the value that the call's documentation names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// Why.
    pub error: KernelError,
    /// Items done (`Preempted`), tables needed (`NeedTables`).
    pub value: u64,
}

/// What an entry of the capability table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// What it names.
    pub kind: Kind,
    /// What it allows.
    pub rights: Rights,
}

/// Ends the calling task.
pub fn task_exit(code: u32) -> ! {
    loop {
        let _ = plain(SystemCall::TaskExit, [u64::from(code), 0, 0, 0, 0, 0]);
    }
}

/// Lets other threads of the same priority run.
pub fn yield_now() {
    let _ = plain(SystemCall::Yield, [0; 6]);
}

/// Sets the bits of the capability's badge.
pub fn signal(notification: Handle) -> Result<(), KernelError> {
    plain(SystemCall::Signal, [handle(notification), 0, 0, 0, 0, 0]).map(drop)
}

/// Waits until a bit is set, takes all bits. `deadline` as the kernel wants it.
pub fn wait(notification: Handle, deadline: u64) -> Result<u64, KernelError> {
    let returned = raw::message(SystemCall::Wait, handle(notification), 0, [0; 8], deadline);
    raw::status(returned.status).map(|()| returned.words[0])
}

/// Takes all bits that are set, without waiting.
pub fn poll(notification: Handle) -> Result<u64, KernelError> {
    plain(SystemCall::Poll, [handle(notification), 0, 0, 0, 0, 0])
}

/// Has the notification signalled with `bits` at `time` (nanoseconds since boot; 0 disarms).
pub fn timer_set(notification: Handle, time: u64, bits: u64) -> Result<(), KernelError> {
    plain(SystemCall::TimerSet, [handle(notification), time, bits, 0, 0, 0]).map(drop)
}

/// Moves the current reply into an empty entry.
pub fn save_reply(destination: Handle) -> Result<(), KernelError> {
    plain(SystemCall::SaveReply, [handle(destination), 0, 0, 0, 0, 0]).map(drop)
}

/// Copies a capability with a subset of its rights into an empty entry.
pub fn capability_copy(source: Handle, destination: Handle, rights: Rights) -> Result<(), KernelError> {
    let rights = u64::from(rights.bits());
    plain(SystemCall::CapabilityCopy, [handle(source), handle(destination), rights, 0, 0, 0]).map(drop)
}

/// Copies a capability with a badge.
pub fn capability_mint(
    source: Handle,
    destination: Handle,
    rights: Rights,
    badge: u64,
) -> Result<(), KernelError> {
    let rights = u64::from(rights.bits());
    plain(SystemCall::CapabilityMint, [handle(source), handle(destination), rights, badge, 0, 0]).map(drop)
}

/// Moves a capability into an empty entry.
pub fn capability_move(source: Handle, destination: Handle) -> Result<(), KernelError> {
    plain(SystemCall::CapabilityMove, [handle(source), handle(destination), 0, 0, 0, 0]).map(drop)
}

/// Empties an entry.
pub fn capability_drop(entry: Handle) -> Result<(), KernelError> {
    plain(SystemCall::CapabilityDrop, [handle(entry), 0, 0, 0, 0, 0]).map(drop)
}

/// What an entry is.
pub fn capability_identify(entry: Handle) -> Result<Identity, KernelError> {
    let value = plain(SystemCall::CapabilityIdentify, [handle(entry), 0, 0, 0, 0, 0])?;
    let kind = Kind::from_number(value as u8).ok_or(KernelError::InvalidCall)?;
    Ok(Identity { kind, rights: Rights::from_bits_truncate((value >> 16) as u16) })
}

/// Writes a line of at most [`kernel_abi::call::LOG_BYTES`] bytes to the system log.
pub fn log_write(log: Handle, line: &[u8]) -> Result<(), KernelError> {
    let (address, bytes) = (line.as_ptr() as u64, line.len() as u64);
    plain(SystemCall::LogWrite, [handle(log), address, bytes, 0, 0, 0]).map(drop)
}

/// Writes an event beside the kernel's own, where there are rings for it.
pub fn trace_write(
    trace: Handle,
    kind: EventKind,
    [a, b, c, d]: [u64; SERVER_ARGUMENTS],
) -> Result<(), KernelError> {
    plain(SystemCall::TraceWrite, [handle(trace), kind as u64, a, b, c, d]).map(drop)
}

/// What a processor has done for others since boot.
pub fn processor_count(log: Handle, processor: u64, counter: ProcessorCounter) -> Result<u64, KernelError> {
    plain(SystemCall::ProcessorCount, [handle(log), processor, counter as u64, 0, 0, 0])
}

/// Makes a capability for I/O ports, an interrupt line or device memory.
pub fn hardware_mint(
    hardware: Handle,
    kind: Kind,
    first: u64,
    count: u64,
    destination: Handle,
) -> Result<(), KernelError> {
    let arguments = [handle(hardware), kind as u64, first, count, handle(destination), 0];
    plain(SystemCall::HardwareMint, arguments).map(drop)
}

/// Reads a port, `width` bytes wide (1, 2, 4).
pub fn port_read(ports: Handle, offset: u16, width: u8) -> Result<u32, KernelError> {
    let arguments = [handle(ports), u64::from(offset), u64::from(width), 0, 0, 0];
    plain(SystemCall::PortRead, arguments).map(|value| value as u32)
}

/// Writes a port, `width` bytes wide (1, 2, 4).
pub fn port_write(ports: Handle, offset: u16, width: u8, value: u32) -> Result<(), KernelError> {
    let arguments = [handle(ports), u64::from(offset), u64::from(width), u64::from(value), 0, 0];
    plain(SystemCall::PortWrite, arguments).map(drop)
}

/// Has a notification signalled at each interrupt, and unmasks the line.
pub fn interrupt_bind(interrupt: Handle, notification: Handle) -> Result<(), KernelError> {
    plain(SystemCall::InterruptBind, [handle(interrupt), handle(notification), 0, 0, 0, 0]).map(drop)
}

/// Unmasks the line again after an interrupt.
pub fn interrupt_acknowledge(interrupt: Handle) -> Result<(), KernelError> {
    plain(SystemCall::InterruptAcknowledge, [handle(interrupt), 0, 0, 0, 0, 0]).map(drop)
}

fn handle(handle: Handle) -> u64 {
    u64::from(handle.0)
}
