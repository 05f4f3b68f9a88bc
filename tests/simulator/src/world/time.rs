//! Time: deadlines in their turn, physmem's own work in between, and callers that are answered late.

use super::{Wait, World};
use crate::law;
use kernel_abi::Handle;
use physmem_core::limits;

/// Steps of physmem's own work that fit between two messages.
const WORK_STEPS: u32 = 2;
/// Steps of work and deadlines within one step of a run: beyond it, physmem is taken to hang.
const TIME_STEPS: u32 = 200_000;
/// How much later than the law says a wait may end: what physmem's own steps take, and the steps of a run.
const WAIT_SLACK_NS: u64 = 2_000_000;

impl World<'_> {
    /// Begins a step at a moment: the timer fires if something has expired.
    pub fn begin_step(&mut self, now: u64) {
        self.touched.containers.clear();
        self.touched.contracts.clear();
        self.touched.much = false;
        self.machine.pmap.calls = 0;
        for _ in 0..WORK_STEPS {
            self.work();
        }
        self.pass_time(now);
    }

    /// Lets time pass: each deadline in its turn. While physmem has nothing else to do it does its own work.
    pub fn pass_time(&mut self, until: u64) {
        let idle = until > self.now + WAIT_SLACK_NS;
        for _ in 0..TIME_STEPS {
            let next = self.machine.next_deadline().unwrap_or(u64::MAX).max(self.now);
            if idle && self.machine.has_work() {
                self.work();
            } else if next <= until && !self.machine.has_work() {
                self.now = next;
                self.advance();
            } else {
                self.now = until;
                if next <= until {
                    self.advance();
                }
                return self.require_waits();
            }
        }
        crate::violation::broken(
            "hang",
            format!(
                "physmem's own work does not come to an end: now {}, next {:?}, work {}, {:?}",
                self.now,
                self.machine.next_deadline(),
                self.machine.has_work(),
                self.machine.revocation_status()
            ),
        );
    }

    /// A step of physmem's own work.
    pub fn work(&mut self) {
        if self.machine.has_work() {
            self.touched.much = true;
            self.machine.work(self.now);
            self.collect();
        }
    }

    /// Does all of physmem's own work that is left.
    pub fn finish_work(&mut self) {
        for _ in 0..TIME_STEPS {
            if !self.machine.has_work() {
                return;
            }
            self.work();
        }
        crate::violation::broken(
            "hang",
            format!(
                "physmem's own work does not come to an end: now {}, next {:?}, work {}, {:?}",
                self.now,
                self.machine.next_deadline(),
                self.machine.has_work(),
                self.machine.revocation_status()
            ),
        );
    }

    /// Whoever waits for frames does not wait longer than law 4 says.
    pub(super) fn require_waits(&self) {
        for &(_, until) in self.waits.iter().flatten() {
            law!("waits-end", self.now <= until, "frames due at {until} are not there at {}", self.now);
        }
    }

    /// What has expired ends.
    pub(super) fn advance(&mut self) {
        self.touched.much = true;
        self.machine.advance(self.now);
        let now = self.now;
        let next = containers_core::lock::next_deadline(&self.machine);
        law!("deadlines", next.is_none_or(|next| next > now), "a lock of {next:?} is there at {now}");
        let next = self.machine.next_deadline().filter(|_| !self.machine.has_work());
        law!("deadlines", next.is_none_or(|next| next > now), "due at {next:?}, not done at {now}");
        self.collect();
    }

    /// Takes note of answers that physmem gave late.
    pub(super) fn collect(&mut self) {
        let kernel = &mut self.machine.pmap;
        for answer in kernel.answers.drain(..) {
            if let Some((wait, until)) = self.waits[answer.reply.0 as usize].take() {
                law!("waits-end", self.now <= until, "frames due at {until} came at {}", self.now);
                self.over.push((wait, Some(answer.label)));
            }
        }
        for handle in kernel.dropped.drain(..) {
            if let Some((wait, _)) = self.waits[handle.0 as usize].take() {
                self.over.push((wait, None));
            }
        }
    }

    /// Whether a wait is over, and with which label; told once.
    pub fn is_over(&mut self, wait: Wait) -> Option<Option<u32>> {
        let index = self.over.iter().position(|&(over, _)| over == wait)?;
        Some(self.over.swap_remove(index).1)
    }

    /// Saves a reply at a handle; `waited`: callers that had waited for frames before.
    pub(super) fn wait_at(&mut self, handle: Handle, waited: u64) -> Wait {
        self.machine.pmap.save_reply(handle);
        self.last_wait += 1;
        let for_frames = self.machine.counters().waited > waited;
        let wait = Wait { number: self.last_wait, for_frames };
        let paging = if self.swap_limit == 0 { 0 } else { limits::PAGE_OUT_WAIT_NS };
        let bound = self.longest_term + limits::CALL_GRACE_NS + paging + WAIT_SLACK_NS;
        let until = if for_frames { self.now + bound } else { u64::MAX };
        self.waits[handle.0 as usize] = Some((wait, until));
        wait
    }

    /// Nobody will ask what became of a wait.
    pub fn forget(&mut self, wait: Wait) {
        self.over.retain(|&(over, _)| over != wait);
        for place in &mut self.waits {
            if place.is_some_and(|(here, _)| here == wait) {
                *place = None;
            }
        }
    }
}
