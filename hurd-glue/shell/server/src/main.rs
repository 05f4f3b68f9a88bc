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
mod policy;
mod programs;
mod shell;

use alloc::vec::Vec;
use filesystems_api::file::FileError;
use kernel_protocol::Refusal;
use kernel_runtime::files::{Names, ReadError, Window};
use kernel_runtime::ipc::CallError;
use kernel_runtime::region;
use kernel_runtime::startup::Startup;
use shell::Shell;

kernel_runtime::program!(main);

/// Argument by which init says that there are commands to run instead of talking to a person.
const EXEC_ARGUMENT: &[u8] = b"exec";
/// Where they are.
const EXEC: &[u8] = b"/.boot/exec";
/// Pages of them that are read at a time.
const EXEC_PAGES: u64 = 16;
/// Bytes that they may have at most.
const EXEC_BYTES_MAX: usize = 1 << 20;

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
    if !startup.arguments.contains(&EXEC_ARGUMENT) {
        return interactive::run(&mut shell);
    }
    log_boot_time();
    match exec(shell.names()) {
        Ok(commands) => shell.run_lines(&commands),
        Err(error) => {
            let status = shell.complain(EXEC, error, BROKEN as u8);
            shell.end(status);
        }
    }
    shell.finish()
}

/// Says how long booting took, so that it can be counted.
fn log_boot_time() {
    let ticks = kernel_runtime::clock::ticks();
    region::begin::<{ region::UP }>();
    kernel_runtime::logging::write_line(format_args!("boot: prompt after {ticks} ticks"));
}

/// The commands to run without a person.
fn exec(names: &Names) -> Result<Vec<u8>, ReadError> {
    let node = names.lookup(EXEC, true)?;
    let mut window = Window::new(EXEC_PAGES)?;
    let mut commands = Vec::new();
    loop {
        let bytes = window.read(&node, commands.len() as u64)?;
        if bytes.is_empty() {
            return Ok(commands);
        }
        if commands.len() + bytes.len() > EXEC_BYTES_MAX {
            let too_long = Refusal::new(FileError::OutOfRange);
            return Err(ReadError::File(CallError::Refused(too_long)));
        }
        commands.extend_from_slice(bytes);
    }
}
