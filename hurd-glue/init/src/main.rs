//! The first program: starts the servers from the boot archive, gives each the capabilities that
//! [`hurd_glue_init_core::servers`] lists, and waits for their ends. When the shell ends, its status is the
//! machine's.
//!
//! A server that ends is started again, at the same endpoint: endpoints are init's, so that its clients' capabilities
//! stay what they were, and calls made meanwhile wait, within their deadlines. When, and how often, is decided by
//! [`hurd_glue_init_core::restarts`]. One that is given up is reported in the log, and the others go on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod authority;
mod maker;
mod power;
mod servers;
mod swap;

use archive::Archive;
use authority::Authority;
use hurd_glue_init_core::shares::Share;
use kernel_runtime::KernelError;
use kernel_runtime::containers::{MemoryCallError, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use maker::Maker;
use power::Power;
use servers::Servers;

kernel_runtime::program!(main);

fn main(startup: Startup<'static>) -> i32 {
    let power = Power::new(&startup);
    let status = match run(&startup) {
        Ok(status) => status,
        Err(error) => {
            log::error!("{error}");
            power::DID_NOT_COME_UP
        }
    };
    power.off(status)
}

/// Why there is no shell.
enum Failure {
    /// init itself lacks something that physmem should have given it.
    SetUp(&'static str),
    /// physmem refused something that everything depends on.
    Memory(&'static str, MemoryCallError),
    /// The kernel refused.
    Kernel(&'static str, KernelError),
    /// The shell did not start.
    NoShell,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::SetUp(what) => write!(formatter, "cannot bring the system up: no {what}"),
            Failure::Memory(what, error) => write!(formatter, "cannot bring the system up: {what}: {error}"),
            Failure::Kernel(what, error) => {
                write!(formatter, "cannot bring the system up: {what}: {error:?}")
            }
            Failure::NoShell => formatter.write_str("there is no shell"),
        }
    }
}

/// Starts everything and waits for the shell's end: its status.
fn run(startup: &Startup<'_>) -> Result<u32, Failure> {
    let archive = Archive::new(startup)?;
    let authority = Authority::new(startup)?;
    let deaths = Notification::new().map_err(|error| Failure::Memory("notification", error))?;
    let status = contract_status(CONTRACT).map_err(|error| Failure::Memory("own contract", error))?;
    // The boot archive and init itself stay where they are.
    let held = status.pages + status.records + status.kernel;
    let all = Share {
        guaranteed: status.guaranteed.saturating_sub(held),
        extra_limit: status.extra_limit,
        pin_limit: status.pin_limit,
        traced: authority.is_tracing(),
        has_swap: authority.has_swap(),
    };
    Servers::new(Maker { archive, authority, all, deaths }).run()
}
