//! The usual answer to a call: caches first, then what else the program can do without.

use super::contract_page::Call;
use super::watch::SelfPaging;
use alloc::vec::Vec;

/// Something that holds frames and can let go of some.
pub trait GiveBack: Sync {
    /// Gives back as many pages as it can, and not many more than so many. How many it were. Must not wait for anybody but
    /// physmem: the deadline is near.
    fn give_back(&self, pages: u64) -> u64;
}

/// Asks one after the other until the frames are there: discardable caches in the order in which they were added, then the rest.
#[derive(Default)]
pub struct InOrder {
    caches: Vec<&'static dyn GiveBack>,
    others: Vec<&'static dyn GiveBack>,
}

impl InOrder {
    /// Nothing yet.
    pub const fn new() -> InOrder {
        InOrder { caches: Vec::new(), others: Vec::new() }
    }

    /// A cache: what is in it can be had again.
    #[must_use]
    pub fn cache(mut self, cache: &'static dyn GiveBack) -> InOrder {
        self.caches.push(cache);
        self
    }

    /// Something that it hurts to lose, to be asked when the caches and those added before it have nothing left.
    #[must_use]
    pub fn then(mut self, other: &'static dyn GiveBack) -> InOrder {
        self.others.push(other);
        self
    }
}

impl SelfPaging for InOrder {
    fn called(&mut self, call: Call) -> u64 {
        let mut given = 0;
        for one in self.caches.iter().chain(&self.others) {
            if given >= call.frames {
                break;
            }
            given += one.give_back(call.frames - given);
        }
        given
    }
}

impl core::fmt::Debug for InOrder {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "InOrder({} caches, {} others)", self.caches.len(), self.others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};

    struct Holds(AtomicU64);

    impl GiveBack for Holds {
        fn give_back(&self, pages: u64) -> u64 {
            let held = self.0.load(Ordering::Relaxed);
            let given = pages.min(held);
            self.0.store(held - given, Ordering::Relaxed);
            given
        }
    }

    fn holds(pages: u64) -> &'static Holds {
        Box::leak(Box::new(Holds(AtomicU64::new(pages))))
    }

    #[test]
    fn caches_go_before_the_rest_and_nobody_is_asked_for_more_than_is_missing() {
        let (rest, first, second) = (holds(100), holds(5), holds(10));
        let mut pager = InOrder::new().then(rest).cache(first).cache(second);
        let mut call = |frames| pager.called(Call { sequence: 1, frames, deadline: 0 });
        let left = || [first, second, rest].map(|one| one.0.load(Ordering::Relaxed));
        assert_eq!((call(3), left()), (3, [2, 10, 100]));
        assert_eq!((call(4), left()), (4, [0, 8, 100]));
        assert_eq!((call(20), left()), (20, [0, 0, 88]));
        assert_eq!((call(200), left()), (88, [0, 0, 0]), "all that there is, and no more");
    }
}
