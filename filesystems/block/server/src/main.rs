//! The block driver: reads sectors of a virtio disk straight into frames that a client has locked. What it does is in
//! [`filesystems_block_core`]; here are the device's memory, its interrupt, and messages.
//!
//! One thread, which never waits for the disk: callers are saved replies, the interrupt and the timer are
//! messages like any other. A lock is released before its caller is answered, whatever the answer is.
//!
//! Without a disk the server serves all the same and says so.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod bring_up;
mod configuration;
mod pending;
mod queue_memory;
mod registers;

use bring_up::{Hardware, bring_up};
use filesystems_api::block::{BlockError, BlockRead, Request};
use filesystems_block_core::{Completion, DiskState, PhysicalRuns};
use kernel_abi::trace::EventKind;
use kernel_protocol::Refusal;
use kernel_runtime::containers::contract_status;
use kernel_runtime::events::Events;
use kernel_runtime::ipc::Received;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::notification::Notification;
use kernel_runtime::server::{Incoming, Outgoing, receive, reply_receive, save_reply};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, KernelError, clock, syscall};
use pending::{Pending, PendingTable, physical_runs};

kernel_runtime::program!(main);

/// Bit of the notification that the disk's interrupt sets.
const INTERRUPT_BIT: u64 = 1;
/// Bit that the timer sets.
const TIMER_BIT: u64 = 2;
/// How often the driver looks at the disk while it waits, whatever interrupts come, in nanoseconds. A lost interrupt
/// costs no more than this; and an emulator that skips idle time, up to the next timer, does not skip the disk's whole
/// term before the host has read anything.
const LOOK_NS: u64 = 1_000_000;

fn main(startup: Startup<'static>) -> i32 {
    match serve(&startup) {
        Ok(never) => match never {},
        Err(error) => {
            log::error!("cannot serve: {error}");
            1
        }
    }
}

/// Why the driver cannot serve at all.
enum Failure {
    NotGiven(&'static str),
    Memory(kernel_runtime::containers::MemoryCallError),
    Kernel(KernelError),
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Failure::Kernel(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::NotGiven(name) => write!(formatter, "no capability `{name}`"),
            Failure::Memory(error) => error.fmt(formatter),
            Failure::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
        }
    }
}

struct Driver {
    hardware: Option<Hardware>,
    /// Authority for physical addresses.
    dma: Handle,
    notification: Notification,
    pending: PendingTable,
    /// Pages that it can answer for at a time.
    pages_in_flight: u64,
    /// The frames of the request that is being taken over.
    runs: PhysicalRuns,
    /// Where reads are told.
    events: Events,
    /// Moment that the timer is set to, soon; 0: none.
    timer: u64,
}

fn serve(startup: &Startup<'_>) -> Result<core::convert::Infallible, Failure> {
    let named = |name| startup.capability(name).ok_or(Failure::NotGiven(name));
    let (endpoint, dma) = (named("endpoint")?, named("dma")?);
    let notification = Notification::new().map_err(Failure::Memory)?;
    notification.bind()?;
    let signaller = notification.signaller(INTERRUPT_BIT)?;
    let hardware = match bring_up(startup, dma, signaller.handle()) {
        Ok(hardware) => Some(hardware),
        Err(error) => {
            log::warn!("no disk: {error}");
            None
        }
    };
    let mut driver = Driver {
        hardware,
        dma,
        notification,
        pending: PendingTable::new(),
        pages_in_flight: contract_status(CONTRACT).map_err(Failure::Memory)?.pin_limit,
        runs: PhysicalRuns::new(),
        events: Events::from_startup(startup),
        timer: 0,
    };
    let mut answer = None;
    loop {
        let incoming = match answer {
            Some(outgoing) => reply_receive(endpoint, outgoing, Deadline::NEVER)?,
            None => receive(endpoint, Deadline::NEVER)?,
        };
        answer = driver.handle(&incoming);
        // An answer may lie in the message buffer; nothing else is sent before it is.
        if answer.is_none() {
            driver.finish();
        }
    }
}

fn refuse(refusal: impl Into<Refusal<BlockError>>) -> Option<Outgoing> {
    Some(Outgoing::refusal(refusal.into()))
}

impl Driver {
    /// The answer, unless the caller was saved or there is none.
    fn handle(&mut self, incoming: &Incoming) -> Option<Outgoing> {
        if let Some(bits) = incoming.notification() {
            self.signalled(bits);
            return None;
        }
        match incoming.decode(Request::decode) {
            Ok(Request::BlockStat(_)) => {
                let status = match &self.hardware {
                    Some(hardware) => hardware.disk.status(self.pages_in_flight),
                    None => Err(BlockError::NoDisk.into()),
                };
                Some(Outgoing::answer(&status))
            }
            Ok(Request::BlockRead(read)) => match self.read(&read, incoming.received) {
                Ok(()) => None,
                Err(refusal) => refuse(refusal),
            },
            Err(_) => refuse(BlockError::Malformed),
        }
    }

    /// Takes the interrupt back from the device, then lets the line through again.
    fn signalled(&mut self, bits: u64) {
        if bits & TIMER_BIT != 0 {
            self.timer = 0;
        }
        if let (true, Some(hardware)) = (bits & INTERRUPT_BIT != 0, &mut self.hardware) {
            hardware.disk.take_interrupt();
            if let Err(error) = syscall::interrupt_acknowledge(hardware.interrupt) {
                log::error!("the interrupt is lost: {error:?}");
            }
        }
    }

    /// Starts a read and saves the caller. A refusal comes with the lock released.
    fn read(&mut self, read: &BlockRead, received: Received) -> Result<(), Refusal<BlockError>> {
        let hardware = self.hardware.as_mut().ok_or(BlockError::NoDisk)?;
        let lock = received.take(0).map_err(|_| BlockError::BadLock)?;
        let lock = pending::examine(lock)?;
        if !hardware.disk.has_room() {
            return Err(BlockError::Busy.into());
        }
        physical_runs(&lock, self.dma, &mut self.runs)?;
        let bytes = self.runs.bytes();
        let slot = match hardware.disk.submit(&read.extents, &self.runs, clock::now()) {
            Ok(slot) => slot,
            Err(error) => {
                // The device was never told the frames.
                let _ = lock.release(0);
                return Err(error.into());
            }
        };
        self.events.write(EventKind::DiskRead, [slot as u64, bytes, 0, 0]);
        // Where the caller cannot be saved its call fails, and the disk's answer ends the lock all the same.
        let reply = save_reply().ok();
        self.pending.put(slot, Pending { reply, lock });
        Ok(())
    }

    /// Answers whatever is over, and sets the timer for what is not.
    fn finish(&mut self) {
        let Some(hardware) = &mut self.hardware else { return };
        let was = hardware.disk.state();
        while let Some(completion) = hardware.disk.next_completion(clock::now()) {
            let failed = completion.result.is_err();
            let what = [completion.slot as u64, completion.written, failed.into(), 0];
            self.events.write(EventKind::DiskDone, what);
            answer(&mut self.pending, completion);
        }
        if was != hardware.disk.state() && hardware.disk.state() == DiskState::Dead {
            log::error!("the disk did not come up again after a reset; it is given up");
        }
        self.set_timer();
    }

    fn set_timer(&mut self) {
        let deadline = self.hardware.as_ref().and_then(|hardware| hardware.disk.deadline());
        // A timer that is set already comes soon enough.
        if let Some(deadline) = deadline.filter(|_| self.timer == 0) {
            let moment = deadline.min(clock::now() + LOOK_NS);
            match self.notification.set_timer(Deadline::at(moment), TIMER_BIT) {
                Ok(()) => self.timer = moment,
                Err(error) => log::error!("no timer: {error:?}"),
            }
        }
    }
}

/// Ends the lock, then answers the caller.
fn answer(pending: &mut PendingTable, completion: Completion) {
    let Some(Pending { reply, lock }) = pending.take(completion.slot) else { return };
    let mut result = completion.result;
    if completion.frames_safe {
        // What was read into frames that are not the caller's any more was not read.
        let released = lock.release(completion.written);
        result = result.and_then(|done| released.map(|()| done));
    } else {
        lock.keep();
    }
    // What a caller brings about by ending its lock is not worth a line: it can do so as often as it likes.
    if let Err(refusal) = result
        && refusal.error != BlockError::BadLock
    {
        log::warn!("a read failed: {} ({})", refusal.error, refusal.detail);
    }
    if let Some(reply) = reply {
        // A caller that is gone needs no answer.
        let _ = reply.send(Outgoing::answer(&result));
    }
}
