//! Requests to a contract.

use super::{Answer, Answered, Handed, Incoming, Outcome, answered, handing, sent_badge, sent_handle};
use crate::badge::{Badge, BadgeKind};
use crate::layout::{CONTAINERS, contract, space};
use crate::limits::{CONTAINERS_PER_CONTRACT, DESTROY_STEPS_AT_ONCE};
use crate::machine::Physmem;
use crate::objects::Shared;
use crate::pmap::{NewObject, Pmap, RecordMemory};
use containers_api::contract::{ContractStatus, Examined, ObjectKind, Renewed, Request};
use containers_api::{ContainerRights, MemoryError};
use containers_core::container::Step;
use containers_core::layout::{container, lock};
use containers_core::passing;
use containers_core::record::{Container, Contract, Name, Records, Space};
use kernel_abi::Handle;
use kernel_protocol::Empty;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(super) fn contract_request(
        &mut self,
        badge: Badge,
        incoming: Incoming<'_>,
        scratch: Handle,
    ) -> Answered {
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        let this = self.contract_of(badge)?;
        match request {
            Request::Split(split) => {
                let child = self.split(this, &split)?;
                handing(&Empty, Handed::Badge(Self::contract_badge(child)))
            }
            Request::ContractDestroy(_) => self.destroy_request(this),
            Request::ContractStat(_) => {
                let reply = self.contract_status(this);
                self.answered_at_length(&reply)
            }
            Request::ContainerCreate(create) => {
                let made = self.create_container(this, create.pages)?;
                handing(&Empty, Handed::Badge(Self::container_badge(made, ContainerRights::all())))
            }
            Request::SpaceCreate(create) => {
                let made = self.make_space(this, create.name.as_str(), None)?;
                Ok(self.handing_space(made))
            }
            Request::SpaceCreateFor(create) => {
                let endpoint = sent_handle(&incoming, 0)?;
                if !self.pmap.is_receiver(endpoint) {
                    return Err(MemoryError::WrongObject.into());
                }
                let faults = Some((endpoint, create.fault_badge));
                let made = self.make_space(this, create.name.as_str(), faults)?;
                Ok(self.handing_space(made))
            }
            Request::EndpointCreate(_) => {
                self.make_shared(this, Shared::Endpoint, NewObject::Endpoint, scratch)?;
                handing(&Empty, Handed::Handle(scratch))
            }
            Request::NotificationCreate(_) => {
                self.make_shared(this, Shared::Notification, NewObject::Notification, scratch)?;
                handing(&Empty, Handed::Handle(scratch))
            }
            Request::ScheduleCreate(_) => {
                self.make_shared(this, Shared::Schedule, NewObject::Schedule, scratch)?;
                handing(&Empty, Handed::Handle(scratch))
            }
            Request::HandDown(asked) => {
                let child = self.child_sent(&incoming)?;
                self.hand_down(this, child, asked.guaranteed, asked.pin_limit)?;
                answered(&Empty)
            }
            Request::TakeBack(asked) => {
                let child = self.child_sent(&incoming)?;
                self.take_part_back(this, child, asked.guaranteed, asked.pin_limit)?;
                answered(&Empty)
            }
            Request::Merge(_) => {
                let child = self.child_sent(&incoming)?;
                self.merge(this, child)?;
                answered(&Empty)
            }
            Request::Extend(asked) => {
                let child = self.child_sent(&incoming)?;
                self.extend(this, child, asked.term_ns)?;
                answered(&Empty)
            }
            Request::Renew(_) => answered(&self.renew(this)?),
            Request::Watch(_) => {
                self.watch(this, sent_handle(&incoming, 0)?)?;
                answered(&Empty)
            }
            Request::CallStat(_) => {
                let reply = self.call_status(this);
                self.answered_at_length(&reply)
            }
            Request::Examine(_) => {
                let reply = self.examine(sent_badge(&incoming, 0)?)?;
                self.answered_at_length(&reply)
            }
        }
    }

    fn handing_space(&self, made: Name<Space>) -> Outcome {
        let task = Handed::Handle(Handle(self.get(made, space::TASK)));
        let answer = Answer::new(&Empty).with(0, task);
        Outcome::Answered(answer.with(1, Handed::Badge(Self::space_badge(made))))
    }

    fn child_sent(&self, incoming: &Incoming<'_>) -> Result<Name<Contract>, MemoryError> {
        let badge = sent_badge(incoming, 0)?;
        match badge.kind() {
            Some(BadgeKind::Contract) => self.contract_of(badge),
            _ => Err(MemoryError::WrongObject),
        }
    }

    /// Destroys a contract: at once, if it is small; else step by step, and the caller is answered in the end.
    pub(super) fn destroy_request(&mut self, target: Name<Contract>) -> Answered {
        if target == self.root() {
            return Err(MemoryError::WrongObject.into());
        }
        self.begin_destroy(target);
        for _ in 0..DESTROY_STEPS_AT_ONCE {
            if self.destroy_step(target) == Step::Done {
                return answered(&Empty);
            }
        }
        match self.handles.take() {
            Some(reply) => {
                self.destroy_later(target, Some(reply));
                Ok(Outcome::Later(reply))
            }
            None => {
                self.destroy_contract(target);
                answered(&Empty)
            }
        }
    }

    /// Starts the terms of extra frames anew. Errors: `UnderPressure`.
    fn renew(&mut self, this: Name<Contract>) -> Result<Renewed, MemoryError> {
        self.judge(this);
        if self.waits.count() != 0 || self.due(this) != 0 {
            return Err(MemoryError::UnderPressure);
        }
        let (frames, until) = self.renew_terms(this);
        self.counters.renewals += 1;
        Ok(Renewed { frames, until })
    }

    /// What a capability is. Errors: `WrongObject`, `Stale`.
    fn examine(&self, badge: Badge) -> Result<Examined, MemoryError> {
        let kind = badge.kind().ok_or(MemoryError::WrongObject)?;
        let nothing = ContainerRights::empty();
        let (kind, rights, pages, payer) = match kind {
            BadgeKind::Contract => (ObjectKind::Contract, nothing, 0, self.contract_of(badge)?),
            BadgeKind::Container | BadgeKind::Grant => {
                let access = self.access_of(badge)?;
                let payer = self.get(access.container, container::CONTRACT);
                (ObjectKind::Container, access.rights, access.pages, payer)
            }
            BadgeKind::Lock => {
                let found = passing::find_passed(self, badge.name()).map_err(|_| MemoryError::Stale)?;
                let payer = self.get(self.get(found, lock::CONTAINER), container::CONTRACT);
                (ObjectKind::Lock, nothing, self.get(found, lock::PAGES), payer)
            }
            BadgeKind::Space => {
                (ObjectKind::Space, nothing, 0, self.get(self.space_of(badge)?, space::CONTRACT))
            }
            BadgeKind::Control => (ObjectKind::Control, nothing, 0, self.root()),
            BadgeKind::Dma => (ObjectKind::Control, nothing, 0, self.contract_of(badge)?),
        };
        Ok(Examined { kind, rights, pages, principal: self.get(payer, contract::PRINCIPAL) })
    }

    /// Makes a container of a contract. Errors: `NoRecord`, `OutOfRange`, `Limit`.
    pub fn create_container(
        &mut self,
        payer: Name<Contract>,
        pages: u64,
    ) -> Result<Name<Container>, MemoryError> {
        if self.get(payer, contract::CONTAINER_COUNT) >= CONTAINERS_PER_CONTRACT {
            return Err(MemoryError::Limit);
        }
        let number = self.last_number + 1;
        let made = containers_core::container::create(self, payer, number, pages)?;
        self.last_number = number;
        CONTAINERS.push(self, payer, made);
        self.raise(payer, contract::CONTAINER_COUNT, 1);
        Ok(made)
    }

    /// How a contract stands.
    pub fn contract_status(&self, this: Name<Contract>) -> ContractStatus {
        ContractStatus {
            principal: self.get(this, contract::PRINCIPAL),
            guaranteed: self.get(this, contract::GUARANTEED),
            extra_limit: self.get(this, contract::EXTRA_LIMIT),
            pin_limit: self.get(this, contract::PIN_LIMIT),
            handed_on: self.get(this, contract::HANDED_ON),
            pages: self.get(this, contract::PAGES),
            records: self.get(this, contract::RECORDS),
            kernel: self.get(this, contract::KERNEL),
            pinned: self.get(this, contract::PINNED),
            extra: self.extra_of(this),
            vital: self.get(this, contract::VITAL),
            claimed: self.get(this, contract::CLAIMED),
            expires: self.get(this, contract::EXPIRES),
            standing: self.standing(this),
            seized: self.get(this, contract::SEIZED),
            swap_limit: self.get(this, contract::SWAP_LIMIT),
            swapped: self.get(this, contract::SWAPPED),
        }
    }
}
