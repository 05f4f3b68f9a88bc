//! The receiving side: one message at a time, answered at once or later.
//!
//! ```text
//! receive ─> Incoming ──┬─ Outgoing ─> reply_receive ─> Incoming …
//!                       ├─ save_reply ─> SavedReply … later: SavedReply::send
//!                       └─ (nothing) ─> receive: the caller gets PeerDied
//! ```
//!
//! An [`Incoming`] must be decoded, and its capabilities taken, before the thread calls anybody else: the
//! next receive overwrites both. Decoding later is refused as malformed, never wrong. An [`Outgoing`] of more
//! than eight words uses the same buffer: build it last.

use crate::clock::Deadline;
use crate::current::current;
use crate::ipc::{self, Received};
use crate::syscall::{self, raw};
use crate::{Capability, Handle, KernelError};
use kernel_abi::fault::Access;
use kernel_abi::message::{MESSAGE_CAPABILITIES, MESSAGE_WORDS, MessageFlags, REGISTER_WORDS};
use kernel_abi::pmap::Mapping;
use kernel_abi::{MessageInfo, SystemCall};
use kernel_protocol::{ErrorCode, Malformed, Message, Refusal};

/// A message that was received.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Badge of the capability that it was sent by; for a fault, the badge given with the task.
    pub badge: u64,
    /// Capabilities that came along.
    pub received: Received,
    info: MessageInfo,
    registers: [u64; REGISTER_WORDS],
    receive: u32,
}

/// A page fault, to be answered with [`Outgoing::fault`] or by [`resolve_receive`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Address that was touched.
    pub address: u64,
    /// What was tried.
    pub access: Access,
    /// Instruction that tried.
    pub instruction_pointer: u64,
}

impl Incoming {
    fn from_registers(returned: raw::Returned) -> Result<Incoming, KernelError> {
        let receive = current().count_receive();
        raw::status(returned.status)?;
        let info = MessageInfo(returned.info);
        Ok(Incoming {
            badge: returned.badge,
            received: Received::new(info, receive),
            info,
            registers: returned.words,
            receive,
        })
    }

    /// What the message is about.
    pub fn label(&self) -> u32 {
        self.info.label()
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.info.words()
    }

    /// The words in registers, whatever the message's length.
    pub fn registers(&self) -> &[u64; REGISTER_WORDS] {
        &self.registers
    }

    /// Bits of the bound notification, if it was signalled; then there is nobody to answer.
    pub fn notification(&self) -> Option<u64> {
        self.info.flags().contains(MessageFlags::NOTIFICATION).then_some(self.registers[0])
    }

    /// The page fault, if the message is one.
    pub fn fault(&self) -> Option<Fault> {
        self.info.flags().contains(MessageFlags::FAULT).then_some(Fault {
            address: self.registers[0],
            access: Access::from_bits_truncate(self.registers[1]),
            instruction_pointer: self.registers[2],
        })
    }

    /// Decodes the request, with a protocol's `Request::decode`.
    pub fn decode<T>(
        &self,
        decode: impl FnOnce(u32, &[u64]) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let count = self.info.words();
        if count <= REGISTER_WORDS {
            return decode(self.label(), &self.registers[..count]);
        }
        if count > MESSAGE_WORDS || current().receives() != self.receive {
            return Err(Malformed);
        }
        let mut words = [0; MESSAGE_WORDS];
        words[..REGISTER_WORDS].copy_from_slice(&self.registers);
        current().take_words(&mut words[REGISTER_WORDS..count]);
        decode(self.label(), &words[..count])
    }
}

/// A reply to be sent.
#[derive(Debug)]
pub struct Outgoing {
    label: u32,
    words: usize,
    registers: [u64; REGISTER_WORDS],
    handles: [Handle; MESSAGE_CAPABILITIES],
    count: usize,
    /// Sent, then dropped.
    owned: Option<Capability>,
    /// The receive after which words were put into the buffer.
    buffered: Option<u32>,
}

impl Outgoing {
    /// The successful answer to a request.
    pub fn reply<M: Message>(message: &M) -> Outgoing {
        let (registers, words) = ipc::encode(message);
        let buffered = (words > REGISTER_WORDS).then(|| current().receives());
        Outgoing { buffered, ..Outgoing::with_words(0, words, registers) }
    }

    /// The refusal of a request.
    pub fn refusal<E: ErrorCode>(refusal: Refusal<E>) -> Outgoing {
        let mut registers = [0; REGISTER_WORDS];
        registers[0] = refusal.detail;
        Outgoing::with_words(refusal.error.code(), 1, registers)
    }

    /// The answer to a request that may have been refused.
    pub fn answer<M: Message, E: ErrorCode>(result: &Result<M, Refusal<E>>) -> Outgoing {
        match result {
            Ok(message) => Outgoing::reply(message),
            Err(refusal) => Outgoing::refusal(*refusal),
        }
    }

    /// The answer to a fault: [`kernel_abi::fault::RESUME`], or the reason for ending the thread.
    pub fn fault(label: u32) -> Outgoing {
        Outgoing::with_words(label, 0, [0; REGISTER_WORDS])
    }

    /// An answer that is words already. More than a message can carry are cut off.
    pub fn new(label: u32, words: &[u64]) -> Outgoing {
        let words = &words[..words.len().min(MESSAGE_WORDS)];
        let mut registers = [0; REGISTER_WORDS];
        let (first, rest) = words.split_at(words.len().min(REGISTER_WORDS));
        registers[..first.len()].copy_from_slice(first);
        if !rest.is_empty() {
            current().put_words(rest);
        }
        let buffered = (!rest.is_empty()).then(|| current().receives());
        Outgoing { buffered, ..Outgoing::with_words(label, words.len(), registers) }
    }

    fn with_words(label: u32, words: usize, registers: [u64; REGISTER_WORDS]) -> Outgoing {
        let handles = [Handle::NULL; MESSAGE_CAPABILITIES];
        Outgoing { label, words, registers, handles, count: 0, owned: None, buffered: None }
    }

    /// Sends a copy of an entry along, after those that were added before.
    ///
    /// # Panics
    /// With more than a message can carry.
    pub fn with_handle(mut self, handle: Handle) -> Outgoing {
        self.handles[self.count] = handle;
        self.count += 1;
        self
    }

    /// Sends a capability along that is not needed afterwards. One at most.
    pub fn with_capability(self, capability: Capability) -> Outgoing {
        assert!(self.owned.is_none(), "a reply can own one capability");
        let handle = capability.handle();
        Outgoing { owned: Some(capability), ..self.with_handle(handle) }
    }

    /// Sends the kernel what it needs: descriptor, with handles and long words in the buffer.
    fn prepare(&self) -> MessageInfo {
        if let Some(receive) = self.buffered {
            assert!(receive == current().receives(), "a long reply must be built after the last call");
        }
        if self.count > 0 {
            current().put_capabilities(&self.handles[..self.count]);
        }
        MessageInfo::new(self.label, self.words, self.count)
    }
}

/// Waits for a message or the bound notification, dropping a reply that was neither sent nor saved.
pub fn receive(endpoint: Handle, deadline: Deadline) -> Result<Incoming, KernelError> {
    let words = [0; REGISTER_WORDS];
    let returned = raw::message(SystemCall::Receive, u64::from(endpoint.0), 0, words, deadline.nanoseconds());
    Incoming::from_registers(returned)
}

/// Answers the current caller and waits for the next message.
pub fn reply_receive(
    endpoint: Handle,
    outgoing: Outgoing,
    deadline: Deadline,
) -> Result<Incoming, KernelError> {
    let info = outgoing.prepare();
    let returned = raw::message(
        SystemCall::ReplyReceive,
        u64::from(endpoint.0),
        info.0,
        outgoing.registers,
        deadline.nanoseconds(),
    );
    Incoming::from_registers(returned)
}

/// Resolves the current fault with these mappings and waits for the next message.
pub fn resolve_receive(
    endpoint: Handle,
    frames: Handle,
    mappings: &[Mapping],
    deadline: Deadline,
) -> Result<Incoming, syscall::Stopped> {
    let returned = syscall::resolve_receive(endpoint, frames, mappings, deadline.nanoseconds());
    let value = returned.words[0];
    Incoming::from_registers(returned).map_err(|error| syscall::Stopped { error, value })
}

/// Answers the current caller, without waiting for anything.
pub fn reply(outgoing: Outgoing) -> Result<(), KernelError> {
    send(Handle::NULL, &outgoing)
}

/// Answers a caller whose reply was saved at an entry of the task's table. `Stale`: the caller is gone.
pub fn reply_to(entry: Handle, outgoing: Outgoing) -> Result<(), KernelError> {
    send(entry, &outgoing)
}

/// Keeps the current caller waiting, to be answered later.
pub fn save_reply() -> Result<SavedReply, KernelError> {
    Capability::filled(syscall::save_reply).map(SavedReply)
}

/// A caller that waits. Dropping this fails its call.
#[derive(Debug)]
pub struct SavedReply(Capability);

impl SavedReply {
    /// Answers. `Stale`: the caller is gone.
    pub fn send(self, outgoing: Outgoing) -> Result<(), KernelError> {
        let sent = send(self.0.handle(), &outgoing);
        match sent {
            Ok(()) | Err(KernelError::Stale) => self.0.emptied(),
            Err(_) => {}
        }
        sent
    }
}

fn send(reply: Handle, outgoing: &Outgoing) -> Result<(), KernelError> {
    let info = outgoing.prepare();
    let returned = raw::message(SystemCall::Reply, u64::from(reply.0), info.0, outgoing.registers, 0);
    raw::status(returned.status)
}
