//! Capabilities as user code sees them: a handle into the task's own table, a kind and rights.
//!
//! A capability is object + badge + rights. User code never sees the object, only the handle; the badge
//! of an endpoint or notification capability is chosen by who mints it and delivered to who receives.

use bitflags::bitflags;

/// Index of an entry in the calling task's capability table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// Never holds a capability; every call on it answers `InvalidHandle`.
    pub const NULL: Handle = Handle(0);

    /// The handle `offset` entries further on.
    pub const fn offset(self, offset: u32) -> Handle {
        Handle(self.0 + offset)
    }
}

/// Entries in one frame of a capability table.
pub const CAPABILITIES_PER_FRAME: u32 = 128;

/// Frames that a task's capability table may have at most.
pub const CAPABILITY_FRAMES_PER_TASK: u32 = 32;

/// Entries that a task's capability table may have at most.
pub const CAPABILITIES_PER_TASK: u32 = CAPABILITIES_PER_FRAME * CAPABILITY_FRAMES_PER_TASK;

/// What a capability names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// An empty entry.
    #[default]
    Null = 0,
    /// Authority over free frames, kernel objects and page tables. physmem alone holds it.
    Frames = 1,
    /// Authority to mint I/O port, interrupt and device-memory capabilities.
    Hardware = 2,
    /// An address space with a capability table and threads.
    Task = 3,
    /// A flow of control.
    Thread = 4,
    /// A rendezvous point of synchronous IPC.
    Endpoint = 5,
    /// A set of 64 bits that can be signalled and waited for; carries one one-shot timer.
    Notification = 6,
    /// The right to answer one call, once.
    Reply = 7,
    /// A range of I/O ports.
    IoPorts = 8,
    /// An interrupt line.
    Interrupt = 9,
    /// A range of physical memory that is not RAM.
    DeviceMemory = 10,
    /// The right to write to the system log.
    Log = 11,
    /// A share of the processors' time.
    Schedule = 12,
    /// The right to write events beside the kernel's own ([`crate::trace`]).
    Trace = 13,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Kind> {
        Some(match number {
            0 => Kind::Null,
            1 => Kind::Frames,
            2 => Kind::Hardware,
            3 => Kind::Task,
            4 => Kind::Thread,
            5 => Kind::Endpoint,
            6 => Kind::Notification,
            7 => Kind::Reply,
            8 => Kind::IoPorts,
            9 => Kind::Interrupt,
            10 => Kind::DeviceMemory,
            11 => Kind::Log,
            12 => Kind::Schedule,
            13 => Kind::Trace,
            _ => return None,
        })
    }
}

bitflags! {
    /// What the holder of a capability may do. Bits that mean nothing for a kind are refused, never ignored.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Rights: u16 {
        /// Endpoint: call. Notification: signal.
        const SEND = 1 << 0;
        /// Endpoint: receive. Notification: wait, poll, bind, set its timer.
        const RECEIVE = 1 << 1;
        /// Endpoint, notification: make a copy with another badge.
        const MINT = 1 << 2;
        /// Any kind: pass the capability on in a message or install it in a task.
        const TRANSFER = 1 << 3;
        /// Task: install capabilities, bind the death notice. Thread: set registers and priority, start. Schedule: split it,
        /// run threads on it.
        const CONFIGURE = 1 << 4;
        /// Task: end it.
        const KILL = 1 << 5;
        /// Task: read its state, exit status and time. Schedule: read its numbers.
        const INSPECT = 1 << 6;
    }
}

impl Rights {
    /// The rights that mean something for a kind.
    pub const fn for_kind(kind: Kind) -> Rights {
        let bits = match kind {
            Kind::Null => 0,
            Kind::Endpoint | Kind::Notification => {
                Rights::SEND.bits() | Rights::RECEIVE.bits() | Rights::MINT.bits() | Rights::TRANSFER.bits()
            }
            Kind::Task => {
                Rights::CONFIGURE.bits()
                    | Rights::KILL.bits()
                    | Rights::INSPECT.bits()
                    | Rights::TRANSFER.bits()
            }
            Kind::Schedule => Rights::CONFIGURE.bits() | Rights::INSPECT.bits() | Rights::TRANSFER.bits(),
            Kind::Thread => Rights::CONFIGURE.bits() | Rights::TRANSFER.bits(),
            _ => Rights::TRANSFER.bits(),
        };
        Rights::from_bits_truncate(bits)
    }
}
