//! What the library asks of physmem, one message each unless said otherwise. The task's own contract, spaces and containers are meant: nobody
//! stands between.

use containers_api::MemoryError;
use containers_api::space::MapProtection;
use core::ops::Range;

/// Result of a request to physmem.
pub type Outcome<T = ()> = core::result::Result<T, MemoryError>;

/// A contract's frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frames {
    /// Frames that an allocation finds for certain.
    pub free: u64,
    /// Pages of containers that have a frame.
    pub present: u64,
}

/// physmem, or what stands for it in tests. A refused request has changed nothing; where a request is done in parts, the parts before the
/// one that was refused are done.
pub trait Memory {
    /// Names an address space.
    type Space: Copy;
    /// Names a contract.
    type Contract: Copy;
    /// Names a container.
    type Container: Copy + PartialEq;

    /// Makes a container of a contract.
    fn create(&mut self, contract: Self::Contract, pages: u64) -> Outcome<Self::Container>;
    /// Ends a container that was made here.
    fn destroy(&mut self, container: Self::Container);
    /// Keeps somebody else's container: its giver may forget it.
    fn keep(&mut self, container: Self::Container) -> Outcome<Self::Container>;
    /// Lets go of a kept container.
    fn release(&mut self, container: Self::Container);
    /// Pages of a container.
    fn size(&mut self, container: Self::Container) -> Outcome<u64>;
    /// Maps pages of a container where nothing is mapped.
    fn map(
        &mut self,
        space: Self::Space,
        address: u64,
        container: Self::Container,
        pages: Range<u64>,
        protection: MapProtection,
    ) -> Outcome;
    /// Removes whatever is mapped.
    fn unmap(&mut self, space: Self::Space, range: Range<u64>) -> Outcome;
    /// Changes the protection of what is mapped.
    fn protect(&mut self, space: Self::Space, range: Range<u64>, protection: MapProtection) -> Outcome;
    /// Copies bytes, logically where both offsets are alike within a page; in parts. The pages have none in common.
    fn copy(
        &mut self,
        source: (Self::Container, u64),
        destination: (Self::Container, u64),
        bytes: u64,
    ) -> Outcome;
    /// Moves at most [`crate::WIRE_PAGES`] pages.
    fn move_pages(
        &mut self,
        source: (Self::Container, u64),
        destination: (Self::Container, u64),
        pages: u64,
    ) -> Outcome;
    /// Gives every page a frame; in parts.
    fn allocate(&mut self, container: Self::Container, pages: Range<u64>) -> Outcome;
    /// Takes the frames of the pages away; in parts.
    fn deallocate(&mut self, container: Self::Container, pages: Range<u64>) -> Outcome;
    /// Whether the container's pages may be seized.
    fn set_vital(&mut self, container: Self::Container, vital: bool) -> Outcome;
    /// How a contract stands.
    fn frames(&mut self, contract: Self::Contract) -> Outcome<Frames>;
}
