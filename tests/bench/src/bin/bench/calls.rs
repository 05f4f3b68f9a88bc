//! Calls from one address space to another and their replies: the registers of one call stub, as servers and clients use it.
//!
//! This program serves; a second one, started from the same file, calls and measures.

use crate::{Bench, SELF};
use alloc::vec::Vec;
use containers_api::MemoryError;
use kernel_abi::{MessageInfo, SystemCall};
use kernel_protocol::{message, protocol};
use kernel_runtime::containers::create_endpoint;
use kernel_runtime::ipc;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, Handle, threads};
use tests_bench::{USUAL, timed};
use tests_guest::Failed;
use tests_guest::child::{ALLOWANCE, Child};

message! {
    /// That it came.
    pub struct Taken {}
}

protocol! {
    error MemoryError;

    /// Takes the capability that is sent along.
    1 Take {} => Taken;
}

/// Words of a message: row, and how many.
const SIZES: [(&str, usize); 6] = [
    ("ipc/round-trip-0", 0),
    ("ipc/round-trip-1", 1),
    ("ipc/round-trip-2", 2),
    ("ipc/round-trip-4", 4),
    ("ipc/round-trip-8", 8),
    ("ipc/round-trip-64", 64),
];

/// Starts the caller, and serves it until it has ended.
pub fn measure(startup: &Startup<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    if !bench.wants("ipc/") {
        return Ok(());
    }
    same_space(bench)?;
    let endpoint = create_endpoint().map_err(|error| ("endpoint", error))?;
    let served = endpoint.handle();
    threads::spawn(threads::STACK_PAGES, move || serve(served)).map_err(|error| ("thread", error))?;
    let mut arguments: Vec<&[u8]> = alloc::vec![b"caller"];
    arguments.extend(bench.wanted.0);
    let child = Child::start_with(startup, SELF, &arguments, &[("server", endpoint.handle())], &ALLOWANCE)?;
    let ended = child.wait(core::time::Duration::from_secs(3600));
    // The thread that serves uses it as long as this program runs.
    endpoint.into_handle();
    match ended {
        Some(kernel_runtime::process::ExitStatus::Exited(0)) => Ok(()),
        ended => Err(Failed(alloc::format!("the caller ended with {ended:?}"))),
    }
}

/// A call between two threads of this program.
fn same_space(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let endpoint = create_endpoint().map_err(|error| ("endpoint", error))?.into_handle();
    threads::spawn(threads::STACK_PAGES, move || serve(endpoint)).map_err(|error| ("thread", error))?;
    bench.row("ipc/round-trip-same", USUAL, || round_trip(endpoint, 0))
}

/// Answers every message with as many words.
fn serve(endpoint: Handle) {
    let endpoint = u64::from(endpoint.0);
    let mut returned = raw::message(SystemCall::Receive, endpoint, 0, [0; 8], 0);
    while returned.status == 0 {
        let info = MessageInfo::new(0, MessageInfo(returned.info).words(), 0);
        returned = raw::message(SystemCall::ReplyReceive, endpoint, info.0, returned.words, 0);
    }
}

/// The second program.
pub fn run_caller(startup: &Startup<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    let server = startup.capability("server").ok_or(Failed("no server".into()))?;
    for (name, words) in SIZES {
        bench.row(name, USUAL, || round_trip(server, words))?;
    }
    bench.row("ipc/round-trip-capability", USUAL, || {
        let (ticks, taken) = timed(|| ipc::call(server, &Take {}, &[CONTRACT], Deadline::NEVER));
        taken.map_err(|error| ("call", error))?;
        Ok(ticks)
    })
}

fn round_trip(server: Handle, words: usize) -> Result<u64, Failed> {
    let info = MessageInfo::new(1, words, 0).0;
    let (ticks, returned) =
        timed(|| raw::message(SystemCall::Call, u64::from(server.0), info, [1, 2, 3, 4, 5, 6, 7, 8], 0));
    raw::status(returned.status).map_err(|error| ("call", error))?;
    if MessageInfo(returned.info).words() != words {
        return Err(Failed("a wrong reply".into()));
    }
    Ok(ticks)
}
