//! A container that a client sent along, made sure of.
//!
//! Until physmem has said that a capability is a container of its own, calling it or sending anything along with it would
//! trust the client: an endpoint of the client's in its place could keep the caller waiting for ever, or keep what
//! it was sent.

use containers_api::contract::{Examine, ObjectKind};
use containers_api::{ContainerRights, MemoryError};
use filesystems_api::file::FileError;
use kernel_protocol::{ErrorCode, Refusal};
use kernel_runtime::Deadline;
use kernel_runtime::containers::{Container, MemoryCallError};
use kernel_runtime::ipc::{Received, call};
use kernel_runtime::layout::CONTRACT;

/// A client's container, or grant.
pub struct ClientContainer {
    /// It.
    pub container: Container,
    /// What the client allows.
    pub rights: ContainerRights,
    /// Its size.
    pub pages: u64,
    /// Who pays for it.
    pub principal: u64,
}

impl ClientContainer {
    /// Takes the first capability of a message out of the receive window and asks physmem what it is.
    pub fn receive(received: Received) -> Result<ClientContainer, Refusal<FileError>> {
        let capability = received.take(0).map_err(|_| FileError::Malformed)?;
        let examined =
            call(CONTRACT, &Examine {}, &[capability.handle()], Deadline::NEVER).map_err(memory_refusal)?;
        if examined.kind != ObjectKind::Container {
            return Err(Refusal::with_detail(
                FileError::Container,
                u64::from(MemoryError::WrongObject.code()),
            ));
        }
        Ok(ClientContainer {
            container: Container::new(capability),
            rights: examined.rights,
            pages: examined.pages,
            principal: examined.principal,
        })
    }
}

/// What a client is told of a call about its container that physmem refused.
pub fn memory_refusal(error: MemoryCallError) -> Refusal<FileError> {
    match error.refusal() {
        Some(MemoryError::OutOfRange) => FileError::OutOfRange.into(),
        Some(error) => Refusal::with_detail(FileError::Container, u64::from(error.code())),
        None => FileError::Container.into(),
    }
}
