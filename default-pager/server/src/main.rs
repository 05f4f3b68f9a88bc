//! The default pager: keeps pages that do not fit in memory, and brings them back. What it does with them is in
//! [`default_pager_core`]; here are the window, the disk's threads, and messages.
//!
//! ```text
//!    physmem  <── PagerExchange ── this server ── BlockRead, BlockWrite ──> block driver
//!         └─ notification ───────────^   ^───────── PagerStat ─ programs
//! ```
//!
//! Below it is the block driver, above it everybody whose memory can leave. So what it needs it has from the beginning: buffers,
//! threads with their stacks, and books in containers that are init's and outlive it. It waits for nobody but the disk.
//!
//! A disk that is missing, read-only or not its own is told in the log; the pager goes on without.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod disk;
mod start;
mod status;
mod transfers;

use containers_api::pager::{Batch, PagerAttach, PagerExchange};
use default_pager_core::Page;
use default_pager_core::limits::PAGE_BYTES;
use hurd_glue_api::pager::{PagerError, Request};
use kernel_protocol::Refusal;
use kernel_runtime::ipc::call;
use kernel_runtime::notification::Notification;
use kernel_runtime::server::{Incoming, Outgoing, receive, reply};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, threads};
use start::{Failure, OwnService, map, start};

kernel_runtime::program!(main);

/// Bit of the notification that physmem sets when there are requests.
const REQUESTS_BIT: u64 = 1;
/// Bit that a thread sets when the disk is done with a transfer.
const DONE_BIT: u64 = 2;
/// Bytes of stack that are there from the beginning.
const STACK_BYTES: usize = 48 << 10;

fn main(startup: Startup<'static>) -> i32 {
    threads::touch_stack::<STACK_BYTES>();
    match serve(&startup) {
        Ok(never) => match never {},
        Err(error) => {
            log::error!("cannot serve: {error}");
            1
        }
    }
}

struct Server {
    service: OwnService,
    window: &'static mut [Page],
    control: Handle,
    is_attached: bool,
}

fn serve(startup: &Startup<'_>) -> Result<core::convert::Infallible, Failure> {
    let named = |name| startup.capability(name).ok_or(Failure::NotGiven(name));
    let (endpoint, control) = (named("endpoint")?, named("control")?);
    let notification = Notification::new().map_err(|error| Failure::Memory("notification", error))?;
    notification.bind()?;
    let service = start(startup, notification.signaller(DONE_BIT)?)?;
    let mut server = Server { service, window: &mut [], control, is_attached: false };
    // Kept for as long as the server runs.
    let requests = notification.signaller(REQUESTS_BIT)?;
    if startup.capability("window").is_some() {
        (server.window, _) = map(startup, "window")?.as_mut_slice().as_chunks_mut::<PAGE_BYTES>();
        server.attach(requests.handle())?;
    } else {
        log::warn!("physmem has no place for a pager: nothing is paged out");
    }
    loop {
        server.work()?;
        server.handle(&receive(endpoint, Deadline::NEVER)?);
    }
}

impl Server {
    /// Becomes physmem's pager: all that has no answer is told again.
    fn attach(&mut self, signaller: Handle) -> Result<(), Failure> {
        let slots = self.service.slots();
        call(self.control, &PagerAttach { slots }, &[signaller], Deadline::NEVER)
            .map_err(|error| Failure::Memory("attaching", error))?;
        self.is_attached = true;
        Ok(())
    }

    /// Does all that can be done now.
    fn work(&mut self) -> Result<(), Failure> {
        loop {
            while let Some((number, result)) = self.service.pager().disk().next_done() {
                self.service.completed(number, result);
            }
            self.service.advance(self.window);
            if !self.is_attached || !self.exchange()? {
                return Ok(());
            }
        }
    }

    /// Hands answers in and takes requests over; whether there may be more of either.
    fn exchange(&mut self) -> Result<bool, Failure> {
        let mut answers = Batch::default();
        self.service.add_answers(&mut answers);
        let told = call(self.control, &PagerExchange { answers }, &[], Deadline::NEVER)
            .map_err(|error| Failure::Memory("exchange", error))?;
        for (header, words) in told.requests.requests() {
            self.service.request(header, words, self.window);
        }
        Ok(told.more || !told.requests.is_empty() || self.service.has_answers())
    }

    /// A look at the pager, or a signal.
    fn handle(&mut self, incoming: &Incoming) {
        if incoming.notification().is_some() {
            return;
        }
        let answer = match incoming.decode(Request::decode) {
            Ok(Request::PagerStat(_)) => Outgoing::reply(&status::status(&self.service.pager().statistics())),
            Err(_) => Outgoing::refusal(Refusal::new(PagerError::Malformed)),
        };
        // A caller that is gone needs no answer.
        let _ = reply(answer);
    }
}
