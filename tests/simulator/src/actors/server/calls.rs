//! The server's memory: it lives on extra frames, gives them back when it is called, and finds out what was seized.

use super::Server;
use crate::env::{Counter, Env};
use crate::law;
use containers_api::container::{Deallocate, PAGE_PRESENT, PageQuery, SetEviction};
use containers_api::contract::CallStat;
use containers_api::page::{Level, pressure};
use filesystems_ext_core::cache::CachedRun;

/// Frames of the guarantee that are not the cache's.
const OTHER_FRAMES: u64 = 8;
/// The least that a cache can do with.
const FLOOR: u64 = 2;

/// Places that have frames for certain, under a guarantee.
pub(super) fn floor(guaranteed: u64) -> u32 {
    guaranteed.saturating_sub(OTHER_FRAMES).max(FLOOR) as u32
}

/// Whether the pressure page says that there are frames to lend.
pub(super) fn may_grow(env: &Env<'_>) -> bool {
    let level = env.world.machine.pressure_page().map(|words| Level::from_number(words[pressure::LEVEL]));
    level.is_none_or(|level| level == Level::None)
}

/// The cache goes before anything else of the server.
pub(super) fn set_discardable(env: &mut Env<'_>, cache: u64) {
    let result = env.world.ask(cache, &SetEviction { rank: 1, discardable: true, vital: false }, &[]);
    law!("typed-answers", result.is_ok(), "the cache cannot be discardable: {result:?}");
}

impl Server {
    /// Gives back what it is called for, if it is. True: that was the step.
    pub(super) fn answer_call(&mut self, env: &mut Env<'_>) -> bool {
        let Ok(call) = env.world.ask(self.contract, &CallStat {}, &[]) else { return false };
        if call.frames == 0 || self.is_deaf {
            return false;
        }
        let (mut wanted, mut given) = (call.frames, 0);
        while wanted != 0
            && let Some(run) = self.index.retire(wanted as u32)
        {
            let (first_page, pages) = (u64::from(run.place), u64::from(run.pages));
            let there = (first_page..first_page + pages)
                .filter(|&page| crate::laws::frame_of(&env.world, self.cache, page).is_some())
                .count() as u64;
            if env.world.ask(self.cache, &Deallocate { first_page, pages }, &[]).is_err() {
                self.index.keep(run);
                break;
            }
            self.index.retired(run);
            given += there;
            wanted = wanted.saturating_sub(there);
        }
        env.record.note(given, || format!("the file server gives {given} of {} frames back", call.frames));
        env.record.count(Counter::ServerCalled);
        if given >= call.frames {
            crate::actors::require_met(env, self.contract, &call);
        }
        true
    }

    /// Forgets those pages of a run that were seized; how many they are.
    pub(super) fn forget_lost(&mut self, env: &mut Env<'_>, run: &CachedRun) -> u64 {
        let request =
            PageQuery { first_page: u64::from(run.place), pages: u64::from(run.pages), clear: false };
        let Ok(answer) = env.world.ask(self.cache, &request, &[]) else { return 0 };
        let mut lost = 0;
        for (offset, state) in answer.states.as_slice().iter().enumerate() {
            if state & PAGE_PRESENT == 0 {
                self.index.lose(run, offset as u32);
                lost += 1;
            }
        }
        env.record.add(Counter::ServerLost, lost);
        lost
    }
}
