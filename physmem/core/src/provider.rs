//! What containers ask of physmem: [`Frames`] for [`Physmem`].

use crate::contract::Charge;
use crate::database::{NO_FRAME, NOBODY, State};
use crate::layout::{HOLDS, contract};
use crate::limits::FRAME_HOLDERS_MAX;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::frames::{Contents, Count, Frames, Roots, Span, Whose};
use containers_core::layout::{EVICTION_ORDER, container, hold};
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Container, Contract, Grant, Hold, Name, Records};
use kernel_abi::pmap::FrameSpan;
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};

/// Bits of a container's number in its place in the eviction order.
const NUMBER_BITS: u32 = 40;

impl<P: Pmap, M: RecordMemory> Frames for Physmem<'_, P, M> {
    fn roots(&self) -> Roots {
        self.roots
    }

    fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
    }

    fn is_covered(&self, payer: Name<Contract>, pages: u64) -> bool {
        let covered = self.get(payer, contract::GUARANTEED).saturating_sub(self.charged(payer));
        pages <= covered && pages <= self.room_for(payer)
    }

    fn charge_pages(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        self.charge(payer, Charge::Page, pages)
    }

    fn return_pages(&mut self, payer: Name<Contract>, pages: u64) {
        self.discharge(payer, Charge::Page, pages);
        self.keep_returned(payer, pages);
    }

    fn take(&mut self, payer: Name<Contract>, contents: Contents) -> u32 {
        let principal = self.get(payer, contract::PRINCIPAL);
        self.take_frame(principal, contents)
    }

    fn holders(&self, frame: u32) -> u32 {
        self.database.holders(frame)
    }

    fn join(&mut self, frame: u32, payer: Name<Contract>) -> Result<(), MemoryError> {
        let principal = self.get(payer, contract::PRINCIPAL);
        if self.database.join(frame, principal, FRAME_HOLDERS_MAX) { Ok(()) } else { Err(MemoryError::Limit) }
    }

    #[inline]
    fn leave(&mut self, frame: u32) {
        if self.database.number(frame) != 0 && self.database.holders(frame) == 1 {
            self.forget_number(frame);
        }
        self.database.leave(frame);
    }

    fn join_each(&mut self, frames: &[u32], payer: Name<Contract>) -> usize {
        let principal = self.get(payer, contract::PRINCIPAL);
        let joins = |frame: &&u32| self.database.join(**frame, principal, FRAME_HOLDERS_MAX);
        frames.iter().take_while(joins).count()
    }

    fn hand_over(&mut self, frame: u32, payer: Name<Contract>) {
        let alone = self.database.holders(frame) == 1;
        let principal = if alone { self.get(payer, contract::PRINCIPAL) } else { NOBODY };
        self.database.set_principal(frame, principal);
    }

    fn swap_room(&self, payer: Name<Contract>) -> u64 {
        self.swap_room_of(payer)
    }

    fn check_out(&self, number: u32) -> Result<(), MemoryError> {
        self.check_number(number)
    }

    fn join_out(&mut self, number: u32, payer: Name<Contract>) {
        self.count_holders(number, true);
        self.raise(payer, contract::SWAPPED, 1);
        self.paging.counters.swapped += 1;
    }

    fn leave_out(&mut self, number: u32, payer: Name<Contract>) {
        self.lower(payer, contract::SWAPPED, 1);
        self.paging.counters.swapped -= 1;
        if self.paging.place.is_some() && !mutations::has(Mutation::KeepHolder) {
            self.count_holders(number, false);
            self.settle_number(number);
        }
    }

    fn pass_out_on(&mut self, _number: u32, from: Name<Contract>, to: Name<Contract>) {
        self.lower(from, contract::SWAPPED, 1);
        self.raise(to, contract::SWAPPED, 1);
    }

    fn bring_in(&mut self, this: Name<Container>, page: u64) -> Result<(), MemoryError> {
        self.bring_page_in(this, page)
    }

    fn detach(&mut self, frame: u32) {
        if self.database.number(frame) != 0 && !mutations::has(Mutation::KeepStaleNumber) {
            self.forget_number(frame);
        }
    }

    fn pin(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        self.pin_pages(payer, pages)
    }

    fn unpin(&mut self, payer: Name<Contract>, pages: u64) {
        if !mutations::has(Mutation::KeepPins) {
            self.lower(payer, contract::PINNED, pages);
        }
    }

    fn set_aside(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        self.pin_pages(payer, pages)?;
        // What is set aside counts as pinned already, so it is checked as a page, not as something firm.
        if self.charge(payer, Charge::Page, pages).is_err() {
            self.unpin(payer, pages);
            return Err(MemoryError::PinLimit);
        }
        self.lower(payer, contract::PAGES, pages);
        self.raise(payer, contract::SET_ASIDE, pages);
        Ok(())
    }

    fn give_back(&mut self, payer: Name<Contract>, pages: u64) {
        self.discharge(payer, Charge::SetAside, pages);
        self.unpin(payer, pages);
    }

    fn reserve_vital(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        self.admit_vital(payer, pages)
    }

    fn release_vital(&mut self, payer: Name<Contract>, pages: u64) {
        self.lower(payer, contract::VITAL, pages);
    }

    fn enter_order(&mut self, this: Name<Container>) {
        // The container's number makes the key the only one of its kind.
        let key = self.get(this, container::EVICTION_KEY) << NUMBER_BITS | self.get(this, container::NUMBER);
        self.set(this, container::EVICTION_KEY, key);
        self.enter_order_again(this);
    }

    fn leave_order(&mut self, this: Name<Container>) {
        let payer = self.get(this, container::CONTRACT);
        let root = self.get(payer, contract::ORDER);
        let root = EVICTION_ORDER.remove(self, root, this);
        self.set(payer, contract::ORDER, root);
    }

    fn hold_made(&mut self, this: Name<Hold>) {
        let owner = self.get(this, hold::CONTRACT);
        HOLDS.push(self, owner, this);
    }

    fn hold_ended(&mut self, this: Name<Hold>) {
        let owner = self.get(this, hold::CONTRACT);
        HOLDS.remove(self, owner, this);
    }

    fn quarantine(&mut self, this: Name<Hold>, frame: u32) {
        assert!(self.database.holders(frame) == 1, "a device writes to a shared frame");
        if mutations::has(Mutation::SkipQuarantine) {
            return self.leave(frame);
        }
        self.database.change(frame, State::Held, State::Quarantined);
        self.database.set_next_quarantined(frame, self.get(this, hold::FRAMES));
        self.set(this, hold::FRAMES, frame);
    }

    fn release(&mut self, this: Name<Hold>) {
        let mut frame = self.get(this, hold::FRAMES);
        while frame != NO_FRAME {
            let next = self.database.next_quarantined(frame);
            self.database.free(frame, State::Quarantined, false, NOBODY);
            frame = next;
        }
        self.set(this, hold::FRAMES, NO_FRAME);
    }

    fn unmap(&mut self, container: Name<Container>, span: Span, whose: Whose) {
        self.remove_pages(container, span, whose);
    }

    fn write_protect(&mut self, container: Name<Container>, span: Span) {
        self.protect_pages(container, span);
    }

    fn end_mappings(&mut self, container: Name<Container>, whose: Whose) {
        self.delete_mappings(container, whose);
    }

    fn zero(&mut self, frame: u32, offset: u64, bytes: u64) {
        self.queue_zero(frame, offset, bytes);
    }

    fn copy(&mut self, span: FrameSpan) {
        self.flush();
        self.pmap.copy(&[span]);
    }

    fn wake(&mut self, container: Name<Container>) {
        self.resume_waiters(container);
    }

    fn revoked(&mut self, grant: Name<Grant>) {
        self.answer_revoke(grant);
    }

    fn trace(&mut self, kind: EventKind, what: [u64; SERVER_ARGUMENTS]) {
        if self.is_tracing {
            self.pmap.trace(kind, what);
        }
    }

    fn count(&mut self, what: Count, number: u64) {
        match what {
            Count::MovedBytes => self.counters.moved_bytes += number,
            Count::SharedPages => self.counters.shared_pages += number,
            Count::DmaBytes => self.counters.dma_bytes += number,
        }
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Puts a container with a place in an eviction order into that of its contract.
    pub(crate) fn enter_order_again(&mut self, this: Name<Container>) {
        let payer = self.get(this, container::CONTRACT);
        let root = self.get(payer, contract::ORDER);
        let root = EVICTION_ORDER.insert(self, root, this);
        self.set(payer, contract::ORDER, Some(root));
    }
}
