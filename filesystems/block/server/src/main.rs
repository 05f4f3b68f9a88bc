//! The block driver: moves sectors between virtio disks and frames that a client has locked. What it does is in
//! [`filesystems_block_core`]; here are the devices' memory, their interrupts, and messages.
//!
//! Two disks, one for files and one for swap: the badge of a client's capability says which ([`DiskUse`]). Each has its own
//! table of requests and an equal part of the frames that the driver may answer for, so neither waits for the other.
//!
//! One thread, which never waits for a disk: callers are saved replies, interrupts and the timer are
//! messages like any other. A lock is released before its caller is answered, whatever the answer is.
//!
//! Without disks the server serves all the same and says so.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod bring_up;
mod configuration;
mod pending;
mod queue_memory;
mod registers;
mod unit;

use bring_up::{BringUpError, bring_up};
use filesystems_api::block::{BlockError, Extents, Request};
use filesystems_block_core::{Direction, DiskUse, PciError};
use kernel_protocol::Refusal;
use kernel_runtime::containers::contract_status;
use kernel_runtime::events::Events;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::notification::Notification;
use kernel_runtime::server::{Incoming, Outgoing, receive, reply_receive};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, KernelError, clock};
use unit::Unit;

kernel_runtime::program!(main);

/// Bit of the notification that the disks' interrupts set.
const INTERRUPT_BIT: u64 = 1;
/// Bit that the timer sets.
const TIMER_BIT: u64 = 2;
/// How often the driver looks at the disks while it waits, whatever interrupts come, in nanoseconds. A lost interrupt
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
    /// By [`DiskUse`].
    units: [Unit; DiskUse::ALL.len()],
    notification: Notification,
    /// Where requests are told.
    events: Events,
    /// Moment that the timer is set to, soon; 0: none.
    timer: u64,
}

fn serve(startup: &Startup<'_>) -> Result<core::convert::Infallible, Failure> {
    let endpoint = startup.capability("endpoint").ok_or(Failure::NotGiven("endpoint"))?;
    let notification = Notification::new().map_err(Failure::Memory)?;
    notification.bind()?;
    let signaller = notification.signaller(INTERRUPT_BIT)?;
    let units = bring_units_up(startup, signaller.handle())?;
    let mut driver = Driver { units, notification, events: Events::from_startup(startup), timer: 0 };
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

/// All disks that there are, each with its part of the frames.
fn bring_units_up(startup: &Startup<'_>, signaller: Handle) -> Result<[Unit; DiskUse::ALL.len()], Failure> {
    let named = |name| startup.capability(name).ok_or(Failure::NotGiven(name));
    let authorities = [named("dma")?, named("swap-dma")?];
    let mut units = DiskUse::ALL.map(|used_for| {
        let dma = authorities[used_for as usize];
        let hardware = match bring_up(startup, used_for, dma, signaller) {
            Ok(hardware) => Some(hardware),
            Err(error) => {
                // Without a disk for files there is little to do; swap is a choice.
                match (used_for, &error) {
                    (DiskUse::Swap, BringUpError::Pci(PciError::NotFound)) => log::info!("no {used_for}"),
                    _ => log::warn!("no {used_for}: {error}"),
                }
                None
            }
        };
        Unit::new(used_for, hardware, dma)
    });
    let all = contract_status(CONTRACT).map_err(Failure::Memory)?.pin_limit;
    let disks = units.iter().filter(|unit| unit.is_there()).count().max(1);
    units.iter_mut().for_each(|unit| unit.set_frames_max(all / disks as u64));
    Ok(units)
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
        let unit = usize::try_from(incoming.badge).ok().and_then(|number| self.units.get_mut(number));
        let (Some(unit), Ok(request)) = (unit, incoming.decode(Request::decode)) else {
            return refuse(BlockError::Malformed);
        };
        let mut start = |direction, extents: &Extents| {
            unit.submit(direction, extents, incoming.received, &self.events).map_or_else(refuse, |()| None)
        };
        match request {
            Request::BlockStat(_) => Some(Outgoing::answer(&unit.status())),
            Request::BlockRead(read) => start(Direction::Read, &read.extents),
            Request::BlockWrite(write) => start(Direction::Write, &write.extents),
        }
    }

    fn signalled(&mut self, bits: u64) {
        if bits & TIMER_BIT != 0 {
            self.timer = 0;
        }
        if bits & INTERRUPT_BIT != 0 {
            self.units.iter_mut().for_each(Unit::take_interrupt);
        }
    }

    /// Answers whatever is over, and sets the timer for what is not.
    fn finish(&mut self) {
        self.units.iter_mut().for_each(|unit| unit.finish(&self.events));
        let deadline = self.units.iter().filter_map(Unit::deadline).min();
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
