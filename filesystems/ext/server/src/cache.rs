//! The cache: a container of the server's own, on extra frames, and the index of what lies where in it.
//!
//! It grows into idle memory until the pressure page says that little is left, and gives frames back when the contract is called.
//! The index has a lock of its own, never held across a message: a call is answered also while the disk is slow.
//!
//! The container is discardable. A page of it that was seized is found out by the copy from it, which is refused; the place is
//! forgotten then, and the page read from the disk. A page is never absent where the index has it cached, so nobody is given
//! zeros for contents.

use containers_api::MemoryError;
use containers_api::container::SetEviction;
use containers_api::page::Level;
use core::ops::Range;
use filesystems_ext_core::PAGE_BYTES;
use filesystems_ext_core::cache::{
    CacheSize, CachedRun, FileKey, PageIndex, Places, Reservation, cache_size,
};
use filesystems_ext_core::plan::COPY_PAGES;
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer, Result, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::self_paging::{GiveBack, pressure};
use kernel_runtime::sync::{Guard, Mutex};

/// Frames of the guarantee that are left for everything else: what is pinned, threads, their stacks.
const OTHER_FRAMES: u64 = 256;

/// Pages given back with one message: physmem is not kept busy with one for long.
const GIVE_BACK_PAGES: u64 = 512;

/// The cache goes before anything else of the server.
const DISCARDABLE: SetEviction = SetEviction { rank: 1, discardable: true, vital: false };

/// The cache.
pub struct Cache {
    /// Cached pages, and behind them pages that are never there.
    pub container: Container,
    /// First byte of the pages that are never there, which copy as zeros.
    pub zeros_offset: u64,
    index: Mutex<PageIndex>,
}

impl Cache {
    /// An empty cache, as large as the contract allows beside everything else.
    pub fn new() -> Result<Cache> {
        let status = contract_status(CONTRACT)?;
        let held = status.pages + status.records + status.kernel + status.handed_on + OTHER_FRAMES;
        let room = status.guaranteed.saturating_sub(held);
        let CacheSize { capacity, floor } = cache_size(room, status.extra_limit);
        let pages = u64::from(capacity);
        let container = OwnContainer::new(pages + COPY_PAGES + 1)?.keep();
        container.set_eviction(&DISCARDABLE)?;
        let index = Mutex::new(PageIndex::with_floor(capacity, floor));
        Ok(Cache { container, zeros_offset: pages * PAGE_BYTES, index })
    }

    /// The index, for a moment.
    pub fn index(&self) -> Guard<'_, PageIndex> {
        self.index.lock()
    }

    /// Forgets those pages of a run that have no frames any more. How many they are.
    pub fn forget_lost(&self, run: &CachedRun) -> Result<u64> {
        let mut lost = 0;
        // The run is in use, so nobody fills its places meanwhile.
        for state in self.container.page_states(pages(run.place, run.pages), false) {
            let (page, state) = state?;
            if !state.is_present() {
                self.index().lose(run, page as u32 - run.place);
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// Places that there was no memory for are left alone. Some of their pages may be there; without the others they are no use.
    pub fn without_memory(&self, reservation: Reservation) {
        // A page that stays is charged until its place is used again, and no harm else.
        let _ = self.container.deallocate(pages(reservation.place, reservation.pages));
        self.index().exhausted(reservation);
    }

    /// Ends a reservation that could not be filled.
    pub fn not_filled(&self, reservation: Reservation, error: &MemoryCallError) {
        match error.refusal() {
            Some(MemoryError::ContractExhausted) => self.without_memory(reservation),
            _ => self.index().cancel(reservation),
        }
    }
}

/// The pages of successive places.
fn pages(place: u32, pages: u32) -> Range<u64> {
    u64::from(place)..u64::from(place) + u64::from(pages)
}

impl Places for &Cache {
    fn find(&mut self, file: FileKey, page: u64, most: u32) -> Option<CachedRun> {
        self.index().find(file, page, most)
    }

    fn decline(&mut self, run: CachedRun) {
        self.index().decline(run);
    }

    fn uncached(&mut self, file: FileKey, page: u64, most: u64) -> u64 {
        self.index().uncached(file, page, most)
    }

    fn reserve(&mut self, most: u32) -> Option<Reservation> {
        let may_grow = pressure::read().level == Level::None;
        let mut index = self.index();
        index.set_growth(may_grow);
        index.reserve(most)
    }
}

impl GiveBack for Cache {
    fn give_back(&self, wanted: u64) -> u64 {
        let mut given = 0;
        while given < wanted {
            let most = (wanted - given).min(GIVE_BACK_PAGES) as u32;
            let Some(run) = self.index().retire(most) else { break };
            match self.container.deallocate(pages(run.place, run.pages)) {
                Ok(_) => {
                    given += u64::from(run.pages);
                    self.index().retired(run);
                }
                Err(error) => {
                    log::warn!("pages of the cache cannot be given back: {error}");
                    self.index().keep(run);
                    break;
                }
            }
        }
        given
    }
}
