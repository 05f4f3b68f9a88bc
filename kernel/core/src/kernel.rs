//! The kernel's state, access to objects by name and handle, and the way in and out of the kernel.

use crate::frame_table::FrameKind;
use crate::machine::{Machine, UserFault};
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Context, Object, Schedule, Task, Thread};
use crate::processor::{Counters, PROCESSORS_MAX, Processor};
use crate::timer::TimerWheel;
use crate::trace::Tracer;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, CAPABILITY_FRAMES_PER_TASK};
use kernel_abi::schedule::WHOLE;
use kernel_abi::trace::EventKind;
use kernel_abi::{Handle, KernelError, Kind, Rights, SystemCall, USER_END};

/// Interrupt lines (of the first I/O APIC).
pub const INTERRUPT_LINES: usize = 24;

/// Who is told of an interrupt.
#[derive(Clone, Copy)]
pub(crate) struct InterruptLine {
    pub(crate) notification: ObjectName,
    pub(crate) bits: u64,
}

/// The whole state. See the crate's header.
pub struct Kernel<M> {
    /// The machine below.
    pub machine: M,
    /// What belongs to each processor; those from `processor_count` on do not take part.
    pub(crate) processors: [Processor; PROCESSORS_MAX],
    pub(crate) processor_count: usize,
    /// The processor that has entered the kernel.
    pub(crate) here: usize,
    /// Priorities at which threads wait in run queues, of all processors together.
    pub(crate) waiting: u32,
    /// The processor whose timer covers the wheel's next event, if any does.
    pub(crate) timekeeper: usize,
    /// Switches between address spaces, those of the fast path left out.
    pub(crate) switches: u64,
    pub(crate) timers: TimerWheel,
    pub(crate) tracer: Tracer,
    pub(crate) interrupts: [InterruptLine; INTERRUPT_LINES],
    /// The task whose end is the end of the system.
    pub(crate) first_task: ObjectName,
    /// The schedule that all others are split off.
    pub(crate) root_schedule: ObjectName,
    /// Everything goes by the general code, for tests.
    #[cfg(any(test, feature = "host"))]
    pub is_general: bool,
}

/// Why a system call does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It is refused, with a value.
    Error(KernelError, u64),
    /// User memory must be brought in first; the call is then made again.
    Fault(UserFault),
}

impl From<KernelError> for Stop {
    fn from(error: KernelError) -> Self {
        Stop::Error(error, 0)
    }
}

impl From<UserFault> for Stop {
    fn from(fault: UserFault) -> Self {
        Stop::Fault(fault)
    }
}

/// How a system call went on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// It is finished; the value goes to `rdx`.
    Value(u64),
    /// Its result is in the registers already, or the thread waits.
    Handled,
}

/// What an operation answers.
pub(crate) type Outcome = Result<Done, Stop>;

impl<M: Machine> Kernel<M> {
    /// A kernel without objects, for one processor. Device memory for them, and for everything else, is the machine's.
    pub fn new(machine: M) -> Kernel<M> {
        Kernel {
            machine,
            processors: [const { Processor::IDLE }; PROCESSORS_MAX],
            processor_count: 1,
            here: 0,
            waiting: 0,
            timekeeper: 0,
            switches: 0,
            timers: TimerWheel::EMPTY,
            tracer: Tracer::OFF,
            interrupts: [InterruptLine { notification: ObjectName::NONE, bits: 0 }; INTERRUPT_LINES],
            first_task: ObjectName::NONE,
            root_schedule: ObjectName::NONE,
            #[cfg(any(test, feature = "host"))]
            is_general: false,
        }
    }

    /// Whether what has a fast path within a call is to go by the general code all the same.
    #[inline(always)]
    pub(crate) fn is_general(&self) -> bool {
        #[cfg(any(test, feature = "host"))]
        return self.is_general;
        #[cfg(not(any(test, feature = "host")))]
        false
    }

    /// Has one more processor take part, which idles. `None`: there are [`PROCESSORS_MAX`]. Its number.
    pub fn add_processor(&mut self) -> Option<usize> {
        let number = self.processor_count;
        if number == PROCESSORS_MAX {
            return None;
        }
        self.processor_count += 1;
        if let Ok(root) = self.live(self.root_schedule, FrameKind::Schedule) {
            self.machine.object::<Schedule>(root).share += WHOLE;
        }
        Some(number)
    }

    /// What a processor has done for others. `None`: there is no such processor.
    pub fn counters(&self, processor: usize) -> Option<Counters> {
        self.processors[..self.processor_count].get(processor).map(|processor| processor.counters)
    }

    /// A processor has entered the kernel: everything up to the next call of this is about it.
    #[inline]
    pub fn enter(&mut self, processor: usize) {
        self.here = processor;
        self.machine.entered(processor);
    }

    /// The thread that runs on the processor that has entered. None: it idled, or its thread was stopped by another one;
    /// then there is nothing to do but to leave.
    #[inline]
    pub fn current(&self) -> Link {
        // The remainder changes nothing, but spares the fast path a check.
        self.processors[self.here % PROCESSORS_MAX].scheduler.current
    }

    /// Takes a system call of the current thread; its registers are in its context. Nothing, if another processor has stopped
    /// the thread on its way in.
    pub fn system_call(&mut self) {
        let current = self.current();
        if current.is_none() {
            return;
        }
        let outcome = match SystemCall::from_number(self.context(current).rax) {
            Some(call) => self.dispatch(call),
            None => Err(KernelError::InvalidCall.into()),
        };
        match outcome {
            Ok(Done::Handled) => {}
            Ok(Done::Value(value)) => self.finish(current, 0, value),
            Err(Stop::Error(error, value)) => self.finish(current, error.status(), value),
            Err(Stop::Fault(fault)) => {
                // `syscall` is two bytes: the call is made again once the page is there.
                let context = &mut self.machine.object::<Thread>(current).context;
                context.rip = context.rip.wrapping_sub(2);
                self.raise_fault(current, fault);
            }
        }
    }

    fn finish(&mut self, current: Link, status: u64, value: u64) {
        let context = &mut self.machine.object::<Thread>(current).context;
        context.rax = status;
        context.rdx = value;
    }

    /// Takes an interrupt of a device.
    pub fn device_interrupt(&mut self, line: u32) {
        self.machine.mask_interrupt(line, true);
        self.trace(EventKind::Interrupt, self.current(), [line.into(), 0, 0, 0]);
        let InterruptLine { notification, bits } = self.interrupts[line as usize];
        if let Ok(link) = self.live(notification, FrameKind::Notification) {
            self.signal(link, bits);
        }
    }

    /// Registers of a thread.
    pub(crate) fn context(&mut self, link: Link) -> &mut Context {
        &mut self.machine.object::<Thread>(link).context
    }

    /// The full name of an object.
    pub fn name_of<T: Object>(&mut self, link: Link) -> ObjectName {
        let slot_generation = self.machine.object::<T>(link).generation();
        let frame_generation = self.machine.entry(link.frame()).generation();
        ObjectName { link, frame_generation, slot_generation }
    }

    /// The object of a name, if it still exists.
    pub(crate) fn live(&mut self, name: ObjectName, kind: FrameKind) -> Result<Link, KernelError> {
        if name.is_none() {
            return Err(KernelError::Stale);
        }
        let entry = *self.machine.frame(name.link.frame()).ok_or(KernelError::Stale)?;
        if entry.kind() != kind || entry.generation() != name.frame_generation {
            return Err(KernelError::Stale);
        }
        let generation = match kind {
            FrameKind::Thread => self.machine.object::<Thread>(name.link).generation,
            FrameKind::Task => self.machine.object::<Task>(name.link).generation,
            FrameKind::Endpoint => self.machine.object::<crate::objects::Endpoint>(name.link).generation,
            FrameKind::Schedule => self.machine.object::<crate::objects::Schedule>(name.link).generation,
            _ => self.machine.object::<crate::objects::Notification>(name.link).generation,
        };
        if generation == name.slot_generation { Ok(name.link) } else { Err(KernelError::Stale) }
    }

    /// Task of the current thread.
    pub(crate) fn current_task(&mut self) -> Link {
        self.machine.object::<Thread>(self.current()).task.link
    }

    /// The place of an entry in a task's capability table.
    pub(crate) fn entry_of(&mut self, task: Link, handle: Handle) -> Result<Link, KernelError> {
        let (frame, slot) = (handle.0 / CAPABILITIES_PER_FRAME, handle.0 % CAPABILITIES_PER_FRAME);
        if frame >= CAPABILITY_FRAMES_PER_TASK || slot == 0 {
            return Err(KernelError::InvalidHandle);
        }
        match self.machine.object::<Task>(task).table[frame as usize] {
            0 => Err(KernelError::NoTable),
            frame => Ok(Link::new::<Capability>(frame, slot)),
        }
    }

    /// The capability that a handle of the current task names.
    pub(crate) fn capability(&mut self, handle: u64) -> Result<Capability, KernelError> {
        let task = self.current_task();
        self.capability_in(task, handle)
    }

    /// The capability that a handle of a task names; empty entries are refused.
    pub(crate) fn capability_in(&mut self, task: Link, handle: u64) -> Result<Capability, KernelError> {
        let handle = u32::try_from(handle).map_err(|_| KernelError::InvalidHandle)?;
        let place = self.entry_of(task, Handle(handle)).map_err(|_| KernelError::InvalidHandle)?;
        let capability = *self.capability_at(place);
        if capability.kind == Kind::Null { Err(KernelError::InvalidHandle) } else { Ok(capability) }
    }

    /// The capability of this kind and with these rights that a handle of the current task names.
    pub(crate) fn capability_for(
        &mut self,
        handle: u64,
        kind: Kind,
        rights: Rights,
    ) -> Result<Capability, KernelError> {
        let capability = self.capability(handle)?;
        if capability.kind != kind {
            return Err(KernelError::WrongKind);
        }
        if !capability.rights.contains(rights) {
            return Err(KernelError::MissingRight);
        }
        Ok(capability)
    }

    /// The entry at a place.
    pub(crate) fn capability_at(&mut self, place: Link) -> &mut Capability {
        self.machine.object::<Capability>(place)
    }

    /// Checks that an array lies in user memory and is aligned.
    pub(crate) fn check_array(
        &self,
        address: u64,
        count: u64,
        item_bytes: u64,
        count_max: u64,
    ) -> Result<(), KernelError> {
        if count > count_max {
            return Err(KernelError::InvalidArgument);
        }
        self.check_user(address, count * item_bytes)?;
        if !address.is_multiple_of(8) && item_bytes.is_multiple_of(8) || !address.is_multiple_of(4) {
            return Err(KernelError::InvalidAddress);
        }
        Ok(())
    }

    /// Checks that bytes lie in user memory.
    pub(crate) fn check_user(&self, address: u64, bytes: u64) -> Result<(), KernelError> {
        match address.checked_add(bytes) {
            Some(end) if end <= USER_END => Ok(()),
            _ => Err(KernelError::InvalidAddress),
        }
    }

    /// A frame number that the frame table covers.
    pub(crate) fn frame_number(&mut self, value: u64) -> Result<u32, KernelError> {
        let frame = u32::try_from(value).map_err(|_| KernelError::InvalidArgument)?;
        if self.machine.frame(frame).is_none() { Err(KernelError::InvalidArgument) } else { Ok(frame) }
    }
}
