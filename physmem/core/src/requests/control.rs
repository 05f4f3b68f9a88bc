//! Requests to physmem as a whole: statistics, lists, and the authorities that init hands out.
//!
//! The lists walk the tree of contracts; a cursor is the name of the record to tell next, as a word.

use super::pager::is_for_pager;
use super::{Answered, Handed, Incoming, Sent, answered, handing};
use crate::badge::{Badge, BadgeKind};
use crate::database::State;
use crate::destroy::ending;
use crate::layout::{CHILDREN, CONTAINERS, SPACES, contract, space};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::control::{
    ContainerEntry, ContractEntry, ControlRights, Latency, Request, RevocationStatus, SpaceEntry,
    SystemStatus,
};
use containers_core::layout::container;
use containers_core::list::List;
use containers_core::record::{Container, Contract, Field, Name, Record, Records, Space};
use kernel_abi::Handle;
use kernel_protocol::Empty;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The badge of a control capability.
    pub fn control_badge(rights: ControlRights) -> Badge {
        Badge::new(BadgeKind::Control, rights.bits(), 0)
    }

    pub(super) fn control_request(&mut self, badge: Badge, incoming: Incoming<'_>) -> Answered {
        if is_for_pager(incoming.label) {
            return self.pager_request(badge, incoming);
        }
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        let require = |right: ControlRights| {
            let has_it = badge.rights() & right.bits() == right.bits();
            if has_it { Ok(()) } else { Err(MemoryError::MissingRight) }
        };
        match request {
            Request::SystemStat(_) => {
                let reply = self.system_status();
                self.answered_at_length(&reply)
            }
            Request::ContractList(list) => {
                let reply = self.list_contract(list.cursor)?;
                self.answered_at_length(&reply)
            }
            Request::ContainerList(list) => {
                let reply = self.list_container(list.cursor)?;
                self.answered_at_length(&reply)
            }
            Request::SpaceList(list) => {
                let reply = self.list_space(list.cursor)?;
                self.answered_at_length(&reply)
            }
            Request::ContractKill(kill) => {
                require(ControlRights::END)?;
                let target = self.find_principal(kill.principal).ok_or(MemoryError::OutOfRange)?;
                if self.get(target, contract::ENDING) != ending::ALIVE {
                    return Err(MemoryError::Stale.into());
                }
                self.destroy_request(target)
            }
            Request::RevocationStat(_) => {
                let reply = self.revocation_status();
                self.answered_at_length(&reply)
            }
            Request::LatencyStat(asked) => {
                let reply = match asked.which {
                    Latency::Wait => self.latencies.wait.told(),
                    Latency::Call => self.latencies.call.told(),
                    Latency::Seizure => self.latencies.seizure.told(),
                };
                self.answered_at_length(&reply)
            }
            Request::PolicySet(asked) => {
                require(ControlRights::POLICY)?;
                self.set_policy(asked.policy);
                answered(&Empty)
            }
            Request::ControlShare(asked) => {
                require(asked.rights)?;
                handing(&Empty, Handed::Badge(Self::control_badge(asked.rights)))
            }
            Request::DmaAuthority(asked) => {
                require(ControlRights::DMA)?;
                let device = u8::try_from(asked.device).map_err(|_| MemoryError::OutOfRange)?;
                let answers = match incoming.sent.first() {
                    None => self.root(),
                    Some(&Sent::Badge(badge)) if Badge(badge).kind() == Some(BadgeKind::Contract) => {
                        self.contract_of(Badge(badge))?
                    }
                    Some(_) => return Err(MemoryError::WrongObject.into()),
                };
                handing(&Empty, Handed::Badge(Badge::new(BadgeKind::Dma, device, answers.word())))
            }
        }
    }

    /// All frames, and what was done with them.
    pub fn system_status(&self) -> SystemStatus {
        let counters = self.counters;
        SystemStatus {
            frames: self.database.frames(),
            kernel: self.database.count(State::System),
            free_zero: self.database.count(State::FreeZero),
            free_dirty: self.database.count(State::FreeDirty),
            held: self.database.count(State::Held)
                + self.database.count(State::Record)
                + self.database.count(State::Object),
            quarantined: self.database.count(State::Quarantined),
            guaranteed: self.guarantees,
            reserve: self.reserve,
            zeroed: counters.zeroed,
            pre_zeroed: counters.pre_zeroed,
            zeroing_skipped: counters.zeroing_skipped,
            moved_bytes: counters.moved_bytes,
            shared_pages: counters.shared_pages,
            dma_bytes: counters.dma_bytes,
            faults: counters.faults,
            requests: counters.requests,
        }
    }

    /// How frames were taken back.
    pub fn revocation_status(&self) -> RevocationStatus {
        let counters = self.counters;
        RevocationStatus {
            policy: self.policy.kind(),
            room: self.room(),
            extra: self.extra,
            claimed: self.claimed,
            waiting: self.waits.count(),
            waited: counters.waited,
            calls: counters.calls,
            met: counters.calls_met,
            missed: counters.calls_missed,
            excused: counters.calls_excused,
            seized: counters.seized,
            discarded: counters.discarded,
            locks_broken: counters.locks_broken,
            terminations: counters.terminations,
            scanned: counters.scanned,
            renewals: counters.renewals,
        }
    }

    /// The contract after another in the tree: children first, then siblings, then those of the parents.
    fn next_contract(&self, this: Name<Contract>) -> Option<Name<Contract>> {
        if let Some(child) = CHILDREN.first(self, this) {
            return Some(child);
        }
        let mut here = this;
        loop {
            if let Some(next) = self.get(here, contract::NEXT) {
                return Some(next);
            }
            here = self.get(here, contract::PARENT)?;
        }
    }

    fn find_principal(&self, principal: u64) -> Option<Name<Contract>> {
        let mut next = Some(self.root());
        while let Some(this) = next {
            if self.get(this, contract::PRINCIPAL) == principal {
                return Some(this);
            }
            next = self.next_contract(this);
        }
        None
    }

    /// The first member of a list of some contract, from `this` contract on.
    fn first_from<R: Record>(
        &self,
        list: &List<Contract, R>,
        mut this: Option<Name<Contract>>,
    ) -> Option<Name<R>> {
        while let Some(here) = this {
            if let Some(found) = list.first(self, here) {
                return Some(found);
            }
            this = self.next_contract(here);
        }
        None
    }

    /// The member that a cursor names, and the one after it.
    fn at_cursor<R: Record>(
        &self,
        list: &List<Contract, R>,
        owner: Field<R, Name<Contract>>,
        cursor: u64,
    ) -> Result<(Name<R>, u64), MemoryError> {
        let found = match cursor {
            0 => self.first_from(list, Some(self.root())),
            cursor => self.resolve::<R>(cursor),
        };
        let found = found.ok_or(MemoryError::OutOfRange)?;
        let next = self
            .get(found, list.next)
            .or_else(|| self.first_from(list, self.next_contract(self.get(found, owner))));
        Ok((found, next.map_or(0, Name::word)))
    }

    fn list_contract(&self, cursor: u64) -> Result<ContractEntry, MemoryError> {
        let found = if cursor == 0 { Some(self.root()) } else { self.resolve(cursor) };
        let this = found.ok_or(MemoryError::OutOfRange)?;
        let parent = self.get(this, contract::PARENT);
        Ok(ContractEntry {
            next: self.next_contract(this).map_or(0, Name::word),
            principal: self.get(this, contract::PRINCIPAL),
            parent: parent.map_or(0, |parent| self.get(parent, contract::PRINCIPAL)),
            name: self.name_of(this, contract::NAME, contract::NAME_REST),
            guaranteed: self.get(this, contract::GUARANTEED),
            extra_limit: self.get(this, contract::EXTRA_LIMIT),
            pin_limit: self.get(this, contract::PIN_LIMIT),
            pages: self.get(this, contract::PAGES),
            records: self.get(this, contract::RECORDS),
            kernel: self.get(this, contract::KERNEL),
            pinned: self.get(this, contract::PINNED),
            extra: self.extra_of(this),
            standing: self.standing(this),
            calls: self.get(this, contract::CALLS),
            met: self.get(this, contract::CALLS_MET),
            due: self.due(this),
            seized: self.get(this, contract::SEIZED),
            containers: self.get(this, contract::CONTAINER_COUNT),
            spaces: self.get(this, contract::SPACE_COUNT),
            swap_limit: self.get(this, contract::SWAP_LIMIT),
            swapped: self.get(this, contract::SWAPPED),
        })
    }

    fn list_container(&self, cursor: u64) -> Result<ContainerEntry, MemoryError> {
        let (this, next): (Name<Container>, u64) =
            self.at_cursor(&CONTAINERS, container::CONTRACT, cursor)?;
        let payer = self.get(this, container::CONTRACT);
        Ok(ContainerEntry {
            next,
            number: self.get(this, container::NUMBER),
            principal: self.get(payer, contract::PRINCIPAL),
            pages: self.get(this, container::PAGES),
            present: self.get(this, container::PRESENT),
            shared: self.get(this, container::SHARED),
            mappings: self.get(this, container::MAPPING_COUNT),
            grants: self.get(this, container::GRANT_COUNT),
            locks: self.get(this, container::LOCK_COUNT),
            version: self.get(this, container::VERSION),
            sealed: self.get(this, container::SEALED),
            out: self.get(this, container::OUT),
        })
    }

    fn list_space(&mut self, cursor: u64) -> Result<SpaceEntry, MemoryError> {
        let (this, next): (Name<Space>, u64) = self.at_cursor(&SPACES, space::CONTRACT, cursor)?;
        let payer = self.get(this, space::CONTRACT);
        let used_ns = self.pmap.time_used(Handle(self.get(this, space::TASK)));
        Ok(SpaceEntry {
            next,
            number: self.get(this, space::NUMBER),
            principal: self.get(payer, contract::PRINCIPAL),
            name: self.name_of(this, space::NAME, space::NAME_REST),
            threads: self.get(this, space::THREAD_COUNT),
            mappings: self.get(this, space::MAPPING_COUNT),
            pages: self.get(this, space::MAPPED_PAGES),
            tables: self.get(this, space::TABLE_COUNT),
            faults: self.get(this, space::FAULTS),
            used_ns,
        })
    }
}
