//! physmem over the simulated machine, on a simulated clock, with typed calls as its clients make them.

use crate::contents::Frame;
use crate::law;
use crate::machine::{HostRecords, Kernel, Parts};
use containers_api::space::MapProtection;
use containers_api::{FaultReason, MemoryError, Name as Label, container, contract, space};
use containers_core::record::{Container, Contract, Name, Records};
use kernel_abi::message::MESSAGE_WORDS;
use kernel_abi::pmap::Mapping;
use kernel_abi::{FRAME_BYTES, Handle};
use kernel_protocol::{ErrorCode, Message, Refusal, Request};
use physmem_core::badge::{Badge, BadgeKind};
use physmem_core::database::{FrameDatabase, State};
use physmem_core::machine::{add_frames, managed_frames};
use physmem_core::pmap::{EnterError, Pmap};
use physmem_core::{Answer, Beginning, FaultAnswer, Handed, Incoming, Outcome, Physmem, Sent};

/// physmem as it boots, on this machine.
pub type Machine<'a> = Physmem<'a, Kernel<'a>, HostRecords<'a>>;

/// Entry where new kernel objects are put.
const SCRATCH: Handle = Handle(20);
/// Handles that physmem may use: first and end.
const HANDLES: (u32, u32) = (24, 256);
/// Frames that are the system's from the start.
const SYSTEM_FRAMES: u32 = 4;
/// Attempts at an access until it is taken to fault for ever.
const ATTEMPTS: u32 = 12;

/// A refusal of physmem's.
pub type Refused = Refusal<MemoryError>;

/// What a request came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<R> {
    /// It was done.
    Done(R, Vec<Handed>),
    /// It was refused.
    Refused(Refused),
    /// It is answered later; the token of the wait.
    Waits(Wait),
}

/// A thread that waits for physmem's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait(u64);

/// What touching memory came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// The frame that the page has.
    Frame(u32),
    /// The thread waits.
    Waits(Wait),
    /// The thread was ended.
    Ended(FaultReason),
}

/// An address space and its task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// physmem's name for it.
    pub badge: u64,
    /// The task.
    pub task: Handle,
}

impl Space {
    /// None.
    pub const NONE: Space = Space { badge: 0, task: Handle::NULL };
}

/// What physmem was asked in this step: what the checks after it look at.
#[derive(Default)]
pub struct Touched {
    /// Containers.
    pub containers: Vec<Name<Container>>,
    /// Contracts.
    pub contracts: Vec<Name<Contract>>,
    /// Something went that the list does not tell.
    pub much: bool,
}

/// physmem, its machine and the clock.
pub struct World<'a> {
    /// physmem.
    pub machine: Machine<'a>,
    /// The moment, in nanoseconds.
    pub now: u64,
    /// What this step has touched.
    pub touched: Touched,
    /// Who waits at which handle.
    waits: Vec<Option<Wait>>,
    /// Waits that are over, with the answer's label; `None`: the reply was dropped.
    over: Vec<(Wait, Option<u32>)>,
    last_wait: u64,
}

impl<'a> World<'a> {
    /// A machine, of whose frames some are nobody's guarantee.
    pub fn new(parts: Parts<'a>, reserve: u64, extra: u64) -> World<'a> {
        let frames = parts.frames.len() as u32;
        let mut database = FrameDatabase::new(parts.entries);
        add_frames(&mut database, 0, SYSTEM_FRAMES, State::System);
        add_frames(&mut database, SYSTEM_FRAMES, frames - SYSTEM_FRAMES, State::FreeDirty);
        let guaranteed = managed_frames(&database) - reserve - extra;
        let handles = (Handle(HANDLES.0), Handle(HANDLES.1));
        let beginning = Beginning { reserve, guaranteed, handles, first_principal: 1 };
        let kernel = Kernel::new(parts.frames, HANDLES.1);
        let machine = Physmem::new(kernel, HostRecords::new(parts.records), database, beginning);
        World {
            machine,
            now: 1,
            touched: Touched::default(),
            waits: vec![None; HANDLES.1 as usize],
            over: Vec::new(),
            last_wait: 0,
        }
    }

    /// The root contract.
    pub fn root(&self) -> u64 {
        Machine::contract_badge(self.machine.root()).0
    }

    /// Bytes of a frame.
    pub fn frame(&mut self, frame: u32) -> &mut Frame {
        &mut self.machine.pmap.frames[frame as usize]
    }

    /// Begins a step at a moment: the timer fires if something has expired.
    pub fn begin_step(&mut self, now: u64) {
        self.now = now;
        self.touched.containers.clear();
        self.touched.contracts.clear();
        self.touched.much = false;
        self.machine.pmap.calls = 0;
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.advance();
        }
    }

    /// What has expired ends.
    fn advance(&mut self) {
        self.touched.much = true;
        self.machine.advance(self.now);
        let next = self.machine.next_deadline();
        law!(
            "deadlines",
            next.is_none_or(|next| next > self.now),
            "due at {next:?}, still there at {}",
            self.now
        );
        self.collect();
    }

    /// Takes note of answers that physmem gave late.
    fn collect(&mut self) {
        let kernel = &mut self.machine.pmap;
        for answer in kernel.answers.drain(..) {
            if let Some(wait) = self.waits[answer.reply.0 as usize].take() {
                self.over.push((wait, Some(answer.label)));
            }
        }
        for handle in kernel.dropped.drain(..) {
            if let Some(wait) = self.waits[handle.0 as usize].take() {
                self.over.push((wait, None));
            }
        }
    }

    /// Whether a wait is over, and with which label; told once.
    pub fn is_over(&mut self, wait: Wait) -> Option<Option<u32>> {
        let index = self.over.iter().position(|&(over, _)| over == wait)?;
        Some(self.over.swap_remove(index).1)
    }

    fn wait_at(&mut self, handle: Handle) -> Wait {
        self.machine.pmap.save_reply(handle);
        self.last_wait += 1;
        let wait = Wait(self.last_wait);
        self.waits[handle.0 as usize] = Some(wait);
        wait
    }

    /// Any words to any of physmem's objects.
    pub fn raw(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Result<Answer, Wait> {
        self.note(badge);
        for item in sent {
            if let Sent::Badge(badge) = *item {
                self.note(badge);
            }
        }
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.advance();
        }
        let outcome = self.machine.request(self.now, Incoming { badge, label, words, sent }, SCRATCH);
        let result = match outcome {
            Outcome::Later(handle) => Err(self.wait_at(handle)),
            Outcome::Answered(answer) => Ok(answer),
        };
        self.collect();
        result
    }

    /// Remembers what a badge names for the checks after the step.
    fn note(&mut self, badge: u64) {
        let badge = Badge(badge);
        match badge.kind() {
            Some(BadgeKind::Contract) => {
                if let Some(found) = self.machine.resolve::<Contract>(badge.name()) {
                    self.touched.contracts.push(found);
                }
            }
            Some(BadgeKind::Container) => {
                if let Some(found) = self.machine.resolve::<Container>(badge.name()) {
                    self.touched.containers.push(found);
                }
            }
            Some(BadgeKind::Grant) => {
                let found = self.machine.resolve::<containers_core::record::Grant>(badge.name());
                if let Some(found) = found {
                    let on = self.machine.get(found, containers_core::layout::grant::CONTAINER);
                    self.touched.containers.push(on);
                }
            }
            Some(BadgeKind::Lock) => {
                let found = self.machine.resolve::<containers_core::record::Lock>(badge.name());
                if let Some(found) = found {
                    let on = self.machine.get(found, containers_core::layout::lock::CONTAINER);
                    self.touched.containers.push(on);
                }
            }
            Some(BadgeKind::Space | BadgeKind::Control | BadgeKind::Dma) | None => {}
        }
    }

    /// A request, with capabilities of physmem's own sent along.
    pub fn call<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Reply<Q::Reply>
    where
        Q: Request<Error = MemoryError>,
    {
        let mut words = [0; MESSAGE_WORDS];
        let used = request.encode(&mut words);
        let mut along = [Sent::Badge(0); 4];
        along.iter_mut().zip(sent).for_each(|(place, &badge)| *place = Sent::Badge(badge));
        match self.raw(badge, Q::LABEL, &words[..used], &along[..sent.len()]) {
            Err(wait) => Reply::Waits(wait),
            Ok(answer) if answer.label == 0 => match Q::Reply::decode(answer.words()) {
                Ok(reply) => Reply::Done(reply, answer.handed().collect()),
                Err(_) => crate::violation::broken("typed-answers", format!("{:?}", answer.words())),
            },
            Ok(answer) => {
                let error = MemoryError::from_code(answer.label);
                law!("typed-answers", error.code() == answer.label, "error {} means nothing", answer.label);
                let known = error != MemoryError::Internal;
                law!("typed-answers", known || self.machine.pmap.object_calls > 0, "an internal error");
                Reply::Refused(Refusal { error, detail: answer.words()[0] })
            }
        }
    }

    /// A request that never waits.
    pub fn ask<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Result<Q::Reply, Refused>
    where
        Q: Request<Error = MemoryError>,
    {
        match self.call(badge, request, sent) {
            Reply::Done(reply, _) => Ok(reply),
            Reply::Refused(refusal) => Err(refusal),
            Reply::Waits(_) => crate::violation::broken("typed-answers", String::from("a request waits")),
        }
    }

    /// A request that hands out a badge.
    pub fn ask_badge<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Result<u64, Refused>
    where
        Q: Request<Error = MemoryError>,
    {
        match self.call(badge, request, sent) {
            Reply::Done(_, handed) => match handed[..] {
                [Handed::Badge(Badge(badge))] => Ok(badge),
                ref other => crate::violation::broken("typed-answers", format!("handed out {other:?}")),
            },
            Reply::Refused(refusal) => Err(refusal),
            Reply::Waits(_) => crate::violation::broken("typed-answers", String::from("a request waits")),
        }
    }

    /// A child contract.
    pub fn split(&mut self, parent: u64, guaranteed: u64, extra: u64, pins: u64) -> Result<u64, Refused> {
        let name = Label::truncated("party");
        let request = contract::Split { guaranteed, extra_limit: extra, pin_limit: pins, name };
        self.ask_badge(parent, &request, &[])
    }

    /// An address space.
    pub fn space(&mut self, contract: u64) -> Result<Space, Refused> {
        let name = Label::truncated("task");
        match self.call(contract, &contract::SpaceCreate { name }, &[]) {
            Reply::Done(_, handed) => match handed[..] {
                [Handed::Handle(task), Handed::Badge(Badge(badge))] => Ok(Space { badge, task }),
                ref other => crate::violation::broken("typed-answers", format!("handed out {other:?}")),
            },
            Reply::Refused(refusal) => Err(refusal),
            Reply::Waits(_) => crate::violation::broken("typed-answers", String::from("a request waits")),
        }
    }

    /// Maps a container at an address, writable where asked.
    pub fn map(
        &mut self,
        space: Space,
        container: u64,
        at: (u64, u64, u64),
        write: bool,
    ) -> Result<(), Refused> {
        let (address, first_page, pages) = at;
        let protection = if write { MapProtection::WRITE } else { MapProtection::empty() };
        let request = space::Map { address, pages, first_page, protection, populate: false };
        self.ask(space.badge, &request, &[container]).map(drop)
    }

    /// The version of a container.
    pub fn version(&mut self, container: u64) -> Result<u64, Refused> {
        self.ask(container, &container::ContainerStat {}, &[]).map(|status| status.version)
    }

    /// Whether a space is still there, and its task has not ended.
    pub fn is_running(&self, space: Space) -> bool {
        let found = self.machine.resolve::<containers_core::record::Space>(Badge(space.badge).name());
        found.is_some() && self.machine.pmap.task(space.task).is_some_and(|task| !task.ended)
    }

    /// Touches a page as a thread would, with the kernel's part in the fault.
    pub fn touch(&mut self, space: Space, address: u64, write: bool) -> Touch {
        for _ in 0..ATTEMPTS {
            if let Some(page) = self.machine.pmap.mapped(space.task, address / FRAME_BYTES)
                && (page.writable || !write)
            {
                return Touch::Frame(page.frame);
            }
            let answer = self.machine.fault(space.badge, address, if write { 2 } else { 0 });
            self.collect();
            match answer {
                FaultAnswer::Retry => {}
                FaultAnswer::Raise(reason) => return Touch::Ended(reason),
                FaultAnswer::Wait(handle) => return Touch::Waits(self.wait_at(handle)),
                FaultAnswer::Resolve(cluster) => {
                    if let Err(reason) = self.enter(space, cluster.items()) {
                        return Touch::Ended(reason);
                    }
                }
            }
        }
        crate::violation::broken("faults-end", format!("the fault at {address:#x} is never resolved"))
    }

    /// The kernel enters a fault's mappings; page tables are supplied where they are missing.
    fn enter(&mut self, space: Space, items: &[Mapping]) -> Result<(), FaultReason> {
        loop {
            match self.machine.pmap.enter(space.task, items) {
                Ok(()) => return Ok(()),
                Err(EnterError::NeedTables(tables)) => {
                    self.machine.fault_needs_tables(space.badge, tables)?
                }
                Err(EnterError::Refused(_)) => return Err(FaultReason::NotMapped),
            }
        }
    }
}
