//! The loop of a thread that serves files. Any number of threads may be in it on one endpoint.

use crate::badge::NodeBadge;
use crate::client::SentContainer;
use crate::dispatch::{Answer, FileSystem, Result, dispatch, dispatch_create, dispatch_read};
use filesystems_api::file::{DirCreate, FileError, IoReadContainer, Request};
use kernel_protocol::{Empty, Malformed, Message, Refusal, Request as _};
use kernel_runtime::server::{Incoming, Outgoing, receive, reply_receive};
use kernel_runtime::{Capability, Deadline, Handle, KernelError, Rights};

/// Answers requests until the endpoint is gone. `endpoint`: with the rights to receive and to make capabilities.
pub fn serve<F>(endpoint: Handle, file_system: &F) -> KernelError
where
    F: FileSystem<Sent = SentContainer>,
{
    let mut incoming = receive(endpoint, Deadline::NEVER);
    loop {
        let message = match incoming {
            Ok(message) => message,
            Err(error) => return error,
        };
        let outgoing = answer(endpoint, file_system, &message);
        // A reply that the kernel refuses is dropped by the next receive, and its caller's call fails.
        incoming = reply_receive(endpoint, outgoing, Deadline::NEVER).or_else(|error| {
            log::error!("a reply was refused ({error:?})");
            receive(endpoint, Deadline::NEVER)
        });
    }
}

fn answer<F>(endpoint: Handle, file_system: &F, message: &Incoming) -> Outgoing
where
    F: FileSystem<Sent = SentContainer>,
{
    let malformed = |Malformed| Refusal::new(FileError::Malformed);
    let result = if message.label() == IoReadContainer::LABEL {
        // Apart from the others, so that no room for the largest of them is cleared and copied for the most frequent.
        let decoded = message.decode(|_, words| IoReadContainer::decode(words)).map_err(malformed);
        let sent = || SentContainer::receive(message.received);
        decoded
            .and_then(|read| dispatch_read(file_system, message.badge, &read, sent))
            .map(|done| Outgoing::reply(&done))
    } else if message.label() == DirCreate::LABEL {
        let decoded = message.decode(|_, words| DirCreate::decode(words)).map_err(malformed);
        let sent = || SentContainer::receive(message.received);
        decoded
            .and_then(|create| dispatch_create(file_system, message.badge, &create, sent))
            .and_then(|answer| outgoing(endpoint, &answer))
    } else {
        let decoded = message.decode(Request::decode).map_err(malformed);
        decoded
            .and_then(|request| dispatch(file_system, message.badge, &request))
            .and_then(|answer| outgoing(endpoint, &answer))
    };
    result.unwrap_or_else(Outgoing::refusal)
}

/// The reply; a node's capability is made for it and dropped once it is sent.
fn outgoing(endpoint: Handle, answer: &Answer) -> Result<Outgoing> {
    Ok(match answer {
        Answer::Looked(looked, None) => Outgoing::reply(looked),
        Answer::Looked(looked, Some(badge)) => {
            let node = mint(endpoint, *badge).map_err(|_| FileError::NoMemory)?;
            Outgoing::reply(looked).with_capability(node)
        }
        Answer::Entries(entries) => Outgoing::reply(entries),
        Answer::Status(status) => Outgoing::reply(status),
        Answer::Small(contents) => Outgoing::reply(contents),
        Answer::Written(written) => Outgoing::reply(written),
        Answer::Done => Outgoing::reply(&Empty),
        Answer::FileSystem(status) => Outgoing::reply(status),
    })
}

fn mint(endpoint: Handle, badge: NodeBadge) -> core::result::Result<Capability, KernelError> {
    Capability::mint(endpoint, Rights::SEND | Rights::TRANSFER, badge.encode())
}
