//! Running another program of the boot archive, with what this one has.

use crate::Failed;
use alloc::vec::Vec;
use core::time::Duration;
use kernel_runtime::containers::Allowance;
use kernel_runtime::files::Names;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, FileSource, Given, Process, Program};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, Rights};

/// What a child may hold.
pub const ALLOWANCE: Allowance = Allowance { guaranteed: 256, extra_limit: 0, pin_limit: 64 };

/// A program that runs.
pub struct Child {
    process: Process,
    death: Notification,
}

impl Child {
    /// Starts the program of this path.
    pub fn start(startup: &Startup<'_>, path: &str, arguments: &[&[u8]]) -> Result<Child, Failed> {
        Child::start_with(startup, path, arguments, &[], &ALLOWANCE)
    }

    /// The same, with further capabilities and another allowance.
    pub fn start_with(
        startup: &Startup<'_>,
        path: &str,
        arguments: &[&[u8]],
        more: &[(&str, Handle)],
        allowance: &Allowance,
    ) -> Result<Child, Failed> {
        let names = Names::from_startup(startup);
        let (node, _, bytes) = names
            .lookup_described(path.as_bytes(), true)
            .map_err(|error| ("looking the program up", error))?;
        let rights = Rights::SEND | Rights::TRANSFER;
        let own = startup.capabilities.iter().map(|&(name, entry)| (name, Handle(entry)));
        let given: Vec<Given<'_>> =
            own.chain(more.iter().copied()).map(|(name, handle)| Given { name, handle, rights }).collect();
        let mounts: Vec<(&str, Handle)> =
            startup.mounts.iter().map(|&(prefix, entry)| (prefix, Handle(entry))).collect();
        let program = Program {
            name: "child",
            arguments,
            capabilities: &given,
            mounts: &mounts,
            directory: b"/",
            allowance: *allowance,
            swap_limit: 0,
            priority: startup.priority,
            time: None,
        };
        let death = Notification::new().map_err(|error| ("notification", error))?;
        let process = Process::spawn(&mut FileSource::new(&node, bytes), &program, &death, 1)
            .map_err(|error| ("starting the program", error))?;
        Ok(Child { process, death })
    }

    /// Waits for its end, and ends it itself after a while. The status, if it ended by itself.
    pub fn wait(self, limit: Duration) -> Option<ExitStatus> {
        let _ = self.death.wait(Deadline::after(limit));
        self.process.exit_status()
    }
}
