//! The fast path of calls that concern nobody but who makes them, or physmem's own books: they change neither who runs nor, but for
//! one, when the timer has to fire. So the thread that called goes on at once, as if it had not been away.

use super::Arguments;
use super::fast::Fast;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Thread;
use kernel_abi::capability::Kind;
use kernel_abi::{Handle, SystemCall};

/// The calls, by their numbers as bits.
const LOCAL: u64 = {
    use SystemCall as Call;
    bit(Call::CapabilityCopy)
        | bit(Call::CapabilityMint)
        | bit(Call::CapabilityMove)
        | bit(Call::CapabilityDrop)
        | bit(Call::CapabilityIdentify)
        | bit(Call::Poll)
        | bit(Call::TimerSet)
        | bit(Call::TaskRun)
        | bit(Call::TaskTime)
        | bit(Call::TaskWaits)
        | bit(Call::PmapStock)
        | bit(Call::PmapEnter)
        | bit(Call::PmapRemove)
        | bit(Call::PmapProtect)
        | bit(Call::PmapQuery)
        | bit(Call::FrameZero)
        | bit(Call::FrameCopy)
};

const fn bit(call: SystemCall) -> u64 {
    1 << call as u64
}

/// Whether a call is such a one.
#[inline(always)]
pub(super) fn is_local(call: u64) -> bool {
    call < 64 && LOCAL >> call & 1 != 0
}

impl<M: Machine> Kernel<M> {
    /// Takes a local call of the current thread. What a page is missing for is made by the general code again.
    #[inline(never)]
    pub(super) fn fast_local(&mut self, current: Link, call: u64) -> Fast {
        let (status, value) = match self.local_call(call) {
            Some(Ok(Done::Value(value))) => (0, value),
            Some(Err(Stop::Error(error, value))) => (error.status(), value),
            _ => return Fast::Untaken,
        };
        let thread = self.machine.object::<Thread>(current);
        (thread.context.rax, thread.context.rdx) = (status, value);
        let priority = thread.priority;
        if call == SystemCall::TimerSet as u64 && !self.fast_cover(priority) {
            return Fast::Taken;
        }
        Fast::Runs(current)
    }

    /// `None`: nothing is done, it is no such call.
    #[inline(always)]
    fn local_call(&mut self, call: u64) -> Option<Outcome> {
        use SystemCall as Call;
        let arguments = self.arguments();
        let Arguments([a, b, c, d, ..]) = arguments;
        let outcome = match SystemCall::from_number(call)? {
            Call::CapabilityCopy => self.capability_copy(a, b, c),
            Call::CapabilityMint => self.capability_mint(a, b, c, d),
            Call::CapabilityMove => self.capability_move(a, b),
            Call::CapabilityDrop if self.is_no_reply(a) => self.capability_drop(a),
            Call::CapabilityIdentify => self.capability_identify(a),
            Call::Poll => self.poll(a),
            Call::TimerSet => self.timer_set(a, b, c),
            Call::TaskRun => self.task_run(a),
            Call::TaskTime => self.task_time(a),
            Call::TaskWaits => self.task_waits(a),
            Call::PmapStock => self.pmap_stock(arguments),
            Call::PmapEnter => self.pmap_enter(arguments),
            Call::PmapRemove => self.pmap_remove(arguments),
            Call::PmapProtect => self.pmap_protect(arguments),
            Call::PmapQuery => self.pmap_query(arguments),
            Call::FrameZero => self.frame_zero(a, b, c),
            Call::FrameCopy => self.frame_copy(a, b, c),
            _ => return None,
        };
        Some(outcome)
    }

    /// Whether dropping an entry of the current task ends nobody's call.
    fn is_no_reply(&mut self, handle: u64) -> bool {
        let task = self.current_task();
        let place = u32::try_from(handle).ok().and_then(|handle| self.entry_of(task, Handle(handle)).ok());
        place.is_none_or(|place| self.capability_at(place).kind != Kind::Reply)
    }
}
