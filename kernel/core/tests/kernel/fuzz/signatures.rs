//! What each argument of each system call is, so that most random arguments make sense.

use kernel_abi::{Kind, SystemCall};

/// What an argument means.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A capability of this kind.
    Capability(Kind),
    /// Any capability.
    AnyCapability,
    /// An entry to be filled.
    Destination,
    /// A frame.
    Frame,
    /// A small number: width, line, code.
    Small,
    /// What a capability for hardware is for.
    HardwareKind,
    /// First port, line or frame of hardware.
    Resource,
    /// A slot of a kernel frame.
    Slot,
    /// An address for a message buffer.
    Buffer,
    /// Rights.
    Rights,
    /// Any word: badge, bits, code, message word.
    Word,
    /// A message descriptor.
    Info,
    /// An address of bytes.
    Address,
    /// A page-aligned address.
    Page,
    /// An array of mappings.
    Mappings,
    /// An array of ranges of pages.
    Ranges,
    /// An array of frame numbers.
    Numbers,
    /// An array of parts of frames.
    Parts,
    /// An array of pairs of parts of frames.
    Spans,
    /// Number of items of the array before.
    Count,
    /// A point in time.
    Time,
    /// A priority.
    Priority,
    /// A budget of processor time.
    Budget,
    /// A period of a schedule.
    Period,
}

use Argument::{
    Address, AnyCapability, Budget, Buffer, Capability, Count, Destination, Frame, HardwareKind, Info,
    Mappings, Numbers, Page, Parts, Period, Priority, Ranges, Resource, Rights, Slot, Small, Spans, Time,
    Word,
};

const FRAMES: Argument = Capability(Kind::Frames);
const TASK: Argument = Capability(Kind::Task);
const SCHEDULE: Argument = Capability(Kind::Schedule);
const THREAD: Argument = Capability(Kind::Thread);
const ENDPOINT: Argument = Capability(Kind::Endpoint);
const NOTIFICATION: Argument = Capability(Kind::Notification);

/// The arguments of a call, in register order.
pub fn signature(call: SystemCall) -> &'static [Argument] {
    use SystemCall as Call;
    match call {
        Call::Call | Call::ReplyReceive => &[ENDPOINT, Info, Word, Word, Word, Word, Word, Word, Word, Word],
        Call::Receive => &[ENDPOINT],
        Call::Reply => &[Capability(Kind::Reply), Info, Word, Word, Word, Word],
        Call::SaveReply => &[Destination],
        Call::Signal | Call::Wait | Call::Poll | Call::ThreadBind => &[NOTIFICATION],
        Call::TimerSet => &[NOTIFICATION, Time, Word],
        Call::Yield => &[],
        Call::TaskExit | Call::ThreadExit => &[Word],
        Call::CapabilityCopy => &[AnyCapability, Destination, Rights],
        Call::CapabilityMint => &[AnyCapability, Destination, Rights, Word],
        Call::CapabilityMove => &[AnyCapability, Destination],
        Call::CapabilityDrop | Call::CapabilityIdentify => &[AnyCapability],
        Call::TaskInstall => &[TASK, AnyCapability, Destination, Rights],
        Call::TaskKill => &[TASK, Small],
        Call::TaskDeathNotice => &[TASK, NOTIFICATION],
        Call::TaskStatus | Call::TaskRun | Call::TaskTime | Call::TaskWaits => &[TASK],
        Call::ThreadStart => &[THREAD, Address, Address, Word, Word, Priority, Capability(Kind::Schedule)],
        Call::ThreadBuffer => &[Buffer, Destination],
        Call::ThreadLocalBase => &[Address],
        Call::EndpointCreate | Call::NotificationCreate | Call::ScheduleCreate => {
            &[FRAMES, Frame, Slot, Destination]
        }
        Call::TaskCreate => &[FRAMES, Frame, Slot, Destination, Frame, ENDPOINT, Word],
        Call::ThreadCreate => &[FRAMES, Frame, Slot, Destination, TASK],
        Call::CapabilityTableAdd => &[FRAMES, TASK, Frame],
        Call::Reclaim => &[FRAMES, Frame],
        Call::PmapStock | Call::PmapUnstock => &[FRAMES, TASK, Numbers, Count],
        Call::PmapEnter => &[FRAMES, TASK, Mappings, Count],
        Call::PmapRemove | Call::PmapProtect => &[FRAMES, TASK, Ranges, Count],
        Call::PmapQuery => &[FRAMES, TASK, Page, Count, Address, Small],
        Call::PmapEnterDevice => &[FRAMES, TASK, Capability(Kind::DeviceMemory), Page, Small, Count],
        Call::FrameZero => &[FRAMES, Parts, Count],
        Call::FrameCopy => &[FRAMES, Spans, Count],
        Call::ResolveReceive => &[ENDPOINT, FRAMES, Mappings, Count],
        Call::HardwareMint => &[Capability(Kind::Hardware), HardwareKind, Resource, Count, Destination],
        Call::PortRead => &[Capability(Kind::IoPorts), Small, Small],
        Call::PortWrite => &[Capability(Kind::IoPorts), Small, Small, Small],
        Call::InterruptBind => &[Capability(Kind::Interrupt), NOTIFICATION],
        Call::InterruptAcknowledge => &[Capability(Kind::Interrupt)],
        Call::ScheduleSplit => &[SCHEDULE, SCHEDULE, Priority, Budget, Period],
        Call::ScheduleRead => &[SCHEDULE, Small],
        Call::LogWrite => &[Capability(Kind::Log), Address, Count],
        Call::TraceWrite => &[Capability(Kind::Trace), Small, Word, Word, Word, Word],
        Call::ProcessorCount => &[Capability(Kind::Log), Small, Small],
    }
}
