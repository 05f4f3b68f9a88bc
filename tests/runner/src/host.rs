//! The machine that the runner works on, as far as set-up has to know it; a trait, so that decisions can be
//! tested without one.

use crate::{Failure, Result, child};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Target triple of everything that runs in the guest.
pub const GUEST_TARGET: &str = "x86_64-unknown-none";

/// Debian's own compiler, which set-up falls back to.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The cargo that belongs to it.
pub const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// What set-up asks of the machine and does to it.
pub trait Host {
    /// Whether a program can be started by this name.
    fn has_program(&self, name: &str) -> bool;
    /// Whether the compiler in use has the standard library of [`GUEST_TARGET`].
    fn has_guest_target(&self) -> bool;
    /// Whether Debian's compiler and the sources of its standard library are there.
    fn has_debian_sources(&self) -> bool;
    /// Whether the runner may do everything.
    fn is_root(&self) -> bool;
    /// Runs a command, showing its output; whether it succeeded.
    fn run(&mut self, command: &[&str]) -> Result<bool>;
    /// Tells the user.
    fn say(&mut self, line: &str);
}

/// The real machine.
pub struct ThisMachine;

impl Host for ThisMachine {
    fn has_program(&self, name: &str) -> bool {
        find_program(name).is_some()
    }

    fn has_guest_target(&self) -> bool {
        let arguments = ["--print", "target-libdir", "--target", GUEST_TARGET];
        let Ok(output) = child::output(Command::new(rustc()).args(arguments)) else { return false };
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&folder).is_dir()
    }

    fn has_debian_sources(&self) -> bool {
        if !Path::new(DEBIAN_CARGO).is_file() {
            return false;
        }
        let Ok(output) = child::output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"])) else {
            return false;
        };
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn run(&mut self, command: &[&str]) -> Result<bool> {
        let mut process = Command::new(command[0]);
        // What is installed is no output of the guest: standard output is left to the guest alone.
        process.args(&command[1..]).stdin(Stdio::null()).stdout(std::io::stderr());
        let mut started = match child::start(&mut process) {
            Ok(started) => started,
            Err(_) => return Ok(false),
        };
        Ok(child::wait(&mut started)?.success())
    }

    fn say(&mut self, line: &str) {
        eprintln!("{line}");
    }
}

/// The compiler that cargo uses.
pub fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from)
}

/// The cargo that started this program.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Where a program is. Also looks where Debian keeps the tools of the system administrator, which are not on
/// everybody's search path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administrators).map(|folder| folder.join(name)).find(|candidate| {
        rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok() && candidate.is_file()
    })
}

/// A command for a program that set-up has made sure of.
pub fn command(name: &str) -> Result<Command> {
    find_program(name).map(Command::new).ok_or_else(|| Failure::new(format!("the program {name} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(find_program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_program("no-such-program"), None);
        assert!(command("no-such-program").unwrap_err().what.contains("no-such-program"));
    }
}
