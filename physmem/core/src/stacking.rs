//! An address space as a stacked physmem's page tables: what it does with a space whose books it keeps itself.
//!
//! A stacked physmem is an ordinary client that maps pages of its own containers into address spaces it was made. It
//! decides which page lies where and hears the faults; these requests are its kernel. Each run of pages that it
//! enters is a mapping like any other here, so what is taken from its containers vanishes from its children too.

use crate::layout::{mapping, space};
use crate::machine::Physmem;
use crate::pmap::{Clear, EnterError, Pmap, RecordMemory};
use crate::space::AddressRange;
use containers_api::space::{
    ENTER_PAGES_MAX, Enter, MapProtection, PageUse, Runs, USE_PAGES_MAX, UseClear, UseQuery,
};
use containers_api::{ContainerRights, MemoryError};
use containers_core::access::changed;
use containers_core::frames::Span;
use containers_core::record::{Container, Mapping, Name, Records, Space};
use containers_core::{Access, container as containers, pages};
use kernel_abi::pmap::PageRange;
use kernel_abi::{Handle, KernelError};
use kernel_protocol::{Bytes, Refusal};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Maps a range over whatever is mapped there and enters all of it. Errors: see [`Enter`]; nothing is mapped there then.
    pub(crate) fn enter_pages(
        &mut self,
        this: Name<Space>,
        access: &Access,
        asked: &Enter,
    ) -> Result<(), Refusal<MemoryError>> {
        let range = AddressRange::new(asked.address, asked.pages)?;
        if range.pages > ENTER_PAGES_MAX {
            return Err(MemoryError::Limit.into());
        }
        if self.get(this, space::ENDED) {
            return Err(MemoryError::Stale.into());
        }
        access.require(ContainerRights::MAP)?;
        let write = asked.protection.contains(MapProtection::WRITE);
        let span = access.span(self, asked.first_page, range.pages)?;
        self.unmap_range(this, range)?;
        let made = self.map(this, range, access, asked.first_page, asked.protection)?;
        let result = self.prepare_pages(access.container, span, write).map_err(Refusal::from);
        let result = result.and_then(|()| self.enter_all(made, span, write));
        if result.is_err() {
            self.change_ranges(this, &[PageRange { address: range.start, pages: range.pages }], false);
            self.delete_mapping(made);
        } else if write {
            changed(self, access.container);
        }
        result
    }

    /// Makes pages that have frames ready to be entered. `Lost`: one has none.
    fn prepare_pages(&mut self, this: Name<Container>, span: Span, write: bool) -> Result<(), MemoryError> {
        for page in span.first..span.end() {
            if pages::entry(self, this, page).frame().is_none() {
                return Err(MemoryError::Lost);
            }
            containers::touch(self, this, page, write, 0)?;
        }
        self.flush();
        Ok(())
    }

    fn enter_all(
        &mut self,
        made: Name<Mapping>,
        span: Span,
        write: bool,
    ) -> Result<(), Refusal<MemoryError>> {
        let found = self.mapped(made);
        self.gather(&found, found.address, found.addresses().end, write);
        if self.resolved.items().iter().map(|item| u64::from(item.frames)).sum::<u64>() != span.pages {
            return Err(MemoryError::Locked.into());
        }
        let task = Handle(self.get(self.get(made, mapping::SPACE), space::TASK));
        self.enter_resolved(task, 0).map_err(|error| match error {
            EnterError::NeedTables(tables) => Refusal::with_detail(MemoryError::NeedTables, tables),
            EnterError::Lost => MemoryError::Lost.into(),
            EnterError::Refused(KernelError::WrongState | KernelError::Stale) => MemoryError::Stale.into(),
            EnterError::Refused(KernelError::MapCountFull) => MemoryError::Limit.into(),
            EnterError::Refused(_) => MemoryError::Internal.into(),
        })
    }

    /// Takes back some page tables that are in no use; how many.
    pub(crate) fn return_tables(&mut self, this: Name<Space>) -> u64 {
        let before = self.get(this, space::TABLE_COUNT);
        self.unstock(this);
        before - self.get(this, space::TABLE_COUNT)
    }

    /// How pages were used through a space. Errors: `OutOfRange`, `Limit`.
    pub(crate) fn page_use(&mut self, this: Name<Space>, asked: &UseQuery) -> Result<PageUse, MemoryError> {
        let range = AddressRange::new(asked.address, asked.pages)?;
        if range.pages > USE_PAGES_MAX {
            return Err(MemoryError::Limit);
        }
        let mut bits = [0; USE_PAGES_MAX as usize];
        let bits = &mut bits[..range.pages as usize];
        if !self.get(this, space::ENDED) {
            let clear = match asked.clear {
                UseClear::Nothing => Clear::Nothing,
                UseClear::Referenced => Clear::Referenced,
                UseClear::All => Clear::All,
            };
            self.pmap.query(Handle(self.get(this, space::TASK)), range.start, bits, clear);
        }
        Ok(PageUse { pages: Bytes::new(bits).ok_or(MemoryError::Limit)? })
    }

    /// When a space was active, and how long.
    pub(crate) fn runs_of(&mut self, this: Name<Space>) -> Runs {
        let task = Handle(self.get(this, space::TASK));
        let last = if self.get(this, space::ENDED) { 0 } else { self.pmap.last_run(task) };
        Runs { last, used_ns: self.pmap.time_used(task), share_waiting: self.pmap.share_waiting(task) }
    }
}
