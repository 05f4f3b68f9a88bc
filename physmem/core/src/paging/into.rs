//! Pages come in, when somebody needs them.
//!
//! What is in the window is taken from there at once: on its way out, brought ahead of its use, or there still. Otherwise the pager
//! is asked, for neighbours that are out as well with it, and whoever needed the page waits on a saved reply. When the answer
//! is there the page that was needed is put into its container at once where the contract can pay for it, so that nobody else can
//! take it from the window first.

use super::{NumberState, Progress};
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::pager::{Operation as OperationNumber, PAGE_IN_OPERATIONS, PAGE_OUT_OPERATIONS};
use containers_core::frames::{Contents, Frames};
use containers_core::layout::container;
use containers_core::record::{Container, Name, Records};
use containers_core::{Entry, pages};

/// The operations that page in.
const PAGE_INS: core::ops::Range<usize> = PAGE_OUT_OPERATIONS..PAGE_OUT_OPERATIONS + PAGE_IN_OPERATIONS;

/// The operation that a window page belongs to.
fn operation_of(page: usize) -> usize {
    use containers_api::pager::{PAGE_IN_PAGES, PAGE_OUT_PAGES};
    match page.checked_sub(PAGE_OUT_OPERATIONS * PAGE_OUT_PAGES) {
        None => page / PAGE_OUT_PAGES,
        Some(page) => PAGE_OUT_OPERATIONS + page / PAGE_IN_PAGES,
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// See [`Frames::bring_in`].
    pub(crate) fn bring_page_in(&mut self, this: Name<Container>, page: u64) -> Result<(), MemoryError> {
        let Some(number) = pages::entry(self, this, page).out() else { return Ok(()) };
        if self.paging.place.is_none() {
            return Err(MemoryError::Lost);
        }
        match self.number(number).state {
            NumberState::Lost | NumberState::Free { .. } => Err(MemoryError::Lost),
            NumberState::Kept { .. } => self.ask_for(this, page),
            NumberState::Window { page: window } => {
                let index = operation_of(window as usize);
                match (PAGE_INS.contains(&index), self.place().operations[index].progress) {
                    (true, Progress::Expired | Progress::Missed) => Err(MemoryError::PagerFailed),
                    (true, Progress::Posted | Progress::Told) => {
                        // Several containers may wait for one number; all of them are woken with the window.
                        self.wait_on_window(this);
                        Err(MemoryError::Again)
                    }
                    _ => self.take_from_window(this, page, number, window as usize),
                }
            }
        }
    }

    /// Puts a page that is out, and in the window, into its container. Errors: `ContractExhausted`.
    fn take_from_window(
        &mut self,
        this: Name<Container>,
        page: u64,
        number: u32,
        window: usize,
    ) -> Result<(), MemoryError> {
        let payer = self.get(this, container::CONTRACT);
        self.charge_pages(payer, 1)?;
        let frame = self.window_frame(window);
        let entry = match self.join(frame, payer) {
            Ok(()) => Entry::resident(frame).shared(true),
            // As many hold it as can.
            Err(_) => {
                let copy = self.take(payer, Contents::Overwritten);
                self.copy(container_frame(frame, copy));
                Entry::resident(copy)
            }
        };
        pages::set(self, this, page, entry);
        self.leave_out(number, payer);
        self.paging.counters.found_in_window += 1;
        Ok(())
    }

    /// Asks the pager for a page, with those behind it that are out.
    fn ask_for(&mut self, this: Name<Container>, page: u64) -> Result<(), MemoryError> {
        if self.pager_place().is_none() {
            return Err(MemoryError::PagerFailed);
        }
        let index = match self.idle_operation(PAGE_INS) {
            Ok(index) => index,
            Err(false) => return Err(MemoryError::PagerFailed),
            Err(true) => {
                self.wait_on_window(this);
                return Err(MemoryError::Again);
            }
        };
        self.unmap_operation(index);
        let (first, most) = OperationNumber(index as u8).window();
        (first..first + most).for_each(|page| self.vacate(page));
        let end = self.get(this, container::PAGES).min(page + most as u64);
        let mut count = 0;
        for at in page..end {
            let Some(number) = pages::entry(self, this, at).out() else { break };
            let NumberState::Kept { name } = self.number(number).state else { break };
            let window = first + count;
            self.make_fillable(window);
            self.set_window_page(window, number, name);
            let is = self.number(number);
            let state = NumberState::Window { page: window as u32 };
            self.set_number(number, super::Number { state, ..is });
            count += 1;
        }
        let operation = &mut self.place_mut().operations[index];
        operation.count = count as u8;
        operation.waited_for = (this.word(), page);
        self.post(index);
        self.paging.wanted = Some((self.get(this, container::CONTRACT), this));
        Err(MemoryError::Again)
    }

    fn wait_on_window(&mut self, this: Name<Container>) {
        self.paging.wanted = Some((self.get(this, container::CONTRACT), self.place().window));
    }

    /// The page that an answered operation was for goes into its container, if it is there still and its contract can pay.
    pub(crate) fn put_in_place(&mut self, (container, page): (u64, u64)) {
        let Some(this) = self.resolve::<Container>(container) else { return };
        if self.get(this, container::DYING) || page >= self.get(this, container::PAGES) {
            return;
        }
        let payer = self.get(this, container::CONTRACT);
        let is_in_window = pages::entry(self, this, page)
            .out()
            .is_some_and(|number| matches!(self.number(number).state, NumberState::Window { .. }));
        if is_in_window && self.get(payer, contract::ENDING) == crate::destroy::ending::ALIVE {
            // Where it cannot be paid now, whoever waits for it will find out.
            let _ = self.bring_page_in(this, page);
            (self.shortage, self.paging.exhausted, self.paging.wanted) = (None, None, None);
        }
    }

    /// Has those who wait for a page try again.
    pub(crate) fn wake_waiting_for(&mut self, (container, _): (u64, u64)) {
        if let Some(this) = self.resolve::<Container>(container) {
            self.resume_waiters(this);
        }
    }
}

fn container_frame(source: u32, destination: u32) -> kernel_abi::pmap::FrameSpan {
    containers_core::container::whole_frame(source, destination)
}
