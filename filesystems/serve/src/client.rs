//! A container that a client sent along, and one that was made sure of.
//!
//! Until physmem has said that a capability is a container of its own, calling it or sending anything along with it would
//! trust the client: an endpoint of the client's in its place could keep the caller waiting for ever, or keep what
//! it was sent. What can be done without is to send it to physmem, which looks for itself.

use containers_api::container::Copied;
use containers_api::contract::{Examine, ObjectKind};
use containers_api::{ContainerRights, MemoryError};
use filesystems_api::file::FileError;
use kernel_protocol::{ErrorCode, Refusal};
use kernel_runtime::Deadline;
use kernel_runtime::containers::{Container, MemoryCallError};
use kernel_runtime::ipc::{Received, call};
use kernel_runtime::layout::CONTRACT;

/// A capability that a client sent along as its container; nobody has made sure of that.
pub struct SentContainer(Container);

impl SentContainer {
    /// Takes the first capability of a message out of the receive window.
    pub(crate) fn receive(received: Received) -> Result<SentContainer, Refusal<FileError>> {
        let capability = received.take(0).map_err(|_| FileError::Malformed)?;
        Ok(SentContainer(Container::new(capability)))
    }

    /// Copies bytes of the server's own container into it: only physmem gets to see it.
    pub fn copy_from(
        &self,
        source: &Container,
        source_offset: u64,
        offset: u64,
        bytes: u64,
    ) -> Result<Copied, MemoryCallError> {
        source.copy_to(source_offset, &self.0, offset, bytes)
    }

    /// Asks physmem what it is.
    pub fn examine(self) -> Result<ClientContainer, Refusal<FileError>> {
        let SentContainer(container) = self;
        let examined =
            call(CONTRACT, &Examine {}, &[container.handle()], Deadline::NEVER).map_err(memory_refusal)?;
        if examined.kind != ObjectKind::Container {
            return Err(Refusal::with_detail(
                FileError::Container,
                u64::from(MemoryError::WrongObject.code()),
            ));
        }
        Ok(ClientContainer {
            container,
            rights: examined.rights,
            pages: examined.pages,
            principal: examined.principal,
        })
    }
}

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

/// What a client is told of a call about its container that physmem refused.
pub fn memory_refusal(error: MemoryCallError) -> Refusal<FileError> {
    match error.refusal() {
        Some(MemoryError::OutOfRange) => FileError::OutOfRange.into(),
        Some(error) => Refusal::with_detail(FileError::Container, u64::from(error.code())),
        None => FileError::Container.into(),
    }
}
