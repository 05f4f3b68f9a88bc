//! A page that physmem writes while this task reads it: words between two looks at a sequence number.

use crate::clock::Deadline;
use crate::ipc::{CallError, call};
use crate::layout::SPACE;
use containers_api::MemoryError;
use containers_api::page::PAGE_WORDS;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use kernel_protocol::Request;

/// Words of such a page. They are atomic, since somebody else writes them; loads of them cost what plain ones cost.
pub(super) type Words = [AtomicU64; PAGE_WORDS];

/// A place in the address space for such a page, mapped when it is first needed.
pub(super) struct PageView {
    address: u64,
    mapped: AtomicBool,
}

impl PageView {
    /// A page that is not mapped yet.
    pub const fn at(address: u64) -> PageView {
        PageView { address, mapped: AtomicBool::new(false) }
    }

    /// The words, after mapping the page by `request` if that was not done. Errors: what physmem refused with.
    pub fn words<R: Request<Error = MemoryError>>(
        &self,
        request: &R,
    ) -> Result<&'static Words, CallError<MemoryError>> {
        if !self.mapped.load(Ordering::Acquire) {
            match call(SPACE, request, &[], Deadline::NEVER) {
                Ok(_) => {}
                // Another thread was faster.
                Err(error) if error.refusal() == Some(MemoryError::Mapped) => {}
                Err(error) => return Err(error),
            }
            self.mapped.store(true, Ordering::Release);
        }
        // SAFETY: the page is mapped at this address, for reading, for the life of the task; nothing else is put at the addresses
        // that `layout` keeps for such pages. The words are only read, and any bits are a value of theirs.
        Ok(unsafe { &*(self.address as *const Words) })
    }
}

/// What `look` finds, all of it from one state of the page. `look` may be called several times, and must not trust what it
/// finds before it is returned from here.
pub(super) fn consistent<T>(words: &Words, sequence: usize, look: impl Fn(&dyn Fn(usize) -> u64) -> T) -> T {
    let load = |word: usize| words[word].load(Ordering::Relaxed);
    loop {
        let before = words[sequence].load(Ordering::Acquire);
        let found = look(&load);
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && words[sequence].load(Ordering::Relaxed) == before {
            return found;
        }
        // physmem writes a few words and is done.
        core::hint::spin_loop();
    }
}

/// A page for tests, all zero.
#[cfg(test)]
pub(super) fn blank() -> Words {
    [const { AtomicU64::new(0) }; PAGE_WORDS]
}

#[cfg(test)]
mod tests {
    use super::*;

    use core::cell::Cell;

    /// The writer comes between the looks at two words that it keeps the same.
    #[test]
    fn what_is_found_is_of_one_state() {
        let words = blank();
        let write = |value| {
            words[0].fetch_add(1, Ordering::Relaxed);
            words[1].store(value, Ordering::Relaxed);
            words[2].store(value, Ordering::Relaxed);
            words[0].fetch_add(1, Ordering::Relaxed);
        };
        let writes_left = Cell::new(3);
        let looks = Cell::new(0);
        let found = consistent(&words, 0, |word| {
            looks.set(looks.get() + 1);
            let one = word(1);
            if writes_left.get() > 0 {
                writes_left.set(writes_left.get() - 1);
                write(100 - writes_left.get());
            }
            (one, word(2))
        });
        assert_eq!((found, looks.get()), ((100, 100), 4));
    }

    /// The first look falls into a write that is not done.
    #[test]
    fn a_write_in_progress_is_waited_for() {
        let words = blank();
        words[0].store(1, Ordering::Relaxed);
        words[1].store(7, Ordering::Relaxed);
        let found = consistent(&words, 0, |word| {
            let both = (word(1), word(2));
            if both.1 == 0 {
                words[2].store(7, Ordering::Relaxed);
            } else {
                words[0].store(2, Ordering::Relaxed);
            }
            both
        });
        assert_eq!(found, (7, 7));
    }
}
