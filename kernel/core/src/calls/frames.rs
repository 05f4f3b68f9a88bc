//! Zeroing and copying frames, so that physmem need not map a client's; and resolving a fault in one entry.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::objects::{ReplyName, Task, Thread};
use kernel_abi::capability::Kind;
use kernel_abi::fault::RESUME;
use kernel_abi::pmap::BATCH_ITEMS;
use kernel_abi::{FRAME_BYTES, KernelError, Rights};

/// Items handled between two looks for a waiting interrupt.
const ITEMS_PER_LOOK: u64 = 8;

impl<M: Machine> Kernel<M> {
    /// A plain frame and a range of bytes within it.
    fn check_span(&mut self, frame: u32, offset: u16, bytes: u16) -> Result<(), KernelError> {
        if u64::from(offset) + u64::from(bytes) > FRAME_BYTES {
            return Err(KernelError::InvalidArgument);
        }
        match self.machine.frame(frame).map(|entry| entry.kind()) {
            Some(FrameKind::Plain) => Ok(()),
            Some(_) => Err(KernelError::WrongFrame),
            None => Err(KernelError::InvalidArgument),
        }
    }

    fn look_after(&mut self, done: u64) -> Result<(), Stop> {
        if done != 0 && done.is_multiple_of(ITEMS_PER_LOOK) && self.machine.interrupt_pending() {
            return Err(Stop::Error(KernelError::Preempted, done));
        }
        Ok(())
    }

    pub(super) fn frame_zero(&mut self, frames: u64, array: u64, count: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        self.check_array(array, count, 8, BATCH_ITEMS as u64)?;
        let item = |kernel: &mut Self, index: u64| -> Result<(u32, u16, u16), Stop> {
            let mut word = [0];
            kernel.machine.read_user_words(array + index * 8, &mut word)?;
            let (frame, offset, bytes) = (word[0] as u32, (word[0] >> 32) as u16, (word[0] >> 48) as u16);
            kernel.check_span(frame, offset, bytes)?;
            Ok((frame, offset, bytes))
        };
        for index in 0..count {
            item(self, index)?;
        }
        for index in 0..count {
            self.look_after(index)?;
            let (frame, offset, bytes) = item(self, index)?;
            self.machine.zero(frame, usize::from(offset), usize::from(bytes));
        }
        Ok(Done::Value(count))
    }

    pub(super) fn frame_copy(&mut self, frames: u64, array: u64, count: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        self.check_array(array, count, 16, BATCH_ITEMS as u64)?;
        type Span = ((u32, u16), (u32, u16), u16);
        let item = |kernel: &mut Self, index: u64| -> Result<Span, Stop> {
            let mut words = [0; 2];
            kernel.machine.read_user_words(array + index * 16, &mut words)?;
            let (source, destination) = (words[0] as u32, (words[0] >> 32) as u32);
            let (from, to) = (words[1] as u16, (words[1] >> 16) as u16);
            let (bytes, reserved) = ((words[1] >> 32) as u16, (words[1] >> 48) as u16);
            kernel.check_span(source, from, bytes)?;
            kernel.check_span(destination, to, bytes)?;
            if reserved != 0 || source == destination {
                return Err(KernelError::InvalidArgument.into());
            }
            Ok(((source, from), (destination, to), bytes))
        };
        for index in 0..count {
            item(self, index)?;
        }
        for index in 0..count {
            self.look_after(index)?;
            let ((source, from), (destination, to), bytes) = item(self, index)?;
            let (source, destination) = ((source, usize::from(from)), (destination, usize::from(to)));
            self.machine.copy(source, destination, usize::from(bytes));
        }
        Ok(Done::Value(count))
    }

    pub(super) fn resolve_receive(
        &mut self,
        Arguments([endpoint, frames, array, count, ..]): Arguments,
    ) -> Outcome {
        let current = self.scheduler.current;
        let deadline = self.context(current).rbx;
        let (endpoint, _) = self.endpoint(endpoint, Rights::RECEIVE)?;
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let reply = self.machine.object::<Thread>(current).reply;
        if reply.caller.is_none() {
            return Err(KernelError::NoReply.into());
        }
        if let Some(caller) = self.caller_of(reply) {
            let thread = self.machine.object::<Thread>(caller);
            if !thread.is_fault {
                return Err(KernelError::WrongState.into());
            }
            let task = thread.task.link;
            if self.machine.object::<Task>(task).is_alive() {
                self.enter_array(task, array, count)?;
            }
            self.answer_fault(caller, RESUME);
        }
        self.machine.object::<Thread>(current).reply = ReplyName::NONE;
        self.clear_window(current);
        self.wait_for_message(endpoint, deadline)
    }
}
