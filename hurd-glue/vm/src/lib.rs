//! Mach's `vm_*` calls for a task of Tenure: [`hurd_glue_vm_core`] over physmem, with the task's own contract and address space.
//!
//! The task's map covers the addresses from [`VM_BASE`](kernel_runtime::layout::VM_BASE) to
//! [`VM_END`](kernel_runtime::layout::VM_END); program, heap, stacks and the runtime's own mappings lie outside of it, and nobody else maps
//! inside. [`with`] gives Rust programs the library; [`c`] is the same for C, by Mach's names.
//!
//! One lock covers all maps of the task. It is held while physmem is asked, never while anybody else is.
#![no_std]

pub mod bytes;
pub mod c;
pub mod physmem;

pub use physmem::Physmem;

use hurd_glue_vm_core::{KernError, MapId, Result, Vm};
use kernel_runtime::layout::{CONTRACT, SPACE, VM_BASE, VM_END};
use kernel_runtime::sync::Mutex;

static VM: Mutex<Vm<Physmem>> = Mutex::new(Vm::new(Physmem::new()));

/// The task's own map: the first that is made, and never removed.
pub const OWN: MapId = MapId(0);

/// Works on the task's maps. Errors: those of the work.
pub fn with<T>(work: impl FnOnce(&mut Vm<Physmem>) -> Result<T>) -> Result<T> {
    let mut vm = VM.lock();
    if vm.entries(OWN).is_err() {
        vm.add_map(SPACE, CONTRACT, VM_BASE..VM_END)?;
    }
    work(&mut vm)
}

/// Forgets the map of another task. Errors: `InvalidArgument` (the task's own, or none).
pub fn forget(map: MapId) -> Result<()> {
    if map == OWN {
        return Err(KernError::InvalidArgument);
    }
    with(|vm| vm.remove_map(map))
}
