//! The only unsafe code of a stacked physmem: its view of the pages that hold its own records.
//!
//! Records are what this program cannot do without, so they lie in a container of their own, which is vital: the parent never
//! seizes it. A frame that comes to hold records gives its page in the bank up for one there, and gets it back when it ceases
//! to; so the contract's charge stays the same. Nothing of the banks is ever mapped here.

use crate::parent::Calls;
use crate::setup::Error;
use alloc::vec::Vec;
use containers_api::container::{Allocate, Deallocate, SetEviction};
use containers_api::space::{Map, MapProtection};
use kernel_abi::{FRAME_BYTES, KernelError};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::SPACE;
use kernel_runtime::{Deadline, Handle, memory};
use physmem_core::pmap::RecordMemory;
use physmem_stacked_core::Parent;
use physmem_stacked_core::bank::Banks;

/// The window.
pub struct RecordWindow {
    banks: Banks<'static>,
    base: u64,
    /// Pages that are not in use.
    free: Vec<u16>,
}

impl RecordWindow {
    /// Over the container for records, which has so many pages. Errors: the parent's; there is no room for addresses.
    pub fn new(banks: Banks<'static>, pages: u64) -> Result<RecordWindow, Error> {
        let container = banks.records.container;
        let vital = SetEviction { rank: 0, discardable: false, vital: true };
        call(container, &vital, &[], Deadline::NEVER)?;
        let base = memory::reserve(pages).ok_or(Error::NoRoom)?;
        let protection = MapProtection::WRITE;
        let map = Map { address: base, pages, first_page: 0, protection, populate: false };
        call(SPACE, &map, &[container], Deadline::NEVER)?;
        let free = (0..pages.min(u64::from(u16::MAX)) as u16).rev().collect();
        Ok(RecordWindow { banks, base, free })
    }

    /// The container's page for a frame that holds records.
    fn page(&self, frame: u32) -> u16 {
        self.banks.records.pages[frame as usize].get() - 1
    }

    fn address(&self, frame: u32) -> u64 {
        self.base + u64::from(self.page(frame)) * FRAME_BYTES
    }
}

/// Takes a page's frame away, whatever was in it; what the parent cannot do is as if it had been done.
fn take(of: Handle, first_page: u64) {
    let _ = Calls.ask(of, &Deallocate { first_page, pages: 1 }, &[]);
}

fn give(to: Handle, first_page: u64) -> Result<(), KernelError> {
    let allocate = Allocate { first_page, pages: 1, any_contents: false };
    Calls.ask(to, &allocate, &[]).map(drop).map_err(|_| KernelError::NoTable)
}

impl RecordMemory for RecordWindow {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        let place = self.banks.page_of(frame).ok_or(KernelError::InvalidArgument)?;
        let page = self.free.pop().ok_or(KernelError::NoTable)?;
        take(place.container, place.page);
        if let Err(error) = give(self.banks.records.container, u64::from(page)) {
            self.free.push(page);
            // Where this fails, too, the frame is without a page until it is cleared for its next holder.
            let _ = give(place.container, place.page);
            return Err(error);
        }
        self.banks.records.pages[frame as usize].set(page + 1);
        Ok(())
    }

    fn close(&mut self, frame: u32) {
        let page = self.page(frame);
        take(self.banks.records.container, u64::from(page));
        self.banks.records.pages[frame as usize].set(0);
        self.free.push(page);
        if let Some(place) = self.banks.page_of(frame) {
            let _ = give(place.container, place.page);
        }
    }

    fn words(&self, frame: u32) -> &[u64; 512] {
        // SAFETY: the logic asks only for frames that are open (its database says so). Each of them has a page of its own in the
        // container, which is mapped here, writable, and nowhere else, and never seized. `&self` keeps writers away.
        unsafe { &*(self.address(frame) as *const [u64; 512]) }
    }

    fn words_mut(&mut self, frame: u32) -> &mut [u64; 512] {
        // SAFETY: as above; `&mut self` makes the reference the only one.
        unsafe { &mut *(self.address(frame) as *mut [u64; 512]) }
    }
}
