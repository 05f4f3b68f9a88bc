//! The collector of events: reads the kernel's rings, looks how contracts stand, and sends both to the host. What it
//! decides is in [`hurd_glue_trace_core`]; here are mappings, messages and the clock.
//!
//! It runs only on a machine that was booted with rings. It never holds anybody up: what it comes too late for, or what the
//! host is too slow for, is counted and told as lost.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use containers_api::control::{ContractEntry, ContractList, SystemStat};
use containers_api::space::MapProtection;
use core::time::Duration;
use hurd_glue_api::trace::{Request, TraceError};
use hurd_glue_trace_core::channel::{CHANNEL_BYTES, Memory, Sender};
use hurd_glue_trace_core::rings::Rings;
use hurd_glue_trace_core::samples::{ContractSample, Samples};
use kernel_abi::trace::{Event, EventKind};
use kernel_abi::{FRAME_BYTES, KernelError};
use kernel_protocol::{Empty, Refusal};
use kernel_runtime::containers::Container;
use kernel_runtime::ipc::call;
use kernel_runtime::memory::{DeviceMapping, Mapping};
use kernel_runtime::server::{Outgoing, receive, reply_receive};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, clock};

kernel_runtime::program!(main);

/// How often the rings are read.
const PERIOD: Duration = Duration::from_millis(2);
/// How often contracts are looked at.
const SAMPLE_NS: u64 = 10_000_000;
/// Events between two looks at the clock: a long row of them does not keep flushing callers waiting for ever.
const EVENTS_AT_ONCE: usize = 1 << 16;
/// Contracts that one look takes in at most.
const CONTRACTS_MAX: usize = 512;
/// Exit status where it cannot collect.
const CANNOT_COLLECT: i32 = 1;

/// The channel's memory.
struct Shared(DeviceMapping);

impl Memory for Shared {
    fn read(&self, word: usize) -> u64 {
        self.0.read(word as u64 * 8)
    }

    fn write(&mut self, word: usize, value: u64) {
        self.0.write(word as u64 * 8, value);
    }
}

struct Collector<'a> {
    rings: Rings<'a>,
    sender: Sender<Shared>,
    control: Handle,
    samples: Samples,
    next_sample: u64,
    /// Records that found no room.
    unsent: u64,
}

fn main(startup: Startup<'static>) -> i32 {
    match collect(&startup) {
        Ok(never) => match never {},
        Err(what) => {
            log::error!("cannot collect events: {what}");
            CANNOT_COLLECT
        }
    }
}

fn collect(startup: &Startup<'_>) -> Result<core::convert::Infallible, &'static str> {
    let named = |name| startup.capability(name).ok_or(name);
    let (endpoint, control) = (named("endpoint")?, named("control")?);
    let container = Container::new(Capability::from_handle(named("rings")?));
    let pages = container.status().map_err(|_| "the rings are gone")?.pages;
    let mapping = Mapping::new(&container, 0, pages, MapProtection::empty());
    let mapping = mapping.map_err(|_| "the rings cannot be mapped")?;
    let mut rings = Rings::new(mapping.as_shared_words()).map_err(|_| "there are no rings")?;
    let device = DeviceMapping::new(named("channel")?, 0, CHANNEL_BYTES / FRAME_BYTES);
    let device = device.map_err(|_| "the channel cannot be mapped")?;
    let page = clock::page().ok_or("there is no clock")?;
    let sender = Sender::new(Shared(device), page.tsc_at_boot, page.multiplier);
    let sender = sender.map_err(|_| "nobody is at the other end of the channel")?;
    if sender.is_continued() {
        rings.skip();
    }
    let samples = Samples::default();
    let mut collector = Collector { rings, sender, control, samples, next_sample: 0, unsent: 0 };
    let mut answer: Option<Outgoing> = None;
    loop {
        let next = Deadline::after(PERIOD);
        let incoming = match answer.take() {
            Some(outgoing) => reply_receive(endpoint, outgoing, next),
            None => receive(endpoint, next),
        };
        // Read before anything is asked of others: their answers come into the same buffer.
        let request = incoming.map(|incoming| incoming.decode(Request::decode).is_ok());
        collector.round();
        answer = match request {
            Ok(true) => Some(Outgoing::reply(&Empty)),
            Ok(false) => Some(Outgoing::refusal(Refusal::new(TraceError::Malformed))),
            Err(KernelError::TimedOut) => None,
            Err(_) => return Err("the endpoint is gone"),
        };
    }
}

impl Collector<'_> {
    /// Sends on what there is.
    fn round(&mut self) {
        let now = clock::ticks();
        for _ in 0..EVENTS_AT_ONCE {
            let Some(words) = self.rings.next_until(now) else { break };
            if !self.sender.put(&words) {
                self.unsent += 1;
            }
        }
        for ring in 0..self.rings.count() {
            let lost = self.rings.take_lost(ring);
            self.tell_lost(ring as u8, lost);
        }
        let unsent = core::mem::take(&mut self.unsent);
        self.tell_lost(0, unsent);
        if clock::now() >= self.next_sample {
            self.next_sample = clock::now() + SAMPLE_NS;
            self.sample();
        }
        self.sender.publish();
    }

    fn tell_lost(&mut self, processor: u8, lost: u64) {
        if lost == 0 {
            return;
        }
        let (time, subject) = (clock::ticks(), u32::MAX);
        let event =
            Event { time, kind: EventKind::Lost, processor, subject, arguments: [lost, 0, 0, 0, 0, 0] };
        if !self.sender.put(&event.words()) {
            self.unsent += lost;
        }
    }

    fn sample(&mut self) {
        let Some(contracts) = self.contracts() else { return };
        let time = clock::ticks();
        let all = contracts.iter().map(|one| ContractSample {
            principal: one.principal,
            parent: one.parent,
            name: one.name.as_bytes(),
            guaranteed: one.guaranteed,
            standing: one.standing,
            held: one.pages + one.records + one.kernel,
            extra: one.extra,
        });
        for event in self.samples.contracts(time, all) {
            self.send(&event);
        }
        if let Ok(system) = call(self.control, &SystemStat {}, &[], Deadline::NEVER) {
            let free = system.free_zero + system.free_dirty;
            let numbers =
                [system.frames, system.kernel, free, system.quarantined, system.faults, system.dma_bytes];
            if let Some(event) = self.samples.memory(time, numbers) {
                self.send(&event);
            }
        }
    }

    fn send(&mut self, event: &Event) {
        if !self.sender.put(&event.words()) {
            self.unsent += 1;
        }
    }

    /// All contracts; none, where the list changed under way.
    fn contracts(&self) -> Option<Vec<ContractEntry>> {
        let (mut all, mut cursor) = (Vec::new(), 0);
        loop {
            let one = call(self.control, &ContractList { cursor }, &[], Deadline::NEVER).ok()?;
            cursor = one.next;
            all.push(one);
            if cursor == 0 || all.len() == CONTRACTS_MAX {
                return Some(all);
            }
        }
    }
}
