//! Tasks and threads after they are made.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Schedule, Task, Thread, ThreadState};
use crate::processor::ProcessorSet;
use kernel_abi::capability::Kind;
use kernel_abi::message::MESSAGE_BUFFER_BYTES;
use kernel_abi::schedule::{NO_SCHEDULE, PRIORITY_BACKGROUND};
use kernel_abi::task::{THREADS_LOOKED_AT, TaskStatus};
use kernel_abi::{FRAME_BYTES, Handle, KernelError, Rights, USER_END};

/// Interrupts on, the bit that always reads 1 (Intel SDM vol. 1, 3.4.3).
const USER_RFLAGS: u64 = 0x202;

impl<M: Machine> Kernel<M> {
    fn task(&mut self, handle: u64, rights: Rights) -> Result<Link, KernelError> {
        let capability = self.capability_for(handle, Kind::Task, rights)?;
        self.live(capability.name, FrameKind::Task)
    }

    pub(super) fn task_exit(&mut self, code: u64) -> Outcome {
        let task = self.current_task();
        self.end_task(task, TaskStatus::Exited(code as u32));
        Ok(Done::Handled)
    }

    pub(super) fn task_install(&mut self, task: u64, source: u64, destination: u64, rights: u64) -> Outcome {
        let task = self.task(task, Rights::CONFIGURE)?;
        let mut capability = self.capability(source)?;
        if capability.kind == Kind::Reply {
            return Err(KernelError::WrongKind.into());
        }
        if !capability.rights.contains(Rights::TRANSFER) {
            return Err(KernelError::MissingRight.into());
        }
        capability.rights = Self::fewer_rights(&capability, rights)?;
        if !self.machine.object::<Task>(task).is_alive() {
            return Err(KernelError::WrongState.into());
        }
        let place = self.empty_entry_in(task, destination)?;
        *self.capability_at(place) = capability;
        Ok(Done::Value(0))
    }

    pub(super) fn task_kill(&mut self, task: u64, code: u64) -> Outcome {
        let code = u32::try_from(code).map_err(|_| KernelError::InvalidArgument)?;
        let task = self.task(task, Rights::KILL)?;
        self.end_task(task, TaskStatus::Killed(code));
        Ok(Done::Value(0))
    }

    pub(super) fn task_death_notice(&mut self, task: u64, notification: u64) -> Outcome {
        let task = self.task(task, Rights::CONFIGURE)?;
        let capability = self.capability_for(notification, Kind::Notification, Rights::SEND)?;
        let link = self.live(capability.name, FrameKind::Notification)?;
        let object = self.machine.object::<Task>(task);
        object.death_notice = capability.name;
        object.death_bits = capability.badge;
        if !object.is_alive() {
            self.signal(link, capability.badge);
        }
        Ok(Done::Value(0))
    }

    pub(super) fn task_status(&mut self, task: u64) -> Outcome {
        let task = self.task(task, Rights::INSPECT)?;
        Ok(Done::Value(self.machine.object::<Task>(task).status.encode()))
    }

    pub(super) fn task_run(&mut self, task: u64) -> Outcome {
        let task = self.task(task, Rights::INSPECT)?;
        let is_active = self.processors_with(task) != ProcessorSet::EMPTY;
        Ok(Done::Value(if is_active { self.switches } else { self.machine.object::<Task>(task).last_run }))
    }

    pub(super) fn task_time(&mut self, task: u64) -> Outcome {
        let task = self.task(task, Rights::INSPECT)?;
        let name = self.name_of::<Task>(task);
        let running = self.running_for(|bill| bill.task == name);
        Ok(Done::Value(self.machine.object::<Task>(task).used + running))
    }

    pub(super) fn task_waits(&mut self, task: u64) -> Outcome {
        let task = self.task(task, Rights::INSPECT)?;
        let (mut share, mut next) = (0, self.machine.object::<Task>(task).threads);
        for _ in 0..THREADS_LOOKED_AT {
            if next.is_none() {
                break;
            }
            let Thread { queued, schedule, task_next, .. } = *self.machine.object::<Thread>(next);
            if queued && let Ok(place) = self.live(schedule, FrameKind::Schedule) {
                let schedule = self.machine.object::<Schedule>(place);
                share = share.max(schedule.share - schedule.given);
            }
            next = task_next;
        }
        Ok(Done::Value(share))
    }

    pub(super) fn thread_start(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([thread, instruction, stack, first, second, priority, schedule, ..]) = arguments;
        let capability = self.capability_for(thread, Kind::Thread, Rights::CONFIGURE)?;
        let link = self.live(capability.name, FrameKind::Thread)?;
        let priority = u8::try_from(priority).map_err(|_| KernelError::InvalidArgument)?;
        let (schedule, priority_max) = self.schedule_to_start_on(schedule)?;
        if priority > priority_max {
            return Err(KernelError::PriorityTooHigh.into());
        }
        if instruction >= USER_END || stack > USER_END {
            return Err(KernelError::InvalidAddress.into());
        }
        if self.machine.object::<Thread>(link).state != ThreadState::Created {
            return Err(KernelError::WrongState.into());
        }
        self.machine.object::<Thread>(link).schedule = schedule;
        self.start(link, priority, [instruction, stack, first, second]);
        Ok(Done::Value(0))
    }

    /// The schedule that an argument names for a new thread, and the highest priority on it.
    fn schedule_to_start_on(&mut self, argument: u64) -> Result<(ObjectName, u8), KernelError> {
        if argument == NO_SCHEDULE {
            return Ok((ObjectName::NONE, PRIORITY_BACKGROUND));
        }
        if argument == u64::from(Handle::NULL.0) {
            let Thread { schedule, base, .. } = *self.machine.object::<Thread>(self.current());
            return Ok((schedule, base));
        }
        let capability = self.capability_for(argument, Kind::Schedule, Rights::CONFIGURE)?;
        let link = self.live(capability.name, FrameKind::Schedule)?;
        Ok((capability.name, self.machine.object::<Schedule>(link).priority))
    }

    /// Starts a thread that was created.
    pub fn start(&mut self, link: Link, priority: u8, [instruction, stack, first, second]: [u64; 4]) {
        let thread = self.machine.object::<Thread>(link);
        (thread.priority, thread.base, thread.own) = (priority, priority, priority);
        let context = &mut thread.context;
        (context.rip, context.rsp) = (instruction, stack);
        (context.rdi, context.rsi, context.rflags) = (first, second, USER_RFLAGS);
        self.make_ready(link);
    }

    pub(super) fn thread_buffer(&mut self, address: u64, window: u64) -> Outcome {
        self.check_user(address, MESSAGE_BUFFER_BYTES as u64)?;
        let end = address % FRAME_BYTES + MESSAGE_BUFFER_BYTES as u64;
        if !address.is_multiple_of(8) || end > FRAME_BYTES {
            return Err(KernelError::InvalidAddress.into());
        }
        let window = u32::try_from(window).map_err(|_| KernelError::InvalidHandle)?;
        if window > kernel_abi::capability::CAPABILITIES_PER_TASK {
            return Err(KernelError::InvalidHandle.into());
        }
        let current = self.current();
        self.clear_window(current);
        let thread = self.machine.object::<Thread>(current);
        (thread.buffer, thread.window) = (address, window);
        Ok(Done::Value(0))
    }

    pub(super) fn thread_local_base(&mut self, address: u64) -> Outcome {
        self.check_user(address, 0)?;
        self.context(self.current()).fs_base = address;
        Ok(Done::Value(0))
    }

    pub(super) fn thread_exit(&mut self, code: u64) -> Outcome {
        self.end_thread(self.current(), TaskStatus::Exited(code as u32));
        Ok(Done::Handled)
    }
}
