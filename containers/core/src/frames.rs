//! What containers need from physmem: charges, frames, their contents, and the mappings of their pages.

use crate::record::{Container, Contract, Grant, Hold, Lock, Name, Records};
use containers_api::MemoryError;
use kernel_abi::pmap::FrameSpan;
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};

/// Successive pages of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First page.
    pub first: u64,
    /// Number of pages; the end does not overflow.
    pub pages: u64,
}

impl Span {
    /// A span; `OutOfRange` if it is empty or overflows.
    pub fn new(first: u64, pages: u64) -> Result<Span, MemoryError> {
        if pages == 0 || first.checked_add(pages).is_none() {
            return Err(MemoryError::OutOfRange);
        }
        Ok(Span { first, pages })
    }

    /// One page.
    pub const fn page(page: u64) -> Span {
        Span { first: page, pages: 1 }
    }

    /// The page behind the last.
    pub const fn end(self) -> u64 {
        self.first + self.pages
    }

    /// Whether a page is in it.
    pub const fn contains(self, page: u64) -> bool {
        page >= self.first && page < self.end()
    }

    /// The pages that both have.
    pub fn intersection(self, other: Span) -> Option<Span> {
        let (first, end) = (self.first.max(other.first), self.end().min(other.end()));
        (first < end).then(|| Span { first, pages: end - first })
    }
}

/// What a frame must contain when it is handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Zeros.
    Zero,
    /// Zeros, or what the payer itself left in it.
    Own,
    /// Anything: all of it is overwritten before anybody can see it.
    Overwritten,
    /// Anything: for a device. The page stays raw, and out of everybody's sight, until it is filled or zeroed.
    Raw,
}

/// Which mappings of a container are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// All of them.
    Everybody,
    /// Those made through a grant; none: by the container's own capability.
    Through(Option<Name<Grant>>),
}

/// What is counted for the statistics of the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Bytes that the processor moved in copies.
    MovedBytes,
    /// Pages copied logically.
    SharedPages,
    /// Bytes that devices wrote into containers.
    DmaBytes,
}

/// Roots of the structures that belong to no container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Roots {
    /// Of [`crate::layout::DEADLINES`].
    pub deadlines: Option<Name<Lock>>,
    /// Of [`crate::layout::OVERDUE`].
    pub overdue: Option<Name<Hold>>,
}

/// Frames, charges and mappings, as physmem provides them.
///
/// A charge is taken first and may fail; the frame for it is taken afterwards and is always there. A page that is
/// present has one charge, whether or not its frame is shared.
pub trait Frames: Records {
    /// The roots.
    fn roots(&self) -> Roots;
    /// Changes the roots.
    fn set_roots(&mut self, roots: Roots);

    /// Whether so many more pages are within the guarantee, and there are frames for them now.
    fn is_covered(&self, payer: Name<Contract>, pages: u64) -> bool;
    /// Charges pages. Errors: `ContractExhausted`.
    fn charge_pages(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError>;
    /// Gives charges back.
    fn return_pages(&mut self, payer: Name<Contract>, pages: u64);
    /// A frame for a page that is charged.
    fn take(&mut self, payer: Name<Contract>, contents: Contents) -> u32;
    /// Pages that hold a frame.
    fn holders(&self, frame: u32) -> u32;
    /// One more page holds a frame. Errors: `Limit`.
    fn join(&mut self, frame: u32, payer: Name<Contract>) -> Result<(), MemoryError>;
    /// A page lets go of a frame; no mapping of that page is left. The last one frees it.
    fn leave(&mut self, frame: u32);
    /// One more page holds each of these frames, in order, as far as that goes: how many.
    fn join_each(&mut self, frames: &[u32], payer: Name<Contract>) -> usize {
        frames.iter().take_while(|&&frame| self.join(frame, payer).is_ok()).count()
    }
    /// A page lets go of each of these frames.
    fn leave_each(&mut self, frames: &[u32]) {
        frames.iter().for_each(|&frame| self.leave(frame));
    }
    /// The one page that holds a frame passes to another payer, contents and all.
    fn hand_over(&mut self, frame: u32, payer: Name<Contract>);

    /// Pages of a contract that may still go out, or come to it as such.
    fn swap_room(&self, payer: Name<Contract>) -> u64;
    /// Whether as many pages as one request copies can join a number. Errors: `Lost` (nothing can bring its contents back),
    /// `Limit`.
    fn check_out(&self, number: u32) -> Result<(), MemoryError>;
    /// One more page of a contract is out under this number. [`Frames::check_out`] and [`Frames::swap_room`] have allowed it.
    fn join_out(&mut self, number: u32, payer: Name<Contract>);
    /// A page that was out under this number is not any more.
    fn leave_out(&mut self, number: u32, payer: Name<Contract>);
    /// A page that is out passes from one contract to another, whose room was asked for before.
    fn pass_out_on(&mut self, number: u32, from: Name<Contract>, to: Name<Contract>);
    /// Makes a page that is out resident, its frame marked as shared. Errors: `Again` (the pager was asked; whoever made the request is
    /// to make it again when the container's waiters are woken), `Lost`, `PagerFailed`, `ContractExhausted`.
    fn bring_in(&mut self, container: Name<Container>, page: u64) -> Result<(), MemoryError>;
    /// A frame's only holder is about to write to it: what the pager has of it is given up.
    fn detach(&mut self, frame: u32);

    /// Counts pages as pinned. Errors: `PinLimit`.
    fn pin(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError>;
    /// The reverse.
    fn unpin(&mut self, payer: Name<Contract>, pages: u64);
    /// Pins, and sets as many frames aside in a guarantee, so that frames in quarantine can be replaced. Errors:
    /// `PinLimit`.
    fn set_aside(&mut self, contract: Name<Contract>, pages: u64) -> Result<(), MemoryError>;
    /// The reverse, once the device has let go.
    fn give_back(&mut self, contract: Name<Contract>, pages: u64);
    /// Counts pages as vital: firm, whether present or not. Errors: `NotAdmitted`.
    fn reserve_vital(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError>;
    /// The reverse.
    fn release_vital(&mut self, payer: Name<Contract>, pages: u64);
    /// Puts a container into its contract's eviction order, by its key.
    fn enter_order(&mut self, container: Name<Container>);
    /// Takes it out.
    fn leave_order(&mut self, container: Name<Container>);
    /// Puts a hold on its contract's list.
    fn hold_made(&mut self, hold: Name<Hold>);
    /// Takes a hold off its contract's list; no frame of it is in quarantine any more.
    fn hold_ended(&mut self, hold: Name<Hold>);
    /// A page gives its frame up to the quarantine. Nobody else holds it.
    fn quarantine(&mut self, hold: Name<Hold>, frame: u32);
    /// All frames of a hold leave the quarantine and are free.
    fn release(&mut self, hold: Name<Hold>);

    /// Removes pages from the address spaces that map them; the mappings stay and fault anew. Complete on return.
    fn unmap(&mut self, container: Name<Container>, span: Span, whose: Whose);
    /// Makes pages read-only wherever they are mapped.
    fn write_protect(&mut self, container: Name<Container>, span: Span);
    /// Ends mappings for good.
    fn end_mappings(&mut self, container: Name<Container>, whose: Whose);
    /// Clears a part of a frame.
    fn zero(&mut self, frame: u32, offset: u64, bytes: u64);
    /// Copies a part of a frame to another.
    fn copy(&mut self, span: FrameSpan);

    /// A lock has ended or got milder: faults that wait may be tried again.
    fn wake(&mut self, container: Name<Container>);
    /// A grant that was being revoked ends now: its waiter, if any, is answered.
    fn revoked(&mut self, grant: Name<Grant>);
    /// Counts.
    fn count(&mut self, what: Count, number: u64);

    /// Something happened that people who look at the system may want to see. Nobody relies on it.
    fn trace(&mut self, kind: EventKind, what: [u64; SERVER_ARGUMENTS]) {
        let _ = (kind, what);
    }
}
