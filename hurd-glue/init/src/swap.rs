//! What outlives a default pager: its books, the compressed pages, and the window, all made before anything else is given away.
//!
//! They are init's, which holds nothing beyond its guarantee; so nothing of them is ever seized.

use crate::Failure;
use crate::authority::configuration_space;
use containers_api::ContainerRights;
use containers_api::pager::PagerCreate;
use hurd_glue_init_core::pci;
use hurd_glue_init_core::shares::{SwapShare, swap_share};
use kernel_runtime::containers::{
    Allowance, Container, MemoryCallError, OwnContainer, OwnContract, contract_status,
};
use kernel_runtime::ipc::call_for_capability;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::{Capability, Deadline, Handle};

/// What is kept.
pub struct Swap {
    region: Container,
    store: Container,
    /// None where physmem has no place for a pager.
    window: Option<Window>,
}

struct Window {
    container: Container,
    /// Pays for it.
    _contract: OwnContract,
}

impl Swap {
    /// On a machine that has a disk for swap. A bus that cannot be looked at has none.
    pub fn new(hardware: Handle, control: Handle) -> Result<Option<Swap>, Failure> {
        if !configuration_space(hardware).is_ok_and(pci::has_swap_disk) {
            return Ok(None);
        }
        let made = contract_status(CONTRACT).and_then(|status| {
            let share = swap_share(status.guaranteed);
            let (region, store) = (kept(share.region)?, kept(share.store)?);
            let window = make_window(control, &share).inspect_err(|error| log::warn!("no window: {error}"));
            Ok(Swap { region, store, window: window.ok() })
        });
        made.map(Some).map_err(|error| Failure::Memory("memory for swap", error))
    }

    /// The books, for the next default pager.
    pub fn region(&self) -> Result<Capability, MemoryCallError> {
        shared(&self.region)
    }

    /// The compressed pages, for the next default pager.
    pub fn store(&self) -> Result<Capability, MemoryCallError> {
        shared(&self.store)
    }

    /// The window, if physmem has made one. It is physmem's; nobody can do more with it than map it.
    pub fn window(&self) -> Option<Handle> {
        self.window.as_ref().map(|window| window.container.handle())
    }
}

fn shared(container: &Container) -> Result<Capability, MemoryCallError> {
    container.share(ContainerRights::MAP | ContainerRights::WRITE).map(Container::into_capability)
}

/// Pages that are there from the start.
fn kept(pages: u64) -> Result<Container, MemoryCallError> {
    let container = OwnContainer::new(pages)?;
    container.allocate(0..pages, false)?;
    Ok(container.keep())
}

fn make_window(control: Handle, share: &SwapShare) -> Result<Window, MemoryCallError> {
    let allowance = Allowance { guaranteed: share.window, extra_limit: 0, pin_limit: 0 };
    let contract = OwnContract::split(CONTRACT, &allowance, "swap")?;
    let window = call_for_capability(control, &PagerCreate {}, &[contract.handle()], Deadline::NEVER)?.1;
    Ok(Window { container: Container::new(window), _contract: contract })
}
