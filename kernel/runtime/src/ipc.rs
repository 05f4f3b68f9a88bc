//! Calling servers: a typed request goes out, a typed reply comes back.
//!
//! Requests and replies of up to eight words travel in registers and never touch the message buffer.
//! Capabilities that come with a reply lie in the thread's receive window until the thread receives again;
//! [`Received::take`] moves one to an entry of its own, and refuses once it is too late.

use crate::clock::Deadline;
use crate::current::{ThreadBlock, current};
use crate::syscall::raw;
use crate::{Capability, Handle, KernelError};
use core::fmt;
use kernel_abi::message::{MESSAGE_CAPABILITIES, MESSAGE_WORDS, REGISTER_WORDS};
use kernel_abi::{MessageInfo, SystemCall};
use kernel_protocol::{ErrorCode, Malformed, Message, Refusal, Request};

/// Why a call has no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallError<E> {
    /// The kernel did not deliver the message or the answer.
    Kernel(KernelError),
    /// The server refused.
    Refused(Refusal<E>),
    /// The server's answer is not what its protocol says.
    Violation,
}

impl<E> CallError<E> {
    /// The server's own error, if it answered with one.
    pub fn refusal(self) -> Option<E> {
        match self {
            CallError::Refused(refusal) => Some(refusal.error),
            _ => None,
        }
    }
}

impl<E> From<KernelError> for CallError<E> {
    fn from(error: KernelError) -> Self {
        CallError::Kernel(error)
    }
}

impl<E> From<Malformed> for CallError<E> {
    fn from(_: Malformed) -> Self {
        CallError::Violation
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Kernel(KernelError::PeerDied) => formatter.write_str("the server has ended"),
            CallError::Kernel(KernelError::TimedOut) => {
                formatter.write_str("the server did not answer in time")
            }
            CallError::Kernel(error) => write!(formatter, "the kernel refused the call ({error:?})"),
            CallError::Refused(refusal) => refusal.error.fmt(formatter),
            CallError::Violation => formatter.write_str("the server's answer makes no sense"),
        }
    }
}

/// Capabilities that came with a message, as long as they are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    count: u8,
    unwrapped: u8,
    /// The receive that they came with.
    receive: u32,
}

impl Received {
    pub(crate) fn new(info: MessageInfo, receive: u32) -> Received {
        Received { count: info.capabilities() as u8, unwrapped: info.unwrapped(), receive }
    }

    /// How many came, unwrapped ones included.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Badge of a capability to the receiver's own endpoint, which does not come as a capability.
    pub fn badge(&self, index: usize) -> Option<u64> {
        let unwrapped = index < self.count() && self.unwrapped >> index & 1 == 1;
        (unwrapped && self.is_there()).then(|| current().badge(index))
    }

    /// The entry in the receive window, good for the next call and no longer.
    pub fn handle(&self, index: usize) -> Option<Handle> {
        let wrapped = index < self.count() && self.unwrapped >> index & 1 == 0;
        (wrapped && self.is_there()).then(|| current().window().offset(index as u32))
    }

    /// Moves a capability out of the window. `InvalidHandle`: there is none, or it is gone by now.
    pub fn take(&self, index: usize) -> Result<Capability, KernelError> {
        Capability::take(self.handle(index).ok_or(KernelError::InvalidHandle)?)
    }

    fn is_there(&self) -> bool {
        current().receives() == self.receive
    }
}

/// A reply and what came with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<R> {
    /// The reply.
    pub reply: R,
    /// Its capabilities.
    pub received: Received,
}

/// Calls a server. Capabilities that come with the reply are not looked at.
pub fn call<R: Request>(
    endpoint: Handle,
    request: &R,
    capabilities: &[Handle],
    deadline: Deadline,
) -> Result<R::Reply, CallError<R::Error>> {
    call_for_answer(endpoint, request, capabilities, deadline).map(|answer| answer.reply)
}

/// Calls a server whose reply brings one capability.
pub fn call_for_capability<R: Request>(
    endpoint: Handle,
    request: &R,
    capabilities: &[Handle],
    deadline: Deadline,
) -> Result<(R::Reply, Capability), CallError<R::Error>> {
    let answer = call_for_answer(endpoint, request, capabilities, deadline)?;
    if answer.received.handle(0).is_none() {
        return Err(CallError::Violation);
    }
    Ok((answer.reply, answer.received.take(0)?))
}

/// Calls a server. A request that is to be made again, because what it needs was on its way, is made again, within the
/// deadline.
pub fn call_for_answer<R: Request>(
    endpoint: Handle,
    request: &R,
    capabilities: &[Handle],
    deadline: Deadline,
) -> Result<Answer<R::Reply>, CallError<R::Error>> {
    crate::handles::make_room();
    loop {
        match call_once(endpoint, request, capabilities, deadline) {
            Err(CallError::Refused(refusal)) if refusal.error.is_again() && !deadline.has_passed() => {
                crate::syscall::yield_now();
            }
            result => return result,
        }
    }
}

fn call_once<R: Request>(
    endpoint: Handle,
    request: &R,
    capabilities: &[Handle],
    deadline: Deadline,
) -> Result<Answer<R::Reply>, CallError<R::Error>> {
    let (words, used) = encode(request);
    let info = descriptor(R::LABEL, used, capabilities)?;
    let returned =
        raw::message(SystemCall::Call, u64::from(endpoint.0), info.0, words, deadline.nanoseconds());
    let block = current();
    let receive = block.count_receive();
    raw::status(returned.status)?;
    let info = MessageInfo(returned.info);
    if info.label() != 0 {
        let detail = if info.words() > 0 { returned.words[0] } else { 0 };
        return Err(CallError::Refused(Refusal { error: R::Error::from_code(info.label()), detail }));
    }
    let reply = decode::<R::Reply>(block, info, &returned.words)?;
    Ok(Answer { reply, received: Received::new(info, receive) })
}

/// Encodes a message: the words for the registers, the others into the thread's buffer.
pub(crate) fn encode<M: Message>(message: &M) -> ([u64; REGISTER_WORDS], usize) {
    let mut registers = [0; REGISTER_WORDS];
    if M::MAX_WORDS <= REGISTER_WORDS {
        let used = message.encode(&mut registers);
        return (registers, used);
    }
    let mut words = [0; MESSAGE_WORDS];
    let used = message.encode(&mut words);
    registers.copy_from_slice(&words[..REGISTER_WORDS]);
    if let Some(rest) = words[..used].get(REGISTER_WORDS..) {
        current().put_words(rest);
    }
    (registers, used)
}

/// The descriptor; puts the capabilities where the kernel looks for them.
pub(crate) fn descriptor(
    label: u32,
    words: usize,
    capabilities: &[Handle],
) -> Result<MessageInfo, KernelError> {
    if capabilities.len() > MESSAGE_CAPABILITIES {
        return Err(KernelError::MessageTooLong);
    }
    if !capabilities.is_empty() {
        current().put_capabilities(capabilities);
    }
    Ok(MessageInfo::new(label, words, capabilities.len()))
}

fn decode<M: Message>(
    block: &ThreadBlock,
    info: MessageInfo,
    registers: &[u64; REGISTER_WORDS],
) -> Result<M, Malformed> {
    let count = info.words();
    if count <= REGISTER_WORDS {
        return M::decode(&registers[..count]);
    }
    if count > M::MAX_WORDS || count > MESSAGE_WORDS {
        return Err(Malformed);
    }
    let mut words = [0; MESSAGE_WORDS];
    words[..REGISTER_WORDS].copy_from_slice(registers);
    block.take_words(&mut words[REGISTER_WORDS..count]);
    M::decode(&words[..count])
}
