//! A rendezvous point of synchronous IPC.

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::Link;
use crate::queue::Queue;
use kernel_abi::object::ENDPOINTS_PER_FRAME;

/// Faults that are received one after the other while a call waits, at most.
pub const FAULTS_PER_CALL: u64 = 16;

/// Callers that wait to be received, or receivers that wait for a call; never both.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Endpoint {
    /// Generation of the slot.
    pub generation: u32,
    /// The slot holds an endpoint.
    pub live: bool,
    /// Threads in state `Sending` that call.
    pub senders: Queue,
    /// Threads in state `Sending` that wait for a page: they are received before those that call, up to a point.
    pub faulters: Queue,
    /// Threads in state `Receiving`.
    pub receivers: Queue,
    /// The thread that received from here last, if it still serves what it received.
    pub server: Link,
    /// Faults received one after the other while calls waited.
    faults_in_turn: u64,
    reserved: [u64; 2],
}

impl Endpoint {
    /// Whether nobody waits here.
    pub fn is_deserted(&self) -> bool {
        self.has_no_senders() && self.receivers.is_empty()
    }

    /// Whether nobody waits to be received.
    pub fn has_no_senders(&self) -> bool {
        self.senders.is_empty() && self.faulters.is_empty()
    }

    /// The queue for a thread that waits to be received.
    pub(crate) fn queue_for(&mut self, is_fault: bool) -> &mut Queue {
        if is_fault { &mut self.faulters } else { &mut self.senders }
    }

    /// The queue of whoever is to be received next: a fault is short work for a pager, and its thread can do nothing else
    /// meanwhile, so faults go first; but not for ever.
    pub(crate) fn next_queue(&mut self) -> &mut Queue {
        let is_fault = match (self.faulters.is_empty(), self.senders.is_empty()) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => self.faults_in_turn < FAULTS_PER_CALL,
        };
        self.faults_in_turn = if is_fault && !self.senders.is_empty() { self.faults_in_turn + 1 } else { 0 };
        self.queue_for(is_fault)
    }
}

impl Object for Endpoint {
    const KIND: FrameKind = FrameKind::Endpoint;
    const PER_FRAME: u32 = ENDPOINTS_PER_FRAME;
    const EMPTY: Self = Endpoint {
        generation: 0,
        live: false,
        senders: Queue::EMPTY,
        faulters: Queue::EMPTY,
        receivers: Queue::EMPTY,
        server: Link::NONE,
        faults_in_turn: 0,
        reserved: [0; 2],
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}
