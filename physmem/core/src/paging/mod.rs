//! Paging: what does not fit goes to the default pager, and comes back when it is touched.
//!
//! A page entry that is *out* has a number. What the number stands for is a word in the *books* ([`number`]): the pager's name, or the
//! window page through which the contents go just now. The *window* is a container that the pager maps; frames go through it copy-on-write, so
//! nothing is copied and neither side can change what the other has. After their way through it they stay in it for a while, as
//! a cache. A frame whose contents the pager has remembers the number: as long as it is not written, its page is dropped without
//! writing.
//!
//! ```text
//!              page_out: the frame joins the window        the pager names it
//!   resident ──────────────────────────────────> window ─────────────────────> window ──> kept (a name)
//!       ^                                          │ touched                     │           │ touched
//!       └──────────────────────────────────────────┴─────────────────────────────┘           v
//!       ^                                                 the pager answers               window
//!       └────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Who pays: the window and the books are the place's contract's. A page that is out costs its holder no frame, and counts against
//! its swap limit; one that comes in is charged like any other. The charge of a page that goes out is free at once: its frame is
//! covered by the window.
//!
//! The pager is waited for by saved replies only, and every request to it has a deadline (see [`containers_api::pager`]).
//! What this does not promise: that there is room. A limit that is not used is nobody's; where the pager's names or the window
//! are used up, a page stays, or is lost, as without a pager.

mod books;
mod exchange;
mod into;
mod number;
mod out;
mod window;

pub use books::SwapFrames;
pub(crate) use number::{Number, State as NumberState};
pub(crate) use out::{Room, Stop};

use crate::layout::contract;
use crate::limits::OPERATION_PAGES_MAX;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::pager::{OPERATIONS, SwapStatus};
use containers_core::mutations::{self, Mutation};
use containers_core::pages;
use containers_core::record::{Container, Contract, Name, Records};
use kernel_abi::Handle;

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Progress {
    /// It can be used.
    #[default]
    Idle,
    /// Pages are being put into it.
    Filling,
    /// The pager is to be told.
    Posted,
    /// The pager knows.
    Told,
    /// It was not answered in time.
    Expired,
    /// The pager did not even ask in time.
    Missed,
}

/// An operation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Operation {
    pub progress: Progress,
    /// Of the last request.
    pub sequence: u32,
    /// Pages or names.
    pub count: u8,
    pub deadline: u64,
    /// Of a page-out: account and neighbour.
    pub words: [u64; 2],
    /// Of a page-in: the container, as a word, and the page that are waited for.
    pub waited_for: (u64, u64),
}

/// The default pager's place. Its pages and words are in frames that its contract pays for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub contract: Name<Contract>,
    pub window: Name<Container>,
    pub books: books::Books,
    /// Where the pager is told that there are requests; none: nobody has come yet.
    pub notification: Option<Handle>,
    /// It was signalled, and has not asked since.
    pub is_signalled: bool,
    /// Names that the pager can give.
    pub slots: u64,
    pub operations: [Operation; OPERATIONS],
    /// The operation that is being filled.
    pub filling: Option<usize>,
    /// Where the searches for idle operations begin: to page out, to page in.
    pub next: [usize; 2],
    /// Names in the operation that gives names back.
    pub free_names: usize,
}

/// Counts since boot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub swapped: u64,
    pub paged_out: u64,
    pub dropped_clean: u64,
    pub paged_in: u64,
    pub found_in_window: u64,
    pub lost: u64,
    pub expired: u64,
    pub ignored: u64,
}

/// A charge that was refused although some of its contract's pages might go out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhausted {
    pub payer: Name<Contract>,
    pub frames: u64,
}

/// Where the contents of a page that is out are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// In a frame of the window.
    Frame(u32),
    /// With the pager, under this name.
    Name(u64),
    /// Nowhere.
    Lost,
}

/// Everything about paging.
#[derive(Debug, Default)]
pub(crate) struct Paging {
    pub place: Option<Place>,
    /// The place's contract has ended: there is no paging any more.
    pub is_over: bool,
    pub counters: Counters,
    /// The charge that was refused last in this request.
    pub exhausted: Option<Exhausted>,
    /// On whose waiters the request must wait that was answered with `Again`, and who pays for a record of that.
    pub wanted: Option<(Name<Contract>, Name<Container>)>,
    /// A seizure waits for an operation to become idle.
    pub seizure_waits: bool,
    /// Until when at the latest, since it began to wait.
    pub seizure_ends: Option<u64>,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The place, where a pager has come to it.
    pub(crate) fn pager_place(&self) -> Option<&Place> {
        self.paging.place.as_ref().filter(|place| place.notification.is_some())
    }

    /// Pages of a contract that may still go out. The root's stay: init starts the pager again.
    pub(crate) fn swap_room_of(&self, payer: Name<Contract>) -> u64 {
        if payer == self.root || self.paging.place.is_none() {
            return 0;
        }
        let beyond = u64::from(mutations::has(Mutation::SwapBeyondLimit));
        (self.get(payer, contract::SWAP_LIMIT) + beyond).saturating_sub(self.get(payer, contract::SWAPPED))
    }

    /// Whoever waits for the pager at all is to try again: a contract goes, and its callers with it.
    pub(crate) fn wake_window(&mut self) {
        if let Some(place) = &self.paging.place {
            self.resume_waiters(place.window);
        }
    }

    /// Checks a swap limit for a child. Errors: `NoPager`, `NotAdmitted`.
    pub(crate) fn check_swap_limit(&self, parent: Name<Contract>, limit: u64) -> Result<(), MemoryError> {
        if limit == 0 {
            Ok(())
        } else if self.paging.place.is_none() {
            Err(MemoryError::NoPager)
        } else if parent != self.root && limit > self.get(parent, contract::SWAP_LIMIT) {
            Err(MemoryError::NotAdmitted)
        } else {
            Ok(())
        }
    }

    /// Whether nothing can bring the contents under a number back, for those who check.
    pub fn is_out_lost(&self, number: u32) -> bool {
        self.paging.place.is_none() || self.number(number).state == NumberState::Lost
    }

    /// Where the contents under a number are, for those who check.
    pub fn contents_under(&self, number: u32) -> Contents {
        if self.paging.place.is_none() {
            return Contents::Lost;
        }
        match self.number(number).state {
            NumberState::Kept { name } => Contents::Name(name),
            NumberState::Lost | NumberState::Free { .. } => Contents::Lost,
            NumberState::Window { page } => {
                let entry = pages::entry(self, self.place().window, u64::from(page));
                match entry.frame() {
                    Some(frame) if entry.is_shared() => Contents::Frame(frame),
                    _ => Contents::Name(self.window_page(page as usize).1),
                }
            }
        }
    }

    /// Whether as many pages as one request copies can join a number. Errors: `Lost`, `Limit`.
    pub(crate) fn check_number(&self, number: u32) -> Result<(), MemoryError> {
        if self.paging.place.is_none() {
            return Err(MemoryError::Lost);
        }
        let is = self.number(number);
        if is.state == NumberState::Lost {
            Err(MemoryError::Lost)
        } else if is.holders + OPERATION_PAGES_MAX > number::HOLDERS_MAX {
            Err(MemoryError::Limit)
        } else {
            Ok(())
        }
    }

    /// How paging stands.
    pub fn swap_status(&self) -> SwapStatus {
        let counters = self.paging.counters;
        let (mut leaving, mut coming) = (0, 0);
        let (mut slots, mut used) = (0, 0);
        if let Some(place) = &self.paging.place {
            let in_flight = |progress| !matches!(progress, Progress::Idle);
            for (index, operation) in place.operations.iter().enumerate() {
                let pages = if in_flight(operation.progress) { u64::from(operation.count) } else { 0 };
                match exchange::kind(index) {
                    containers_api::pager::Kind::PageOut => leaving += pages,
                    containers_api::pager::Kind::PageIn => coming += pages,
                    containers_api::pager::Kind::Free => {}
                }
            }
            slots = if place.notification.is_some() { place.slots } else { 0 };
            used = place.books.used;
        }
        SwapStatus {
            slots,
            used,
            swapped: counters.swapped,
            leaving,
            coming,
            paged_out: counters.paged_out,
            dropped_clean: counters.dropped_clean,
            paged_in: counters.paged_in,
            found_in_window: counters.found_in_window,
            lost: counters.lost,
            expired: counters.expired,
            ignored: counters.ignored,
        }
    }
}
