//! Finding programs and starting them, each under a contract of its own split off from the shell's.

use crate::jobs::Notice;
use alloc::string::String;
use alloc::vec::Vec;
use containers_api::contract::ContractStatus;
use containers_api::control::{ControlRights, ControlShare};
use core::fmt;
use filesystems_api::file::{FileError, NodeKind};
use kernel_runtime::containers::{Allowance, contract_status};
use kernel_runtime::files::{FileCallError, Names, Node};
use kernel_runtime::ipc::{CallError, call_for_capability};
use kernel_runtime::layout::{CONTRACT, PRIORITY_PROGRAM};
use kernel_runtime::process::{FileSource, Given, ImageError, Process, Program, SpawnError};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, KernelError, Rights};

/// Where programs are.
const FOLDER: &str = "/.boot/bin/";

/// Prefix of the boot archive, which backtraces leave out.
const ARCHIVE: &str = "/.boot/";

/// Frames that a program is guaranteed. Most of it is for the 1 MiB window of those that read files.
const GUARANTEED: u64 = 512;
/// Frames of them that may be pinned: that whole window.
const PIN_LIMIT: u64 = 256;
/// Frames that the shell keeps when it gives a program all it can.
const KEPT: u64 = 192;

/// What a program is guaranteed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// As much as a small program needs.
    Usual,
    /// So many frames; half of them may be pinned.
    Frames(u64),
    /// All that the shell can do without; half of it may be pinned.
    All,
}

impl Share {
    /// From what is left of the shell's own contract.
    fn allowance(self, own: &ContractStatus) -> Allowance {
        let held = own.pages + own.records + own.kernel;
        let (guaranteed, pin_limit) = match self {
            Share::Usual => (GUARANTEED, PIN_LIMIT),
            Share::Frames(frames) => (frames, frames / 2),
            Share::All => {
                let frames = own.guaranteed.saturating_sub(held + KEPT);
                (frames, frames / 2)
            }
        };
        Allowance { guaranteed, extra_limit: own.extra_limit, pin_limit: pin_limit.min(own.pin_limit) }
    }
}

/// Status of a command that is not there, as shells have it.
const NOT_FOUND: u8 = 127;
/// Status of a command that cannot be run.
pub const NOT_RUNNABLE: u8 = 126;

/// Why a program does not run.
#[derive(Debug)]
pub enum LaunchError {
    /// There is none of this name.
    NotFound,
    /// Its name cannot be looked up.
    Lookup(FileCallError),
    /// It is a directory or a device.
    NotAFile,
    /// It cannot be loaded.
    Spawn(SpawnError),
    /// The kernel refused.
    Kernel(KernelError),
    /// As many programs as the shell can watch are running.
    TooManyPrograms,
}

impl LaunchError {
    /// As a status.
    pub fn status(&self) -> u8 {
        match self {
            LaunchError::NotFound => NOT_FOUND,
            _ => NOT_RUNNABLE,
        }
    }
}

impl From<SpawnError> for LaunchError {
    fn from(error: SpawnError) -> Self {
        LaunchError::Spawn(error)
    }
}

impl From<KernelError> for LaunchError {
    fn from(error: KernelError) -> Self {
        LaunchError::Kernel(error)
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::NotFound => formatter.write_str("command not found (`help` lists the commands)"),
            LaunchError::Lookup(error) => error.fmt(formatter),
            LaunchError::NotAFile => formatter.write_str("not a program"),
            LaunchError::Spawn(error) => error.fmt(formatter),
            LaunchError::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
            LaunchError::TooManyPrograms => formatter.write_str("too many programs in the background"),
        }
    }
}

/// A program that was found.
pub struct Found {
    path: String,
    node: Node,
    bytes: u64,
}

/// What every program is given.
pub struct Launcher {
    console: Option<Handle>,
    /// Looking at physmem's records, and no more.
    control: Option<Capability>,
    /// Looking at the default pager, which can do no more.
    pager: Option<Handle>,
}

impl Launcher {
    /// With what init gave the shell for its programs.
    pub fn new(startup: &Startup<'_>) -> Launcher {
        let look = ControlShare { rights: ControlRights::empty() };
        let share = |control| call_for_capability(control, &look, &[], Deadline::NEVER).ok();
        Launcher {
            console: startup.capability("console-program"),
            control: startup.capability("control").and_then(share).map(|(_, capability)| capability),
            pager: startup.capability("pager"),
        }
    }

    /// Finds a program: a name in the folder of programs, or a path.
    pub fn find(&self, names: &Names, name: &[u8]) -> Result<Found, LaunchError> {
        let is_path = name.contains(&b'/');
        let path = if is_path { name.to_vec() } else { [FOLDER.as_bytes(), name].concat() };
        match names.lookup_described(&path, true) {
            Ok((node, NodeKind::File, bytes)) => {
                Ok(Found { path: String::from_utf8_lossy(&path).into_owned(), node, bytes })
            }
            Ok(_) => Err(LaunchError::NotAFile),
            Err(CallError::Refused(refusal)) if refusal.error == FileError::NotFound && !is_path => {
                Err(LaunchError::NotFound)
            }
            Err(error) => Err(LaunchError::Lookup(error)),
        }
    }

    /// Starts a program. `output`: the node that its output goes to, if that is not the console.
    pub fn start(
        &self,
        names: &Names,
        found: &Found,
        arguments: &[&[u8]],
        output: Option<Handle>,
        share: Share,
        notice: Notice<'_>,
    ) -> Result<Process, LaunchError> {
        let Notice { death, bits, time } = notice;
        let own = contract_status(CONTRACT).map_err(SpawnError::Memory)?;
        let rights = Rights::SEND | Rights::TRANSFER;
        let mut capabilities = Vec::new();
        if let Some(handle) = self.console {
            capabilities.push(Given { name: "console", handle, rights });
        }
        if let Some(control) = &self.control {
            capabilities.push(Given { name: "control", handle: control.handle(), rights });
        }
        if let Some(handle) = self.pager {
            capabilities.push(Given { name: "pager", handle, rights });
        }
        if let Some(handle) = output {
            capabilities.push(Given { name: "output", handle, rights });
        }
        let program = Program {
            name: found.path.strip_prefix(ARCHIVE).unwrap_or(&found.path),
            arguments,
            capabilities: &capabilities,
            mounts: &names.mounts().collect::<Vec<_>>(),
            directory: names.directory(),
            allowance: share.allowance(&own),
            swap_limit: own.swap_limit,
            priority: PRIORITY_PROGRAM,
            time: Some(time),
        };
        let mut source = FileSource::new(&found.node, found.bytes);
        match Process::spawn(&mut source, &program, death, bits) {
            Err(SpawnError::Image(ImageError::NotElf)) => Err(LaunchError::NotAFile),
            result => Ok(result?),
        }
    }
}
