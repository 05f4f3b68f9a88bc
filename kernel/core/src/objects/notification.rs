//! A set of bits that can be signalled and waited for, with one one-shot timer.

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::{Link, ObjectName};
use crate::timer::TimerNode;
use kernel_abi::object::NOTIFICATIONS_PER_FRAME;

/// See the module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Notification {
    /// Generation of the slot.
    pub generation: u32,
    /// The slot holds a notification.
    pub live: bool,
    /// Bits signalled and not taken.
    pub bits: u64,
    /// Thread in state `Waiting` for it.
    pub waiter: Link,
    /// Thread whose receives answer for it too.
    pub bound: ObjectName,
    /// Bits that the timer signals.
    pub timer_bits: u64,
    /// The timer.
    pub timer: TimerNode,
}

impl Object for Notification {
    const KIND: FrameKind = FrameKind::Notification;
    const PER_FRAME: u32 = NOTIFICATIONS_PER_FRAME;
    const EMPTY: Self = Notification {
        generation: 0,
        live: false,
        bits: 0,
        waiter: Link::NONE,
        bound: ObjectName::NONE,
        timer_bits: 0,
        timer: TimerNode::IDLE,
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}
