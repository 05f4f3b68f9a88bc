//! The console server: the serial line for those that may use it. What a client may do is in its badge
//! ([`ConsoleRights`]); what happens to bytes is in [`hurd_glue_console_core`]; here are device and messages.
//!
//! One thread, which never waits for a client or for the line: readers and writers that must wait are saved
//! replies, and the line's interrupt arrives as a message like any other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod uart;

use core::time::Duration;
use hurd_glue_api::console::{CHUNK_BYTES, ConsoleError, ConsoleRights, Input as InputReply, Request};
use hurd_glue_console_core::{Arrived, Input, Output, Reader, Refused, Waiting};
use kernel_protocol::{Bytes, Empty, Refusal};
use kernel_runtime::notification::Notification;
use kernel_runtime::server::{Incoming, Outgoing, SavedReply, receive, reply_receive, save_reply};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, KernelError, syscall};
use uart::{QUEUE_BYTES, Uart};

kernel_runtime::program!(main);

/// Bit of the notification that the line's interrupt sets.
const INTERRUPT_BIT: u64 = 1 << 0;
/// Bit that the timer sets: see whether the last byte has left, for which there is no interrupt.
const TIMER_BIT: u64 = 1 << 1;
/// Until then.
const DRAIN_CHECK: Duration = Duration::from_millis(1);

/// A writer's bytes, as they came.
struct Chunk(Bytes<CHUNK_BYTES>);

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

struct Console {
    uart: Uart,
    interrupt: Handle,
    input: Input<SavedReply>,
    output: Output<SavedReply, Chunk>,
    /// Signalled at Ctrl-C.
    foreground: Option<Capability>,
    /// Waits until all output has left.
    drainer: Option<SavedReply>,
    notification: Notification,
}

/// How a request is answered.
enum Answer {
    Now(Outgoing),
    /// The caller was saved, or there was none.
    Later,
}

fn main(startup: Startup<'static>) -> i32 {
    match serve(&startup) {
        Ok(never) => match never {},
        Err(error) => {
            log::error!("cannot serve: {error}");
            1
        }
    }
}

fn serve(startup: &Startup<'_>) -> Result<core::convert::Infallible, Failure> {
    let named = |name| startup.capability(name).ok_or(Failure::NotGiven(name));
    let (endpoint, interrupt) = (named("endpoint")?, named("interrupt-4")?);
    let notification = Notification::new().map_err(Failure::Memory)?;
    notification.bind()?;
    let signaller = notification.signaller(INTERRUPT_BIT)?;
    // The line first, then the device: an interrupt that a console before this one left masked is not missed.
    syscall::interrupt_bind(interrupt, signaller.handle())?;
    let uart = Uart::new(named("serial-ports")?)?;
    let (input, output) = (Input::new(), Output::new());
    let mut console =
        Console { uart, interrupt, input, output, foreground: None, drainer: None, notification };
    let mut answer = Answer::Later;
    loop {
        let incoming = match answer {
            Answer::Now(outgoing) => reply_receive(endpoint, outgoing, Deadline::NEVER)?,
            Answer::Later => receive(endpoint, Deadline::NEVER)?,
        };
        answer = console.handle(&incoming)?;
        console.send_output()?;
    }
}

/// Why the console cannot serve.
enum Failure {
    NotGiven(&'static str),
    Memory(kernel_runtime::containers::MemoryCallError),
    Kernel(KernelError),
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Failure::Kernel(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::NotGiven(name) => write!(formatter, "no capability `{name}`"),
            Failure::Memory(error) => error.fmt(formatter),
            Failure::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
        }
    }
}

fn refuse(error: ConsoleError) -> Answer {
    Answer::Now(Outgoing::refusal(Refusal::new(error)))
}

impl Console {
    fn handle(&mut self, incoming: &Incoming) -> Result<Answer, KernelError> {
        if let Some(bits) = incoming.notification() {
            if bits & INTERRUPT_BIT != 0 {
                self.take_input()?;
                syscall::interrupt_acknowledge(self.interrupt)?;
            }
            return Ok(Answer::Later);
        }
        let rights = ConsoleRights::from_bits_truncate(incoming.badge);
        let Ok(request) = incoming.decode(Request::decode) else {
            return Ok(refuse(ConsoleError::Malformed));
        };
        let needed = match request {
            Request::ConsoleWrite(_) | Request::ConsoleDrain(_) => ConsoleRights::WRITE,
            Request::ConsoleRead(_) => ConsoleRights::READ,
            Request::ConsoleForeground(_) => ConsoleRights::FOREGROUND,
        };
        if !rights.contains(needed) {
            return Ok(refuse(ConsoleError::MissingRight));
        }
        Ok(match request {
            Request::ConsoleWrite(write) => self.write(write.bytes),
            Request::ConsoleRead(_) => self.read(rights.contains(ConsoleRights::FOREGROUND)),
            Request::ConsoleDrain(_) => self.drain(),
            Request::ConsoleForeground(foreground) => self.set_foreground(foreground.armed, incoming),
        })
    }

    fn write(&mut self, bytes: Bytes<CHUNK_BYTES>) -> Answer {
        if self.output.take_in(bytes.as_slice()) {
            return Answer::Now(Outgoing::reply(&Empty));
        }
        if !self.output.has_place() {
            return refuse(ConsoleError::Busy);
        }
        let Ok(caller) = save_reply() else {
            return refuse(ConsoleError::Busy);
        };
        // There is a place; were there none, dropping the reply would fail the call.
        let _ = self.output.wait(Waiting { caller, bytes: Chunk(bytes) });
        Answer::Later
    }

    fn drain(&mut self) -> Answer {
        if self.drainer.is_some() {
            return refuse(ConsoleError::Busy);
        }
        // `send_output` answers it, maybe at once.
        self.drainer = save_reply().ok();
        if self.drainer.is_some() { Answer::Later } else { refuse(ConsoleError::Busy) }
    }

    fn read(&mut self, is_foreground: bool) -> Answer {
        if !self.input.is_empty() {
            let (reply, count) = self.first_input();
            self.input.delivered(count);
            return Answer::Now(Outgoing::reply(&reply));
        }
        let Ok(caller) = save_reply() else {
            return refuse(ConsoleError::Busy);
        };
        match self.input.wait(Reader { caller, is_foreground }) {
            Ok(Some(gone)) => interrupt(gone),
            Ok(None) => {}
            Err(Refused(caller)) => {
                let _ = caller.send(Outgoing::refusal(Refusal::new(ConsoleError::Busy)));
            }
        }
        Answer::Later
    }

    fn first_input(&self) -> (InputReply, usize) {
        let mut bytes = [0; CHUNK_BYTES];
        let count = self.input.peek(&mut bytes);
        let bytes = Bytes::new(&bytes[..count]).expect("a chunk fits");
        (InputReply { bytes }, count)
    }

    fn set_foreground(&mut self, armed: bool, incoming: &Incoming) -> Answer {
        let notification = match (armed, incoming.received.take(0)) {
            (true, Ok(notification)) => Some(notification),
            (true, Err(_)) => return refuse(ConsoleError::Malformed),
            (false, _) => None,
        };
        self.input.arm(armed);
        self.foreground = notification;
        Answer::Now(Outgoing::reply(&Empty))
    }

    /// Takes what the line has brought, and answers whoever waits for it.
    fn take_input(&mut self) -> Result<(), KernelError> {
        while let Some(byte) = self.uart.read_byte()? {
            if self.input.arrive(byte) == Arrived::Interrupt {
                if let Some(notification) = &self.foreground {
                    // Whoever wanted to know may have ended.
                    let _ = syscall::signal(notification.handle());
                }
                self.input.take_reader().into_iter().for_each(interrupt);
            }
        }
        if !self.input.is_empty()
            && let Some(reader) = self.input.take_reader()
        {
            let (reply, count) = self.first_input();
            // To a reader that is gone nothing is delivered.
            if reader.send(Outgoing::reply(&reply)).is_ok() {
                self.input.delivered(count);
            }
        }
        Ok(())
    }

    /// Gives the line what it takes, and answers writers whose bytes fit now.
    fn send_output(&mut self) -> Result<(), KernelError> {
        while !self.output.is_empty() && self.uart.can_send()? {
            for _ in 0..QUEUE_BYTES {
                let Some(byte) = self.output.next_byte() else { break };
                self.uart.send(byte)?;
            }
            while let Some(writer) = self.output.admit() {
                // A writer that is gone has written all the same.
                let _ = writer.send(Outgoing::reply(&Empty));
            }
        }
        self.uart.interrupt_when_sent(!self.output.is_empty())?;
        if self.output.is_idle() && self.drainer.is_some() {
            if !self.uart.is_idle()? {
                return self.notification.set_timer(Deadline::after(DRAIN_CHECK), TIMER_BIT);
            }
            let drainer = self.drainer.take();
            drainer.map(|drainer| drainer.send(Outgoing::reply(&Empty)));
        }
        Ok(())
    }
}

/// Ends a read without input.
fn interrupt(reader: SavedReply) {
    let _ = reader.send(Outgoing::refusal(Refusal::new(ConsoleError::Interrupted)));
}
