//! The system calls, by subject. Each reads its arguments, checks them all, and only then changes anything.

mod batch;
mod capabilities;
mod devices;
mod fast;
mod fast_fault;
mod fast_laden;
mod fast_leave;
mod frames;
mod ipc;
mod life;
mod local;
mod notifications;
mod objects;
mod pmap;
mod reclaim;
mod schedules;
mod tasks;
mod transfer;

pub use fast::Fast;

use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use kernel_abi::SystemCall;

/// The arguments of a call, in register order.
#[derive(Clone, Copy)]
pub(crate) struct Arguments(pub(crate) [u64; 10]);

impl<M: Machine> Kernel<M> {
    pub(crate) fn arguments(&mut self) -> Arguments {
        let context = self.context(self.current());
        let [a, b, c, d, e, f, g, h] = context.words();
        Arguments([context.rdi, context.rsi, a, b, c, d, e, f, g, h])
    }

    pub(crate) fn dispatch(&mut self, call: SystemCall) -> Outcome {
        use SystemCall as Call;
        match call {
            Call::Call => self.call(),
            Call::ReplyReceive => self.reply_receive(),
            Call::Receive => self.receive(),
            _ => {
                let arguments = self.arguments();
                self.dispatch_simple(call, arguments)
            }
        }
    }

    fn dispatch_simple(&mut self, call: SystemCall, arguments: Arguments) -> Outcome {
        use SystemCall as Call;
        let a = arguments.0;
        match call {
            Call::Call | Call::ReplyReceive | Call::Receive => unreachable!("dispatched before"),
            Call::Reply => self.reply(a[0]),
            Call::SaveReply => self.save_reply(a[0]),
            Call::Signal => self.signal_call(a[0]),
            Call::Wait => self.wait(a[0]),
            Call::Poll => self.poll(a[0]),
            Call::TimerSet => self.timer_set(a[0], a[1], a[2]),
            Call::Yield => {
                self.yield_now();
                Ok(Done::Value(0))
            }
            Call::TaskExit => self.task_exit(a[0]),
            Call::CapabilityCopy => self.capability_copy(a[0], a[1], a[2]),
            Call::CapabilityMint => self.capability_mint(a[0], a[1], a[2], a[3]),
            Call::CapabilityMove => self.capability_move(a[0], a[1]),
            Call::CapabilityDrop => self.capability_drop(a[0]),
            Call::CapabilityIdentify => self.capability_identify(a[0]),
            Call::TaskInstall => self.task_install(a[0], a[1], a[2], a[3]),
            Call::TaskKill => self.task_kill(a[0], a[1]),
            Call::TaskDeathNotice => self.task_death_notice(a[0], a[1]),
            Call::TaskStatus => self.task_status(a[0]),
            Call::TaskRun => self.task_run(a[0]),
            Call::TaskTime => self.task_time(a[0]),
            Call::TaskWaits => self.task_waits(a[0]),
            Call::ThreadStart => self.thread_start(arguments),
            Call::ThreadBuffer => self.thread_buffer(a[0], a[1]),
            Call::ThreadBind => self.thread_bind(a[0]),
            Call::ThreadLocalBase => self.thread_local_base(a[0]),
            Call::ThreadExit => self.thread_exit(a[0]),
            Call::EndpointCreate => self.endpoint_create(arguments),
            Call::NotificationCreate => self.notification_create(arguments),
            Call::TaskCreate => self.task_create(arguments),
            Call::ThreadCreate => self.thread_create(arguments),
            Call::CapabilityTableAdd => self.capability_table_add(a[0], a[1], a[2]),
            Call::Reclaim => self.reclaim(a[0], a[1]),
            Call::ScheduleCreate => self.schedule_create(arguments),
            Call::PmapStock => self.pmap_stock(arguments),
            Call::PmapEnter => self.pmap_enter(arguments),
            Call::PmapRemove => self.pmap_remove(arguments),
            Call::PmapProtect => self.pmap_protect(arguments),
            Call::PmapQuery => self.pmap_query(arguments),
            Call::PmapUnstock => self.pmap_unstock(arguments),
            Call::PmapEnterDevice => self.pmap_enter_device(arguments),
            Call::FrameZero => self.frame_zero(a[0], a[1], a[2]),
            Call::FrameCopy => self.frame_copy(a[0], a[1], a[2]),
            Call::ResolveReceive => self.resolve_receive(arguments),
            Call::HardwareMint => self.hardware_mint(arguments),
            Call::PortRead => self.port_read(a[0], a[1], a[2]),
            Call::PortWrite => self.port_write(a[0], a[1], a[2], a[3]),
            Call::InterruptBind => self.interrupt_bind(a[0], a[1]),
            Call::InterruptAcknowledge => self.interrupt_acknowledge(a[0]),
            Call::LogWrite => self.log_write(a[0], a[1], a[2]),
            Call::ScheduleSplit => self.schedule_split(arguments),
            Call::ScheduleRead => self.schedule_read(a[0], a[1]),
            Call::TraceWrite => self.trace_write(a[0], a[1], [a[2], a[3], a[4], a[5]]),
            Call::ProcessorCount => self.processor_count_call(a[0], a[1], a[2]),
        }
    }
}
