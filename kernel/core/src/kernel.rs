//! The kernel's state, access to objects by name and handle, and the way in and out of the kernel.

use crate::frame_table::FrameKind;
use crate::machine::{Machine, UserFault};
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Context, Object, Task, Thread, ThreadState};
use crate::processor::Processor;
use crate::scheduler::SLICE_NS;
use crate::timer::TimerWheel;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, CAPABILITY_FRAMES_PER_TASK};
use kernel_abi::{Handle, KernelError, Kind, Rights, SystemCall, USER_END};

/// Interrupt lines (of the first I/O APIC).
pub const INTERRUPT_LINES: usize = 24;

/// Return addresses of user code that a description gives at most.
const BACKTRACE_DEPTH: usize = 32;

/// Steps that the timing wheel takes in one kernel entry, so that an entry stays bounded; the rest follow at once in the next.
const TIMER_STEPS_PER_ENTRY: u32 = 64;

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
    /// What belongs to the processor that has entered the kernel.
    pub(crate) processor: Processor,
    /// Switches between address spaces, those of the fast path left out.
    pub(crate) switches: u64,
    pub(crate) timers: TimerWheel,
    pub(crate) interrupts: [InterruptLine; INTERRUPT_LINES],
    /// The task whose end is the end of the system.
    pub(crate) first_task: ObjectName,
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
    /// A kernel without objects. Device memory for them, and for everything else, is the machine's.
    pub fn new(machine: M) -> Kernel<M> {
        Kernel {
            machine,
            processor: Processor::IDLE,
            switches: 0,
            timers: TimerWheel::EMPTY,
            interrupts: [InterruptLine { notification: ObjectName::NONE, bits: 0 }; INTERRUPT_LINES],
            first_task: ObjectName::NONE,
        }
    }

    /// The thread that runs.
    pub fn current(&self) -> Link {
        self.processor.scheduler.current
    }

    /// Takes a system call of the current thread; its registers are in its context.
    pub fn system_call(&mut self) {
        let current = self.processor.scheduler.current;
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
        let InterruptLine { notification, bits } = self.interrupts[line as usize];
        if let Ok(link) = self.live(notification, FrameKind::Notification) {
            self.signal(link, bits);
        }
    }

    /// Takes the timer's interrupt.
    pub fn timer_interrupt(&mut self) {
        self.processor.armed_until = u64::MAX;
        let current = self.processor.scheduler.current;
        if current.is_none() || self.machine.now() < self.processor.slice_end {
            return;
        }
        let priority = self.machine.object::<Thread>(current).priority;
        if self.processor.scheduler.has_rival(priority) {
            self.processor.slice_end = u64::MAX;
            self.processor.yields = true;
        }
    }

    /// Lets the current thread fall behind its equals.
    pub(crate) fn yield_now(&mut self) {
        self.processor.yields = true;
    }

    /// Ends a kernel entry: fires what is due, chooses the thread that runs next and makes its address space active.
    /// `None`: wait for an interrupt.
    pub fn leave(&mut self) -> Option<Link> {
        self.fire_timers();
        loop {
            let current = self.processor.scheduler.current;
            let runnable =
                current.is_some() && self.machine.object::<Thread>(current).state == ThreadState::Ready;
            let yields = core::mem::replace(&mut self.processor.yields, false);
            let next = self.processor.scheduler.choose(&mut self.machine, runnable, yields);
            self.processor.scheduler.current = next;
            if next.is_none() {
                self.arm_timer(None);
                return None;
            }
            if self.switch_to(next) {
                let priority = self.machine.object::<Thread>(next).priority;
                self.arm_timer(Some(priority));
                return Some(next);
            }
        }
    }

    /// Makes a thread's address space active and finishes what it waited for. False: it cannot run now after all.
    fn switch_to(&mut self, link: Link) -> bool {
        let task = self.machine.object::<Thread>(link).task.link;
        if task != self.processor.active_task {
            self.switches += 1;
            let object = self.machine.object::<Task>(task);
            object.last_run = self.switches;
            let root = object.root;
            self.machine.activate(root);
            self.processor.active_task = task;
        }
        let thread = self.machine.object::<Thread>(link);
        let (unfinished, base) = (thread.unfinished, thread.context.fs_base);
        self.machine.set_local_base(base);
        !unfinished || self.finish_waiting(link)
    }

    fn fire_timers(&mut self) {
        // Reading the clock is not free: only when something can be due.
        if self.timers.next_event() == u64::MAX {
            return;
        }
        let now = self.machine.now();
        if now < self.timers.next_event() {
            return;
        }
        let mut steps = TIMER_STEPS_PER_ENTRY;
        while let Some(link) = self.timers.expire(&mut self.machine, now, &mut steps) {
            self.expired(link);
        }
    }

    /// Has the timer fire for the next deadline, or for the end of a slice where an equal waits. Arming again only ever
    /// brings the interrupt forward: one that comes for nothing does no harm.
    fn arm_timer(&mut self, running: Option<u8>) {
        let mut wanted = self.timers.next_event();
        if running.is_some_and(|priority| self.processor.scheduler.has_rival(priority)) {
            // A slice goes on when a better thread has run in between, or those who never let it end would starve equals.
            if self.processor.slice_end == u64::MAX {
                self.processor.slice_end = self.machine.now().saturating_add(SLICE_NS);
            }
            wanted = wanted.min(self.processor.slice_end);
        }
        if wanted < self.processor.armed_until {
            self.processor.armed_until = wanted;
            self.machine.set_timer(wanted);
        }
    }

    /// Makes a blocked thread run again.
    pub(crate) fn make_ready(&mut self, link: Link) {
        self.machine.object::<Thread>(link).state = ThreadState::Ready;
        if link != self.processor.scheduler.current {
            self.processor.scheduler.wake(&mut self.machine, link);
        }
    }

    /// Registers of a thread.
    pub(crate) fn context(&mut self, link: Link) -> &mut Context {
        &mut self.machine.object::<Thread>(link).context
    }

    /// The full name of an object.
    pub fn name_of<T: Object>(&mut self, link: Link) -> ObjectName {
        let slot_generation = self.machine.object::<T>(link).generation();
        let frame_generation = self.machine.frame(link.frame()).map_or(0, |entry| entry.generation());
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
            _ => self.machine.object::<crate::objects::Notification>(name.link).generation,
        };
        if generation == name.slot_generation { Ok(name.link) } else { Err(KernelError::Stale) }
    }

    /// Task of the current thread.
    pub(crate) fn current_task(&mut self) -> Link {
        self.machine.object::<Thread>(self.processor.scheduler.current).task.link
    }

    /// The place of an entry in a task's capability table.
    pub(crate) fn entry_of(&mut self, task: Link, handle: Handle) -> Result<Link, KernelError> {
        let (frame, slot) = (handle.0 / CAPABILITIES_PER_FRAME, handle.0 % CAPABILITIES_PER_FRAME);
        if frame >= CAPABILITY_FRAMES_PER_TASK || slot == 0 {
            return Err(KernelError::InvalidHandle);
        }
        match self.machine.object::<Task>(task).table[frame as usize] {
            0 => Err(KernelError::NoTable),
            frame => Ok(Link::new(frame, slot)),
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

    /// Writes what the kernel is doing, for a person: of user code the return addresses too, as far as its frame pointers
    /// lead.
    pub fn describe(&mut self, out: &mut impl core::fmt::Write) {
        let current = self.processor.scheduler.current;
        if current.is_none() {
            let _ = writeln!(out, "kernel: idle");
            return;
        }
        let thread = self.machine.object::<Thread>(current);
        let (link, context) = (thread.task.link, thread.context);
        let bytes = self.machine.object::<Task>(link).name;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let name = core::str::from_utf8(&bytes[..end]).unwrap_or("?");
        let _ = writeln!(out, "kernel: thread {current:?} of task {link:?} ({name}) runs");
        let _ = writeln!(out, "backtrace: {name} {:#x} fault", context.rip);
        let mut base = context.rbp;
        for _ in 0..BACKTRACE_DEPTH {
            let mut words = [0; 2];
            let readable = base.is_multiple_of(8) && self.check_user(base, 16).is_ok();
            if !readable || self.machine.read_user_words(base, &mut words).is_err() || words[1] == 0 {
                return;
            }
            let _ = writeln!(out, "backtrace: {name} {:#x}", words[1]);
            base = words[0];
        }
    }
}
