//! The first task: made by the kernel itself at boot, from frames that the boot code names. Everything after it is made by
//! system calls.

use crate::frame_table::FrameKind;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{
    Capability, Endpoint, Notification, Object, Schedule, Task, Thread, ThreadState, UNLIMITED,
};
use crate::page_table;
use kernel_abi::boot;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, Kind};
use kernel_abi::pmap::Protection;
use kernel_abi::schedule::WHOLE;
use kernel_abi::{Handle, KernelError, PRIORITY_MAX};

/// Frames for the first task's kernel objects: plain, distinct, not frame 0.
#[derive(Clone, Copy, Debug)]
pub struct FirstFrames {
    /// For the task object.
    pub task: u32,
    /// For its thread.
    pub thread: u32,
    /// For its endpoint.
    pub endpoint: u32,
    /// For its notification.
    pub notification: u32,
    /// For the root schedule.
    pub schedule: u32,
    /// For its capability table.
    pub table: u32,
    /// For its top page table.
    pub root: u32,
}

impl<M: Machine> Kernel<M> {
    /// Makes the first task with the capabilities that [`kernel_abi::boot`] lists, and its thread, not started. Returns
    /// task and thread.
    pub fn create_first_task(&mut self, frames: FirstFrames) -> (Link, Link) {
        let frame_zero = self.machine.frame(0).map(|entry| entry.kind());
        assert!(frame_zero != Some(FrameKind::Plain), "frame 0 stands for none");
        let task = self.first::<Task>(frames.task, |task| {
            task.live = true;
            task.name[..boot::FIRST_TASK.len()].copy_from_slice(boot::FIRST_TASK.as_bytes());
        });
        let endpoint = self.first::<Endpoint>(frames.endpoint, |endpoint| endpoint.live = true);
        let notification =
            self.first::<Notification>(frames.notification, |notification| notification.live = true);
        let share = WHOLE * self.processor_count as u64;
        let schedule = self.first::<Schedule>(frames.schedule, |schedule| {
            (schedule.live, schedule.priority, schedule.share) = (true, PRIORITY_MAX, share);
            (schedule.budget, schedule.left) = (UNLIMITED, UNLIMITED);
        });
        self.root_schedule = schedule;
        let thread = self.first::<Thread>(frames.thread, |thread| {
            thread.state = ThreadState::Created;
            thread.schedule = schedule;
            (thread.task, thread.bound) = (task, notification);
        });
        self.machine.object::<Notification>(notification.link).bound = thread;
        self.format_first::<Capability>(frames.table);
        self.take(frames.root, FrameKind::PageTable);
        self.machine.zero(frames.root, 0, 4096);
        self.machine.format_root(frames.root);
        let object = self.machine.object::<Task>(task.link);
        (object.root, object.table[0]) = (frames.root, frames.table);
        (object.threads, object.thread_count) = (thread.link, 1);
        *self.capability_at(Link::new::<Capability>(frames.table, 0)) =
            Capability { name: task, ..Capability::NULL };
        let mut give = |handle: Handle, kind, name| {
            assert!(handle.0 < CAPABILITIES_PER_FRAME);
            *self.capability_at(Link::new::<Capability>(frames.table, handle.0)) =
                Capability::full(kind, name);
        };
        give(boot::TASK, Kind::Task, task);
        give(boot::THREAD, Kind::Thread, thread);
        give(boot::FRAMES, Kind::Frames, ObjectName::NONE);
        give(boot::HARDWARE, Kind::Hardware, ObjectName::NONE);
        give(boot::ENDPOINT, Kind::Endpoint, endpoint);
        give(boot::NOTIFICATION, Kind::Notification, notification);
        give(boot::LOG, Kind::Log, ObjectName::NONE);
        give(boot::SCHEDULE, Kind::Schedule, schedule);
        give(boot::TRACE, Kind::Trace, ObjectName::NONE);
        self.capability_at(Link::new::<Capability>(frames.table, boot::NOTIFICATION.0)).badge = 1;
        self.first_task = task;
        (task.link, thread.link)
    }

    /// Starts the first task's thread at the highest priority.
    pub fn start_first_task(&mut self, thread: Link, instruction: u64, stack: u64) {
        self.start(thread, PRIORITY_MAX, [instruction, stack, 0, 0]);
    }

    /// Gives the first task a frame for page tables.
    pub fn stock_first_task(&mut self, task: Link, frame: u32) {
        self.take(frame, FrameKind::PageTable);
        self.push_stock(task, frame);
    }

    /// Maps a plain frame in the first task. Errors: `NeedTables` (its stock is used up), `Busy` (something is mapped there).
    pub fn map_first_task(
        &mut self,
        task: Link,
        address: u64,
        frame: u32,
        protection: Protection,
    ) -> Result<(), KernelError> {
        let place = self.make_place(task, address, 1)?;
        if place.entry & page_table::PRESENT != 0 {
            return Err(KernelError::Busy);
        }
        let entry = self.machine.frame(frame).ok_or(KernelError::WrongFrame)?;
        entry.check_map()?;
        entry.add_mapping();
        self.replace(place, page_table::page_entry(u64::from(frame), protection));
        Ok(())
    }

    fn take(&mut self, frame: u32, kind: FrameKind) {
        self.machine.frame(frame).expect("the boot code names RAM").take_for(kind);
    }

    fn format_first<T: Object>(&mut self, frame: u32) {
        self.take(frame, T::KIND);
        self.machine.format::<T>(frame);
    }

    fn first<T: Object>(&mut self, frame: u32, set_up: impl FnOnce(&mut T)) -> ObjectName {
        self.format_first::<T>(frame);
        let link = Link::new::<T>(frame, 0);
        set_up(self.machine.object::<T>(link));
        self.name_of::<T>(link)
    }
}
