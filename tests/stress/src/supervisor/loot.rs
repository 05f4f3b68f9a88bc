//! What the misbehaving tasks are given to attack with: a page of the supervisor's that they may only read, one that was
//! taken back, an endpoint between the server that lies and its client.

use crate::misbehaving::forges::{FOREIGN, FOREIGN_BYTE, REVOKED};
use crate::misbehaving::lies::SERVICE;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use kernel_runtime::containers::{Container, OwnContainer, create_endpoint};
use kernel_runtime::memory::Mapping;
use kernel_runtime::process::Given;
use kernel_runtime::{Capability, Handle, Rights};
use tests_guest::Failed;

/// Pages of the supervisor's container; one of them is lent.
const PAGES: u64 = 3;
/// The page that is lent.
const LENT: u64 = 1;

/// All of it.
pub struct Loot {
    // In this order: the mapping goes first.
    mapping: Mapping,
    foreign: Container,
    revoked: Container,
    service: Capability,
    _container: OwnContainer,
}

impl Loot {
    /// Makes it.
    pub fn new() -> Result<Loot, Failed> {
        let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
        let mut mapping =
            Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        mapping.as_mut_slice().fill(FOREIGN_BYTE);
        let grant =
            || container.grant(LENT..LENT + 1, ContainerRights::MAP, 1).map_err(|error| ("grant", error));
        let (foreign, revoked) = (grant()?, grant()?);
        container.revoke(&revoked, true).map_err(|error| ("revoke", error))?;
        let service = create_endpoint().map_err(|error| ("endpoint", error))?;
        Ok(Loot { mapping, foreign, revoked, service, _container: container })
    }

    /// What a task of this name is given of it.
    pub fn given(&self, name: &str, control: Option<Handle>) -> impl Iterator<Item = Given<'static>> {
        let message = Rights::SEND | Rights::TRANSFER;
        let give = |name, handle, rights| Some(Given { name, handle, rights });
        let given = match name {
            "client" => [give(SERVICE, self.service.handle(), message), None, None],
            "lies" => [give(SERVICE, self.service.handle(), Rights::RECEIVE), None, None],
            "forges" => [
                give(FOREIGN, self.foreign.handle(), message),
                give(REVOKED, self.revoked.handle(), message),
                control.and_then(|control| give("control", control, message)),
            ],
            "garbles" => [control.and_then(|control| give("control", control, message)), None, None],
            _ => [None, None, None],
        };
        given.into_iter().flatten()
    }

    /// Whether the pages are what they were.
    pub fn is_intact(&self) -> bool {
        self.mapping.as_slice().iter().all(|byte| *byte == FOREIGN_BYTE)
    }
}
