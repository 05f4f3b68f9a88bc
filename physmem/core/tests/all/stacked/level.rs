//! A stacked physmem over any server of requests: the simulated machine's physmem, or another stacked one.

use crate::support::World;
use crate::support::kernel::RECEIVER;
use crate::support::world::SCRATCH;
use containers_api::MemoryError;
use containers_api::container::Allocate;
use containers_api::contract::ContainerCreate;
use kernel_abi::message::MESSAGE_WORDS;
use kernel_abi::{Handle, KernelError};
use kernel_protocol::{ErrorCode, Message, Refusal, Request};
use physmem_core::badge::Badge;
use physmem_core::database::{FrameDatabase, FrameEntry, NOBODY, State};
use physmem_core::machine::managed_frames;
use physmem_core::pmap::RecordMemory;
use physmem_core::{Answer, Beginning, FrameWait, Handed, Incoming, Outcome, Physmem, Sent};
use physmem_stacked_core::bank::{Banks, RecordPages};
use physmem_stacked_core::parent::Refused;
use physmem_stacked_core::pmap::Begin;
use physmem_stacked_core::{BANK_PAGES, FrameNote, Parent, ParentPmap, TaskNote};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const CONTRACT: Handle = Handle(30);
const PRESSURE_FRAME: u32 = 1;
pub const FIRST_FRAME: u32 = 2;

/// What an entry of a stacked physmem's table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thing {
    /// An object of the parent's.
    Badge(u64),
    /// A kernel object, by its entry in the parent's table.
    Kernel(Handle),
    /// Its own endpoint.
    Receiver,
}

/// Whoever answers requests.
pub trait Server {
    fn serve(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Outcome;
    fn words_of(&self, answer: &Answer) -> Vec<u64>;
    fn late_answer(&mut self, handle: Handle) -> (u32, Vec<u64>);
    /// The entry of the simulated machine's table for a task.
    fn task(&self, handle: Handle) -> Handle;
    /// Does something with the simulated machine.
    fn world(&mut self, look: &mut dyn FnMut(&mut World));
}

impl Server for World {
    fn serve(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Outcome {
        self.raw(badge, label, words, sent)
    }

    fn words_of(&self, answer: &Answer) -> Vec<u64> {
        self.machine.words_of(answer).to_vec()
    }

    fn late_answer(&mut self, handle: Handle) -> (u32, Vec<u64>) {
        while self.machine.has_work() {
            self.machine.work(self.now);
        }
        let found = self.machine.pmap.answers.iter().rfind(|answer| answer.0 == handle);
        let (_, label, words) = found.expect("an answer, once there is nothing more to do");
        (*label, words.clone())
    }

    fn task(&self, handle: Handle) -> Handle {
        handle
    }

    fn world(&mut self, look: &mut dyn FnMut(&mut World)) {
        look(self);
    }
}

type Table = Rc<RefCell<BTreeMap<u32, Thing>>>;

/// The way to the parent.
pub struct HostParent<S> {
    pub server: Rc<RefCell<S>>,
    pub table: Table,
    pub answers: Vec<(Handle, u32, Vec<u64>)>,
    /// Requests made.
    pub requests: u64,
}

impl<S: Server> HostParent<S> {
    fn thing(&self, handle: Handle) -> Thing {
        *self.table.borrow().get(&handle.0).unwrap_or_else(|| panic!("entry {handle:?} is empty"))
    }

    fn send(&self, handle: Handle) -> Sent {
        match self.thing(handle) {
            Thing::Badge(badge) => Sent::Badge(badge),
            Thing::Kernel(handle) => Sent::Handle(handle),
            Thing::Receiver => Sent::Handle(RECEIVER),
        }
    }

    fn keep(&mut self, answer: &Answer, into: &[Handle]) {
        for (handed, entry) in answer.handed().zip(into) {
            let thing = match handed {
                Handed::Badge(Badge(badge)) => Thing::Badge(badge),
                Handed::Handle(handle) => Thing::Kernel(handle),
            };
            let before = self.table.borrow_mut().insert(entry.0, thing);
            assert_eq!(before, None, "entry {entry:?} is taken");
        }
    }
}

impl<S: Server> Parent for HostParent<S> {
    fn ask_for<R: Request<Error = MemoryError>>(
        &mut self,
        of: Handle,
        request: &R,
        sent: &[Handle],
        into: &[Handle],
    ) -> Result<R::Reply, Refused> {
        let Thing::Badge(badge) = self.thing(of) else { panic!("{of:?} is not the parent's") };
        let sent: Vec<Sent> = sent.iter().map(|&handle| self.send(handle)).collect();
        let mut words = [0; MESSAGE_WORDS];
        let used = request.encode(&mut words);
        loop {
            self.requests += 1;
            let outcome = self.server.borrow_mut().serve(badge, R::LABEL, &words[..used], &sent);
            let (label, words, answer) = match outcome {
                Outcome::Answered(answer) => {
                    (answer.label, self.server.borrow().words_of(&answer), Some(answer))
                }
                Outcome::Later(handle) => {
                    let (label, words) = self.server.borrow_mut().late_answer(handle);
                    (label, words, None)
                }
            };
            let error = MemoryError::from_code(label);
            if label != 0 && error == MemoryError::Again {
                continue;
            }
            if label != 0 {
                return Err(Refusal { error, detail: words.first().copied().unwrap_or(0) });
            }
            if let Some(answer) = &answer {
                self.keep(answer, into);
            }
            return Ok(R::Reply::decode(&words).expect("a reply that its protocol understands"));
        }
    }

    fn drop_handle(&mut self, handle: Handle) {
        self.table.borrow_mut().remove(&handle.0);
    }

    fn keep_notification(&mut self, _: Handle, _: Handle) -> Result<(), KernelError> {
        Err(KernelError::WrongKind)
    }

    fn is_receiver(&mut self, sent: Handle) -> bool {
        self.table.borrow().get(&sent.0) == Some(&Thing::Receiver)
    }

    fn signal(&mut self, _: Handle) {}

    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]) {
        self.answers.push((reply, label, words.to_vec()));
    }
}

/// Record frames, in the host's memory.
#[derive(Default)]
pub struct Pages(BTreeMap<u32, Box<[u64; 512]>>);

impl RecordMemory for Pages {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        assert!(self.0.insert(frame, Box::new([0; 512])).is_none(), "frame {frame} is open");
        Ok(())
    }

    fn close(&mut self, frame: u32) {
        self.0.remove(&frame).expect("the frame is open");
    }

    fn words(&self, frame: u32) -> &[u64; 512] {
        &self.0[&frame]
    }

    fn words_mut(&mut self, frame: u32) -> &mut [u64; 512] {
        self.0.get_mut(&frame).expect("the frame is open")
    }
}

/// A stacked physmem.
pub struct Level<S: Server + 'static> {
    pub machine: Physmem<'static, ParentPmap<'static, HostParent<S>>, Pages>,
    pub server: Rc<RefCell<S>>,
    pub table: Table,
    /// The parent's banks.
    pub banks: Vec<u64>,
    pub frames: u32,
    pub now: u64,
}

fn leak<T: Clone>(value: T, count: usize) -> &'static mut [T] {
    vec![value; count].leak()
}

impl<S: Server + 'static> Level<S> {
    /// With so many frames of its own, under a contract of the server's.
    pub fn new(server: Rc<RefCell<S>>, contract: u64, frames: u32) -> Level<S> {
        let table: Table = Rc::default();
        table.borrow_mut().insert(CONTRACT.0, Thing::Badge(contract));
        table.borrow_mut().insert(RECEIVER.0, Thing::Receiver);
        let mut parent =
            HostParent { server: server.clone(), table: table.clone(), answers: Vec::new(), requests: 0 };
        let frames = frames + FIRST_FRAME;
        let mut next = CONTRACT.0;
        let mut container = |parent: &mut HostParent<S>, pages| {
            next += 1;
            parent.ask_for(CONTRACT, &ContainerCreate { pages }, &[], &[Handle(next)]).expect("a container");
            Handle(next)
        };
        let zeros = container(&mut parent, 1);
        let mut banks = Vec::new();
        for first in (0..frames).step_by(BANK_PAGES as usize) {
            let pages = u64::from(BANK_PAGES.min(frames - first));
            let bank = container(&mut parent, pages);
            let first_page = u64::from(first == 0);
            let request = Allocate { first_page, pages: pages - first_page, any_contents: false };
            parent.ask(bank, &request, &[]).expect("the contract covers it");
            banks.push(bank);
        }
        let badges = banks.iter().map(|&bank| match parent.thing(bank) {
            Thing::Badge(badge) => badge,
            other => panic!("{other:?}"),
        });
        let badges = badges.collect();
        let pmap = ParentPmap::new(Begin {
            parent,
            contract: CONTRACT,
            endpoint: RECEIVER,
            zeros,
            banks: Banks { banks: banks.leak(), records: RecordPages::NONE },
            frames: leak(FrameNote::default(), frames as usize),
            tasks: leak(TaskNote::default(), 512),
            handles: (Handle(64), Handle(250)),
        });
        let mut database = FrameDatabase::new(leak(FrameEntry::default(), frames as usize));
        for frame in (0..frames).rev() {
            match frame {
                FIRST_FRAME.. => database.free(frame, State::Absent, true, NOBODY),
                _ => database.change(frame, State::Absent, State::System),
            }
        }
        let managed = managed_frames(&database);
        let beginning = Beginning {
            reserve: 8,
            guaranteed: managed - 8,
            handles: (Handle(260), Handle(512)),
            first_principal: 1,
            waits: leak(FrameWait::default(), 512),
            pressure_frame: Some(PRESSURE_FRAME),
        };
        let machine = Physmem::new(pmap, Pages::default(), database, beginning);
        Level { machine, server, table, banks: badges, frames, now: 1 }
    }

    pub fn root(&self) -> u64 {
        Physmem::<ParentPmap<'static, HostParent<S>>, Pages>::contract_badge(self.machine.root()).0
    }

    /// A request; reply and what was handed out.
    pub fn call<Q: Request<Error = MemoryError>>(
        &mut self,
        badge: u64,
        request: &Q,
        sent: &[u64],
    ) -> Result<(Q::Reply, Vec<Handed>), MemoryError> {
        let mut words = [0; MESSAGE_WORDS];
        let used = request.encode(&mut words);
        let sent: Vec<Sent> = sent.iter().map(|&badge| Sent::Badge(badge)).collect();
        let (label, words, handed) = match self.serve(badge, Q::LABEL, &words[..used], &sent) {
            Outcome::Answered(answer) => (answer.label, self.words_of(&answer), answer.handed().collect()),
            Outcome::Later(handle) => {
                let (label, words) = self.late_answer(handle);
                (label, words, Vec::new())
            }
        };
        match label {
            0 => Ok((Q::Reply::decode(&words).expect("a reply of its protocol"), handed)),
            label => Err(MemoryError::from_code(label)),
        }
    }
}

impl<S: Server + 'static> Server for Level<S> {
    fn serve(&mut self, badge: u64, label: u32, words: &[u64], sent: &[Sent]) -> Outcome {
        for scratch in [SCRATCH, SCRATCH.offset(1)] {
            self.table.borrow_mut().remove(&scratch.0);
        }
        self.machine.request(self.now, Incoming { badge, label, words, sent }, SCRATCH)
    }

    fn words_of(&self, answer: &Answer) -> Vec<u64> {
        self.machine.words_of(answer).to_vec()
    }

    fn late_answer(&mut self, handle: Handle) -> (u32, Vec<u64>) {
        while self.machine.has_work() {
            self.machine.work(self.now);
        }
        let answers = &self.machine.pmap.parent.answers;
        let (_, label, words) = answers.iter().rfind(|answer| answer.0 == handle).expect("an answer");
        (*label, words.clone())
    }

    fn task(&self, handle: Handle) -> Handle {
        match self.table.borrow().get(&handle.0) {
            Some(Thing::Kernel(above)) => self.server.borrow().task(*above),
            other => panic!("{handle:?} is no task but {other:?}"),
        }
    }

    fn world(&mut self, look: &mut dyn FnMut(&mut World)) {
        self.server.borrow_mut().world(look);
    }
}
