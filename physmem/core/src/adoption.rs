//! Frames that hold something before physmem begins: they become a container's, once.

use crate::database::State;
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::record::{Container, Contract, Name, Records};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Makes a sealed container of successive frames in state held that no page holds yet: the boot archive. Errors: as
    /// for making and allocating a container; the frames then stay as they are.
    pub fn adopt(
        &mut self,
        payer: Name<Contract>,
        first_frame: u32,
        pages: u64,
    ) -> Result<Name<Container>, MemoryError> {
        let principal = self.get(payer, contract::PRINCIPAL);
        let made = self.create_container(payer, pages)?;
        containers_core::container::adopt(self, made, first_frame, |this, frame| {
            debug_assert!(this.database.state(frame) == State::Held);
            this.database.hold(frame, principal);
        })?;
        Ok(made)
    }
}
