//! The shell: reads commands from the console, or from the boot archive's member `exec`, and runs them.
//!
//! What a line means is in [`hurd_glue_shell_core`]; here are console, file names and programs. The shell's end
//! is the machine's: init takes its status for the machine's own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod builtins;
mod interactive;
mod jobs;
mod programs;
mod shell;

use alloc::vec::Vec;
use kernel_runtime::files::{Names, ReadError, Window};
use kernel_runtime::ipc::CallError;
use kernel_runtime::startup::Startup;
use shell::Shell;

kernel_runtime::program!(main);

/// Commands to run instead of talking to a person.
const EXEC: &[u8] = b"/.boot/exec";
/// Pages that such commands may have at most.
const EXEC_PAGES: u64 = 16;

/// Exit status of a shell that cannot do its work.
const BROKEN: i32 = 1;

fn main(startup: Startup<'static>) -> i32 {
    let mut shell = match Shell::new(&startup) {
        Ok(shell) => shell,
        Err(error) => {
            log::error!("cannot start: {error}");
            return BROKEN;
        }
    };
    match exec(shell.names()) {
        Ok(Some(commands)) => {
            log_boot_time();
            shell.run_lines(&commands);
            shell.finish()
        }
        Ok(None) => interactive::run(&mut shell),
        Err(error) => {
            log::error!("/.boot/exec: {error}");
            interactive::run(&mut shell)
        }
    }
}

/// Says how long booting took, so that it can be counted.
fn log_boot_time() {
    let ticks = kernel_runtime::clock::ticks();
    kernel_runtime::logging::write_line(format_args!("boot: prompt after {ticks} ticks"));
}

/// The commands to run without a person, if there are any.
fn exec(names: &Names) -> Result<Option<Vec<u8>>, ReadError> {
    use filesystems_api::file::FileError;
    let node = match names.lookup(EXEC, true) {
        Ok(node) => node,
        Err(CallError::Refused(refusal)) if refusal.error == FileError::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut window = Window::new(EXEC_PAGES)?;
    Ok(Some(window.read(&node, 0)?.to_vec()))
}
