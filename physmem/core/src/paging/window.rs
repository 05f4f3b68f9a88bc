//! The window: the container through which frames go to the pager and come from it, and the frames that remember a number.
//!
//! Every window page has a frame at all times, so the window's charge covers whatever frame is in it. What is on its way out, or has
//! been brought in, is marked as shared, and the pager may only read it. Pages that are to be filled are not.

use super::{Number, NumberState, Place, Progress};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::pager::{Operation as OperationNumber, WINDOW_PAGES};
use containers_api::{ContainerRights, MemoryError};
use containers_core::access::Access;
use containers_core::container;
use containers_core::eviction::{self, Eviction};
use containers_core::frames::{Contents, Frames, Span, Whose};
use containers_core::record::{Container, Contract, Name};
use containers_core::{Entry, pages};
use kernel_abi::Handle;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Makes the default pager's place; its window. Errors: see [`containers_api::pager::PagerCreate`].
    pub(crate) fn make_place(&mut self, payer: Name<Contract>) -> Result<Name<Container>, MemoryError> {
        if self.paging.place.is_some() || self.paging.is_over {
            return Err(MemoryError::Limit);
        }
        let books = self.make_books(payer)?;
        let window = match self.make_window(payer) {
            Ok(window) => window,
            Err(error) => {
                self.drop_books(payer, books);
                return Err(error);
            }
        };
        self.paging.place = Some(Place {
            contract: payer,
            window,
            books,
            notification: None,
            is_signalled: false,
            slots: 0,
            operations: Default::default(),
            filling: None,
            next: [0; 2],
            free_names: 0,
        });
        Ok(window)
    }

    fn make_window(&mut self, payer: Name<Contract>) -> Result<Name<Container>, MemoryError> {
        let pages = WINDOW_PAGES as u64;
        let made = self.create_container(payer, pages)?;
        let result = Access::direct(self, made, ContainerRights::all()).and_then(|access| {
            let vital = Eviction { rank: 0, discardable: false, vital: true };
            eviction::set(self, &access, vital)?;
            container::allocate(self, &access, 0, pages, Contents::Zero)
        });
        if let Err(error) = result {
            while self.destroy_container_step(made) == container::Step::More {}
            return Err(error);
        }
        Ok(made)
    }

    /// The place goes with its contract. What is out is lost, and there is no paging from now on.
    pub(crate) fn end_place_of(&mut self, contract: Name<Contract>) {
        let Some(place) = self.paging.place.filter(|place| place.contract == contract) else { return };
        self.drop_books(contract, place.books);
        self.paging.place = None;
        self.paging.is_over = true;
        if let Some(kept) = place.notification {
            self.pmap.drop_handle(kept);
            self.handles.give(kept);
        }
        for operation in place.operations {
            self.wake_waiting_for(operation.waited_for);
        }
        self.resume_waiters(place.window);
    }

    /// A pager has come. Errors: `NoPager`, `OutOfRange`, `WrongObject`, `Limit`.
    pub(crate) fn attach_pager(&mut self, slots: u64, sent: Handle) -> Result<(), MemoryError> {
        if self.paging.place.is_none() {
            return Err(MemoryError::NoPager);
        }
        if slots == 0 {
            return Err(MemoryError::OutOfRange);
        }
        let fresh = self.handles.take().ok_or(MemoryError::Limit)?;
        if self.pmap.keep_notification(sent, fresh).is_err() {
            self.handles.give(fresh);
            return Err(MemoryError::WrongObject);
        }
        let place = self.place_mut();
        place.slots = slots;
        place.is_signalled = false;
        if let Some(old) = place.notification.replace(fresh) {
            self.pmap.drop_handle(old);
            self.handles.give(old);
        }
        self.tell_all_again();
        Ok(())
    }

    /// Whether this is a window page that the pager was not asked to fill: it may be read only.
    pub(crate) fn is_kept_in_window(&self, container: Name<Container>, page: u64) -> bool {
        let is_window = self.paging.place.as_ref().is_some_and(|place| place.window == container);
        is_window && pages::entry(self, container, page).is_shared()
    }

    /// The frame of a window page.
    pub(crate) fn window_frame(&self, page: usize) -> u32 {
        let entry = pages::entry(self, self.place().window, page as u64);
        entry.frame().expect("every page of the window has a frame")
    }

    /// Changes the frame of a window page. Its mappings are gone.
    pub(crate) fn set_window_frame(&mut self, page: usize, frame: u32, is_shared: bool) {
        let window = self.place().window;
        pages::set(self, window, page as u64, Entry::resident(frame).shared(is_shared));
    }

    /// The pager loses sight of an operation's pages until it touches them again.
    pub(crate) fn unmap_operation(&mut self, index: usize) {
        let (first, pages) = OperationNumber(index as u8).window();
        let span = Span { first: first as u64, pages: pages as u64 };
        let window = self.place().window;
        self.unmap(window, span, Whose::Everybody);
    }

    /// The window page lets its number go: from now on only the name leads to the contents, unless somebody has the frame still.
    pub(crate) fn vacate(&mut self, page: usize) {
        let (number, name) = self.window_page(page);
        if number == 0 {
            return;
        }
        let is = self.number(number);
        self.set_number(number, Number { state: NumberState::Kept { name }, ..is });
        self.set_window_page(page, 0, 0);
        let frame = self.window_frame(page);
        let is_remembered = self.database.number(frame) == number;
        // Names that only spare a write are not worth the last half of them.
        let is_spare = is.holders == 0 && self.place().books.used > self.place().slots / 2;
        if is_remembered && (self.database.holders(frame) == 1 || is_spare) {
            self.forget_number(frame);
        } else {
            self.settle_number(number);
        }
    }

    /// A window page is to be filled by the pager: it gets a frame that nobody else has.
    pub(crate) fn make_fillable(&mut self, page: usize) {
        let old = self.window_frame(page);
        let frame = if self.database.holders(old) == 1 {
            self.forget_number(old);
            old
        } else {
            let payer = self.place().contract;
            self.leave(old);
            self.take(payer, Contents::Own)
        };
        self.set_window_frame(page, frame, false);
    }

    /// A frame has a number's contents, as long as it is not written. Not where too many have.
    pub(crate) fn remember_number(&mut self, frame: u32, number: u32) {
        let is = self.number(number);
        if is.frames < super::number::FRAMES_MAX {
            self.database.set_number(frame, number);
            self.set_number(number, Number { frames: is.frames + 1, ..is });
        }
    }

    /// A frame has no number's contents any more.
    pub(crate) fn forget_number(&mut self, frame: u32) {
        let number = self.database.number(frame);
        if number == 0 {
            return;
        }
        self.database.set_number(frame, 0);
        if self.paging.place.is_some() {
            let is = self.number(number);
            self.set_number(number, Number { frames: is.frames - 1, ..is });
            self.settle_number(number);
        }
    }

    /// A window page's contents are worth nothing. Pages that are out under its number are lost; those that have its
    /// frame have it for themselves.
    pub(crate) fn lose_window_page(&mut self, page: usize) {
        let (number, _) = self.window_page(page);
        if number == 0 {
            return;
        }
        self.set_window_page(page, 0, 0);
        let is = self.number(number);
        self.paging.counters.lost += is.holders;
        self.set_number(number, Number { state: NumberState::Lost, ..is });
        let frame = self.window_frame(page);
        if self.database.number(frame) == number {
            self.forget_number(frame);
        } else {
            self.settle_number(number);
        }
    }

    /// An idle operation of a range of them, and the last that was used longest ago; none: `true` where one will be idle some time.
    pub(crate) fn idle_operation(&mut self, range: core::ops::Range<usize>) -> Result<usize, bool> {
        let place = self.place_mut();
        let count = range.len();
        let which = usize::from(range.start != 0);
        let start = place.next[which];
        let found = (0..count)
            .map(|step| range.start + (start + step) % count)
            .find(|&index| place.operations[index].progress == Progress::Idle);
        match found {
            Some(index) => {
                place.next[which] = index - range.start + 1;
                Ok(index)
            }
            None => {
                let is_over =
                    |here: &super::Operation| matches!(here.progress, Progress::Expired | Progress::Missed);
                Err(!place.operations[range].iter().all(is_over))
            }
        }
    }
}
