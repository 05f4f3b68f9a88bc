//! Zeroing and copying frames, so that physmem need not map a client's; and resolving a fault in one entry.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::objects::{ReplyName, Thread};
use kernel_abi::capability::Kind;
use kernel_abi::fault::RESUME;
use kernel_abi::{FRAME_BYTES, KernelError, Rights};

/// Items handled between two looks for a waiting interrupt.
const ITEMS_PER_LOOK: usize = 8;

/// A range of bytes within a frame.
#[derive(Clone, Copy)]
struct Span {
    frame: u32,
    offset: u16,
    bytes: u16,
}

impl<M: Machine> Kernel<M> {
    /// Checks for a plain frame and bytes that lie within it.
    fn check_span(&mut self, span: Span) -> Result<(), KernelError> {
        if u64::from(span.offset) + u64::from(span.bytes) > FRAME_BYTES {
            return Err(KernelError::InvalidArgument);
        }
        match self.machine.frame(span.frame).map(|entry| entry.kind()) {
            Some(FrameKind::Plain) => Ok(()),
            Some(_) => Err(KernelError::WrongFrame),
            None => Err(KernelError::InvalidArgument),
        }
    }

    fn look_after(&mut self, done: usize) -> Result<(), Stop> {
        if done != 0 && done.is_multiple_of(ITEMS_PER_LOOK) && self.machine.interrupt_pending() {
            return Err(Stop::Error(KernelError::Preempted, done as u64));
        }
        Ok(())
    }

    pub(super) fn frame_zero(&mut self, frames: u64, array: u64, count: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        self.with_words(array, count, |kernel, items| {
            for &item in items {
                kernel.check_span(decode_range(item))?;
            }
            for (done, &item) in items.iter().enumerate() {
                kernel.look_after(done)?;
                let Span { frame, offset, bytes } = decode_range(item);
                kernel.machine.zero(frame, usize::from(offset), usize::from(bytes));
            }
            Ok(Done::Value(count))
        })
    }

    pub(super) fn frame_copy(&mut self, frames: u64, array: u64, count: u64) -> Outcome {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        self.with_items(array, count, |kernel, items| {
            for &item in items {
                let (from, to) = decode_spans(item).ok_or(KernelError::InvalidArgument)?;
                kernel.check_span(from)?;
                kernel.check_span(to)?;
            }
            for (done, (from, to)) in items.iter().filter_map(|&item| decode_spans(item)).enumerate() {
                kernel.look_after(done)?;
                let (source, destination) =
                    ((from.frame, usize::from(from.offset)), (to.frame, usize::from(to.offset)));
                kernel.machine.copy(source, destination, usize::from(from.bytes));
            }
            Ok(Done::Value(count))
        })
    }

    pub(super) fn resolve_receive(
        &mut self,
        Arguments([endpoint, frames, array, count, ..]): Arguments,
    ) -> Outcome {
        let current = self.current();
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
            self.enter_array(task, array, count)?;
            self.answer_fault(caller, RESUME);
        }
        self.machine.object::<Thread>(current).reply = ReplyName::NONE;
        self.clear_window(current);
        self.wait_for_message(endpoint, deadline)
    }
}

/// A [`kernel_abi::pmap::FrameRange`].
fn decode_range(word: u64) -> Span {
    Span { frame: word as u32, offset: (word >> 32) as u16, bytes: (word >> 48) as u16 }
}

/// A [`kernel_abi::pmap::FrameSpan`]: where to read and where to write. `None`: no copy is made within a frame, and what is
/// reserved must be 0.
fn decode_spans([frames, offsets]: [u64; 2]) -> Option<(Span, Span)> {
    let (source, destination) = (frames as u32, (frames >> 32) as u32);
    let bytes = (offsets >> 32) as u16;
    let from = Span { frame: source, offset: offsets as u16, bytes };
    let to = Span { frame: destination, offset: (offsets >> 16) as u16, bytes };
    (offsets >> 48 == 0 && source != destination).then_some((from, to))
}
