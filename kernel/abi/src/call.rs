//! The system calls: number, capability needed, arguments, value, errors.
//!
//! Arguments are named in register order (`rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`, `r12` ...). Every call
//! can answer `InvalidHandle`, `WrongKind`, `MissingRight` and `Stale` for a capability argument and
//! `InvalidArgument` for a value that is out of range; only further errors are listed. Every call checks
//! everything first and then acts without failing.

macro_rules! system_calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A system call.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum SystemCall { $($(#[$doc])* $name = $number,)* }

        impl SystemCall {
            /// The call with this number.
            pub const fn from_number(number: u64) -> Option<SystemCall> {
                match number { $($number => Some(SystemCall::$name),)* _ => None }
            }

            /// The highest number; those above mean nothing.
            pub const LAST: u64 = {
                let (mut last, mut index) = (0, 0);
                while index < SystemCall::ALL.len() {
                    let number = SystemCall::ALL[index] as u64;
                    last = if number > last { number } else { last };
                    index += 1;
                }
                last
            };

            /// All calls, for tests and tables.
            pub const ALL: &'static [SystemCall] = &[$(SystemCall::$name,)*];
        }
    };
}

system_calls! {
    /// Sends a message and waits for the reply. `endpoint` (SEND), `info`, words; deadline.
    /// Out: reply. Errors: `MessageTooLong`, `NoBuffer`, `PeerDied`, `TimedOut`.
    Call = 0,
    /// Answers the current caller, if it is still there, and waits for the next message. `endpoint`
    /// (RECEIVE), `info`, words; deadline for the receive. Out: message. The reply's own errors
    /// (`MessageTooLong`, bad capability) are reported before anything is sent, and the caller keeps
    /// waiting; a caller that is gone is no error. Errors of the receive, when the reply has been sent: `TimedOut`.
    ReplyReceive = 1,
    /// Waits for a message or for the thread's bound notification. `endpoint` (RECEIVE); deadline.
    /// A current reply that was neither sent nor saved is dropped first: its caller gets `PeerDied`. A message that
    /// waits is taken even after the deadline, so one that has passed means "do not wait". Out: message. Errors:
    /// `TimedOut`.
    Receive = 2,
    /// Answers a call. `reply` (a saved reply, or `NULL` for the current one), `info`, words.
    /// Errors: `NoReply`, `Stale` (the caller is gone; the reply is used up all the same).
    Reply = 3,
    /// Moves the current reply into the caller's table. `destination`. Errors: `NoReply`, `Occupied`,
    /// `NoTable`.
    SaveReply = 4,
    /// Sets the bits of the capability's badge. `notification` (SEND).
    Signal = 5,
    /// Waits until a bit is set, takes all bits. `notification` (RECEIVE); deadline. Value: bits.
    /// Errors: `TimedOut`, `Busy` (another thread waits already).
    Wait = 6,
    /// Takes all bits that are set, without waiting. `notification` (RECEIVE). Value: bits, maybe 0.
    Poll = 7,
    /// Has the notification signalled at a time. `notification` (RECEIVE), `time` in nanoseconds since boot
    /// (0 disarms), `bits`. One timer a notification: arming replaces.
    TimerSet = 8,
    /// Lets other threads of the same priority run.
    Yield = 9,
    /// Ends the calling task. `code`. Does not return.
    TaskExit = 10,

    /// Copies a capability within the caller's table. `source`, `destination`, `rights` (a subset).
    /// Reply capabilities cannot be copied: `WrongKind`. Errors: `Occupied`, `NoTable`.
    CapabilityCopy = 16,
    /// Like copy, with a badge. `source` (MINT), `destination`, `rights`, `badge`. The copy has no MINT right
    /// unless asked for.
    CapabilityMint = 17,
    /// Moves a capability within the caller's table. `source`, `destination`.
    CapabilityMove = 18,
    /// Empties an entry. `handle`. Dropping a reply fails the call it belongs to. An empty entry is no error.
    CapabilityDrop = 19,
    /// What an entry is. `handle`. Value: kind in bits 0-7, rights in bits 16-31.
    CapabilityIdentify = 20,

    /// Puts a copy of a capability into another task's table. `task` (CONFIGURE), `source` (TRANSFER),
    /// `destination`, `rights`.
    TaskInstall = 24,
    /// Ends a task. `task` (KILL), `code`. Its threads never run again; its capabilities are dropped when its
    /// frames are reclaimed. A task that has ended already keeps its first status.
    TaskKill = 25,
    /// Has a notification signalled (with the capability's badge) when the task ends; at once if it has.
    /// `task` (CONFIGURE), `notification` (SEND).
    TaskDeathNotice = 26,
    /// How a task is. `task` (INSPECT). Value: [`crate::task::TaskStatus`].
    TaskStatus = 27,
    /// When a task's address space was active last. `task` (INSPECT). Value: the kernel's count of switches between address
    /// spaces then, 0 for never; of one that is active, the count now. Switches of the fast path of a call are not counted: tasks
    /// that answer each other there may have the same value.
    TaskRun = 28,
    /// Processor time that a task has used, with what servers used to answer its calls. `task` (INSPECT). Value: nanoseconds.
    TaskTime = 29,
    /// Whether a task is kept waiting for a processor. `task` (INSPECT). Value: 0: no thread of it waits in a run queue; else the
    /// largest share of time that the schedule of one has which does, in parts of which [`crate::schedule::WHOLE`] are one
    /// processor. Looks at [`crate::task::THREADS_LOOKED_AT`] threads at most.
    TaskWaits = 30,

    /// Sets where a thread starts and starts it. `thread` (CONFIGURE), `instruction pointer`,
    /// `stack pointer`, `first argument`, `second argument`, `priority`, `schedule`: a schedule (CONFIGURE) that bounds the
    /// priority and pays for the thread, or `NULL`: the caller's own, with at most its priority, or
    /// [`crate::schedule::NO_SCHEDULE`]: none, the thread runs on what its callers lend. Errors: `WrongState`,
    /// `PriorityTooHigh`.
    ThreadStart = 32,
    /// Sets the calling thread's message buffer and receive window. `address` (0 for none), `window`: the
    /// first of four successive handles that received capabilities land in (0 for none; where the table has no
    /// entry, a capability is lost). What was received is dropped when the thread receives or is replied to next; what
    /// else lies in the window is dropped when a capability lands on it.
    ThreadBuffer = 33,
    /// Binds a notification to the calling thread, so that `Receive` answers for it too. `notification`
    /// (RECEIVE), or `NULL` to unbind. Errors: `Busy` (bound to another thread).
    ThreadBind = 34,
    /// Sets the calling thread's FS base, for thread-local data. `address`.
    ThreadLocalBase = 35,
    /// Ends the calling thread. If it was the last, its task has exited with `code`. `code`.
    ThreadExit = 36,

    /// Turns a plain frame into a kernel frame, or uses a slot of one, to make an endpoint.
    /// `frames`, `frame`, `slot`, `destination`. Errors: `WrongFrame`, `Retired`, `Occupied`, `NoTable`.
    EndpointCreate = 40,
    /// Same for a notification.
    NotificationCreate = 41,
    /// Same for a task. `frames`, `frame`, `slot`, `destination`, `root` (plain frame for the top page
    /// table), `fault endpoint` (SEND), `fault badge`, two words of `name`: up to 16 bytes, for people who look at what the
    /// kernel says of a task.
    TaskCreate = 42,
    /// Same for a thread. `frames`, `frame`, `slot`, `destination`, `task` (CONFIGURE).
    ThreadCreate = 43,
    /// Gives a task one more frame of capability table. `frames`, `task`, `frame`. Value: first new handle. The
    /// first entry of each table frame is the kernel's, so a frame adds 127 handles.
    CapabilityTableAdd = 44,
    /// Cuts loose everything in a kernel frame and makes it plain. `frames`, `frame`. Errors: `Preempted`
    /// (call again), `Busy` (a capability table of a task that has not ended; a task that still has page tables
    /// or capability tables; any page table: these come back by `PmapUnstock`), `WrongFrame`. To take a task
    /// apart: `TaskKill`, `PmapUnstock` until it gives nothing more, then reclaim its threads, capability
    /// tables and the task.
    Reclaim = 45,
    /// Same for a schedule, which has no processor time as yet.
    ScheduleCreate = 46,

    /// Gives an address space plain frames for page tables. `frames`, `task`, `array` of `u32` frames, `count`.
    /// Errors, with nothing changed: `WrongFrame` (also for a frame named twice), `Retired`.
    PmapStock = 48,
    /// Enters mappings, replacing what is there. `frames`, `task`, `array` of [`crate::pmap::Mapping`] with at
    /// most [`crate::pmap::BATCH_FRAMES`] frames together, `count`. Items of both page sizes in one array must
    /// ascend and not overlap. A page that is mapped already keeps its referenced and dirty bits. Errors, with
    /// nothing changed: `NeedTables` (the value tells how many; it may be more than needed if items do not ascend),
    /// `LargePage` (a page of the other size lies there), `MapCountFull`, `WrongFrame`. With a part done: `Preempted`
    /// (the value tells how many items; call again with the rest), `MapCountFull` where the array itself fills the
    /// count.
    PmapEnter = 49,
    /// Removes mappings; holes are no error. `frames`, `task`, `array` of [`crate::pmap::PageRange`],
    /// `count`. Complete on every processor when it returns. Value: pages removed. Errors: `LargePage` (a range ends
    /// inside a 2 MiB page; nothing is changed), `Preempted` (value: whole items done, of the next one maybe a part;
    /// call again with the rest).
    PmapRemove = 50,
    /// Changes the protection of what is mapped. Arguments and errors as `PmapRemove`.
    PmapProtect = 51,
    /// Reads referenced and dirty bits and clears both where `clear` is 1, the referenced bits alone where it is 2. `frames`, `task`, `address`, `pages`
    /// (at most [`crate::pmap::QUERY_PAGES`]), `output` (a byte a page, see [`crate::pmap::QUERY_PRESENT`]), `clear`.
    /// A 2 MiB page has one set of bits, told for each of its pages. Errors: `LargePage` (the bits of a part of a
    /// 2 MiB page were to be cleared).
    PmapQuery = 52,
    /// Takes back frames of the stock: spare ones and page tables that have become empty; of a task that has
    /// ended all page tables, the top one last. `frames`, `task`, `array` of `u32` to fill, `count`. Value: frames
    /// taken, 0 when there are no more. Errors: `Preempted` (call again; the value tells how many were taken).
    PmapUnstock = 53,
    /// Maps device memory. `frames`, `task`, `device memory`, `address`, `first page` within the range, `pages` (at
    /// most [`crate::pmap::DEVICE_PAGES`]). Errors, with nothing changed: `NeedTables`, `LargePage`.
    PmapEnterDevice = 54,
    /// Clears frames or parts. `frames`, `array` of [`crate::pmap::FrameRange`], `count`. Errors: `Preempted`
    /// (value: items done).
    FrameZero = 55,
    /// Copies between frames. `frames`, `array` of [`crate::pmap::FrameSpan`], `count`. Errors: `Preempted`.
    FrameCopy = 56,
    /// Resolves a fault: enters mappings into the address space of the thread whose fault is the current
    /// reply, resumes it, and receives. `endpoint`, `frames`, `array` of mappings, `count`; deadline.
    /// Errors as `PmapEnter`, with the reply kept.
    ResolveReceive = 57,

    /// Makes a capability for I/O ports, an interrupt line or device memory. `hardware`, `kind`,
    /// `first` (port, line, frame), `count`, `destination`. Device memory must not overlap RAM.
    HardwareMint = 64,
    /// Reads ports. `ports`, `offset`, `width` in bytes (1, 2, 4). Value: what was read.
    PortRead = 65,
    /// Writes ports. `ports`, `offset`, `width`, `value`.
    PortWrite = 66,
    /// Has a notification signalled at each interrupt, and unmasks the line. `interrupt`, `notification`
    /// (SEND).
    InterruptBind = 67,
    /// Unmasks the line again after an interrupt. `interrupt`.
    InterruptAcknowledge = 68,

    /// Writes a line to the system log. `log`, `address`, `bytes` (at most [`LOG_BYTES`]).
    LogWrite = 72,
    /// Reads what a processor has done for others since boot, for measurements. `log`, `processor`, `counter` (a
    /// [`ProcessorCounter`]). Value: the count. Errors: `InvalidArgument` (there is no such processor or counter).
    ProcessorCount = 73,

    /// Gives a schedule a share of another one's processor time, or changes the share that it has of it. `parent`
    /// (CONFIGURE), `child` (CONFIGURE), `priority` (at most the parent's), `budget` and `period` in nanoseconds
    /// ([`crate::schedule::PERIOD_MIN_NS`] to [`crate::schedule::PERIOD_MAX_NS`]). A budget of 0 gives the share back. Errors:
    /// `PriorityTooHigh`, `OverCommitted` (the parent has not so much left, or the child has given more away), `WrongState` (the child
    /// has another parent, or it is the parent itself or above it, or deeper than [`crate::schedule::DEPTH_MAX`]).
    ScheduleSplit = 76,
    /// Reads a number of a schedule. `schedule` (INSPECT), a [`crate::schedule::Figure`]. Value: it.
    ScheduleRead = 77,
    /// Writes an event beside the kernel's own; nothing, where there are no rings. `trace`, `kind` (an
    /// [`crate::trace::EventKind`] of a server), four arguments.
    TraceWrite = 79,
}

/// What a processor counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum ProcessorCounter {
    /// Interrupts sent to other processors because a thread waits for them.
    WakesSent = 0,
    /// Batches of changed mappings for which translations had to be forgotten, here or elsewhere.
    Shootdowns = 1,
    /// Interrupts sent to other processors for these.
    ShootdownsSent = 2,
    /// Threads of other processors that were stopped.
    StopsSent = 3,
    /// Threads taken from other processors' queues.
    Steals = 4,
}

impl ProcessorCounter {
    /// All counters, by number.
    pub const ALL: [ProcessorCounter; 5] = [
        ProcessorCounter::WakesSent,
        ProcessorCounter::Shootdowns,
        ProcessorCounter::ShootdownsSent,
        ProcessorCounter::StopsSent,
        ProcessorCounter::Steals,
    ];
}

/// Bytes that one [`SystemCall::LogWrite`] may carry.
pub const LOG_BYTES: u64 = 256;

#[cfg(test)]
mod tests {
    use super::SystemCall;

    #[test]
    fn numbers_are_unique_and_decode() {
        for &call in SystemCall::ALL {
            assert_eq!(SystemCall::from_number(call as u64), Some(call));
        }
        assert!((SystemCall::LAST + 1..=255).all(|number| SystemCall::from_number(number).is_none()));
        assert_eq!(SystemCall::from_number(u64::MAX), None);
    }
}
