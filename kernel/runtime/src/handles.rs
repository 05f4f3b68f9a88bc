//! Which entries of the task's capability table are free: a bitmap under a lock, no kernel calls but for the
//! growth of the table.
//!
//! The table grows by a call to physmem, and a call drops what lies in the thread's receive window. So it does not grow while
//! a received capability is being taken: [`make_room`], before each call, sees to it that there is room for what may come.
//!
//! An entry is either *taken* (somebody holds a [`crate::Capability`] for it, or keeps its number) or free, and
//! then empty in the kernel. Rooms of the table that have no frame yet count as taken.

use crate::sync::Mutex;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_abi::Handle;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, CAPABILITIES_PER_TASK};

/// Entries that are free before a call is made, if the contract can pay: more than one answer brings, since threads share them.
const ROOM: u32 = 16;

const WORDS: usize = CAPABILITIES_PER_TASK as usize / 64;

/// The bitmap.
struct Table {
    /// A set bit is a free entry.
    free: [u64; WORDS],
    /// No word before this one has a free entry.
    first: usize,
    /// Bits set.
    count: u32,
}

impl Table {
    const fn new() -> Table {
        Table { free: [0; WORDS], first: 0, count: 0 }
    }

    fn add(&mut self, first: u32, count: u32) {
        for entry in first..first.saturating_add(count).min(CAPABILITIES_PER_TASK) {
            let (word, bit) = (&mut self.free[entry as usize / 64], 1 << (entry % 64));
            self.count += u32::from(*word & bit == 0);
            *word |= bit;
        }
        self.first = self.first.min(first as usize / 64);
    }

    fn take(&mut self) -> Option<u32> {
        let word = (self.first..WORDS).find(|&word| self.free[word] != 0)?;
        self.first = word;
        let bit = self.free[word].trailing_zeros();
        self.free[word] &= !(1 << bit);
        self.count -= 1;
        Some(word as u32 * 64 + bit)
    }

    /// Successive entries, for a receive window.
    fn take_successive(&mut self, count: u32) -> Option<u32> {
        let is_free = |entry: u32| self.free[entry as usize / 64] >> (entry % 64) & 1 == 1;
        let first = (0..=CAPABILITIES_PER_TASK - count).find(|&first| (first..first + count).all(is_free))?;
        (first..first + count).for_each(|entry| self.reserve(entry));
        Some(first)
    }

    fn reserve(&mut self, entry: u32) {
        if let Some(word) = self.free.get_mut(entry as usize / 64) {
            let bit = 1 << (entry % 64);
            self.count -= u32::from(*word & bit != 0);
            *word &= !bit;
        }
    }
}

static TABLE: Mutex<Table> = Mutex::new(Table::new());

/// Some thread makes room already.
static GROWING: AtomicBool = AtomicBool::new(false);

/// Adds entries that the table has got.
pub fn add_room(first: Handle, count: u32) {
    TABLE.lock().add(first.0, count);
}

/// Marks an entry as taken, because it holds something already.
pub fn reserve(entry: Handle) {
    TABLE.lock().reserve(entry.0);
}

/// An empty entry, now taken; grows the table where a contract is there to pay. `None`: no room.
pub fn allocate() -> Option<Handle> {
    if let Some(entry) = TABLE.lock().take() {
        return Some(Handle(entry));
    }
    grow()?;
    TABLE.lock().take().map(Handle)
}

/// Successive empty entries, now taken.
pub fn allocate_successive(count: u32) -> Option<Handle> {
    if let Some(first) = TABLE.lock().take_successive(count) {
        return Some(Handle(first));
    }
    grow()?;
    TABLE.lock().take_successive(count).map(Handle)
}

/// Sees to it that some entries are free, where a contract is there to pay for them.
pub(crate) fn make_room() {
    // Growing is a call, which comes here, too.
    if TABLE.lock().count >= ROOM || GROWING.swap(true, Ordering::Acquire) {
        return;
    }
    let _ = grow();
    GROWING.store(false, Ordering::Release);
}

/// Gives an entry back, which is empty.
pub fn free(entry: Handle) {
    TABLE.lock().add(entry.0, 1);
}

/// The room of the first frame, from `first` on.
pub(crate) fn start(first: Handle) {
    add_room(first, CAPABILITIES_PER_FRAME - first.0);
}

#[cfg(feature = "heap")]
fn grow() -> Option<()> {
    use containers_api::space::TableGrow;
    let room = crate::ipc::call(crate::layout::SPACE, &TableGrow {}, &[], crate::Deadline::NEVER).ok()?;
    add_room(Handle(room.first), room.handles);
    Some(())
}

#[cfg(not(feature = "heap"))]
fn grow() -> Option<()> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_given_out_once_and_come_back() {
        let mut table = Table::new();
        assert_eq!(table.take(), None);
        table.add(16, 112);
        table.reserve(17);
        let taken: Vec<u32> = core::iter::from_fn(|| table.take()).collect();
        assert_eq!(taken, (16..128).filter(|&entry| entry != 17).collect::<Vec<_>>());
        table.add(20, 1);
        assert_eq!((table.take(), table.take()), (Some(20), None));
    }

    #[test]
    fn free_entries_are_counted() {
        let mut table = Table::new();
        table.add(16, 10);
        table.add(16, 1);
        table.reserve(17);
        table.reserve(17);
        assert_eq!(table.count, 9);
        table.take().unwrap();
        table.take_successive(4).unwrap();
        assert_eq!(table.count, 4);
    }

    #[test]
    fn a_window_is_successive_even_across_words() {
        let mut table = Table::new();
        table.add(61, 10);
        table.reserve(63);
        assert_eq!(table.take_successive(4), Some(64));
        assert_eq!(table.take_successive(4), None);
        assert_eq!(table.take_successive(3), Some(68));
        assert_eq!(table.take_successive(2), Some(61));
    }

    #[test]
    fn entries_beyond_the_table_do_not_exist() {
        let mut table = Table::new();
        table.add(CAPABILITIES_PER_TASK - 1, u32::MAX);
        table.reserve(u32::MAX);
        assert_eq!((table.take(), table.take()), (Some(CAPABILITIES_PER_TASK - 1), None));
    }
}
