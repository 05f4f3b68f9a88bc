//! Requests: from a badge and words to an operation, and from its result to an answer.
//!
//! An answer is a value: label, words, and what capabilities to hand out (a badge to be minted, or an entry of
//! physmem's table). Errors of container operations carry the container's version as detail.

mod container;
mod contract;
mod control;
mod dma;
mod pager;
mod space;

use crate::badge::{Badge, BadgeKind};
use crate::destroy::ending;
use crate::layout::contract as contract_fields;
use crate::machine::Physmem;
use crate::paging::Room;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::{ContainerRights, MemoryError};
use containers_core::Access;
use containers_core::layout::container as fields;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Container, Contract, Grant, Name, Records, Space};
use kernel_abi::Handle;
use kernel_abi::message::{MESSAGE_CAPABILITIES, REGISTER_WORDS};
use kernel_protocol::{ErrorCode, Message, Refusal};

/// A capability that came with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// One of physmem's own: its badge.
    Badge(u64),
    /// Another, in this entry of physmem's table until the answer.
    Handle(Handle),
}

/// A request as it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incoming<'a> {
    /// Whom it is for.
    pub badge: u64,
    /// What is asked.
    pub label: u32,
    /// Arguments.
    pub words: &'a [u64],
    /// Capabilities that came along.
    pub sent: &'a [Sent],
}

/// A capability to hand out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handed {
    /// To physmem's endpoint, with this badge.
    Badge(Badge),
    /// A copy of this entry of physmem's table.
    Handle(Handle),
}

/// An answer. Its words are read by [`Physmem::words_of`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 0, or the error's number.
    pub label: u32,
    /// The words, if they are no more; otherwise they lie in [`Physmem::long_answer`], so that a short answer, the usual one, is small.
    words: [u64; REGISTER_WORDS],
    used: usize,
    handed: [Option<Handed>; MESSAGE_CAPABILITIES],
}

impl Answer {
    /// The capabilities, in order.
    pub fn handed(&self) -> impl Iterator<Item = Handed> + '_ {
        self.handed.iter().flatten().copied()
    }

    fn new<M: Message>(reply: &M) -> Answer {
        const { assert!(M::MAX_WORDS <= REGISTER_WORDS, "this is a long answer") };
        let mut words = [0; REGISTER_WORDS];
        let used = reply.encode(&mut words);
        Answer { label: 0, words, used, handed: [None; MESSAGE_CAPABILITIES] }
    }

    fn refused(refusal: Refusal<MemoryError>) -> Answer {
        let mut words = [0; REGISTER_WORDS];
        words[0] = refusal.detail;
        Answer { label: refusal.error.code(), words, used: 1, handed: [None; MESSAGE_CAPABILITIES] }
    }

    fn with(mut self, index: usize, handed: Handed) -> Answer {
        self.handed[index] = Some(handed);
        self
    }
}

/// What has come of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Answer it.
    Answered(Answer),
    /// Save the reply here; it is answered later.
    Later(Handle),
}

/// An answer, or why there is none.
type Answered = Result<Outcome, Refusal<MemoryError>>;

fn answered<M: Message>(reply: &M) -> Answered {
    Ok(Outcome::Answered(Answer::new(reply)))
}

fn handing<M: Message>(reply: &M, handed: Handed) -> Answered {
    Ok(Outcome::Answered(Answer::new(reply).with(0, handed)))
}

/// Entries of physmem's table that an answer's new objects may use: empty when a request begins.
pub const SCRATCH_HANDLES: usize = 2;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Serves a request that arrived at a moment. New kernel objects are put at `scratch`. What expired before is over.
    /// Where frames that a guarantee covers are on their way back, the caller is answered later, and asked to come again.
    pub fn request(&mut self, now: u64, incoming: Incoming<'_>, scratch: Handle) -> Outcome {
        self.advance(now);
        self.forget_refusals();
        let outcome = self.dispatch(incoming, scratch);
        self.flush();
        self.counters.requests += 1;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(refusal) => self.refuse(refusal),
        };
        self.relieve();
        outcome
    }

    /// The words of the last request's answer.
    pub fn words_of<'a>(&'a self, answer: &'a Answer) -> &'a [u64] {
        let long: &[u64] = &self.long_answer;
        let words = if answer.used > REGISTER_WORDS { long } else { &answer.words };
        &words[..answer.used]
    }

    /// An answer that may have more words than fit registers.
    fn answered_at_length(&mut self, reply: &impl Message) -> Answered {
        let used = reply.encode(&mut self.long_answer);
        let mut words = [0; REGISTER_WORDS];
        words.copy_from_slice(&self.long_answer[..REGISTER_WORDS]);
        Ok(Outcome::Answered(Answer { label: 0, words, used, handed: [None; MESSAGE_CAPABILITIES] }))
    }

    /// What becomes of a request that is refused. Nothing of it was done.
    fn refuse(&mut self, refusal: Refusal<MemoryError>) -> Outcome {
        let for_want_of_frames = matches!(
            refusal.error,
            MemoryError::ContractExhausted | MemoryError::NoRecord | MemoryError::PinLimit
        );
        match self.shortage.take().filter(|_| for_want_of_frames) {
            None => self.wait_for_pager(refusal, for_want_of_frames),
            Some(short) => match self.wait_for_frames(short, false) {
                Some(handle) => Outcome::Later(handle),
                None => Outcome::Answered(Answer::refused(MemoryError::Again.into())),
            },
        }
    }

    /// The same where no frames are on their way back: pages of the contract may go out, or the request may need one that is out.
    fn wait_for_pager(&mut self, refusal: Refusal<MemoryError>, for_want_of_frames: bool) -> Outcome {
        let again = Outcome::Answered(Answer::refused(MemoryError::Again.into()));
        let refused = Outcome::Answered(Answer::refused(refusal));
        let (payer, on) = if refusal.error == MemoryError::Again {
            let Some(wanted) = self.paging.wanted.take() else { return refused };
            wanted
        } else {
            let Some(short) = self.paging.exhausted.take().filter(|_| for_want_of_frames) else {
                return refused;
            };
            match self.make_room(short) {
                Room::Made => return again,
                Room::None => return refused,
                Room::Later => (short.payer, self.place().window),
            }
        };
        if let Some(reply) = self.request_waits_on(payer, on) {
            return Outcome::Later(reply);
        }
        // A contract that holds all it may cannot pay for the record either, until pages of it have gone out.
        if let Some(short) = self.paging.exhausted.take() {
            self.make_room(short);
        }
        again
    }

    fn dispatch(&mut self, incoming: Incoming<'_>, scratch: Handle) -> Answered {
        let badge = Badge(incoming.badge);
        match badge.kind() {
            Some(BadgeKind::Contract) => self.contract_request(badge, incoming, scratch),
            Some(BadgeKind::Container | BadgeKind::Grant) => self.container_request(badge, incoming),
            Some(BadgeKind::Lock) => self.lock_request(badge, incoming),
            Some(BadgeKind::Space) => self.space_request(badge, incoming, scratch),
            Some(BadgeKind::Control) => self.control_request(badge, incoming),
            Some(BadgeKind::Dma) => self.dma_request(badge, incoming),
            None => Err(MemoryError::Malformed.into()),
        }
    }

    /// Ends what has expired by a moment.
    pub fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        containers_core::lock::expire(self, self.now);
        self.expire_requests();
        self.flush();
        if !self.is_quiet() {
            self.relieve();
        }
    }

    /// The moment at which something expires, or is to be done, next.
    pub fn next_deadline(&self) -> Option<u64> {
        let locks = containers_core::lock::next_deadline(self);
        let pager = [self.next_pager_deadline(), self.end_of_seizure_wait()];
        [locks, self.next_relief, self.next_lapse(), self.next_end(), self.next_look()]
            .into_iter()
            .chain(pager)
            .flatten()
            .min()
    }

    /// The living contract that a badge names. One below a contract that ends does not live any more, although its turn to be
    /// emptied may come much later: who could still make something under it could make it faster than it is taken back.
    fn contract_of(&self, badge: Badge) -> Result<Name<Contract>, MemoryError> {
        let found = self.resolve::<Contract>(badge.name()).ok_or(MemoryError::Stale)?;
        let mut next = Some(found);
        while let Some(here) = next {
            let is_spared = here != found && mutations::has(Mutation::KeepBelow);
            if self.get(here, contract_fields::ENDING) != ending::ALIVE && !is_spared {
                return Err(MemoryError::Stale);
            }
            next = self.get(here, contract_fields::PARENT);
        }
        Ok(found)
    }

    /// What a badge allows on a container.
    fn access_of(&self, badge: Badge) -> Result<Access, MemoryError> {
        let rights = ContainerRights::from_bits(u16::from(badge.rights())).ok_or(MemoryError::WrongObject)?;
        match badge.kind() {
            Some(BadgeKind::Container) => {
                let found = self.resolve::<Container>(badge.name()).ok_or(MemoryError::Stale)?;
                Access::direct(self, found, rights)
            }
            Some(BadgeKind::Grant) => {
                let found = self.resolve::<Grant>(badge.name()).ok_or(MemoryError::Stale)?;
                Access::granted(self, found, rights)
            }
            _ => Err(MemoryError::WrongObject),
        }
    }

    fn space_of(&self, badge: Badge) -> Result<Name<Space>, MemoryError> {
        let found = self.resolve::<Space>(badge.name()).ok_or(MemoryError::Stale)?;
        if self.get(found, crate::layout::space::GOING) { Err(MemoryError::Stale) } else { Ok(found) }
    }

    fn version(&self, container: Name<Container>) -> u64 {
        self.get(container, fields::VERSION)
    }

    /// The badge for a container or grant with rights.
    fn access_badge(access: &Access, rights: ContainerRights) -> Badge {
        let rights = rights.bits() as u8;
        match access.via {
            None => Badge::new(BadgeKind::Container, rights, access.container.word()),
            Some(via) => Badge::new(BadgeKind::Grant, rights, via.word()),
        }
    }

    /// The badge for a contract.
    pub fn contract_badge(this: Name<Contract>) -> Badge {
        Badge::new(BadgeKind::Contract, 0, this.word())
    }

    /// The badge for a space.
    pub fn space_badge(this: Name<Space>) -> Badge {
        Badge::new(BadgeKind::Space, 0, this.word())
    }

    /// The badge for a container with rights.
    pub fn container_badge(this: Name<Container>, rights: ContainerRights) -> Badge {
        Badge::new(BadgeKind::Container, rights.bits() as u8, this.word())
    }
}

/// The badge of one of physmem's own capabilities that came along.
fn sent_badge(incoming: &Incoming<'_>, index: usize) -> Result<Badge, MemoryError> {
    match incoming.sent.get(index) {
        Some(&Sent::Badge(badge)) => Ok(Badge(badge)),
        _ => Err(MemoryError::WrongObject),
    }
}

/// The entry of a capability that came along and is not physmem's own.
fn sent_handle(incoming: &Incoming<'_>, index: usize) -> Result<Handle, MemoryError> {
    match incoming.sent.get(index) {
        Some(&Sent::Handle(handle)) => Ok(handle),
        _ => Err(MemoryError::WrongObject),
    }
}
