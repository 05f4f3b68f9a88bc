//! One task of the run: its page of counters, and the process while it lives.

use super::loot::Loot;
use crate::page::TALLY;
use alloc::format;
use alloc::vec::Vec;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use kernel_runtime::containers::{Allowance, OwnContainer, contract_status};
use kernel_runtime::files::{Names, Node};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, FileSource, Given, Process, Program, SpawnError};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Handle, Rights, clock};
use tests_guest::Failed;
use tests_stress_core::Tally;
use tests_stress_core::tasks::{Part, Task};

/// Code that a task is killed with before its contract is destroyed.
const KILLED: u32 = 99;

/// The two programs, and what every task is started with.
pub struct Nursery<'a> {
    startup: &'a Startup<'static>,
    good: (Node, u64),
    misbehaving: (Node, u64),
    /// Frames beyond its guarantee that anybody may hold.
    extra_limit: u64,
    /// What some are given.
    pub loot: Loot,
}

impl<'a> Nursery<'a> {
    /// Finds the programs.
    pub fn new(startup: &'a Startup<'static>) -> Result<Nursery<'a>, Failed> {
        let names = Names::from_startup(startup);
        let find = |path: &[u8]| {
            let found = names.lookup_described(path, true);
            found.map(|(node, _, bytes)| (node, bytes)).map_err(|error| ("finding a program", error))
        };
        let (good, misbehaving) = (find(b"/.boot/stress/good")?, find(b"/.boot/stress/misbehave")?);
        let extra_limit = contract_status(CONTRACT).map_err(|error| ("status", error))?.extra_limit;
        Ok(Nursery { startup, good, misbehaving, extra_limit, loot: Loot::new()? })
    }
}

/// How a process went.
pub struct Ended {
    /// Its principal.
    pub principal: u64,
    /// Frames that it held.
    pub frames: u64,
    /// When it was ended, in ticks.
    pub since: u64,
    /// Ticks until the request to do so was answered.
    pub ticks: u64,
    /// How it had ended, if it had before it was ended.
    pub status: Option<ExitStatus>,
}

/// A task of the run.
pub struct Worker {
    /// What it is.
    pub task: &'static Task,
    // In this order: the mapping goes first.
    mapping: Mapping,
    container: OwnContainer,
    process: Option<(Process, u64)>,
    /// Times that it was started.
    pub starts: u64,
    /// Times that it ended by itself.
    pub ends: u64,
    /// Its breach has been printed.
    pub is_told: bool,
}

impl Worker {
    /// A task that is not started.
    pub fn new(task: &'static Task) -> Result<Worker, Failed> {
        let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
        let mapping =
            Mapping::new(&container, 0, 1, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        Ok(Worker { task, mapping, container, process: None, starts: 0, ends: 0, is_told: false })
    }

    /// What it has counted.
    pub fn tally(&self) -> Tally {
        Tally::read(self.mapping.as_slice())
    }

    /// Its contract's number, while it runs.
    pub fn principal(&self) -> Option<u64> {
        self.process.as_ref().map(|(_, principal)| *principal)
    }

    /// Starts it. Its end sets these bits.
    pub fn start(
        &mut self,
        nursery: &Nursery<'_>,
        seed: u64,
        death: &Notification,
        bits: u64,
    ) -> Result<(), SpawnError> {
        let startup = nursery.startup;
        let is_good = self.is_good();
        let (node, bytes) = if is_good { &nursery.good } else { &nursery.misbehaving };
        let tally = self.container.share(ContainerRights::MAP | ContainerRights::WRITE)?;
        let rights = Rights::SEND | Rights::TRANSFER;
        let mut given = [Given { name: TALLY, handle: tally.handle(), rights }].to_vec();
        given.extend(nursery.loot.given(self.task.name, startup.capability("control")));
        let mounts: Vec<(&str, Handle)> =
            startup.mounts.iter().map(|&(prefix, root)| (prefix, Handle(root))).collect();
        let (name, seed) = (format!("stress/{}", self.task.name), format!("seed={seed}"));
        let &Task { guaranteed, extra_limit, pin_limit, .. } = self.task;
        let program = Program {
            name: &name,
            arguments: &[self.task.name.as_bytes(), seed.as_bytes()],
            capabilities: &given,
            mounts: &mounts,
            directory: b"/",
            allowance: Allowance { guaranteed, extra_limit: extra_limit.min(nursery.extra_limit), pin_limit },
            swap_limit: 0,
            priority: startup.priority - self.rank(),
            // Its own, so that no task uses up another one's, or the supervisor's.
            time: Some(self.task.time),
        };
        let process = Process::spawn(&mut FileSource::new(node, *bytes), &program, death, bits)?;
        let principal = process.contract().status()?.principal;
        self.process = Some((process, principal));
        self.starts += 1;
        Ok(())
    }

    /// Whether what it measures is the time of physmem and the kernel. It runs above all others, so that the queue for the
    /// processor is no part of that.
    pub fn is_measured(&self) -> bool {
        matches!(self.task.name, "faulter" | "toucher")
    }

    /// How far below the program's priority it runs; the supervisor itself works at 1.
    fn rank(&self) -> u8 {
        match self.is_good() {
            true if self.is_measured() => 0,
            true => 2,
            // Who is to take all the memory there is must have the time for it.
            false if self.task.extra_limit > 0 => 2,
            false => 3,
        }
    }

    /// Whether it keeps to the rules. The false witness looks as if it did.
    pub fn is_good(&self) -> bool {
        self.task.part != Part::Misbehaving
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.process.as_ref()?.0.exit_status()
    }

    /// Ends it, if it runs: first its task where `kill` says so, then its contract.
    pub fn end(&mut self, kill: bool) -> Option<Ended> {
        let (process, principal) = self.process.take()?;
        let status = process.exit_status();
        if kill {
            let _ = process.kill(KILLED);
        }
        let frames = process.contract().status().map_or(0, |held| held.pages + held.records + held.kernel);
        let since = clock::ticks();
        drop(process);
        Some(Ended { principal, frames, since, ticks: clock::ticks() - since, status })
    }
}
