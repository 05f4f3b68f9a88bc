//! Contracts that have ended: how long it took until they were gone, and whether one stays.
//!
//! A small contract is gone when the request to destroy it is answered. Of a large one physmem takes a part at once and
//! the rest between other requests; it is gone when the list of all contracts names it no more.

use super::worker::Ended;
use alloc::vec::Vec;
use containers_api::control::ContractEntry;
use core::time::Duration;
use kernel_runtime::{Deadline, clock};
use tests_stress_core::Histogram;

/// Longest time from a contract's end to its being gone.
pub const GONE: Duration = Duration::from_secs(5);

/// A contract that is not gone yet.
struct Going {
    principal: u64,
    /// In ticks.
    since: u64,
    deadline: Deadline,
}

/// All of them.
#[derive(Default)]
pub struct Endings {
    /// From the end of a contract to its frames being free, in ticks.
    pub latencies: Histogram,
    /// Contracts that have ended.
    pub count: u64,
    /// Frames that they held.
    pub frames: u64,
    going: Vec<Going>,
}

impl Endings {
    /// One has ended. What contracts there are just now says whether it is gone.
    pub fn ended(&mut self, ended: &Ended, all: &[ContractEntry]) {
        self.count += 1;
        self.frames += ended.frames;
        if is_there(all, ended.principal) {
            let &Ended { principal, since, .. } = ended;
            self.going.push(Going { principal, since, deadline: Deadline::after(GONE) });
        } else {
            self.latencies.record(ended.ticks);
        }
    }

    /// Those that are gone by now. One that should be and is not, if there is one; it is mentioned once.
    pub fn look(&mut self, all: &[ContractEntry]) -> Option<u64> {
        let now = clock::ticks();
        for gone in self.going.extract_if(.., |going| !is_there(all, going.principal)) {
            self.latencies.record(now - gone.since);
        }
        let late = self.going.iter().position(|going| going.deadline.has_passed())?;
        Some(self.going.swap_remove(late).principal)
    }

    /// Whether some are not gone yet.
    pub fn is_waiting(&self) -> bool {
        !self.going.is_empty()
    }
}

fn is_there(all: &[ContractEntry], principal: u64) -> bool {
    all.iter().any(|entry| entry.principal == principal)
}
