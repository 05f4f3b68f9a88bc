//! A rendezvous point of synchronous IPC.

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::Link;
use crate::queue::Queue;
use kernel_abi::object::ENDPOINTS_PER_FRAME;

/// Callers that wait to be received, or receivers that wait for a call; never both.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Endpoint {
    /// Generation of the slot.
    pub generation: u32,
    /// The slot holds an endpoint.
    pub live: bool,
    /// Threads in state `Sending`.
    pub senders: Queue,
    /// Threads in state `Receiving`.
    pub receivers: Queue,
    /// The thread that received from here last, if it still serves what it received.
    pub server: Link,
    reserved: [u64; 4],
}

impl Endpoint {
    /// Whether nobody waits here.
    pub fn is_deserted(&self) -> bool {
        self.senders.is_empty() && self.receivers.is_empty()
    }
}

impl Object for Endpoint {
    const KIND: FrameKind = FrameKind::Endpoint;
    const PER_FRAME: u32 = ENDPOINTS_PER_FRAME;
    const EMPTY: Self = Endpoint {
        generation: 0,
        live: false,
        senders: Queue::EMPTY,
        receivers: Queue::EMPTY,
        server: Link::NONE,
        reserved: [0; 4],
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}
