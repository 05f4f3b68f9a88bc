//! The first program: starts the servers from the boot archive, gives each the capabilities that
//! [`hurd_glue_init_core::servers`] lists, and waits for their ends. When the shell ends, its status is the
//! machine's.
//!
//! A server that cannot be started, or ends, is reported in the log and the others go on: endpoints are init's, so
//! that calls to a missing server wait until their deadline. Starting servers again is not written yet.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod authority;
mod power;

use alloc::vec::Vec;
use archive::Archive;
use authority::Authority;
use hurd_glue_init_core::servers::{SERVERS, Server, Specification, Urgency};
use hurd_glue_init_core::shares::{Share, share};
use kernel_runtime::containers::{Allowance, MemoryCallError, contract_status};
use kernel_runtime::layout::{CONTRACT, PRIORITY_DRIVER, PRIORITY_FILE_SERVER, PRIORITY_SHELL};
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, Process, Program, SpawnError};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, KernelError};
use power::Power;

kernel_runtime::program!(main);

/// Member with commands that the shell runs instead of talking to a person.
const EXEC_MEMBER: &str = "exec";

/// Why a server was not started.
#[derive(Debug)]
enum StartError {
    /// The archive has no such member, or is damaged before it.
    Archive(archive::MemberError),
    /// The machine has too little memory.
    TooLittleMemory,
    /// A capability for it could not be made.
    Grant(&'static str, authority::GrantError),
    /// It could not be loaded.
    Spawn(SpawnError),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Archive(error) => error.fmt(formatter),
            StartError::TooLittleMemory => formatter.write_str("the machine has too little memory"),
            StartError::Grant(name, error) => write!(formatter, "cannot give it `{name}`: {error}"),
            StartError::Spawn(error) => error.fmt(formatter),
        }
    }
}

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
    };
    let mut servers: Vec<Option<Process>> = SERVERS
        .iter()
        .map(|specification| match start(specification, &archive, &authority, &all, &deaths) {
            Ok(process) => Some(process),
            Err(error) => {
                log::error!("cannot start {}: {error}", specification.name);
                None
            }
        })
        .collect();
    if servers[Server::Shell as usize].is_none() {
        return Err(Failure::NoShell);
    }
    loop {
        let bits = deaths.wait(Deadline::NEVER).map_err(|error| Failure::Kernel("waiting", error))?;
        for (index, specification) in SERVERS.iter().enumerate() {
            if bits >> index & 1 == 0 {
                continue;
            }
            // Dropping it takes its memory back.
            let ended = servers[index].take().and_then(|process| process.exit_status());
            match (specification.server, ended) {
                (Server::Shell, Some(ExitStatus::Exited(status))) => return Ok(status),
                (_, Some(end)) => log::error!("{} {end}; it is not started again", specification.name),
                (_, None) => log::error!("{} is gone; it is not started again", specification.name),
            }
            if specification.server == Server::Shell {
                return Err(Failure::NoShell);
            }
        }
    }
}

fn start(
    specification: &Specification,
    archive: &Archive,
    authority: &Authority,
    all: &Share,
    deaths: &Notification,
) -> Result<Process, StartError> {
    let mut source = archive.program(specification.name).map_err(StartError::Archive)?;
    let Share { guaranteed, extra_limit, pin_limit } =
        share(specification.server, all).ok_or(StartError::TooLittleMemory)?;
    let mut given = authority.given(specification, archive)?;
    if specification.server == Server::Shell && archive.program(EXEC_MEMBER).is_ok() {
        given.arguments.push(b"exec".to_vec());
    }
    let program = Program {
        name: specification.name,
        arguments: &given.arguments.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        capabilities: &given.capabilities,
        mounts: &given.mounts,
        directory: b"/",
        allowance: Allowance { guaranteed, extra_limit, pin_limit },
        priority: match specification.urgency {
            Urgency::Driver => PRIORITY_DRIVER,
            Urgency::FileServer => PRIORITY_FILE_SERVER,
            Urgency::Shell => PRIORITY_SHELL,
        },
    };
    Process::spawn(&mut source, &program, deaths, 1 << specification.server as u32).map_err(StartError::Spawn)
}
