//! What a witness is promised, and what it must find: guarantees, versions, contents, and what a touch may come to.

use super::{Holding, SLACK, State, Witness, address};
use crate::contents::{Cell, Frame, Page, ZEROS, difference};
use crate::env::{Counter, Env};
use crate::law;
use crate::world::{Refused, Touch, Wait};
use containers_api::pager::PAGER_TERM_NS;
use containers_api::{FaultReason, MemoryError, contract};

/// How much later than its term a request to the pager may end: the steps of a run.
const PAGER_SLACK_NS: u64 = 2_000_000;

impl Witness {
    /// The law of guarantees: what was refused for lack of memory did not fit into the guarantee.
    pub(super) fn require_scarce(&mut self, env: &mut Env<'_>, refused: Refused, pages: u64) {
        let error = refused.error;
        let scarce = [MemoryError::ContractExhausted, MemoryError::NoRecord];
        let injected = env.world.machine.pmap.injecting && error == MemoryError::Internal;
        let by_pager = [MemoryError::PagerFailed, MemoryError::Lost].contains(&error);
        if injected || error == MemoryError::Limit || env.world.swap_limit != 0 && by_pager {
            return;
        }
        if error == MemoryError::Again {
            // Nothing was done; what the guarantee covers is on its way.
            if let Some(wait) = Wait::of(&refused) {
                env.record.count(Counter::FrameWaits);
                self.state = State::Waiting(wait);
            }
            return;
        }
        law!("typed-answers", scarce.contains(&error), "witness {}: {error:?}", self.index);
        env.record.count(Counter::Refusals);
        if env.world.machine.pmap.injecting {
            // It was made to fail.
            return;
        }
        let charged = self.charged(env);
        let needed = charged + pages + SLACK;
        law!(
            "guarantee",
            needed > self.guaranteed,
            "witness {} holds {charged} of {} guaranteed frames and is refused {pages}: {error:?}",
            self.index,
            self.guaranteed
        );
    }

    pub(super) fn charged(&mut self, env: &mut Env<'_>) -> u64 {
        match env.world.ask(self.contract, &contract::ContractStat {}, &[]) {
            Ok(status) => {
                law!(
                    "guarantee",
                    status.guaranteed == self.guaranteed,
                    "guaranteed are {}",
                    status.guaranteed
                );
                let firm = status.records + status.kernel + status.pinned + status.vital;
                firm.max(status.pages + status.records + status.kernel)
            }
            Err(refused) => crate::violation::broken("typed-answers", format!("{refused:?}")),
        }
    }

    /// A request on a container: refusals other than for lack of memory must be expected.
    pub(super) fn asked<R>(
        &mut self,
        env: &mut Env<'_>,
        result: Result<R, Refused>,
        expected: Option<MemoryError>,
        pages: u64,
    ) -> Option<R> {
        match result {
            Ok(reply) => {
                law!("typed-answers", expected.is_none(), "expected {expected:?} and it was done");
                Some(reply)
            }
            Err(refused) if Some(refused.error) == expected => None,
            Err(refused) => {
                self.require_scarce(env, refused, pages);
                None
            }
        }
    }

    pub(super) fn changed(&mut self, place: usize, version: u64) {
        let holding = &mut self.holdings[place];
        law!("versions", version > holding.version, "version {version} after {}", holding.version);
        holding.version = version;
    }

    /// What a container holds, page by page, compared with what it must; straight from the machine.
    pub fn compare(&self, env: &mut Env<'_>) {
        if env.now() >= self.expires {
            return;
        }
        for holding in &self.holdings {
            for page in 0..holding.pages.len() as u64 {
                self.compare_page(env, holding, page);
            }
        }
    }

    pub(super) fn compare_page(&self, env: &mut Env<'_>, holding: &Holding, page: u64) {
        let lost = crate::laws::is_lost(&env.world, holding.badge, page);
        if holding.is_lent(page) || lost {
            return law!(
                "guarantee",
                !lost || self.ladder.may_lose,
                "page {page} is gone, and nothing was extra"
            );
        }
        env.record.count(Counter::Pages);
        let Some(bytes) = crate::laws::contents_of(env, holding.badge, page) else {
            law!("contents", holding.pages[page as usize] == ZEROS, "page {page} is absent, written once");
            return;
        };
        let frame = crate::laws::frame_of(&env.world, holding.badge, page);
        self.require_bytes(&bytes, frame, &holding.pages[page as usize], page);
    }

    pub(super) fn require_contents(&self, env: &mut Env<'_>, frame: u32, model: &Page, page: u64) {
        self.require_bytes(env.world.frame(frame), Some(frame), model, page);
    }

    fn require_bytes(&self, bytes: &Frame, frame: Option<u32>, model: &Page, page: u64) {
        if let Some(sector) = difference(bytes, model) {
            let what = crate::contents::describe(&bytes[sector * 512..(sector + 1) * 512]);
            let expected = model[sector];
            crate::violation::broken(
                "contents",
                format!(
                    "witness {}: page {page}, frame {frame:?}, sector {sector}: {what}; expected {expected:?}",
                    self.index
                ),
            );
        }
    }

    /// A thread touches a page: the frame, unless it waits or ends.
    pub(super) fn touch(&mut self, env: &mut Env<'_>, place: usize, page: u64, write: bool) -> Option<u32> {
        if self.ended || self.space.badge == 0 {
            self.restart_task(env);
            return None;
        }
        env.record.count(Counter::Touches);
        let lent = self.holdings[place].is_lent(page);
        match env.world.touch(self.space, address(place, page), write) {
            Touch::Frame(frame) => Some(frame),
            Touch::Waits(wait) if wait.for_frames => {
                env.record.count(Counter::FrameWaits);
                self.state = State::Waiting(wait);
                None
            }
            Touch::Waits(wait) if env.world.swap_limit != 0 && !lent => {
                env.record.count(Counter::PagerWaits);
                self.interrupted = Some((place, page));
                self.state = State::Faulting(wait, env.now() + PAGER_TERM_NS + PAGER_SLACK_NS);
                None
            }
            Touch::Waits(wait) => {
                law!("owner-gets-range-back", lent, "page {page} is locked and nobody has it");
                env.record.count(Counter::Waits);
                let until = env.now() + self.holdings[place].grant.map_or(0, |grant| grant.maximum_lock_ns);
                self.state = State::Faulting(wait, until);
                None
            }
            Touch::Ended(reason) => {
                self.require_reason(env, place, reason);
                None
            }
        }
    }

    pub(super) fn require_reason(&mut self, env: &mut Env<'_>, place: usize, reason: FaultReason) {
        match reason {
            FaultReason::ContractExhausted => {
                self.require_scarce(env, MemoryError::ContractExhausted.into(), 1)
            }
            // It asked somebody who did not answer in time; what was not brought is found out and made good.
            FaultReason::PagerFailed if env.world.swap_limit != 0 => {
                env.record.count(Counter::PagerFailures);
            }
            FaultReason::Repossessed if env.world.swap_limit != 0 => {}
            FaultReason::TooManyWaiters if env.world.swap_limit != 0 => {}
            // The file server has it, and will find out.
            FaultReason::Repossessed if self.ladder.may_lose && self.holdings[place].loan.is_some() => {}
            FaultReason::NoRecord => self.require_scarce(env, MemoryError::NoRecord.into(), 1),
            // The mapping could not be paid for; it is tried again.
            FaultReason::NotMapped | FaultReason::BeyondEnd => self.unmap_and_map(env, place),
            reason => law!("typed-answers", false, "a witness's thread ends: {reason}"),
        }
    }

    pub(super) fn new_cell(&mut self) -> Cell {
        self.written += 1;
        Cell::secret(self.written)
    }
}
