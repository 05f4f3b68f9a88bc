//! Physmem over the simulated kernel, with typed calls as clients make them, and checks of the laws.

use super::{FakeKernel, HostRecords, Ram};
use containers_api::space::MapProtection;
use containers_api::{
    ContainerRights, FaultReason, MemoryError, Name as Label, container, contract, control, space,
};
use containers_core::pages;
use containers_core::record::{Container, Name, Records};
use kernel_abi::Handle;
use kernel_abi::message::MESSAGE_WORDS;
use kernel_protocol::{ErrorCode, Message, Refusal, Request};
use physmem_core::badge::Badge;
use physmem_core::database::{FrameDatabase, FrameEntry, State};
use physmem_core::machine::{add_frames, managed_frames};
use physmem_core::{Beginning, FaultAnswer, FrameWait, Handed, Incoming, Outcome, Physmem, Sent};
use std::cell::RefCell;
use std::rc::Rc;

/// The system's frame that is the pressure page.
const PRESSURE_FRAME: u32 = 3;

/// Entry where new kernel objects are put.
pub const SCRATCH: Handle = Handle(20);

/// The machine under test.
pub type Machine = Physmem<'static, FakeKernel, HostRecords>;

/// What a call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call<R> {
    Reply(R, Vec<Handed>),
    Refused(Refusal<MemoryError>),
    Waits(Handle),
}

/// What touching memory came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    Byte(u8),
    Waits(Handle),
    Ended(FaultReason),
}

/// An address space and its task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub badge: u64,
    pub task: Handle,
}

/// Everything.
pub struct World {
    pub machine: Machine,
    pub ram: Rc<RefCell<Ram>>,
    pub now: u64,
}

impl World {
    /// RAM of so many frames, 4 of them the system's, a reserve of 8, everything else the root contract's.
    pub fn new(frames: usize) -> World {
        World::with_extra(frames, 0)
    }

    /// The same, with frames that are guaranteed to nobody.
    pub fn with_extra(frames: usize, extra: u64) -> World {
        let handles = (Handle(24), Handle(512));
        World::begin(frames, extra, |_, _| {}, handles, 1)
    }

    /// The same, where physmem's table has so many handles.
    pub fn with_handles(frames: usize, count: u32) -> World {
        World::begin(frames, 0, |_, _| {}, (Handle(24), Handle(24 + count)), 1)
    }

    /// Anything, with a look at the database before it begins.
    pub fn begin(
        frames: usize,
        extra: u64,
        prepare: impl Fn(&mut FrameDatabase<'static>, u32),
        handles: (Handle, Handle),
        first_principal: u64,
    ) -> World {
        let ram = Ram::new(frames);
        let entries: &'static mut [FrameEntry] =
            Box::leak(vec![FrameEntry::default(); frames].into_boxed_slice());
        let mut database = FrameDatabase::new(entries);
        add_frames(&mut database, 0, 4, State::System);
        add_frames(&mut database, 4, frames as u32 - 4, State::FreeDirty);
        (4..frames as u32).for_each(|frame| prepare(&mut database, frame));
        let guaranteed = managed_frames(&database) - 8 - extra;
        let waits = vec![FrameWait::default(); handles.1.0 as usize];
        let waits: &'static mut [FrameWait] = Box::leak(waits.into_boxed_slice());
        let pressure_frame = Some(PRESSURE_FRAME);
        let beginning = Beginning { reserve: 8, guaranteed, handles, first_principal, waits, pressure_frame };
        let kernel = FakeKernel::new(ram.clone());
        let machine = Physmem::new(kernel, HostRecords::new(ram.clone()), database, beginning);
        World { machine, ram, now: 1 }
    }

    pub fn root(&self) -> u64 {
        Machine::contract_badge(self.machine.root()).0
    }

    /// A request as it arrives.
    pub fn call<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Call<Q::Reply>
    where
        Q: Request<Error = MemoryError>,
    {
        let mut words = [0; MESSAGE_WORDS];
        let used = request.encode(&mut words);
        let sent: Vec<Sent> = sent.iter().map(|&badge| Sent::Badge(badge)).collect();
        match self.raw(badge, Q::LABEL, &words[..used], &sent) {
            Outcome::Later(handle) => {
                assert!(self.machine.pmap.handles.insert(handle.0), "the entry for a saved reply is taken");
                Call::Waits(handle)
            }
            Outcome::Answered(answer) if answer.label == 0 => {
                let reply = Q::Reply::decode(self.machine.words_of(&answer))
                    .expect("a reply that its protocol understands");
                Call::Reply(reply, answer.handed().collect())
            }
            Outcome::Answered(answer) => {
                let error = MemoryError::from_code(answer.label);
                Call::Refused(Refusal { error, detail: self.machine.words_of(&answer)[0] })
            }
        }
    }

    /// Any words.
    pub fn raw(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Outcome {
        self.machine.request(self.now, Incoming { badge, label, words, sent }, SCRATCH)
    }

    /// A request that must succeed.
    pub fn ask<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> Q::Reply
    where
        Q: Request<Error = MemoryError> + std::fmt::Debug,
        Q::Reply: std::fmt::Debug,
    {
        match self.call(badge, request, sent) {
            Call::Reply(reply, _) => reply,
            Call::Waits(handle) => self.finish::<Q>(handle),
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// Does what physmem has to do until a late answer is there, which must say that all is well.
    fn finish<Q: Request<Error = MemoryError>>(&mut self, handle: Handle) -> Q::Reply {
        while self.machine.has_work() {
            self.machine.work(self.now);
        }
        let found = self.machine.pmap.answers.iter().rfind(|answer| answer.0 == handle);
        let (_, label, words) = found.expect("an answer, once there is nothing more to do");
        assert_eq!(*label, 0);
        Q::Reply::decode(words).expect("a reply that its protocol understands")
    }

    /// A request that must succeed and hand out a badge.
    pub fn ask_badge<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> u64
    where
        Q: Request<Error = MemoryError> + std::fmt::Debug,
        Q::Reply: std::fmt::Debug,
    {
        match self.call(badge, request, sent) {
            Call::Reply(_, handed) => match handed[..] {
                [Handed::Badge(Badge(badge))] => badge,
                ref other => panic!("{request:?} handed out {other:?}"),
            },
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// The error of a request that must be refused.
    pub fn refusal<Q>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> MemoryError
    where
        Q: Request<Error = MemoryError> + std::fmt::Debug,
        Q::Reply: std::fmt::Debug,
    {
        match self.call(badge, request, sent) {
            Call::Refused(refusal) => refusal.error,
            other => panic!("{request:?}: {other:?}"),
        }
    }

    pub fn split(&mut self, parent: u64, guaranteed: u64) -> u64 {
        self.split_with(parent, guaranteed, 0, guaranteed / 2)
    }

    pub fn split_with(&mut self, parent: u64, guaranteed: u64, extra_limit: u64, pin_limit: u64) -> u64 {
        let name = Label::new("child").unwrap();
        let split = contract::Split::new(guaranteed, extra_limit, pin_limit, name);
        self.ask_badge(parent, &split, &[])
    }

    pub fn container(&mut self, contract: u64, pages: u64) -> u64 {
        self.ask_badge(contract, &contract::ContainerCreate { pages }, &[])
    }

    pub fn space(&mut self, contract: u64) -> Space {
        let name = Label::new("task").unwrap();
        match self.call(contract, &contract::SpaceCreate { name }, &[]) {
            Call::Reply(_, handed) => match handed[..] {
                [Handed::Handle(task), Handed::Badge(Badge(badge))] => Space { badge, task },
                ref other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    pub fn map(&mut self, space: Space, container: u64, address: u64, pages: u64) {
        self.map_at(space, container, address, 0, pages, MapProtection::WRITE);
    }

    pub fn map_at(
        &mut self,
        space: Space,
        container: u64,
        address: u64,
        first_page: u64,
        pages: u64,
        protection: MapProtection,
    ) {
        let request = space::Map { address, pages, first_page, protection, populate: false };
        self.ask(space.badge, &request, &[container]);
    }

    pub fn grant(&mut self, container: u64, pages: u64, rights: ContainerRights) -> u64 {
        let request = container::Grant { first_page: 0, pages, rights, maximum_lock_ns: 1000 };
        self.ask_badge(container, &request, &[])
    }

    /// Reads or writes memory as a thread would, with the kernel's part in a fault.
    pub fn touch(&mut self, space: Space, address: u64, write: Option<u8>) -> Touch {
        for _ in 0..10 {
            if let Some(byte) = self.machine.pmap.access(space.task, address, write) {
                return Touch::Byte(byte);
            }
            let access = if write.is_some() { 2 } else { 0 };
            let answer = match self.machine.fault(self.now, space.badge, address, access) {
                FaultAnswer::Resolve => {
                    let items = self.machine.resolved().items().to_vec();
                    self.enter(space, &items)
                }
                answer => Some(answer),
            };
            match answer {
                None | Some(FaultAnswer::Retry) => {}
                Some(FaultAnswer::Raise(reason)) => return Touch::Ended(reason),
                Some(FaultAnswer::Wait(handle)) => {
                    assert!(self.machine.pmap.handles.insert(handle.0));
                    return Touch::Waits(handle);
                }
                Some(FaultAnswer::Resolve) => unreachable!("entered above"),
            }
        }
        panic!("the fault at {address:#x} is never resolved");
    }

    /// Enters mappings; how the fault is to be answered instead where that cannot be.
    fn enter(&mut self, space: Space, items: &[kernel_abi::pmap::Mapping]) -> Option<FaultAnswer> {
        use physmem_core::pmap::{EnterError, Pmap};
        loop {
            match self.machine.pmap.enter(space.task, items) {
                Ok(()) => return None,
                Err(EnterError::NeedTables(tables)) => {
                    let answer = self.machine.fault_needs_tables(space.badge, tables);
                    if answer.is_some() {
                        return answer;
                    }
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    pub fn read(&mut self, space: Space, address: u64) -> u8 {
        match self.touch(space, address, None) {
            Touch::Byte(byte) => byte,
            other => panic!("read of {address:#x}: {other:?}"),
        }
    }

    pub fn write(&mut self, space: Space, address: u64, value: u8) {
        match self.touch(space, address, Some(value)) {
            Touch::Byte(_) => {}
            other => panic!("write of {address:#x}: {other:?}"),
        }
    }

    /// Lets time pass up to a moment, as the server does: each deadline in turn, and all work, under the laws.
    pub fn run_until(&mut self, moment: u64) {
        loop {
            while self.machine.has_work() {
                self.machine.work(self.now);
                self.check();
            }
            let next = self.machine.next_deadline().unwrap_or(u64::MAX).max(self.now + 1);
            if next > moment {
                break;
            }
            self.now = next;
            self.machine.advance(next);
            self.check();
        }
        self.now = moment;
        self.machine.advance(moment);
        self.check();
    }

    pub fn stat(&mut self, contract: u64) -> contract::ContractStatus {
        self.ask(contract, &contract::ContractStat {}, &[])
    }

    pub fn system(&mut self) -> control::SystemStatus {
        self.ask(Machine::control_badge(control::ControlRights::empty()).0, &control::SystemStat {}, &[])
    }

    pub fn version(&mut self, container: u64) -> u64 {
        self.ask(container, &container::ContainerStat {}, &[]).version
    }

    /// Free frames: what must be the same before and after.
    pub fn free_frames(&self) -> u64 {
        self.machine.database().free_frames()
    }

    /// The container that a badge names.
    pub fn container_name(&self, badge: u64) -> Name<Container> {
        self.machine.resolve(Badge(badge).name()).expect("the container lives")
    }

    /// What a page of a container contains; zeros where it is absent.
    pub fn contents(&self, badge: u64, page: u64) -> [u8; 4096] {
        let entry = pages::entry(&self.machine, self.container_name(badge), page);
        entry.frame().map_or([0; 4096], |frame| self.ram.borrow().bytes[frame as usize])
    }

    /// Fills a page of a container, as its owner could by mapping it.
    pub fn fill(&mut self, badge: u64, page: u64, value: u8) {
        let entry = pages::entry(&self.machine, self.container_name(badge), page);
        let frame = entry.frame().expect("only a page that is present is filled");
        self.ram.borrow_mut().bytes[frame as usize] = [value; 4096];
    }

    /// A contract's charges, split off so that it can be compared.
    pub fn charges(&mut self, contract: u64) -> (u64, u64, u64) {
        let status = self.stat(contract);
        (status.pages, status.records, status.kernel)
    }

    /// Checks every law that can be seen from outside.
    pub fn check(&self) {
        self.machine.check_conservation();
        super::super::laws::check(self);
    }
}
