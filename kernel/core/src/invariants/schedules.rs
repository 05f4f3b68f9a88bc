//! Schedules: no more is given away than there is, no more is left than the budget, and who is listed waits for time.

use crate::frame_table::FrameKind;
use crate::host::HostMachine;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Schedule, Thread};
use kernel_abi::schedule::{DEPTH_MAX, PRIORITY_BACKGROUND, WHOLE};
use std::collections::BTreeSet;

impl Kernel<HostMachine> {
    pub(super) fn check_schedules(&mut self) {
        let all = self.all::<Schedule>();
        let mut listed = BTreeSet::new();
        for (place, schedule) in &all {
            if schedule.live {
                self.check_shares(*place, schedule, &all);
            }
            self.check_dry_list(*place, schedule, &mut listed);
        }
        for (link, thread) in self.live_threads() {
            assert_eq!(thread.throttled, listed.contains(&link), "thread {link:?} and its schedule's list");
            let background = thread.base.min(PRIORITY_BACKGROUND);
            // One whose schedule is gone stays in the background, and waits for nothing.
            let is_lost = self.live(thread.schedule, FrameKind::Schedule).is_err();
            let own = if thread.throttled { background } else { thread.base };
            assert!(
                thread.own == own || is_lost && thread.own == background,
                "own priority of thread {link:?}"
            );
        }
    }

    fn check_shares(&mut self, place: Link, schedule: &Schedule, all: &[(Link, Schedule)]) {
        let name = self.name_of::<Schedule>(place);
        let children = all.iter().filter(|(_, child)| child.live && child.parent == name);
        let given: u64 = children.map(|(_, child)| child.share).sum();
        assert_eq!(schedule.given, given, "what schedule {place:?} gave away");
        assert!(given <= schedule.share, "schedule {place:?} gave away more than it has");
        assert!(schedule.left <= schedule.budget, "more is left of schedule {place:?} than its budget");
        assert!(u32::from(schedule.depth) <= DEPTH_MAX, "depth of schedule {place:?}");
        if name == self.root_schedule {
            assert_eq!(schedule.share, WHOLE * self.processor_count as u64, "the root's share");
            return;
        }
        let own = i128::from(schedule.budget) * i128::from(WHOLE);
        let bound = i128::from(schedule.share - schedule.given) * i128::from(schedule.period);
        assert!(own <= bound, "budget of schedule {place:?}");
        assert_eq!(schedule.parent == ObjectName::NONE, schedule.share == 0, "parent of {place:?}");
    }

    fn check_dry_list(&mut self, place: Link, schedule: &Schedule, listed: &mut BTreeSet<Link>) {
        let (mut previous, mut at) = (Link::NONE, schedule.dry);
        assert_eq!(schedule.timer.is_set(), at.is_some(), "deadline of schedule {place:?}");
        while at.is_some() {
            let thread = *self.machine.object::<Thread>(at);
            assert_eq!(thread.dry_previous, previous, "backward link of thread {at:?} in {place:?}");
            assert_eq!(thread.schedule.link, place, "thread {at:?} is listed with {place:?}");
            assert!(listed.insert(at), "thread {at:?} is listed twice");
            (previous, at) = (at, thread.dry_next);
        }
        assert_eq!(schedule.dry_last, previous, "end of the list of schedule {place:?}");
    }
}
