//! The commands `jobs`, `wait` and `fg`: programs that run in the background.
//!
//! A program is not stopped and started again (there is no Ctrl-Z), so `fg` means: wait for it, and Ctrl-C ends it. It keeps the
//! share of time that it was given for the background.

use crate::builtins::{FAILED, usage};
use crate::jobs::{Awaited, OnInterrupt};
use crate::shell::Shell;
use core::fmt::Write;
use hurd_glue_shell_core::run::Ran;

/// Status of a job that there is not, as shells have it.
const NO_SUCH_JOB: u8 = 127;

/// Lists what runs in the background.
pub fn jobs(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    if !arguments.is_empty() {
        return usage(shell, "jobs");
    }
    shell.report_jobs();
    let running: alloc::vec::Vec<_> =
        shell.jobs().running().map(|(number, name)| (number, name.clone())).collect();
    for (number, name) in running {
        let _ = writeln!(shell.out(), "[{number}] {name}: running");
    }
    0
}

/// Waits for all, or for some: the status of the last one named.
pub fn wait(shell: &mut Shell, arguments: &[&[u8]]) -> Ran {
    if arguments.is_empty() {
        while let Some(number) = shell.jobs().last_number() {
            if await_job(shell, number, OnInterrupt::StopWaiting) == Ran::Interrupted {
                return Ran::Interrupted;
            }
        }
        return Ran::Status(0);
    }
    let mut ran = Ran::Status(0);
    for argument in arguments {
        let Some(number) = number(argument) else {
            return Ran::Status(usage(shell, "wait"));
        };
        ran = await_job(shell, number, OnInterrupt::StopWaiting);
        if ran == Ran::Interrupted {
            break;
        }
    }
    ran
}

/// Waits for one, the last one if none is named. Ctrl-C ends it.
pub fn fg(shell: &mut Shell, arguments: &[&[u8]]) -> Ran {
    let number = match arguments {
        [] => match shell.jobs().last_number() {
            Some(number) => number,
            None => return Ran::Status(shell.complain(b"fg", "nothing runs in the background", FAILED)),
        },
        [argument] => match number(argument) {
            Some(number) => number,
            None => return Ran::Status(usage(shell, "fg")),
        },
        _ => return Ran::Status(usage(shell, "fg")),
    };
    await_job(shell, number, OnInterrupt::EndProgram)
}

fn number(argument: &[u8]) -> Option<usize> {
    core::str::from_utf8(argument).ok()?.parse().ok()
}

fn await_job(shell: &mut Shell, number: usize, on_interrupt: OnInterrupt) -> Ran {
    // What was written comes before whatever the wait is for.
    shell.out().flush();
    match shell.jobs().wait(number, on_interrupt) {
        Ok(Awaited::Ended(end)) => {
            if end.interrupted {
                shell.out().write(b"^C\n");
                return Ran::Interrupted;
            }
            if let Some(words) = end.in_words() {
                let _ = writeln!(shell.out(), "[{number}]: {words}");
            }
            Ran::Status(end.status.code())
        }
        Ok(Awaited::Interrupted) => {
            shell.out().write(b"^C\n");
            Ran::Interrupted
        }
        Ok(Awaited::NoSuchJob) => {
            let _ = writeln!(shell.out(), "[{number}]: no such program in the background");
            Ran::Status(NO_SUCH_JOB)
        }
        Err(error) => Ran::Status(shell.complain(b"wait", error, FAILED)),
    }
}
