//! The kernel objects. Plain structs of numbers: no object holds a pointer.

mod capability;
mod endpoint;
mod notification;
mod schedule;
mod task;
mod thread;

pub use capability::Capability;
pub use endpoint::{Endpoint, FAULTS_PER_CALL};
pub use notification::Notification;
pub use schedule::{Schedule, UNLIMITED};
pub use task::Task;
pub use thread::{Context, ReplyName, Thread, ThreadState};

use crate::frame_table::FrameKind;
use crate::name::UNIT_BYTES;
use kernel_abi::FRAME_BYTES;

/// Something that lies in slots of a kernel frame.
pub trait Object: Copy + 'static {
    /// Kind of frame it lies in.
    const KIND: FrameKind;
    /// Slots in a frame, which are spread over it evenly.
    const PER_FRAME: u32;
    /// An empty slot of the first generation.
    const EMPTY: Self;

    /// Generation of the slot: bumped when the object in it ends for good.
    fn generation(&self) -> u32;
}

macro_rules! fits_its_frame {
    ($($type:ty),*) => { $(
        const _: () = assert!(core::mem::size_of::<$type>() * <$type as Object>::PER_FRAME as usize <= 4096);
        // A link tells where a slot begins.
        const _: () = assert!((FRAME_BYTES / UNIT_BYTES).is_multiple_of(<$type as Object>::PER_FRAME as u64));
    )* };
}

fits_its_frame!(Capability, Endpoint, Notification, Schedule, Task, Thread);
