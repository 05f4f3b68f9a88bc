//! Capabilities within a task's own table.

use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Capability;
use kernel_abi::capability::Kind;
use kernel_abi::{Handle, KernelError, Rights};

impl<M: Machine> Kernel<M> {
    /// An entry of the current task's table that is free.
    pub(super) fn empty_entry(&mut self, handle: u64) -> Result<Link, KernelError> {
        let task = self.current_task();
        self.empty_entry_in(task, handle)
    }

    /// An entry of a task's table that is free.
    pub(super) fn empty_entry_in(&mut self, task: Link, handle: u64) -> Result<Link, KernelError> {
        let handle = u32::try_from(handle).map_err(|_| KernelError::InvalidHandle)?;
        let place = self.entry_of(task, Handle(handle))?;
        if self.capability_at(place).kind == Kind::Null { Ok(place) } else { Err(KernelError::Occupied) }
    }

    /// A subset of a capability's rights; bits that mean nothing for the kind are refused.
    pub(super) fn fewer_rights(capability: &Capability, rights: u64) -> Result<Rights, KernelError> {
        let bits = u16::try_from(rights).map_err(|_| KernelError::InvalidArgument)?;
        let rights = Rights::from_bits(bits).ok_or(KernelError::InvalidArgument)?;
        if !Rights::for_kind(capability.kind).contains(rights) {
            return Err(KernelError::InvalidArgument);
        }
        if !capability.rights.contains(rights) {
            return Err(KernelError::MissingRight);
        }
        Ok(rights)
    }

    pub(super) fn capability_copy(&mut self, source: u64, destination: u64, rights: u64) -> Outcome {
        let mut capability = self.capability(source)?;
        if capability.kind == Kind::Reply {
            return Err(KernelError::WrongKind.into());
        }
        capability.rights = Self::fewer_rights(&capability, rights)?;
        let place = self.empty_entry(destination)?;
        *self.capability_at(place) = capability;
        Ok(Done::Value(0))
    }

    pub(super) fn capability_mint(
        &mut self,
        source: u64,
        destination: u64,
        rights: u64,
        badge: u64,
    ) -> Outcome {
        let mut capability = self.capability(source)?;
        if !matches!(capability.kind, Kind::Endpoint | Kind::Notification) {
            return Err(KernelError::WrongKind.into());
        }
        if !capability.rights.contains(Rights::MINT) {
            return Err(KernelError::MissingRight.into());
        }
        capability.rights = Self::fewer_rights(&capability, rights)?;
        capability.badge = badge;
        let place = self.empty_entry(destination)?;
        *self.capability_at(place) = capability;
        Ok(Done::Value(0))
    }

    pub(super) fn capability_move(&mut self, source: u64, destination: u64) -> Outcome {
        let capability = self.capability(source)?;
        let place = self.empty_entry(destination)?;
        let task = self.current_task();
        let from = self.entry_of(task, Handle(source as u32))?;
        *self.capability_at(place) = capability;
        *self.capability_at(from) = Capability::NULL;
        Ok(Done::Value(0))
    }

    pub(super) fn capability_drop(&mut self, handle: u64) -> Outcome {
        let handle = u32::try_from(handle).map_err(|_| KernelError::InvalidHandle)?;
        let task = self.current_task();
        let place = self.entry_of(task, Handle(handle)).map_err(|_| KernelError::InvalidHandle)?;
        self.drop_capability(task, place);
        Ok(Done::Value(0))
    }

    pub(super) fn capability_identify(&mut self, handle: u64) -> Outcome {
        let capability = self.capability(handle)?;
        Ok(Done::Value(capability.kind as u64 | u64::from(capability.rights.bits()) << 16))
    }
}
