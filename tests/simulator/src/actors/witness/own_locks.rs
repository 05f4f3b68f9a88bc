//! Locks that a witness takes on its own memory, with nobody else in the way: so it knows to the nanosecond when they are
//! there and when not, and what they leave.

use super::Witness;
use crate::contents::{Cell, SECTOR, SECTORS};
use crate::env::{Counter, Env};
use crate::law;
use containers_api::{LockMode, MemoryError, container};
use kernel_abi::FRAME_BYTES;

/// A lock of its own.
#[derive(Clone, Copy)]
pub(super) struct OwnLock {
    lock: u64,
    first_page: u64,
    pages: u64,
    mode: LockMode,
    expires: u64,
    /// Frames seized from the contract when it was taken: a seizure may break it.
    seized: u64,
}

impl OwnLock {
    /// Whether a page is under it.
    pub fn covers(&self, page: u64) -> bool {
        page >= self.first_page && page < self.first_page + self.pages
    }
}

impl Witness {
    /// Takes a lock on some pages.
    pub(super) fn lock_own(&mut self, env: &mut Env<'_>, place: usize) {
        let (first_page, pages) = self.range(env, place);
        let holding = &self.holdings[place];
        let hashed = |page: &crate::contents::Page| page.iter().any(|cell| cell.is_hashed());
        if holding.loan.is_some() || holding.sealed || holding.pages.iter().any(hashed) {
            return;
        }
        let mode = env.random.pick(&[LockMode::Fill, LockMode::Stable, LockMode::Dma]);
        let span = env.random.pick(&[1, 50_000, 2_000_000, 100_000_000]);
        let term_ns = env.random.between(1, span + 2);
        env.record.note(term_ns, || {
            format!("locks {pages} pages of container {place}, {mode:?}, for {term_ns} ns")
        });
        let request = container::Lock { first_page, pages, mode, term_ns };
        let result = env.world.ask(holding.badge, &request, &[]);
        let expected = result.as_ref().err().map(|refused| refused.error);
        let expected = expected.filter(|&error| error == MemoryError::PinLimit && mode == LockMode::Dma);
        let Some(locked) = self.asked(env, result, expected, pages) else { return };
        env.record.count(Counter::Locks);
        let expires = env.now() + term_ns;
        law!("lock-terms", locked.expires == expires, "a lock expires at {}, not {expires}", locked.expires);
        if mode != LockMode::Stable {
            self.changed(place, locked.version);
        }
        let seized = self.ladder.seized();
        self.holdings[place].own =
            Some(OwnLock { lock: locked.lock, first_page, pages, mode, expires, seized });
    }

    /// Does something about its own lock, or lets time pass.
    pub(super) fn use_own_lock(&mut self, env: &mut Env<'_>, place: usize) {
        let Some(own) = self.holdings[place].own else { return };
        match env.random.below(4) {
            0 if own.mode != LockMode::Stable => self.change_own(env, place, own),
            0 | 1 => self.unlock_own(env, place, own),
            2 if env.now() >= own.expires => self.own_ends(env, place, own, 0),
            _ => {}
        }
    }

    /// Whether a refusal says rightly that the lock is gone.
    fn is_gone(&self, env: &Env<'_>, own: OwnLock, error: MemoryError) {
        let broken = self.ladder.seized() != own.seized
            || crate::laws::seized_from(&env.world, self.contract) != own.seized;
        let rightly = error == MemoryError::LockGone && (env.now() >= own.expires || broken);
        law!("lock-terms", rightly, "{error:?} at {}, and the lock expires at {}", env.now(), own.expires);
    }

    fn change_own(&mut self, env: &mut Env<'_>, place: usize, own: OwnLock) {
        let filled_bytes = env.random.below(own.pages * SECTORS as u64 + 1) * SECTOR as u64;
        env.record.note(filled_bytes, || format!("makes its lock stable, {filled_bytes} bytes filled"));
        let request = container::LockChange { lock: own.lock, mode: LockMode::Stable, filled_bytes };
        match env.world.ask(self.holdings[place].badge, &request, &[]) {
            Ok(reply) => {
                law!("lock-terms", env.now() < own.expires, "a lock of {} is changed", own.expires);
                self.changed(place, reply.version);
                self.take_in(env, place, own, filled_bytes);
                self.holdings[place].own = Some(OwnLock { mode: LockMode::Stable, ..own });
            }
            Err(refused) => {
                self.is_gone(env, own, refused.error);
                self.own_ends(env, place, own, own.pages * FRAME_BYTES);
            }
        }
    }

    fn unlock_own(&mut self, env: &mut Env<'_>, place: usize, own: OwnLock) {
        let filled_bytes = env.random.below(own.pages * SECTORS as u64 + 1) * SECTOR as u64;
        env.record.note(filled_bytes, || format!("unlocks, {filled_bytes} bytes filled"));
        let request = container::Unlock { lock: own.lock, filled_bytes };
        match env.world.ask(self.holdings[place].badge, &request, &[]) {
            Ok(reply) => {
                law!("lock-terms", env.now() < own.expires, "a lock of {} is unlocked", own.expires);
                let version = self.holdings[place].version;
                law!("versions", reply.version >= version, "version {} after {version}", reply.version);
                self.holdings[place].version = reply.version;
                let filled =
                    if own.mode == LockMode::Stable { own.pages * FRAME_BYTES } else { filled_bytes };
                self.own_ends(env, place, own, filled);
            }
            Err(refused) => {
                self.is_gone(env, own, refused.error);
                self.own_ends(env, place, own, own.pages * FRAME_BYTES);
            }
        }
    }

    /// The lock is gone: its pages are as before, except that what was shared or never filled may be zeros.
    fn own_ends(&mut self, env: &mut Env<'_>, place: usize, own: OwnLock, filled: u64) {
        let filled = if filled == 0 && env.now() >= own.expires { own.pages * FRAME_BYTES } else { filled };
        self.take_in(env, place, own, filled);
        self.holdings[place].own = None;
    }

    /// Takes into the model what the pages hold now, where it is what they may.
    fn take_in(&mut self, env: &mut Env<'_>, place: usize, own: OwnLock, filled: u64) {
        for index in 0..own.pages {
            let page = own.first_page + index;
            let found = crate::laws::contents_of(env, self.holdings[place].badge, page);
            for sector in 0..SECTORS {
                let old = self.holdings[place].pages[page as usize][sector];
                let at = index * FRAME_BYTES + (sector * SECTOR) as u64;
                let may_stay = own.mode == LockMode::Stable || at < filled;
                let now = match &found {
                    None => Cell::ZERO,
                    Some(frame) => {
                        let bytes = &frame[sector * SECTOR..(sector + 1) * SECTOR];
                        let stays = old.is(bytes) && (may_stay || old == Cell::ZERO);
                        let zero = Cell::ZERO.is(bytes) && own.mode != LockMode::Stable;
                        law!(
                            "contents",
                            stays || zero,
                            "page {page}, sector {sector}, after a lock: {}",
                            crate::contents::describe(bytes)
                        );
                        if stays { old } else { Cell::ZERO }
                    }
                };
                self.holdings[place].pages[page as usize][sector] = now;
            }
        }
    }
}
