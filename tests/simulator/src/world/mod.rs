//! physmem over the simulated machine, on a simulated clock, with typed calls as its clients make them.

mod time;

use crate::contents::Frame;
use crate::law;
use crate::machine::{HANDLES, HostRecords, Kernel, NOTIFICATION, Parts};
use containers_api::space::MapProtection;
use containers_api::{FaultReason, MemoryError, Name as Label, container, contract, space};
use containers_core::record::{Container, Contract, Name, Records};
use kernel_abi::message::MESSAGE_WORDS;
use kernel_abi::pmap::Mapping;
use kernel_abi::{FRAME_BYTES, Handle};
use kernel_protocol::{ErrorCode, Message, Refusal, Request};
use physmem_core::badge::{Badge, BadgeKind};
use physmem_core::database::{FrameDatabase, State};
use physmem_core::limits;
use physmem_core::machine::{add_frames, managed_frames};
use physmem_core::pmap::{EnterError, Pmap};
use physmem_core::{Answer, Beginning, FaultAnswer, Handed, Incoming, Outcome, Physmem, Sent};

/// physmem as it boots, on this machine.
pub type Machine<'a> = Physmem<'a, Kernel<'a>, HostRecords<'a>>;

/// Entry where new kernel objects are put.
const SCRATCH: Handle = Handle(20);
/// Handles that physmem may use: first and end.
const FREE_HANDLES: (u32, u32) = (24, HANDLES as u32);
/// The system's frame that is the pressure page.
const PRESSURE_FRAME: u32 = 3;
/// The system's frame that is the clock page.
const CLOCK_FRAME: u32 = 2;
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
pub struct Wait {
    number: u64,
    /// For frames that the guarantee covers; else for a lock to end, or a contract.
    pub for_frames: bool,
}

impl Wait {
    /// The wait that a refusal stands for: the request was not done, and is to be made again when it is over.
    pub fn of(refused: &Refused) -> Option<Wait> {
        let number = refused.detail;
        (refused.error == MemoryError::Again && number != 0).then_some(Wait { number, for_frames: true })
    }
}

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
    /// Who waits at which handle, and until when at the latest.
    waits: Vec<Option<(Wait, u64)>>,
    /// Longest term of extra frames that any contract has.
    pub longest_term: u64,
    /// Pages that a client may have with the default pager; 0: there is none.
    pub swap_limit: u64,
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
        let handles = (Handle(FREE_HANDLES.0), Handle(FREE_HANDLES.1));
        let beginning = Beginning {
            reserve,
            guaranteed,
            handles,
            first_principal: 1,
            waits: parts.waits,
            pressure_frame: Some(PRESSURE_FRAME),
        };
        let kernel = Kernel::new(parts.frames, FREE_HANDLES.1);
        let mut machine = Physmem::new(kernel, HostRecords::new(parts.records), database, beginning);
        machine.clock_frame = Some(CLOCK_FRAME);
        World {
            machine,
            now: 1,
            touched: Touched::default(),
            waits: vec![None; HANDLES],
            longest_term: limits::EXTRA_TERM_NS,
            swap_limit: 0,
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

    /// Any words to any of physmem's objects.
    pub fn raw(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Result<Answer, Wait> {
        self.note(badge);
        for item in sent {
            if let Sent::Badge(badge) = *item {
                self.note(badge);
            }
        }
        let waited = self.machine.counters().waited;
        let outcome = self.machine.request(self.now, Incoming { badge, label, words, sent }, SCRATCH);
        let result = match outcome {
            Outcome::Later(handle) => Err(self.wait_at(handle, waited)),
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
            Ok(answer) if answer.label == 0 => match Q::Reply::decode(self.machine.words_of(&answer)) {
                Ok(reply) => Reply::Done(reply, answer.handed().collect()),
                Err(_) => {
                    crate::violation::broken("typed-answers", format!("{:?}", self.machine.words_of(&answer)))
                }
            },
            Ok(answer) => {
                let error = MemoryError::from_code(answer.label);
                law!("typed-answers", error.code() == answer.label, "error {} means nothing", answer.label);
                let known = error != MemoryError::Internal || self.machine.pmap.injecting;
                law!("typed-answers", known, "an internal error");
                Reply::Refused(Refusal { error, detail: self.machine.words_of(&answer)[0] })
            }
        }
    }

    /// A request; where it is answered late, so that it must be made again, the refusal is [`Wait::of`] that.
    pub fn ask<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Result<Q::Reply, Refused>
    where
        Q: Request<Error = MemoryError>,
    {
        match self.call(badge, request, sent) {
            Reply::Done(reply, _) => Ok(reply),
            Reply::Refused(refusal) => Err(refusal),
            Reply::Waits(wait) => Err(later(wait)),
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
            Reply::Waits(wait) => Err(later(wait)),
        }
    }

    /// The same, whose pages may go out where there is a default pager.
    pub fn split_swapping(&mut self, parent: u64, allowance: (u64, u64, u64), term_ns: u64) -> Option<u64> {
        let (guaranteed, extra, pins) = allowance;
        let name = Label::truncated("party");
        let swap_limit = self.swap_limit;
        let split = contract::Split::new(guaranteed, extra, pins, name);
        self.split_as(parent, &contract::Split { term_ns, swap_limit, ..split })
    }

    /// A child contract, for so long; 0: for ever. None: not now.
    pub fn split(&mut self, parent: u64, allowance: (u64, u64, u64), term_ns: u64) -> Option<u64> {
        let (guaranteed, extra, pins) = allowance;
        let name = Label::truncated("party");
        let split = contract::Split::new(guaranteed, extra, pins, name);
        self.split_as(parent, &contract::Split { term_ns, ..split })
    }

    fn split_as(&mut self, parent: u64, request: &contract::Split) -> Option<u64> {
        match self.ask_badge(parent, request, &[]) {
            Ok(made) => Some(made),
            Err(refused) => {
                Wait::of(&refused).into_iter().for_each(|wait| self.forget(wait));
                None
            }
        }
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
            Reply::Waits(wait) => Err(later(wait)),
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
                self.machine.pmap.note_use(space.task, address / FRAME_BYTES, write);
                return Touch::Frame(page.frame);
            }
            let waited = self.machine.counters().waited;
            let answer = match self.machine.fault(self.now, space.badge, address, if write { 2 } else { 0 }) {
                FaultAnswer::Resolve => {
                    let items = self.machine.resolved().items().to_vec();
                    self.enter(space, &items)
                }
                answer => Some(answer),
            };
            let result = match answer {
                None | Some(FaultAnswer::Retry | FaultAnswer::Resolve) => None,
                Some(FaultAnswer::Raise(reason)) => Some(Touch::Ended(reason)),
                Some(FaultAnswer::Wait(handle)) => Some(Touch::Waits(self.wait_at(handle, waited))),
            };
            self.collect();
            if let Some(touch) = result {
                return touch;
            }
        }
        crate::violation::broken("faults-end", format!("the fault at {address:#x} is never resolved"))
    }

    /// The kernel enters a fault's mappings; page tables are supplied where they are missing. How the fault is to be
    /// answered instead, where that cannot be.
    fn enter(&mut self, space: Space, items: &[Mapping]) -> Option<FaultAnswer> {
        loop {
            match self.machine.pmap.enter(space.task, items) {
                Ok(()) => return None,
                Err(EnterError::NeedTables(tables)) => {
                    let answer = self.machine.fault_needs_tables(space.badge, tables);
                    if answer.is_some() {
                        return answer;
                    }
                }
                // The first physmem has no parent that could take frames from it.
                Err(EnterError::Lost) => return Some(FaultAnswer::Raise(FaultReason::Repossessed)),
                Err(EnterError::Refused(_)) => return Some(FaultAnswer::Raise(FaultReason::NotMapped)),
            }
        }
    }

    /// Has a contract's calls signalled, and its contract page kept.
    pub fn watch(&mut self, contract: u64) -> bool {
        let label = <contract::Watch as Request>::LABEL;
        match self.raw(contract, label, &[], &[Sent::Handle(NOTIFICATION)]) {
            Ok(answer) => answer.label == 0,
            Err(wait) => {
                self.forget(wait);
                false
            }
        }
    }
}

/// A request that is answered late was not done.
fn later(wait: Wait) -> Refused {
    Refusal::with_detail(MemoryError::Again, wait.number)
}
