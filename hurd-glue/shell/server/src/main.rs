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
mod job_control;
mod jobs;
mod outputs;
mod policy;
mod programs;
mod scripts;
mod shell;

use kernel_runtime::region;
use kernel_runtime::startup::Startup;
use shell::Shell;

kernel_runtime::program!(main);

/// Argument by which init says that there are commands to run instead of talking to a person.
const EXEC_ARGUMENT: &[u8] = b"exec";
/// Where they are.
const EXEC: &[u8] = b"/.boot/exec";
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
    match scripts::read(shell.names(), EXEC, EXEC_BYTES_MAX) {
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
