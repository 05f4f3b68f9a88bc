//! A capability that somebody owns: dropped, it empties its entry and gives the handle back.

use crate::{Handle, KernelError, Rights, handles, syscall};

/// An owned entry of the task's capability table.
#[derive(PartialEq, Eq, Debug)]
pub struct Capability(Handle);

impl Capability {
    /// Takes over an entry: nobody else drops it.
    pub const fn from_handle(handle: Handle) -> Capability {
        Capability(handle)
    }

    /// The entry, to be named in calls.
    pub const fn handle(&self) -> Handle {
        self.0
    }

    /// Gives the entry up without emptying it.
    pub fn into_handle(self) -> Handle {
        let handle = self.0;
        core::mem::forget(self);
        handle
    }

    /// A copy of an entry, with a subset of its rights. `NoTable`: no entry is free.
    pub fn copy(source: Handle, rights: Rights) -> Result<Capability, KernelError> {
        Capability::filled(|entry| syscall::capability_copy(source, entry, rights))
    }

    /// A copy of an entry, with a subset of its rights and a badge.
    pub fn mint(source: Handle, rights: Rights, badge: u64) -> Result<Capability, KernelError> {
        Capability::filled(|entry| syscall::capability_mint(source, entry, rights, badge))
    }

    /// Moves an entry's contents into an entry of its own.
    pub fn take(source: Handle) -> Result<Capability, KernelError> {
        Capability::filled(|entry| syscall::capability_move(source, entry))
    }

    /// A fresh entry, filled by `fill`.
    pub fn filled(fill: impl FnOnce(Handle) -> Result<(), KernelError>) -> Result<Capability, KernelError> {
        let entry = handles::allocate().ok_or(KernelError::NoTable)?;
        match fill(entry) {
            Ok(()) => Ok(Capability(entry)),
            Err(error) => {
                handles::free(entry);
                Err(error)
            }
        }
    }

    /// Gives the handle back for an entry that the kernel has emptied.
    pub(crate) fn emptied(self) {
        handles::free(self.into_handle());
    }
}

impl Drop for Capability {
    fn drop(&mut self) {
        // Dropping an entry of one's own table cannot fail; if it did, the handle must not be given out again.
        if syscall::capability_drop(self.0).is_ok() {
            handles::free(self.0);
        }
    }
}
