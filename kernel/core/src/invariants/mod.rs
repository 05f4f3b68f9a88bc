//! What must hold between two kernel entries, checked by walking everything. For tests: slow, and it panics.
//!
//! [`frames`] is about memory: page tables, capability tables, counts. [`threads`] is about who waits where: queues,
//! deadlines, tasks' lists of threads. [`schedules`] is about shares, budgets and who waits for them.

mod frames;
mod schedules;
mod threads;

use crate::frame_table::FrameKind;
use crate::host::HostMachine;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Object, Task, Thread, ThreadState};
use std::vec::Vec;

impl Kernel<HostMachine> {
    /// Checks every invariant. Call after [`Kernel::leave`].
    ///
    /// # Panics
    /// When one is broken.
    pub fn check(&mut self) {
        self.machine.check_translations();
        self.check_frames();
        self.check_threads();
        self.check_schedules();
    }

    /// Objects of a kind in all frames, empty slots too, with their places.
    fn all<T: Object>(&mut self) -> Vec<(Link, T)> {
        let mut found = Vec::new();
        for frame in 0..self.machine.frames() {
            if self.machine.frame(frame).map(|entry| entry.kind()) == Some(T::KIND) {
                for slot in 0..T::PER_FRAME {
                    let link = Link::new::<T>(frame, slot);
                    found.push((link, *self.machine.object::<T>(link)));
                }
            }
        }
        found
    }

    fn live_tasks(&mut self) -> Vec<(Link, Task)> {
        self.all::<Task>().into_iter().filter(|(_, task)| task.live).collect()
    }

    fn live_threads(&mut self) -> Vec<(Link, Thread)> {
        let gone = [ThreadState::Empty, ThreadState::Ended];
        self.all::<Thread>().into_iter().filter(|(_, thread)| !gone.contains(&thread.state)).collect()
    }

    fn frames_of(&mut self, kind: FrameKind) -> Vec<u32> {
        let all = 0..self.machine.frames();
        all.filter(|&frame| self.machine.frame(frame).is_some_and(|entry| entry.kind() == kind)).collect()
    }
}
