//! Running programs: one in the foreground, which Ctrl-C ends, and some in the background.
//!
//! Everything that can happen meanwhile is a bit of one notification: bit 0 is Ctrl-C, bit 1 the end of the
//! foreground program, the others the ends of background programs.

use crate::programs::LaunchError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use kernel_runtime::console::Console;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, Process};
use kernel_runtime::{Capability, Deadline, KernelError};

const INTERRUPT: u64 = 1 << 0;
const FOREGROUND: u64 = 1 << 1;
const FIRST_BACKGROUND: usize = 2;

/// Programs that can run in the background.
const BACKGROUND_MAX: usize = 16;

/// Thousandths of the shell's schedule for the foreground program.
const FOREGROUND_TIME: u64 = 700;
/// And for each background program. What is left is the shell's own: whatever its programs do, it reads its keys.
const BACKGROUND_TIME: u64 = 10;

const _: () = assert!(FOREGROUND_TIME + BACKGROUND_MAX as u64 * BACKGROUND_TIME < 1000);

/// How a program is started: who hears of its end, and what it gets of the shell's time.
pub struct Notice<'a> {
    /// Signalled at its end.
    pub death: &'a Notification,
    /// With these bits.
    pub bits: u64,
    /// Thousandths of the shell's schedule.
    pub time: u64,
}

/// Status of a program that Ctrl-C ended.
const INTERRUPTED: u32 = hurd_glue_shell_core::run::INTERRUPTED as u32;

/// End of a program whose contract somebody destroyed, and its status with it: 128 and the number of SIGKILL.
const DESTROYED: ExitStatus = ExitStatus::Killed(137);

/// A background program.
struct Job {
    name: String,
    process: Process,
}

/// A background program that ended.
pub struct EndedJob {
    /// Its number.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
}

/// How a foreground program ended.
pub struct End {
    /// Its status.
    pub status: ExitStatus,
    /// Ctrl-C ended it, or came too late.
    pub interrupted: bool,
}

impl End {
    /// What a person should be told, if anything: programs that exit have said it themselves.
    pub fn in_words(&self) -> Option<impl Display> {
        match self.status {
            ExitStatus::Exited(_) => None,
            ExitStatus::Killed(_) if self.interrupted => None,
            status => Some(status),
        }
    }
}

/// What Ctrl-C does while a background program is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// The program goes on, and nobody waits for it any more.
    StopWaiting,
    /// It is ended.
    EndProgram,
}

/// What became of waiting for a background program.
pub enum Awaited {
    /// It has ended, and its number is free.
    Ended(End),
    /// Ctrl-C ended the wait.
    Interrupted,
    /// Nothing runs under this number.
    NoSuchJob,
}

/// All programs of the shell.
pub struct Jobs {
    console: Console,
    events: Notification,
    interrupt: Capability,
    is_armed: bool,
    background: [Option<Job>; BACKGROUND_MAX],
    /// Bits that came while something else was waited for.
    pending: u64,
}

/// Why the shell cannot run programs.
pub enum SetUpError {
    /// physmem refused.
    Memory(MemoryCallError),
    /// The kernel refused.
    Kernel(KernelError),
}

impl From<SetUpError> for crate::shell::StartError {
    fn from(error: SetUpError) -> Self {
        match error {
            SetUpError::Memory(error) => error.into(),
            SetUpError::Kernel(error) => error.into(),
        }
    }
}

impl Jobs {
    /// No programs.
    pub fn new(console: Console) -> Result<Jobs, SetUpError> {
        let events = Notification::new().map_err(SetUpError::Memory)?;
        let interrupt = events.signaller(INTERRUPT).map_err(SetUpError::Kernel)?;
        let background = [const { None }; BACKGROUND_MAX];
        Ok(Jobs { console, events, interrupt, is_armed: false, background, pending: 0 })
    }

    /// Ctrl-C ends the foreground program from now on. Without a console there is no Ctrl-C either.
    fn arm(&mut self) {
        let was_armed = self.is_armed;
        // Again if it is armed already: the console may have been started anew, and knows nothing then.
        self.is_armed = self.console.foreground(Some(self.interrupt.handle())).is_ok();
        self.pending |= self.events.poll().unwrap_or(0);
        if !was_armed {
            // One that came before the first program of a line is nobody's. Between two it is for what comes.
            self.pending &= !INTERRUPT;
        }
    }

    /// Ctrl-C is input from now on.
    pub fn disarm(&mut self) {
        if self.is_armed {
            self.is_armed = self.console.foreground(None).is_err();
        }
    }

    /// Runs a program to its end.
    pub fn run_foreground(
        &mut self,
        launch: impl FnOnce(Notice<'_>) -> Result<Process, LaunchError>,
    ) -> Result<End, LaunchError> {
        self.arm();
        let process = launch(Notice { death: &self.events, bits: FOREGROUND, time: FOREGROUND_TIME })?;
        let mut interrupted = false;
        loop {
            let bits = self.await_bits(INTERRUPT | FOREGROUND)?;
            if bits & FOREGROUND != 0 {
                let status = process.exit_status().unwrap_or(DESTROYED);
                return Ok(End { status, interrupted });
            }
            interrupted = true;
            // It may have ended by itself in the same moment.
            let _ = process.kill(INTERRUPTED);
        }
    }

    /// Waits until one of these bits has come, and takes them; the others are kept.
    fn await_bits(&mut self, wanted: u64) -> Result<u64, KernelError> {
        while self.pending & wanted == 0 {
            self.pending |= self.events.wait(Deadline::NEVER)?;
        }
        let bits = self.pending & wanted;
        self.pending &= !wanted;
        Ok(bits)
    }

    /// Whether Ctrl-C came since this was asked, or since the last program ended.
    pub fn take_interrupt(&mut self) -> bool {
        if !self.is_armed {
            self.arm();
        }
        self.pending |= self.events.poll().unwrap_or(0);
        let was = self.pending & INTERRUPT != 0;
        self.pending &= !INTERRUPT;
        was
    }

    /// Waits for a background program's end.
    pub fn wait(&mut self, number: usize, on_interrupt: OnInterrupt) -> Result<Awaited, LaunchError> {
        let is_there = |slot: &Option<Job>| slot.is_some();
        let Some(index) =
            number.checked_sub(1).filter(|&index| self.background.get(index).is_some_and(is_there))
        else {
            return Ok(Awaited::NoSuchJob);
        };
        self.arm();
        let bit = 1 << (FIRST_BACKGROUND + index);
        let mut interrupted = false;
        loop {
            let bits = self.await_bits(INTERRUPT | bit)?;
            if bits & bit != 0 {
                let job = self.background[index].take();
                let status = job.and_then(|job| job.process.exit_status()).unwrap_or(DESTROYED);
                return Ok(Awaited::Ended(End { status, interrupted }));
            }
            if on_interrupt == OnInterrupt::StopWaiting {
                return Ok(Awaited::Interrupted);
            }
            interrupted = true;
            if let Some(job) = &self.background[index] {
                // It may have ended by itself in the same moment.
                let _ = job.process.kill(INTERRUPTED);
            }
        }
    }

    /// Numbers and names of background programs whose ends were not reported.
    pub fn running(&self) -> impl Iterator<Item = (usize, &String)> {
        let jobs = self.background.iter().enumerate();
        jobs.filter_map(|(index, job)| job.as_ref().map(|job| (index + 1, &job.name)))
    }

    /// The highest number of a background program.
    pub fn last_number(&self) -> Option<usize> {
        self.running().last().map(|(number, _)| number)
    }

    /// Starts a program and leaves it running. Its number.
    pub fn start_background(
        &mut self,
        name: &[u8],
        launch: impl FnOnce(Notice<'_>) -> Result<Process, LaunchError>,
    ) -> Result<usize, LaunchError> {
        if self.background.iter().all(Option::is_some) {
            // Commands that are not typed have no prompt at which the ended ones would be reported.
            drop(self.take_ended());
        }
        let free = self.background.iter().position(Option::is_none);
        let index = free.ok_or(LaunchError::TooManyPrograms)?;
        let bits = 1 << (FIRST_BACKGROUND + index);
        let process = launch(Notice { death: &self.events, bits, time: BACKGROUND_TIME })?;
        let name = String::from_utf8_lossy(name).into_owned();
        self.background[index] = Some(Job { name, process });
        Ok(index + 1)
    }

    /// Background programs that ended since the last time.
    pub fn take_ended(&mut self) -> Vec<EndedJob> {
        self.pending |= self.events.poll().unwrap_or(0);
        let mut ended = Vec::new();
        for (index, slot) in self.background.iter_mut().enumerate() {
            if self.pending >> (FIRST_BACKGROUND + index) & 1 == 0 {
                continue;
            }
            if let Some(Job { name, process }) = slot.take() {
                let status = process.exit_status().unwrap_or(DESTROYED);
                ended.push(EndedJob { number: index + 1, name, status });
            }
        }
        self.pending &= INTERRUPT;
        ended
    }
}
