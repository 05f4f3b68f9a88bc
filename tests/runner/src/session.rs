//! One run of QEMU, from its start to its [`Ending`].
//!
//! Whoever holds a [`Session`] takes events until [`Event::Ended`] and then calls [`Session::finish`].
//! Dropping it earlier kills QEMU. Should the runner itself be killed, the kernel ends QEMU where `setpriv`
//! is there to ask for that. The socket lies in a folder that goes with the session.

use crate::child::{self, OwnedChild};
use crate::ending::Ending;
use crate::logfile::Log;
use crate::machine::{Machine, Serial};
use crate::qmp::{Qmp, Shutdown};
use crate::{Failure, Result, host, interrupt};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time that the kernel has to answer an NMI.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Chunks of serial output that wait to be taken, at most; then QEMU's pipe fills and the guest waits.
const CHUNKS_WAITING: usize = 64;

/// A running QEMU.
pub struct Session {
    qemu: OwnedChild,
    socket: PathBuf,
    qmp: Option<Qmp>,
    chunks: Option<Receiver<Vec<u8>>>,
    complaints: Option<JoinHandle<String>>,
    _folder: TempDir,
}

/// Something that happened, or that nothing did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The guest wrote to its serial port.
    Output(Vec<u8>),
    /// Nothing happened for a while.
    Silence,
    /// QEMU has ended.
    Ended,
}

impl Session {
    /// Starts QEMU. The machine's QMP socket is named here.
    pub fn start(mut machine: Machine) -> Result<Session> {
        let folder = tempfile::Builder::new()
            .prefix("tenure-")
            .tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        machine.qmp = folder.path().join("qmp");
        let mut command = qemu_command()?;
        command.args(machine.arguments()?).stderr(Stdio::piped());
        if machine.serial == Serial::Pipes {
            // A process group of its own, so that Ctrl-C reaches QEMU by way of the runner alone.
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        }
        let mut qemu = child::start(&mut command)?;
        let (sender, receiver) = sync_channel(CHUNKS_WAITING);
        let output = qemu.0.stdout.take();
        let chunks = output.map(|pipe| {
            std::thread::spawn(move || forward(pipe, &sender));
            receiver
        });
        let complaints = qemu.0.stderr.take().map(|pipe| std::thread::spawn(move || read_all(pipe)));
        Ok(Session { qemu, socket: machine.qmp, qmp: None, chunks, complaints, _folder: folder })
    }

    /// Types into the guest's serial port. A guest that is gone takes nothing; the next event says so.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(input) = self.qemu.0.stdin.as_mut() {
            let _ = input.write_all(bytes).and_then(|()| input.flush());
        }
    }

    /// The next event; waits for it no longer than [`interrupt::POLL`].
    pub fn event(&mut self) -> Result<Event> {
        if interrupt::requested() {
            return Err(interrupt::failure());
        }
        if self.qmp.is_none() {
            self.qmp = Qmp::connect(&self.socket);
        }
        let Some(chunks) = &self.chunks else {
            std::thread::sleep(interrupt::POLL / 2);
            return Ok(if self.has_ended() { Event::Ended } else { Event::Silence });
        };
        match chunks.recv_timeout(interrupt::POLL) {
            Ok(chunk) => Ok(Event::Output(chunk)),
            Err(RecvTimeoutError::Timeout) => Ok(Event::Silence),
            Err(RecvTimeoutError::Disconnected) => Ok(Event::Ended),
        }
    }

    /// Asks a guest that hangs where it stands: injects an NMI, and kills QEMU if the kernel does not end it.
    pub fn interrogate(mut self) -> Ending {
        let deadline = Instant::now() + ANSWER_TIME;
        self.qmp = self.qmp.take().or_else(|| Qmp::connect(&self.socket));
        if let Some(qmp) = &mut self.qmp {
            qmp.inject_nmi();
        }
        while Instant::now() < deadline {
            match &self.chunks {
                // Keeps the pipe from filling, so that the guest can get to its end.
                Some(chunks) => drop(chunks.recv_timeout(Duration::from_millis(10))),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
            if self.has_ended() {
                return Ending::TimedOut { answered: true };
            }
        }
        Ending::TimedOut { answered: false }
    }

    /// The ending of a QEMU that has ended.
    pub fn finish(mut self, log: &Log) -> Result<Ending> {
        let status = child::wait(&mut self.qemu)?;
        let shutdown = self.qmp.take().and_then(Qmp::shutdown);
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let ending = Ending::from_qemu(status, &complaints, !log.is_empty());
        Ok(match (ending, shutdown) {
            (Ending::Quit, Some(Shutdown { by_guest: true, reason })) => Ending::GuestReset(reason),
            (ending, _) => ending,
        })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.qemu.0.try_wait(), Ok(None))
    }
}

/// QEMU, bound to the life of this thread where `setpriv` is there to do it.
fn qemu_command() -> Result<Command> {
    let qemu = host::command("qemu-system-x86_64")?;
    match host::find_program("setpriv") {
        None => Ok(qemu),
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu.get_program());
            Ok(command)
        }
    }
}

fn forward(mut pipe: impl Read, chunks: &SyncSender<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        if chunks.send(buffer[..length].to_vec()).is_err() {
            return;
        }
    }
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
