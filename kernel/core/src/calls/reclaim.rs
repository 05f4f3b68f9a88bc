//! Taking kernel frames back: everything in a frame is cut loose, in steps that can be preempted.

use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Endpoint, Notification, Object, Schedule, Task, Thread, ThreadState};
use kernel_abi::KernelError;
use kernel_abi::Rights;
use kernel_abi::capability::Kind;
use kernel_abi::task::TaskStatus;

/// Reason in the status of a task whose kernel objects were reclaimed before it had ended.
pub const RECLAIMED: u32 = u32::MAX;

impl<M: Machine> Kernel<M> {
    pub(super) fn reclaim(&mut self, frames: u64, frame: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let frame = self.frame_number(frame)?;
        match self.machine.frame(frame).map(|entry| entry.kind()) {
            Some(FrameKind::Thread) if frame == self.current().frame() => {
                return Err(KernelError::Busy.into());
            }
            Some(FrameKind::Thread) => self.reclaim_slots::<Thread>(frame, Self::cut_thread)?,
            Some(FrameKind::Task) => {
                self.check_tasks(frame)?;
                self.reclaim_slots::<Task>(frame, Self::cut_task)?;
            }
            Some(FrameKind::Endpoint) => self.reclaim_slots::<Endpoint>(frame, Self::cut_endpoint)?,
            Some(FrameKind::Notification) => {
                self.reclaim_slots::<Notification>(frame, Self::cut_notification)?
            }
            Some(FrameKind::Schedule) => self.reclaim_slots::<Schedule>(frame, Self::cut_schedule)?,
            Some(FrameKind::CapabilityTable) => self.cut_table(frame)?,
            Some(FrameKind::PageTable) => return Err(KernelError::Busy.into()),
            _ => return Err(KernelError::WrongFrame.into()),
        }
        self.machine.frame(frame).expect("the frame was checked").give_back();
        Ok(Done::Value(0))
    }

    fn reclaim_slots<T: Object>(
        &mut self,
        frame: u32,
        cut: fn(&mut Self, Link) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for slot in 0..T::PER_FRAME {
            cut(self, Link::new::<T>(frame, slot))?;
        }
        Ok(())
    }

    pub(super) fn look(&mut self) -> Result<(), Stop> {
        if self.machine.interrupt_pending() {
            return Err(KernelError::Preempted.into());
        }
        Ok(())
    }

    fn cut_thread(&mut self, link: Link) -> Result<(), Stop> {
        if !matches!(self.machine.object::<Thread>(link).state, ThreadState::Empty | ThreadState::Ended) {
            self.end_thread(link, TaskStatus::Killed(RECLAIMED));
        }
        Ok(())
    }

    /// A task must have ended and given its tables back before its frame can go.
    fn check_tasks(&mut self, frame: u32) -> Result<(), Stop> {
        for slot in 0..Task::PER_FRAME {
            let task = *self.machine.object::<Task>(Link::new::<Task>(frame, slot));
            let has_tables =
                task.root != 0 || task.stock_frames != 0 || task.table.iter().any(|&table| table != 0);
            if task.live && (task.is_alive() || has_tables) {
                return Err(KernelError::Busy.into());
            }
        }
        Ok(())
    }

    fn cut_task(&mut self, link: Link) -> Result<(), Stop> {
        let task = self.machine.object::<Task>(link);
        let generation = task.generation;
        *task = Task { generation, ..Task::EMPTY };
        Ok(())
    }

    fn cut_endpoint(&mut self, link: Link) -> Result<(), Stop> {
        let endpoint = self.machine.object::<Endpoint>(link);
        if core::mem::take(&mut endpoint.live) {
            // From here on no name finds it, so nobody new comes while those who wait are sent away.
            endpoint.generation += 1;
        }
        loop {
            let endpoint = *self.machine.object::<Endpoint>(link);
            let (thread, error) = if !endpoint.senders.is_empty() {
                (endpoint.senders.first(), KernelError::PeerDied)
            } else if !endpoint.faulters.is_empty() {
                (endpoint.faulters.first(), KernelError::PeerDied)
            } else if !endpoint.receivers.is_empty() {
                (endpoint.receivers.first(), KernelError::Stale)
            } else {
                break;
            };
            self.leave_queue(thread);
            self.fail(thread, error);
            self.look()?;
        }
        Ok(())
    }

    fn cut_notification(&mut self, link: Link) -> Result<(), Stop> {
        self.timers.cancel(&mut self.machine, link);
        let Notification { waiter, bound, .. } = *self.machine.object::<Notification>(link);
        if waiter.is_some() {
            self.leave_queue(waiter);
            self.fail(waiter, KernelError::Stale);
        }
        if let Ok(thread) = self.live(bound, FrameKind::Thread) {
            self.machine.object::<Thread>(thread).bound = ObjectName::NONE;
        }
        let notification = self.machine.object::<Notification>(link);
        *notification = Notification { generation: notification.generation, ..Notification::EMPTY };
        Ok(())
    }

    fn cut_table(&mut self, frame: u32) -> Result<(), Stop> {
        let owner = self.capability_at(Link::new::<Capability>(frame, 0)).name;
        let task = self.live(owner, FrameKind::Task)?;
        if self.machine.object::<Task>(task).is_alive() {
            return Err(KernelError::Busy.into());
        }
        for slot in 1..Capability::PER_FRAME {
            let place = Link::new::<Capability>(frame, slot);
            if self.capability_at(place).kind != Kind::Null {
                self.drop_capability(task, place);
            }
        }
        for table in &mut self.machine.object::<Task>(task).table {
            if *table == frame {
                *table = 0;
            }
        }
        Ok(())
    }
}
