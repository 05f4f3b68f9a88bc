//! Frames that are owed: a physmem that is a client itself is called for frames by the one above, and becomes smaller.
//!
//! Guarantees go first, so that they stay within what will be there: the root contract's, then its children's, as far as what is
//! firm under them leaves any. What is held beyond them is extra then and without a term, and the usual ladder brings it back:
//! calls, whose deadline is no later than what is owed is due, then seizure in the order that its holders have said. Every
//! frame that becomes free goes up at once, behind those for which somebody waits. What went up does not come back.
//!
//! ```text
//!   owe ──> guarantees shrink ──> free frames go up ──> calls ──> frames given back go up ──> nothing is owed
//!                                                         │ due
//!                                                         └─────> frames seized go up ──────> nothing is owed
//! ```
//! What is firm cannot be given: less may go up than was asked for. The rest is for the one above to take.

use crate::database::State;
use crate::layout::contract;
use crate::limits::{OWED_CHILDREN, OWED_STEP};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::record::{Contract, Name, Records};

/// What is owed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Owed {
    /// Frames.
    pub frames: u64,
    /// When they are due: no call gives longer.
    pub due: u64,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// From now on so many frames are owed, instead of what was owed before. Those that are free go up at once.
    pub fn owe(&mut self, now: u64, frames: u64, due: u64) {
        self.advance(now);
        let uncovered = (self.guarantees + frames).saturating_sub(self.capacity);
        let firm = uncovered - self.lower_guarantees(uncovered);
        self.owed = Owed { frames: frames - firm, due };
        self.is_new_shortage |= self.owed.frames != 0;
        self.relieve();
    }

    /// Frames that are owed still.
    pub fn owed(&self) -> u64 {
        self.owed.frames
    }

    /// Whether nobody is lent anything now: others wait for frames, here or above.
    pub(crate) fn lends_nothing(&self) -> bool {
        self.waits.count() != 0 || self.owed.frames != 0
    }

    /// Whether a frame could go up.
    pub(crate) fn can_pay(&self) -> bool {
        self.owed.frames != 0 && self.room() > self.waits.frames()
    }

    /// Gives free frames up, as many as a step may.
    pub(crate) fn pay(&mut self) {
        if !self.can_pay() {
            return;
        }
        let mut frames = [0; OWED_STEP];
        let most = self.owed.frames.min(self.room().saturating_sub(self.waits.frames()));
        let most = (most as usize).min(OWED_STEP);
        let mut count = 0;
        while count < most
            && let Some(frame) = self.take_for_above()
        {
            frames[count] = frame;
            count += 1;
        }
        if count != 0 {
            self.capacity -= count as u64;
            self.owed.frames -= count as u64;
            self.pmap.surrender(&mut frames[..count]);
        }
    }

    /// A free frame, the system's from now on; one whose contents are worth nothing first.
    fn take_for_above(&mut self) -> Option<u32> {
        self.database.take(false, State::System).or_else(|| self.database.take(true, State::System))
    }

    /// Lowers guarantees by so many frames; by how many it could.
    fn lower_guarantees(&mut self, frames: u64) -> u64 {
        let mut left = frames - self.lower_roots(frames);
        let mut child = self.get(self.root, contract::CHILDREN);
        for _ in 0..OWED_CHILDREN {
            let Some(this) = child.filter(|_| left != 0) else { break };
            child = self.get(this, contract::NEXT);
            let spare = self.spare(this).min(left);
            let pins = self.get(this, contract::PIN_LIMIT);
            let covered = self.get(this, contract::GUARANTEED) - spare;
            self.take_back(this, spare, pins.saturating_sub(covered));
            left -= self.lower_roots(spare);
        }
        frames - left
    }

    /// Lowers the root contract's own guarantee, by as much as can be.
    fn lower_roots(&mut self, frames: u64) -> u64 {
        let lowered = self.spare(self.root).min(frames);
        let before = self.extra_of(self.root);
        self.lower(self.root, contract::GUARANTEED, lowered);
        self.guarantees -= lowered;
        let most = self.get(self.root, contract::GUARANTEED).min(self.get(self.root, contract::PIN_LIMIT));
        self.set(self.root, contract::PIN_LIMIT, most);
        self.guarantee_changed(self.root, before);
        lowered
    }

    /// What of a guarantee is not firm.
    fn spare(&self, this: Name<Contract>) -> u64 {
        self.get(this, contract::GUARANTEED).saturating_sub(self.firm(this))
    }
}
