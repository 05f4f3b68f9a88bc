//! Conduct: what ignoring calls costs, and whom it is not held against.
//!
//! A call's deadline is real time, always: what is not given back by then is seized. But whether the contract loses
//! *standing* for it is judged by processor time. Tasks that were kept from running cannot answer. A missed call is excused
//! if, at its deadline, a thread of the contract's tasks waits for a processor, and they have had less time since the call than the
//! share of that thread's schedule promises for [`CONDUCT_WINDOW_NS`], with what servers used to answer their calls.
//!
//! Who sleeps through a call waits for nothing, who runs in the background by choice was promised nothing, and who wastes its share has had it:
//! none of them is excused. Somebody could start its threads below the priority that its schedule allows, and be excused while
//! the machine is busy. All that this gains is the grace of another call.

use crate::layout::{SPACES, contract, space};
use crate::limits::{CONDUCT_TASKS, CONDUCT_WINDOW_NS, STANDING_MAX, STANDING_RECOVERY_NS};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::record::{Contract, Name, Records};
use kernel_abi::Handle;
use kernel_abi::schedule::WHOLE;

/// Nanoseconds that a share promises for the window.
fn promised(share: u64) -> u64 {
    share.saturating_mul(CONDUCT_WINDOW_NS) / WHOLE
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Calls that a contract may still ignore before it is no longer asked. Each one that it ignored counts for a while.
    pub fn standing(&self, this: Name<Contract>) -> u64 {
        let counts = self.get(this, contract::CONDUCT).saturating_sub(self.now);
        STANDING_MAX.saturating_sub(counts.div_ceil(STANDING_RECOVERY_NS))
    }

    /// It has missed a call, by its own doing.
    pub(crate) fn lower_standing(&mut self, this: Name<Contract>) {
        let until = self.get(this, contract::CONDUCT).max(self.now) + STANDING_RECOVERY_NS;
        let most = self.now + STANDING_MAX * STANDING_RECOVERY_NS;
        self.set(this, contract::CONDUCT, until.min(most));
    }

    /// A contract is called: notes how much time its tasks have used.
    pub(crate) fn note_time_used(&mut self, this: Name<Contract>) {
        let mut next = SPACES.first(self, this);
        for _ in 0..CONDUCT_TASKS {
            let Some(at) = next else { return };
            let used = self.pmap.time_used(Handle(self.get(at, space::TASK)));
            self.set(at, space::USED_AT_CALL, used);
            next = self.get(at, space::NEXT);
        }
    }

    /// Whether a contract's tasks have had the time since its call that they were promised, or wanted no more.
    pub(crate) fn had_its_time(&mut self, this: Name<Contract>) -> bool {
        let (mut had, mut share, mut next) = (0, 0, SPACES.first(self, this));
        for _ in 0..CONDUCT_TASKS {
            let Some(at) = next else { return had >= promised(share) };
            let task = Handle(self.get(at, space::TASK));
            had += self.pmap.time_used(task).saturating_sub(self.get(at, space::USED_AT_CALL));
            share = share.max(self.pmap.share_waiting(task));
            next = self.get(at, space::NEXT);
        }
        next.is_some() || had >= promised(share)
    }
}
