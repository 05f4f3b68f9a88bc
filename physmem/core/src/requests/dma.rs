//! Requests to the authority of a device's driver.

use super::{Answered, Incoming, answered};
use crate::badge::Badge;
use crate::destroy::ending;
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::dma::{QuarantineReleased, Request};
use containers_core::layout::hold;
use containers_core::passing;
use containers_core::record::Records;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The badge's rights are the device.
    pub(super) fn dma_request(&mut self, badge: Badge, incoming: Incoming<'_>) -> Answered {
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        match request {
            Request::QuarantineRelease(_) => {
                answered(&QuarantineReleased { frames: self.release_quarantine(badge.rights()) })
            }
        }
    }

    /// Ends one overdue hold of a device whose driver has ended: the frames that are free by that. A contract that stayed
    /// for that hold alone goes.
    fn release_quarantine(&mut self, device: u8) -> u64 {
        let has_ended = |held| {
            let answers = self.get(held, hold::CONTRACT);
            self.get(answers, contract::ENDING) != ending::ALIVE
        };
        let Some(held) = passing::find_overdue(self, device, has_ended) else { return 0 };
        let (answers, frames) = (self.get(held, hold::CONTRACT), self.get(held, hold::PAGES));
        passing::end_hold(self, held);
        self.hold_released(answers);
        frames
    }
}
