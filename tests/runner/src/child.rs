//! Running another program to its end without leaving it behind when the runner is interrupted.

use crate::{Failure, Result, interrupt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// How often a child that only has to end is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A child process that is killed, with nothing left to wait for, when this value goes.
pub struct OwnedChild(pub Child);

impl Drop for OwnedChild {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command, naming it in the failure.
pub fn start(command: &mut Command) -> Result<OwnedChild> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().map(OwnedChild).map_err(|error| Failure::new(format!("cannot start {name}: {error}")))
}

/// Waits for the end; an interrupt kills the child.
pub fn wait(child: &mut OwnedChild) -> Result<ExitStatus> {
    loop {
        match child.0.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if interrupt::requested() => return Err(interrupt::failure()),
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => return Err(Failure::new(format!("cannot wait for a child process: {error}"))),
        }
    }
}

/// Runs a command that prints little, without input, and returns what it printed.
pub fn output(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot start {name}: {error}")))
}

/// Runs a command that prints little and must succeed; a failure shows what it said.
pub fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = output(command)?;
    if interrupt::requested() {
        return Err(interrupt::failure());
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{name} failed ({}): {}", output.status, said.trim())));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let failure = succeed(Command::new("sh").args(["-c", "echo gone >&2; exit 3"])).unwrap_err();
        assert!(failure.what.contains("gone") && failure.what.contains('3'), "{failure}");
        assert_eq!(succeed(Command::new("echo").arg("here")), Ok(b"here\n".to_vec()));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure = start(&mut Command::new("no-such-program")).err().expect("must fail");
        assert!(failure.what.contains("no-such-program"), "{failure}");
    }

    #[test]
    fn dropping_a_child_ends_it() {
        let child = start(Command::new("sleep").arg("1000")).unwrap();
        let process = format!("/proc/{}", child.0.id());
        assert!(std::path::Path::new(&process).exists());
        drop(child);
        assert!(!std::path::Path::new(&process).exists());
    }
}
