//! The ext file server: ext2, ext3 and ext4 of one disk, read-only. What the bytes of the disk mean and what to do next is
//! [`filesystems_ext_core`]'s; here are memory, messages and threads.
//!
//! ```text
//!   client's container <── disk writes by DMA ──┐
//!        │  ^                                   │
//!   copy │  │ copy of cached pages              │ block driver
//!        v  │                                   │
//!   cache container    <── edges, by DMA ───────┤
//!   bounce page        <── metadata, by DMA ────┘
//! ```
//! [`WORKERS`] threads answer requests; they are the table of requests in progress. What they share lies behind one
//! [`gate::Gate`], held while metadata is looked at and never while contents move; but for the [`cache`], which one more thread
//! takes frames from when the contract is called.
//!
//! A disk without a file system is served all the same: every request is refused with the reason.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod disk;
mod files;
mod gate;
mod mount;
mod read;

use alloc::boxed::Box;
use alloc::vec::Vec;
use files::{Server, Worker};
use filesystems_serve::serve;
use kernel_runtime::events::Events;
use kernel_runtime::self_paging::{InOrder, Watch};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Handle, threads};
use mount::mount;

kernel_runtime::program!(main);

/// Threads, and with them requests in progress. Each has at most one disk request under way, so large that the driver can answer for all of
/// them together ([`filesystems_ext_core::plan::step_pages`]).
pub const WORKERS: usize = 4;

/// Bytes of stack that the first worker touches at its start, so that it takes no memory later; those of the others are
/// resident.
const STACK_BYTES: usize = 48 << 10;

/// Bytes of heap that requests may use for a moment: taken and given back at the start, for the same reason.
const HEAP_BYTES: usize = 64 << 10;

/// Exit status where the server cannot serve.
const CANNOT_SERVE: i32 = 1;

fn main(startup: Startup<'static>) -> i32 {
    let (Some(endpoint), Some(block)) = (startup.capability("endpoint"), startup.capability("block")) else {
        log::error!("`endpoint` or `block` was not given");
        return CANNOT_SERVE;
    };
    let server: &'static Server =
        Box::leak(Box::new(Server { mounted: mount(block), events: Events::from_startup(&startup) }));
    // Before there is a second worker: whoever is answered may compare what the server holds from then on.
    drop(Vec::<u8>::with_capacity(HEAP_BYTES));
    threads::touch_stack::<STACK_BYTES>();
    if let Ok(mounted) = &server.mounted
        && let Err(error) = Watch::start(InOrder::new().cache(&mounted.cache))
    {
        log::error!("calls for frames of the cache are not answered: {error}");
    }
    for index in 1..WORKERS {
        let started = threads::spawn_resident(threads::STACK_PAGES, move || work(endpoint, server, index));
        if let Err(error) = started {
            log::error!("only {index} of {WORKERS} threads: {error}");
            break;
        }
    }
    work(endpoint, server, 0);
    CANNOT_SERVE
}

fn work(endpoint: Handle, server: &'static Server, index: usize) {
    let error = serve(endpoint, &Worker { server, index });
    log::error!("the endpoint is gone ({error:?})");
}
