//! A client of a physmem inside that physmem: what a program's maker would ask for, asked without a message.

use containers_api::container::ContainerStat;
use containers_api::contract::{ContainerCreate, SpaceCreate};
use containers_api::space::{Map, MapProtection, ThreadCreate};
use containers_api::{MemoryError, Name};
use kernel_abi::Handle;
use kernel_protocol::{ErrorCode, Message, Request};
use physmem_core::badge::Badge;
use physmem_core::pmap::{Pmap, RecordMemory};
use physmem_core::{Handed, Incoming, Outcome, Physmem, Sent};

/// The client. New kernel objects are put at `objects`.
pub struct Client<'a, P, M> {
    /// Its physmem.
    pub physmem: &'a mut Physmem<'static, P, M>,
    /// Empty entries for new objects.
    pub objects: Handle,
}

/// A reply and up to two capabilities.
pub type Replied<R> = (R, [Option<Handed>; 2]);

fn handle_of(handed: Option<Handed>) -> Result<Handle, MemoryError> {
    match handed {
        Some(Handed::Handle(handle)) => Ok(handle),
        _ => Err(MemoryError::Protocol),
    }
}

fn badge_of(handed: Option<Handed>) -> Result<Badge, MemoryError> {
    match handed {
        Some(Handed::Badge(badge)) => Ok(badge),
        _ => Err(MemoryError::Protocol),
    }
}

impl<P: Pmap, M: RecordMemory> Client<'_, P, M> {
    /// Makes a request.
    pub fn ask<R: Request>(
        &mut self,
        of: Badge,
        request: &R,
        sent: &[Sent],
    ) -> Result<Replied<R::Reply>, MemoryError> {
        let mut words = [0; kernel_protocol::MESSAGE_WORDS];
        let used = request.encode(&mut words);
        let incoming = Incoming { badge: of.0, label: R::LABEL, words: &words[..used], sent };
        let Outcome::Answered(answer) = self.physmem.request(0, incoming, self.objects) else {
            return Err(MemoryError::Protocol);
        };
        if answer.label != 0 {
            return Err(MemoryError::from_code(answer.label));
        }
        let mut handed = answer.handed();
        let reply = R::Reply::decode(self.physmem.words_of(&answer)).map_err(|_| MemoryError::Protocol)?;
        Ok((reply, [handed.next(), handed.next()]))
    }

    /// A task with an address space.
    pub fn create_space(&mut self, contract: Badge, name: &str) -> Result<(Handle, Badge), MemoryError> {
        let (_, [task, space]) = self.ask(contract, &SpaceCreate { name: Name::truncated(name) }, &[])?;
        Ok((handle_of(task)?, badge_of(space)?))
    }

    /// A thread of it.
    pub fn create_thread(&mut self, space: Badge) -> Result<Handle, MemoryError> {
        let (_, [thread, _]) = self.ask(space, &ThreadCreate {}, &[])?;
        handle_of(thread)
    }

    /// A container, and its version.
    pub fn create_container(&mut self, contract: Badge, pages: u64) -> Result<(Badge, u64), MemoryError> {
        let (_, [container, _]) = self.ask(contract, &ContainerCreate { pages }, &[])?;
        let container = badge_of(container)?;
        let (status, _) = self.ask(container, &ContainerStat {}, &[])?;
        Ok((container, status.version))
    }

    /// Maps a container from its first page on.
    pub fn map(
        &mut self,
        space: Badge,
        container: Badge,
        address: u64,
        pages: u64,
        protection: MapProtection,
    ) -> Result<(), MemoryError> {
        let request = Map { address, pages, first_page: 0, protection, populate: false };
        self.ask(space, &request, &[Sent::Badge(container.0)]).map(drop)
    }
}
