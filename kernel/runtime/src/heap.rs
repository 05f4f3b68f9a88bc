//! The heap: talc over a container of the task's own contract, grown by chunks.
//!
//! A chunk's frames are allocated when it is added, so that running out of memory shows here and not as a page
//! fault somewhere. The heap never shrinks. When the contract has no frames left the task ends as by a panic,
//! with the size asked for in the message; code that must survive that asks with `try_reserve`.

use crate::clock::Deadline;
use crate::containers::MemoryCallError;
use crate::ipc::CallError;
use crate::layout::{CONTRACT, HEAP_BASE, HEAP_END, SPACE};
use crate::sync::RawMutex;
use crate::{Capability, Handle, ipc};
use containers_api::MemoryError;
use containers_api::container::{Allocate, Deallocate, OPERATION_PAGES_MAX};
use containers_api::contract::ContainerCreate;
use containers_api::space::{Map, MapProtection};
use core::alloc::Layout;
use core::ptr::NonNull;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Refusal;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// Pages of the first chunk.
const FIRST_CHUNK_PAGES: u64 = 16;
/// Pages of a chunk at most, unless one allocation needs more.
const CHUNK_PAGES_MAX: u64 = 256;
/// Pages that the heap's container spans; frames are charged only for chunks.
const HEAP_PAGES: u64 = (HEAP_END - HEAP_BASE) / FRAME_BYTES;
/// Bytes of a chunk that talc may need beyond the allocation itself.
const OVERHEAD_BYTES: u64 = 1024;

struct HeapLock(RawMutex);

// SAFETY: RawMutex lets one holder in at a time; its unlock is called by the holder only.
unsafe impl talc::lock_api::RawMutex for HeapLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: HeapLock = HeapLock(RawMutex::new());
    type GuardMarker = talc::lock_api::GuardSend;

    fn lock(&self) {
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        self.0.unlock();
    }
}

/// Where chunks come from.
#[derive(Debug)]
struct Growth {
    container: Option<Capability>,
    pages: u64,
    /// End of the heap as talc sees it.
    end: Option<NonNull<u8>>,
}

impl Growth {
    const fn new() -> Growth {
        Growth { container: None, pages: 0, end: None }
    }

    /// Adds pages at the end.
    fn add(&mut self, pages: u64) -> Result<(), MemoryCallError> {
        let first_page = self.pages;
        if pages > HEAP_PAGES - first_page {
            return Err(CallError::Refused(Refusal::new(MemoryError::OutOfRange)));
        }
        let container = self.container()?;
        let mut allocated = 0;
        while allocated < pages {
            let part = (pages - allocated).min(OPERATION_PAGES_MAX);
            let allocate = Allocate { first_page: first_page + allocated, pages: part, any_contents: true };
            if let Err(error) = ipc::call(container, &allocate, &[], Deadline::NEVER) {
                // What came before is not kept: a smaller chunk may be tried now.
                for before in (0..allocated).step_by(OPERATION_PAGES_MAX as usize) {
                    let give_up = Deallocate { first_page: first_page + before, pages: OPERATION_PAGES_MAX };
                    let _ = ipc::call(container, &give_up, &[], Deadline::NEVER);
                }
                return Err(error);
            }
            allocated += part;
        }
        let map = Map {
            address: HEAP_BASE + first_page * FRAME_BYTES,
            pages,
            first_page,
            protection: MapProtection::WRITE,
            populate: true,
        };
        ipc::call(SPACE, &map, &[container], Deadline::NEVER)?;
        self.pages += pages;
        Ok(())
    }

    /// The container, made at the first need.
    fn container(&mut self) -> Result<Handle, MemoryCallError> {
        if let Some(container) = &self.container {
            return Ok(container.handle());
        }
        let create = ContainerCreate { pages: HEAP_PAGES };
        let (_, container) = ipc::call_for_capability(CONTRACT, &create, &[], Deadline::NEVER)?;
        Ok(self.container.insert(container).handle())
    }
}

/// Pages to add for an allocation of `bytes`, when the heap has `pages`: it grows by half, within limits.
fn chunk_pages(pages: u64, bytes: u64) -> u64 {
    let usual = (pages / 2).clamp(FIRST_CHUNK_PAGES, CHUNK_PAGES_MAX);
    usual.max(bytes.saturating_add(OVERHEAD_BYTES).div_ceil(FRAME_BYTES))
}

// SAFETY: `acquire` reaches the heap through `talc` alone and allocates nothing itself: IPC uses registers,
// the stack and the handle table.
unsafe impl Source for Growth {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let needed = layout.size().saturating_add(layout.align()) as u64;
        let pages = chunk_pages(talc.source.pages, needed);
        let start = HEAP_BASE + talc.source.pages * FRAME_BYTES;
        // Where the usual chunk is too much, what is needed may still fit.
        let least = needed.saturating_add(OVERHEAD_BYTES).div_ceil(FRAME_BYTES);
        let pages = if talc.source.add(pages).is_ok() {
            pages
        } else {
            // Logging allocates nothing.
            talc.source.add(least).map_err(|error| log::warn!("the heap cannot grow: {error}"))?;
            least
        };
        let bytes = (pages * FRAME_BYTES) as usize;
        // SAFETY: the range was mapped just now, writable, right behind what talc has already, for good.
        let end = unsafe {
            match talc.source.end {
                Some(end) => Some(talc.extend(end, (start as *mut u8).add(bytes))),
                None => talc.claim(start as *mut u8, bytes),
            }
        };
        talc.source.end = end;
        end.map(drop).ok_or(())
    }
}

// SAFETY: the pointer names the heap's end, which belongs to whoever holds the heap's lock.
unsafe impl Send for Growth {}

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: talc::TalcLock<HeapLock, Growth> = talc::TalcLock::new(Growth::new());

/// Bytes that the heap has taken from the contract.
pub fn bytes() -> u64 {
    HEAP.lock().source.pages * FRAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_with_the_heap_and_with_the_need() {
        assert_eq!(chunk_pages(0, 100), FIRST_CHUNK_PAGES);
        assert_eq!(chunk_pages(100, 100), 50);
        assert_eq!(chunk_pages(10_000, 100), CHUNK_PAGES_MAX);
        assert_eq!(chunk_pages(0, 1 << 20), 257);
        assert!(chunk_pages(0, u64::MAX) > HEAP_PAGES);
    }
}
