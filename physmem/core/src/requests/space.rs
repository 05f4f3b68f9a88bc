//! Requests to an address space.

use super::{Answered, Handed, Incoming, Outcome, answered, handing, sent_badge, sent_handle};
use crate::badge::Badge;
use crate::database::NO_FRAME;
use crate::layout::{contract, space};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use crate::space::AddressRange;
use containers_api::container::Changed;
use containers_api::space::Request;
use containers_api::{MemoryError, space as api};
use containers_core::access::changed;
use containers_core::record::{Name, Records, Space};
use kernel_abi::Handle;
use kernel_protocol::{Empty, Refusal};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(super) fn space_request(
        &mut self,
        badge: Badge,
        incoming: Incoming<'_>,
        scratch: Handle,
    ) -> Answered {
        let request = Request::decode(incoming.label, incoming.words).map_err(|_| MemoryError::Malformed)?;
        let this = self.space_of(badge)?;
        match request {
            Request::Map(map) => return self.serve_map(this, map, incoming),
            Request::Unmap(asked) => {
                self.unmap_range(this, AddressRange::new(asked.address, asked.pages)?)?;
            }
            Request::Protect(asked) => {
                self.protect_range(this, AddressRange::new(asked.address, asked.pages)?, asked.protection)?;
            }
            Request::MapDevice(asked) => {
                let range = AddressRange::new(asked.address, asked.pages)?;
                self.map_device(this, range, sent_handle(&incoming, 0)?, asked.first_page)?;
            }
            Request::ThreadCreate(_) => {
                self.make_thread(this, scratch)?;
                return handing(&Empty, Handed::Handle(scratch));
            }
            Request::ThreadReuse(_) => {
                if !self.reuse_thread(this, scratch)? {
                    return Err(MemoryError::ContractExhausted.into());
                }
                return handing(&Empty, Handed::Handle(scratch));
            }
            Request::Enter(enter) => {
                let access = self.access_of(sent_badge(&incoming, 0)?)?;
                self.enter_pages(this, &access, &enter)?;
            }
            Request::Stock(asked) => {
                if asked.tables == 0 || asked.tables > api::STOCK_TABLES_MAX {
                    return Err(MemoryError::OutOfRange.into());
                }
                self.stock(this, asked.tables)?;
            }
            Request::Unstock(_) => {
                return answered(&api::TablesReturned { tables: self.return_tables(this) });
            }
            Request::UseQuery(asked) => {
                let reply = self.page_use(this, &asked)?;
                return self.answered_at_length(&reply);
            }
            Request::RunQuery(_) => {
                let reply = self.runs_of(this);
                return self.answered_at_length(&reply);
            }
            Request::TableGrow(_) => return answered(&self.grow_table(this)?),
            Request::MapClock(asked) => {
                let clock = self.clock_frame.ok_or(MemoryError::Internal)?;
                self.map_fixed(this, AddressRange::new(asked.address, 1)?, clock)?;
            }
            Request::MapPressure(asked) => {
                let page = self.pressure_frame.ok_or(MemoryError::Internal)?;
                self.map_fixed(this, AddressRange::new(asked.address, 1)?, page)?;
            }
            Request::MapContractPage(asked) => {
                let page = self.get(self.get(this, space::CONTRACT), contract::PAGE);
                if page == NO_FRAME {
                    return Err(MemoryError::WrongObject.into());
                }
                self.map_fixed(this, AddressRange::new(asked.address, 1)?, page)?;
            }
            Request::SpaceDestroy(_) => {
                if let Some(reply) = self.destroy_space(this) {
                    return Ok(Outcome::Later(reply));
                }
            }
        }
        answered(&Empty)
    }

    fn serve_map(&mut self, this: Name<Space>, map: api::Map, incoming: Incoming<'_>) -> Answered {
        let range = AddressRange::new(map.address, map.pages)?;
        let access = self.access_of(sent_badge(&incoming, 0)?)?;
        let made = self
            .map(this, range, &access, map.first_page, map.protection)
            .map_err(|error| Refusal::with_detail(error, self.version(access.container)))?;
        if map.populate && self.populate(made) {
            changed(self, access.container);
        }
        answered(&Changed { version: self.version(access.container) })
    }
}
