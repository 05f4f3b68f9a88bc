//! Making kernel objects out of frames that physmem names.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Endpoint, Notification, Object, Schedule, Task, Thread, ThreadState};
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, Kind};
use kernel_abi::object::THREADS_PER_TASK;
use kernel_abi::{FRAME_BYTES, KernelError, Rights};

/// A place for a new object: checked, nothing changed yet.
struct NewPlace {
    link: Link,
    entry: Link,
    fresh: bool,
}

impl<M: Machine> Kernel<M> {
    /// Checks that an object of kind `T` can be made in a slot of a frame, with a capability at `destination`.
    fn new_place<T: Object>(
        &mut self,
        Arguments([frames, frame, slot, destination, ..]): Arguments,
        vacant: fn(&T) -> bool,
    ) -> Result<NewPlace, KernelError> {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let frame = self.frame_number(frame)?;
        if slot >= u64::from(T::PER_FRAME) {
            return Err(KernelError::InvalidArgument);
        }
        let link = Link::new::<T>(frame, slot as u32);
        let state = *self.machine.frame(frame).ok_or(KernelError::InvalidArgument)?;
        let fresh = state.kind() != T::KIND;
        if fresh {
            state.check_kernel_use()?;
        } else if !vacant(self.machine.object::<T>(link)) {
            return Err(KernelError::Occupied);
        } else if self.machine.object::<T>(link).generation() == u32::MAX {
            return Err(KernelError::Retired);
        }
        let entry = self.empty_entry(destination)?;
        Ok(NewPlace { link, entry, fresh })
    }

    /// Puts the object in its place and the capability in the table.
    fn place<T: Object>(&mut self, place: &NewPlace, kind: Kind, set_up: impl FnOnce(&mut T)) -> ObjectName {
        let frame = place.link.frame();
        if place.fresh {
            self.machine.frame(frame).expect("the frame was checked").take_for(T::KIND);
            self.machine.format::<T>(frame);
        }
        set_up(self.machine.object::<T>(place.link));
        let name = self.name_of::<T>(place.link);
        *self.capability_at(place.entry) = Capability::full(kind, name);
        name
    }

    pub(super) fn endpoint_create(&mut self, arguments: Arguments) -> Outcome {
        let vacant = |endpoint: &Endpoint| !endpoint.live && endpoint.is_deserted();
        let place = self.new_place::<Endpoint>(arguments, vacant)?;
        self.place::<Endpoint>(&place, Kind::Endpoint, |endpoint| endpoint.live = true);
        Ok(Done::Value(0))
    }

    pub(super) fn notification_create(&mut self, arguments: Arguments) -> Outcome {
        let place = self.new_place::<Notification>(arguments, |notification| !notification.live)?;
        self.place::<Notification>(&place, Kind::Notification, |notification| notification.live = true);
        Ok(Done::Value(0))
    }

    pub(super) fn schedule_create(&mut self, arguments: Arguments) -> Outcome {
        let place =
            self.new_place::<Schedule>(arguments, |schedule| !schedule.live && schedule.dry.is_none())?;
        self.place::<Schedule>(&place, Kind::Schedule, |schedule| {
            *schedule = Schedule { generation: schedule.generation, live: true, ..Schedule::EMPTY };
        });
        Ok(Done::Value(0))
    }

    pub(super) fn task_create(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([_, frame, _, _, root, fault_endpoint, fault_badge, name, name_rest, _]) = arguments;
        let place = self.new_place::<Task>(arguments, |task| !task.live)?;
        let root = self.frame_number(root)?;
        if u64::from(root) == frame {
            return Err(KernelError::InvalidArgument.into());
        }
        self.machine.frame(root).ok_or(KernelError::InvalidArgument)?.check_kernel_use()?;
        let (_, endpoint) = self.endpoint(fault_endpoint, Rights::SEND)?;
        self.machine.frame(root).expect("the frame was checked").take_for(FrameKind::PageTable);
        self.machine.zero(root, 0, FRAME_BYTES as usize);
        self.machine.format_root(root);
        self.place::<Task>(&place, Kind::Task, |task| {
            *task = Task { generation: task.generation, live: true, root, ..Task::EMPTY };
            task.fault_endpoint = endpoint.name;
            task.fault_badge = fault_badge;
            task.name = (u128::from(name) | u128::from(name_rest) << 64).to_le_bytes();
        });
        Ok(Done::Value(0))
    }

    pub(super) fn thread_create(&mut self, arguments: Arguments) -> Outcome {
        let vacant = |thread: &Thread| matches!(thread.state, ThreadState::Empty | ThreadState::Ended);
        let place = self.new_place::<Thread>(arguments, vacant)?;
        let capability = self.capability_for(arguments.0[4], Kind::Task, Rights::CONFIGURE)?;
        let task = self.live(capability.name, FrameKind::Task)?;
        let object = self.machine.object::<Task>(task);
        if !object.is_alive() {
            return Err(KernelError::WrongState.into());
        }
        if object.thread_count == THREADS_PER_TASK {
            return Err(KernelError::Busy.into());
        }
        self.place::<Thread>(&place, Kind::Thread, |thread| {
            *thread = Thread { generation: thread.generation, task: capability.name, ..Thread::EMPTY };
            thread.state = ThreadState::Created;
        });
        self.adopt(task, place.link);
        Ok(Done::Value(0))
    }

    /// Adds a thread to its task's list.
    fn adopt(&mut self, task: Link, thread: Link) {
        let object = self.machine.object::<Task>(task);
        object.thread_count += 1;
        let next = core::mem::replace(&mut object.threads, thread);
        self.machine.object::<Thread>(thread).task_next = next;
        if next.is_some() {
            self.machine.object::<Thread>(next).task_previous = thread;
        }
    }

    pub(super) fn capability_table_add(&mut self, frames: u64, task: u64, frame: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let capability = self.capability_for(task, Kind::Task, Rights::empty())?;
        let task = self.live(capability.name, FrameKind::Task)?;
        let frame = self.frame_number(frame)?;
        let object = self.machine.object::<Task>(task);
        if !object.is_alive() {
            return Err(KernelError::WrongState.into());
        }
        let index = object.table.iter().position(|&frame| frame == 0).ok_or(KernelError::Busy)?;
        let entry = self.machine.frame(frame).ok_or(KernelError::InvalidArgument)?;
        entry.check_kernel_use()?;
        entry.take_for(FrameKind::CapabilityTable);
        self.machine.format::<Capability>(frame);
        // The first entry belongs to the kernel: it names the task, for the day the frame is reclaimed.
        *self.capability_at(Link::new::<Capability>(frame, 0)) =
            Capability { name: capability.name, ..Capability::NULL };
        self.machine.object::<Task>(task).table[index] = frame;
        Ok(Done::Value(index as u64 * u64::from(CAPABILITIES_PER_FRAME) + 1))
    }
}
