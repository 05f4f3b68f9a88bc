//! The servers that run, and what is done when one of them ends.

use crate::Failure;
use crate::maker::Maker;
use alloc::vec::Vec;
use core::fmt::Display;
use core::time::Duration;
use hurd_glue_api::trace::TraceFlush;
use hurd_glue_init_core::restarts::{Decision, QUICK_DEATHS_MAX, Restarts};
use hurd_glue_init_core::servers::{SERVERS, Server, Specification};
use hurd_glue_init_core::shares::is_started;
use kernel_abi::task::TaskStatus;
use kernel_runtime::ipc::call;
use kernel_runtime::process::{ExitStatus, Process};
use kernel_runtime::{Deadline, KernelError, clock};

/// How long the collector of events may take before the machine is switched off.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// All servers.
pub struct Servers {
    maker: Maker,
    running: [Option<Process>; SERVERS.len()],
    restarts: Restarts,
}

impl Servers {
    /// None runs yet.
    pub fn new(maker: Maker) -> Servers {
        Servers { maker, running: [const { None }; SERVERS.len()], restarts: Restarts::default() }
    }

    /// Starts all and keeps them running until the shell ends: its status.
    pub fn run(&mut self) -> Result<u32, Failure> {
        let is_started = |one: &&Specification| is_started(one.server, &self.maker.all);
        let started: Vec<_> = SERVERS.iter().filter(is_started).collect();
        started.into_iter().for_each(|specification| self.start(specification));
        if self.running[Server::Shell as usize].is_none() {
            return Err(Failure::NoShell);
        }
        loop {
            let next = self.restarts.next_due().map_or(Deadline::NEVER, Deadline::at);
            let bits = match self.maker.deaths.wait(next) {
                Ok(bits) => bits,
                Err(KernelError::TimedOut) => 0,
                Err(error) => return Err(Failure::Kernel("waiting", error)),
            };
            for specification in SERVERS.iter().filter(|one| bits >> one.server as u32 & 1 == 1) {
                let Some(end) = self.take_ended(specification.server) else { continue };
                match (specification.server, end) {
                    (Server::Shell, Some(ExitStatus::Exited(status))) => {
                        self.flush_events();
                        return Ok(status);
                    }
                    (_, Some(end)) => self.ended(specification, "", end),
                    (_, None) => self.ended(specification, "", "was ended with its contract"),
                }
                if specification.server == Server::Shell {
                    return Err(Failure::NoShell);
                }
            }
            while let Some(server) = self.restarts.take_due(clock::now()) {
                self.start(&SERVERS[server as usize]);
            }
        }
    }

    /// Has the collector of events send on what there is. It may be slow, or gone: then the machine ends without it.
    fn flush_events(&self) {
        if self.running[Server::Trace as usize].is_some()
            && let Ok(endpoint) = self.maker.authority.endpoint(Server::Trace)
            && let Err(error) = call(endpoint, &TraceFlush {}, &[], Deadline::after(FLUSH_TIME))
        {
            log::warn!("the last events are lost: {error}");
        }
    }

    /// How a server ended, if it did: `Some(None)` if nothing is left of it to tell. Its memory is taken back.
    fn take_ended(&mut self, server: Server) -> Option<Option<ExitStatus>> {
        let slot = &mut self.running[server as usize];
        let status = slot.as_ref()?.status();
        if status == Ok(TaskStatus::Alive) {
            // The notice was of an attempt to start it.
            return None;
        }
        *slot = None;
        Some(status.ok().and_then(ExitStatus::from_task))
    }

    fn start(&mut self, specification: &'static Specification) {
        self.restarts.started(specification.server, clock::now());
        match self.maker.start(specification) {
            Ok(process) => self.running[specification.server as usize] = Some(process),
            Err(error) if error.is_permanent() => {
                log::error!("{} cannot be started and is given up: {error}", specification.name);
            }
            Err(error) => self.ended(specification, "cannot be started: ", error),
        }
    }

    /// Says what became of a server and decides what becomes of it now.
    fn ended(&mut self, specification: &Specification, what: &str, how: impl Display) {
        let name = specification.name;
        match self.restarts.ended(specification.server, clock::now()) {
            Decision::Again(pause) => {
                log::error!("{name} {what}{how}; it is started again in {} ms", pause / 1_000_000);
            }
            Decision::GivenUp => {
                log::error!("{name} {what}{how}; after {QUICK_DEATHS_MAX} quick ends it is given up");
            }
            Decision::Last => log::error!("{name} {what}{how}"),
        }
    }
}
