//! Reads a file over and over for some seconds while others end the servers behind it. A read that fails is made again, once,
//! and must succeed then; and what is read is the same every time.
//!
//! Arguments: a file, and the seconds.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;
use kernel_runtime::Deadline;
use kernel_runtime::files::{Names, Node, Window};
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Pages read at a time.
const WINDOW_PAGES: u64 = 64;
/// Bytes from one word that is looked at to the next: one a page.
const STRIDE: usize = 4096;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let seconds = |text: &[u8]| core::str::from_utf8(text).ok()?.parse().ok();
    let result = match startup.arguments[..] {
        [file, time] => match seconds(time) {
            Some(seconds) => run(&startup, &mut report, file, Duration::from_secs(seconds)),
            None => Err(Failed("the seconds are no number".to_string())),
        },
        _ => Err(Failed("usage: again FILE SECONDS".to_string())),
    };
    report.finish("again", result)
}

fn run(startup: &Startup<'_>, report: &mut Report, file: &[u8], time: Duration) -> Result<(), Failed> {
    let node =
        Names::from_startup(startup).lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let mut window = Window::new(WINDOW_PAGES).map_err(|error| ("window", error))?;
    let end = Deadline::after(time);
    let (mut failed, mut passes) = (0_u64, 0_u64);
    let mut first_sums: Vec<u64> = Vec::new();
    while !end.has_passed() {
        let mut offset = 0;
        for index in 0.. {
            let (bytes, sum) = read(&mut window, &node, offset, report, &mut failed)?;
            if bytes == 0 {
                break;
            }
            match first_sums.get(index) {
                Some(&first) if first != sum => return Err(Failed("the contents have changed".to_string())),
                Some(_) => {}
                None => first_sums.push(sum),
            }
            offset += bytes;
        }
        passes += 1;
    }
    report.line(format_args!("again: {failed} reads of {passes} passes were made again"));
    Ok(())
}

/// Bytes read, and a sum over words of them.
fn read(
    window: &mut Window,
    node: &Node,
    offset: u64,
    report: &mut Report,
    failed: &mut u64,
) -> Result<(u64, u64), Failed> {
    match window.read_partly(node, offset) {
        Ok((bytes, None)) => return Ok((bytes.len() as u64, sum(bytes))),
        Ok((_, Some(error))) => report.line(format_args!("again: {error}")),
        Err(error) => report.line(format_args!("again: {error}")),
    }
    *failed += 1;
    match window.read_partly(node, offset) {
        Ok((bytes, None)) => Ok((bytes.len() as u64, sum(bytes))),
        Ok((_, Some(error))) => Err(Failed(error.to_string())),
        Err(error) => Err(Failed(error.to_string())),
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |page: &[u8]| page.iter().take(8).fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    bytes.chunks(STRIDE).fold(0, |sum, page| sum.rotate_left(1) ^ word(page))
}
