//! `stacked [--audit] PROGRAM ARGUMENT...`: runs a program under a physmem of its own, which is an ordinary client of the physmem that
//! this program itself runs under. The status is the program's.
//!
//! What it has, it has from its maker: a contract, an address space, mounts. All of its contract that it does not need
//! itself becomes containers whose pages are the frames of the physmem inside (`physmem-stacked-core`). With `--audit` it
//! says at the program's end which kinds of capabilities it holds.
#![no_std]
#![no_main]

extern crate alloc;

mod audit;
mod parent;
mod program;
mod setup;
mod window;

use core::fmt::Write;
use kernel_runtime::console::Console;
use kernel_runtime::output::Output;
use kernel_runtime::process::ExitStatus;
use kernel_runtime::startup::Startup;
use physmem_serve::{Ending, Server};

kernel_runtime::program!(main);

/// Status where the program could not be run.
const NOT_RUN: i32 = 126;

fn main(startup: Startup<'static>) -> i32 {
    let mut out = Output::new(startup.capability("console").map(Console::new));
    let mut startup = startup;
    let is_audited = startup.arguments.first().is_some_and(|argument| *argument == b"--audit");
    if is_audited {
        startup.arguments.remove(0);
    }
    let ending = run(&startup);
    if is_audited {
        audit::print(&mut out);
    }
    let status = match ending {
        Ok(Ending::First(status)) => {
            let status = status.and_then(ExitStatus::from_task);
            if let Some(status @ (ExitStatus::Exception(_) | ExitStatus::Fault(_))) = status {
                let _ = writeln!(out, "stacked: the program was {status}");
            }
            status.map_or(NOT_RUN, |status| i32::from(status.code()))
        }
        Ok(ending) => {
            log::error!("{ending}");
            NOT_RUN
        }
        Err(error) => {
            let _ = writeln!(out, "stacked: {error}");
            NOT_RUN
        }
    };
    out.flush();
    status
}

fn run(startup: &Startup<'static>) -> Result<Ending, setup::Error> {
    let (serving, mut physmem) = setup::physmem()?;
    let first = program::start(&serving, &mut physmem, startup)?;
    Ok(Server::new(serving, physmem, first).run())
}
