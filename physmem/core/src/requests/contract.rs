//! Requests to a contract.

use super::{Answer, Answered, Handed, Incoming, Outcome, answered, handing, sent_badge};
use crate::badge::{Badge, BadgeKind};
use crate::contract::Allowance;
use crate::layout::{CONTAINERS, contract, space};
use crate::limits::CONTAINERS_PER_CONTRACT;
use crate::machine::Physmem;
use crate::objects::Shared;
use crate::pmap::{NewObject, Pmap, RecordMemory};
use containers_api::contract::{ContractStatus, Examined, ObjectKind, Request};
use containers_api::{ContainerRights, MemoryError};
use containers_core::layout::{container, lock};
use containers_core::passing;
use containers_core::record::{Container, Contract, Name, Records};
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
                let allowance = Allowance {
                    guaranteed: split.guaranteed,
                    extra_limit: split.extra_limit,
                    pin_limit: split.pin_limit,
                };
                let child = self.split(this, allowance, split.name.as_str())?;
                handing(&Empty, Handed::Badge(Self::contract_badge(child)))
            }
            Request::ContractDestroy(_) => {
                if this == self.root() {
                    return Err(MemoryError::WrongObject.into());
                }
                self.destroy_contract(this);
                answered(&Empty)
            }
            Request::ContractStat(_) => answered(&self.contract_status(this)),
            Request::ContainerCreate(create) => {
                let made = self.create_container(this, create.pages)?;
                handing(&Empty, Handed::Badge(Self::container_badge(made, ContainerRights::all())))
            }
            Request::SpaceCreate(create) => {
                let made = self.make_space(this, create.name.as_str())?;
                let task = Handed::Handle(Handle(self.get(made, space::TASK)));
                let answer = Answer::new(&Empty).with(0, task);
                Ok(Outcome::Answered(answer.with(1, Handed::Badge(Self::space_badge(made)))))
            }
            Request::EndpointCreate(_) => {
                self.make_shared(this, Shared::Endpoint, NewObject::Endpoint, scratch)?;
                handing(&Empty, Handed::Handle(scratch))
            }
            Request::NotificationCreate(_) => {
                self.make_shared(this, Shared::Notification, NewObject::Notification, scratch)?;
                handing(&Empty, Handed::Handle(scratch))
            }
            Request::Examine(_) => answered(&self.examine(sent_badge(&incoming, 0)?)?),
        }
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
        }
    }
}
