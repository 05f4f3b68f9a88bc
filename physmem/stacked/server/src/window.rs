//! The only unsafe code of a stacked physmem: its view of the pages that hold its own records.
//!
//! Such a page is mapped at the window's base + frame * 4096 as it becomes a record frame, and unmapped as it ceases to be one.
//! Nothing else of the banks is ever mapped here.

use containers_api::space::{Map, MapProtection, Unmap};
use kernel_abi::{FRAME_BYTES, KernelError};
use kernel_runtime::Deadline;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::SPACE;
use physmem_core::pmap::RecordMemory;
use physmem_stacked_core::Parent;
use physmem_stacked_core::bank::Banks;

use crate::parent::Calls;
use containers_api::container::{Allocate, Deallocate};

/// The window.
pub struct RecordWindow {
    banks: Banks<'static>,
    base: u64,
}

impl RecordWindow {
    /// With so many addresses from `base` on as there are frames, set aside for it alone.
    pub fn new(banks: Banks<'static>, base: u64) -> RecordWindow {
        RecordWindow { banks, base }
    }

    fn address(&self, frame: u32) -> u64 {
        self.base + u64::from(frame) * FRAME_BYTES
    }
}

impl RecordMemory for RecordWindow {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        let place = self.banks.place(frame).ok_or(KernelError::InvalidArgument)?;
        let (first_page, pages) = (place.page, 1);
        let refused = |_| KernelError::NoTable;
        Calls.ask(place.container, &Deallocate { first_page, pages }, &[]).map_err(refused)?;
        let allocate = Allocate { first_page, pages, any_contents: false };
        Calls.ask(place.container, &allocate, &[]).map_err(refused)?;
        let protection = MapProtection::WRITE;
        let request = Map { address: self.address(frame), pages, first_page, protection, populate: true };
        Calls.ask(SPACE, &request, &[place.container]).map(drop).map_err(refused)
    }

    fn close(&mut self, frame: u32) {
        let request = Unmap { address: self.address(frame), pages: 1 };
        call(SPACE, &request, &[], Deadline::NEVER).expect("a record frame is mapped");
    }

    fn words(&self, frame: u32) -> &[u64; 512] {
        // SAFETY: the logic asks only for frames that are open (its database says so), which are mapped here, writable,
        // and nowhere else. `&self` keeps writers away.
        unsafe { &*(self.address(frame) as *const [u64; 512]) }
    }

    fn words_mut(&mut self, frame: u32) -> &mut [u64; 512] {
        // SAFETY: as above; `&mut self` makes the reference the only one.
        unsafe { &mut *(self.address(frame) as *mut [u64; 512]) }
    }
}
