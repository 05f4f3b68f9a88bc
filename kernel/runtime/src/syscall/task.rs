//! Calls about tasks, threads and the kernel objects made of frames.

use super::handle;
use super::raw::{message, plain, status};
use kernel_abi::schedule::{Figure, WHOLE};
use kernel_abi::task::TaskStatus;
use kernel_abi::{Handle, KernelError, Rights, SystemCall};

/// Where a thread starts, and with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadState {
    /// First instruction.
    pub instruction_pointer: u64,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// `rdi` and `rsi`.
    pub arguments: [u64; 2],
    /// At most the schedule's; where none is named, at most the caller's own.
    pub priority: u8,
    /// What pays for it; none: the caller's own schedule.
    pub schedule: Option<Handle>,
}

/// Puts a copy of a capability into another task's table.
pub fn task_install(
    task: Handle,
    source: Handle,
    destination: Handle,
    rights: Rights,
) -> Result<(), KernelError> {
    let rights = u64::from(rights.bits());
    let arguments = [handle(task), handle(source), handle(destination), rights, 0, 0];
    plain(SystemCall::TaskInstall, arguments).map(drop)
}

/// Ends a task.
pub fn task_kill(task: Handle, code: u32) -> Result<(), KernelError> {
    plain(SystemCall::TaskKill, [handle(task), u64::from(code), 0, 0, 0, 0]).map(drop)
}

/// Has a notification signalled when the task ends; at once if it has.
pub fn task_death_notice(task: Handle, notification: Handle) -> Result<(), KernelError> {
    plain(SystemCall::TaskDeathNotice, [handle(task), handle(notification), 0, 0, 0, 0]).map(drop)
}

/// How a task is.
pub fn task_status(task: Handle) -> Result<TaskStatus, KernelError> {
    let value = plain(SystemCall::TaskStatus, [handle(task), 0, 0, 0, 0, 0])?;
    TaskStatus::decode(value).ok_or(KernelError::InvalidCall)
}

/// When a task's address space was active last, as a count that grows; 0: never.
pub fn task_run(task: Handle) -> Result<u64, KernelError> {
    plain(SystemCall::TaskRun, [handle(task), 0, 0, 0, 0, 0])
}

/// Processor time that a task has used, in nanoseconds, with what servers used to answer its calls.
pub fn task_time(task: Handle) -> Result<u64, KernelError> {
    plain(SystemCall::TaskTime, [handle(task), 0, 0, 0, 0, 0])
}

/// Whether a task is kept waiting for a processor: 0, or the largest share of a schedule on which one of its threads waits.
pub fn task_waits(task: Handle) -> Result<u64, KernelError> {
    plain(SystemCall::TaskWaits, [handle(task), 0, 0, 0, 0, 0])
}

/// Makes a schedule in a slot of a kernel frame.
pub fn schedule_create(
    frames: Handle,
    frame: u32,
    slot: u32,
    destination: Handle,
) -> Result<(), KernelError> {
    let arguments = [handle(frames), u64::from(frame), u64::from(slot), handle(destination), 0, 0];
    plain(SystemCall::ScheduleCreate, arguments).map(drop)
}

/// Gives a schedule a share of another one's time, or changes the share that it has of it; a budget of 0 gives it back.
pub fn schedule_split(parent: Handle, child: Handle, share: &TimeShare) -> Result<(), KernelError> {
    let &TimeShare { priority, budget_ns, period_ns } = share;
    let arguments = [handle(parent), handle(child), priority.into(), budget_ns, period_ns, 0];
    plain(SystemCall::ScheduleSplit, arguments).map(drop)
}

/// Reads a number of a schedule.
pub fn schedule_read(schedule: Handle, figure: Figure) -> Result<u64, KernelError> {
    plain(SystemCall::ScheduleRead, [handle(schedule), figure as u64, 0, 0, 0, 0])
}

/// A part of the processors' time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeShare {
    /// Highest priority at which it may be used.
    pub priority: u8,
    /// Nanoseconds in each period.
    pub budget_ns: u64,
    /// The period in nanoseconds.
    pub period_ns: u64,
}

impl TimeShare {
    /// So many thousandths of all that a schedule has, with what it gave away, in periods of [`TimeShare::PERIOD_NS`].
    pub fn part_of(schedule: Handle, thousandths: u64, priority: u8) -> Result<TimeShare, KernelError> {
        let whole = schedule_read(schedule, Figure::Share)?;
        let budget_ns = whole * Self::PERIOD_NS / WHOLE * thousandths / 1000;
        Ok(TimeShare { priority, budget_ns, period_ns: Self::PERIOD_NS })
    }

    /// The system's usual period: nobody with a budget waits longer for it.
    pub const PERIOD_NS: u64 = 10_000_000;
}

/// Sets where a thread starts and starts it.
pub fn thread_start(thread: Handle, state: &ThreadState) -> Result<(), KernelError> {
    let [first, second] = state.arguments;
    let schedule = handle(state.schedule.unwrap_or(Handle::NULL));
    let words = [state.stack_pointer, first, second, state.priority.into(), schedule, 0, 0, 0];
    let returned = message(SystemCall::ThreadStart, handle(thread), state.instruction_pointer, words, 0);
    status(returned.status)
}

/// Sets the calling thread's message buffer and receive window.
pub(crate) fn thread_buffer(address: u64, window: Handle) -> Result<(), KernelError> {
    plain(SystemCall::ThreadBuffer, [address, handle(window), 0, 0, 0, 0]).map(drop)
}

/// Binds a notification to the calling thread; `NULL` unbinds.
pub fn thread_bind(notification: Handle) -> Result<(), KernelError> {
    plain(SystemCall::ThreadBind, [handle(notification), 0, 0, 0, 0, 0]).map(drop)
}

/// Sets the calling thread's FS base.
pub(crate) fn thread_local_base(address: u64) -> Result<(), KernelError> {
    plain(SystemCall::ThreadLocalBase, [address, 0, 0, 0, 0, 0]).map(drop)
}

/// Ends the calling thread; if it was the last, its task has exited with `code`.
pub fn thread_exit(code: u32) -> ! {
    loop {
        let _ = plain(SystemCall::ThreadExit, [u64::from(code), 0, 0, 0, 0, 0]);
    }
}

/// Makes an endpoint in a slot of a kernel frame.
pub fn endpoint_create(
    frames: Handle,
    frame: u32,
    slot: u32,
    destination: Handle,
) -> Result<(), KernelError> {
    let arguments = [handle(frames), u64::from(frame), u64::from(slot), handle(destination), 0, 0];
    plain(SystemCall::EndpointCreate, arguments).map(drop)
}

/// Makes a notification in a slot of a kernel frame.
pub fn notification_create(
    frames: Handle,
    frame: u32,
    slot: u32,
    destination: Handle,
) -> Result<(), KernelError> {
    let arguments = [handle(frames), u64::from(frame), u64::from(slot), handle(destination), 0, 0];
    plain(SystemCall::NotificationCreate, arguments).map(drop)
}

/// What a new task is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewTask {
    /// Kernel frame that holds the task.
    pub frame: u32,
    /// Slot in it.
    pub slot: u32,
    /// Where the task's capability goes.
    pub destination: Handle,
    /// Plain frame for the top page table.
    pub root: u32,
    /// Endpoint (SEND) at which its faults are served.
    pub fault_endpoint: Handle,
    /// Badge that they carry.
    pub fault_badge: u64,
    /// For people: up to 16 bytes, little-endian, filled with zeros.
    pub name: [u64; 2],
}

/// Makes a task with an address space.
pub fn task_create(frames: Handle, task: &NewTask) -> Result<(), KernelError> {
    // Nine arguments are more than a plain call carries; the registers are those of an IPC call's words.
    let mut words = [0; 8];
    words[0] = u64::from(task.slot);
    words[1] = handle(task.destination);
    words[2] = u64::from(task.root);
    words[3] = handle(task.fault_endpoint);
    words[4] = task.fault_badge;
    words[5..7].copy_from_slice(&task.name);
    let returned = message(SystemCall::TaskCreate, handle(frames), u64::from(task.frame), words, 0);
    status(returned.status)
}

/// Makes a thread of a task in a slot of a kernel frame.
pub fn thread_create(
    frames: Handle,
    frame: u32,
    slot: u32,
    destination: Handle,
    task: Handle,
) -> Result<(), KernelError> {
    let arguments = [handle(frames), u64::from(frame), u64::from(slot), handle(destination), handle(task), 0];
    plain(SystemCall::ThreadCreate, arguments).map(drop)
}

/// Gives a task one more frame of capability table. The first new handle.
pub fn capability_table_add(frames: Handle, task: Handle, frame: u32) -> Result<Handle, KernelError> {
    let arguments = [handle(frames), handle(task), u64::from(frame), 0, 0, 0];
    plain(SystemCall::CapabilityTableAdd, arguments).map(|first| Handle(first as u32))
}

/// Cuts loose everything in a kernel frame and makes it plain; once more where it was preempted.
pub fn reclaim(frames: Handle, frame: u32) -> Result<(), KernelError> {
    loop {
        match plain(SystemCall::Reclaim, [handle(frames), u64::from(frame), 0, 0, 0, 0]) {
            Err(KernelError::Preempted) => continue,
            result => return result.map(drop),
        }
    }
}
