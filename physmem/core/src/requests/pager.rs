//! Requests of the default pager, and of who makes its place.

use super::{Answered, Handed, Incoming, answered, handing, sent_badge, sent_handle};
use crate::badge::{Badge, BadgeKind};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::control::ControlRights;
use containers_api::pager::{PagerAttach, Request};
use containers_api::{ContainerRights, MemoryError};
use kernel_protocol::{Empty, Request as _};

/// Whether a label is one of these requests.
pub(super) fn is_for_pager(label: u32) -> bool {
    label >= containers_api::pager::PagerCreate::LABEL
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(super) fn pager_request(&mut self, badge: Badge, incoming: Incoming<'_>) -> Answered {
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        let right = ControlRights::PAGER.bits();
        if badge.rights() & right == 0 && !matches!(request, Request::SwapStat(_)) {
            return Err(MemoryError::MissingRight.into());
        }
        match request {
            Request::PagerCreate(_) => {
                let sent = sent_badge(&incoming, 0)?;
                if sent.kind() != Some(BadgeKind::Contract) {
                    return Err(MemoryError::WrongObject.into());
                }
                let payer = self.contract_of(sent)?;
                let window = self.make_place(payer)?;
                let rights = ContainerRights::MAP | ContainerRights::WRITE;
                handing(&Empty, Handed::Badge(Self::container_badge(window, rights)))
            }
            Request::PagerAttach(PagerAttach { slots }) => {
                self.attach_pager(slots, sent_handle(&incoming, 0)?)?;
                answered(&Empty)
            }
            Request::PagerExchange(exchange) => {
                if self.pager_place().is_none() {
                    return Err(MemoryError::NoPager.into());
                }
                let requests = self.exchange(&exchange.answers);
                self.answered_at_length(&requests)
            }
            Request::SwapStat(_) => {
                let status = self.swap_status();
                self.answered_at_length(&status)
            }
        }
    }
}
