//! Operations on locks: taking, ending, passing to a driver, what its device does, and the passing of time.

use super::*;

impl Run {
    pub(super) fn lock(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let mode = [LockMode::Fill, LockMode::Stable, LockMode::Dma][self.random.below(3) as usize];
        let stands = |lock: &ModelLock| {
            let overlaps = lock.first < first_page + pages && first_page < lock.first + lock.pages;
            let both_stable = lock.mode == LockMode::Stable && mode == LockMode::Stable;
            overlaps && !both_stable
        };
        let sealed = self.containers[index].sealed && mode != LockMode::Stable;
        let locked = self.containers[index].locks.iter().any(stands);
        let expected = if sealed { Some(MemoryError::Sealed) } else { locked.then_some(MemoryError::Locked) };
        let term_ns = 1 + self.random.below(60);
        let request = Lock { first_page, pages, mode, term_ns };
        let Some(locked) = self.ask(self.containers[index].grant, &request, &[], expected) else { return };
        let lock = ModelLock {
            number: locked.lock,
            first: first_page,
            pages,
            mode,
            expires: locked.expires,
            passed: None,
        };
        self.containers[index].locks.push(lock);
        if mode != LockMode::Stable {
            self.must_bump(index);
            self.accept(index, first_page, pages, |old, new| *new == *old || *new == ZEROS);
        }
    }

    pub(super) fn some_lock(&mut self) -> Option<(usize, usize)> {
        let all: Vec<(usize, usize)> = self
            .containers
            .iter()
            .enumerate()
            .flat_map(|(index, model)| (0..model.locks.len()).map(move |lock| (index, lock)))
            .collect();
        (!all.is_empty()).then(|| all[self.random.below(all.len() as u64) as usize])
    }

    /// After a lock has ended or become stable: what its pages may contain.
    pub(super) fn settle(&mut self, index: usize, lock: ModelLock, filled: u64, broken: bool) {
        let told = lock.passed.is_some_and(|passed| passed.told);
        for page in 0..lock.pages {
            let cut = filled.saturating_sub(page * PAGE).min(PAGE) as usize;
            self.accept(index, lock.first + page, 1, |old, new| {
                let mut kept = *old;
                if !broken && lock.mode != LockMode::Stable {
                    kept[cut..].fill(0);
                }
                *new == ZEROS || *new == kept && !told
            });
        }
    }

    pub(super) fn unlock(&mut self) {
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let filled_bytes = self.random.below(lock.pages * PAGE + 1);
        let grant = self.containers[index].grant;
        if self.random.below(2) == 0 {
            self.ask(grant, &Unlock { lock: lock.number, filled_bytes }, &[], None);
            self.containers[index].locks.remove(at);
            self.note_overdue(lock);
            if lock.mode != LockMode::Stable {
                self.must_bump(index);
                self.settle(index, lock, filled_bytes, false);
            }
        } else {
            let change = LockChange { lock: lock.number, mode: LockMode::Stable, filled_bytes };
            let expected = lock.passed.map(|_| MemoryError::Locked);
            if self.ask(grant, &change, &[], expected).is_some() && lock.mode != LockMode::Stable {
                self.containers[index].locks[at].mode = LockMode::Stable;
                self.settle(index, lock, filled_bytes, false);
            }
        }
    }

    pub(super) fn note_overdue(&mut self, lock: ModelLock) {
        let Some(passed) = lock.passed.filter(|passed| passed.told) else { return };
        let at = self.frames.iter().position(|(badge, _)| *badge == passed.badge).expect("told");
        let frames = self.frames.swap_remove(at);
        self.overdue.push(frames);
    }

    pub(super) fn pass(&mut self) {
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let term_ns = 1 + self.random.below(60);
        let request = LockPass { lock: lock.number, mode: LockMode::Dma, term_ns };
        let grant = self.containers[index].grant;
        match self.world.call(grant, &request, &[]) {
            Call::Reply(_, handed) => {
                assert!(lock.passed.is_none() && lock.mode != LockMode::Stable);
                let physmem_core::Handed::Badge(badge) = handed[0] else { panic!() };
                let expires = lock.expires.min(self.world.now + term_ns);
                let passed = Passed { badge: badge.0, expires, told: false, written: 0, value: 0 };
                self.containers[index].locks[at].passed = Some(passed);
                // Pages copied in under a fill lock are given up for frames of the owner's own.
                self.accept(index, lock.first, lock.pages, |old, new| *new == *old || *new == ZEROS);
            }
            Call::Refused(refusal) => {
                let right = match refusal.error {
                    MemoryError::Locked => lock.passed.is_some(),
                    MemoryError::ModeRaised => lock.mode == LockMode::Stable,
                    error => matches!(
                        error,
                        MemoryError::PinLimit | MemoryError::NoRecord | MemoryError::ContractExhausted
                    ),
                };
                assert!(right, "{refusal:?}");
            }
            Call::Waits(_) => panic!(),
        }
    }

    /// The driver asks for frames, its device writes, the driver lets go.
    pub(super) fn drive(&mut self) {
        if let (Some((badge, frames)), 0) = (self.overdue.last().cloned(), self.random.below(3)) {
            self.device_writes(&frames, 0xee);
            if self.random.below(2) == 0 {
                self.ask(badge, &LockRelease { written_bytes: 0 }, &[], None);
                self.overdue.pop();
            }
            return;
        }
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let Some(mut passed) = lock.passed else { return };
        if !passed.told {
            let asked =
                self.ask(passed.badge, &LockRuns { first_page: 0, is_read: false }, &[self.authority], None);
            let Some(told) = asked else { return };
            let runs = &told.runs[..told.count];
            let frames: Vec<u32> = runs.iter().flat_map(|run| run.frame..run.frame + run.frames).collect();
            assert_eq!(frames.len() as u64, lock.pages);
            passed.written = self.random.below(lock.pages * PAGE + 1);
            passed.value = self.random.byte();
            let whole = (passed.written / PAGE) as usize;
            self.device_writes(&frames[..whole], passed.value);
            if let Some(&last) = frames.get(whole) {
                let end = (passed.written % PAGE) as usize;
                self.world.ram.borrow_mut().bytes[last as usize][..end].fill(passed.value);
            }
            self.frames.push((passed.badge, frames));
            passed.told = true;
            self.containers[index].locks[at].passed = Some(passed);
            return;
        }
        self.ask(passed.badge, &LockRelease { written_bytes: passed.written }, &[], None);
        self.must_bump(index);
        self.count += 1;
        self.frames.retain(|(badge, _)| *badge != passed.badge);
        self.containers[index].locks[at].passed = None;
        for page in 0..lock.pages {
            let end = passed.written.saturating_sub(page * PAGE).min(PAGE) as usize;
            self.accept(index, lock.first + page, 1, |old, new| {
                let mut kept = *old;
                kept[..end].fill(passed.value);
                *new == kept
            });
        }
    }

    pub(super) fn device_writes(&mut self, frames: &[u32], value: u8) {
        let mut ram = self.world.ram.borrow_mut();
        frames.iter().for_each(|&frame| ram.bytes[frame as usize].fill(value));
    }

    pub(super) fn pass_time(&mut self) {
        self.world.now += self.random.below(40);
        let now = self.world.now;
        self.world.machine.advance(now);
        for index in 0..self.containers.len() {
            for at in (0..self.containers[index].locks.len()).rev() {
                let lock = self.containers[index].locks[at];
                let passed_over = lock.passed.is_some_and(|passed| passed.expires <= now);
                if lock.expires <= now {
                    self.containers[index].locks.remove(at);
                    self.note_overdue(lock);
                    self.settle(index, lock, 0, true);
                } else if passed_over {
                    self.note_overdue(lock);
                    self.containers[index].locks[at].passed = None;
                    self.settle(index, lock, 0, true);
                }
            }
        }
    }

    pub(super) fn break_or_revoke(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let badge = self.containers[index].badge;
        let revoke = self.random.below(3) == 0;
        if revoke {
            let grant = self.containers[index].grant;
            self.ask(badge, &Revoke { break_locks: true }, &[grant], None);
        } else {
            self.ask(badge, &BreakLocks { first_page, pages }, &[], None);
        }
        for at in (0..self.containers[index].locks.len()).rev() {
            let lock = self.containers[index].locks[at];
            if revoke || lock.first < first_page + pages && first_page < lock.first + lock.pages {
                self.containers[index].locks.remove(at);
                self.note_overdue(lock);
                self.settle(index, lock, 0, true);
            }
        }
        if revoke {
            let mut model = self.containers.remove(index);
            self.regrant(&mut model, index);
            self.containers.insert(index, model);
        }
    }
}
