//! Reads parts of a file whose every word is known by its number, by container and by message, and checks each byte.
//!
//! Laws 5 and 7: whatever others do to the file server, to the cache and to the same file, the answer is right or a typed
//! error, and it comes. Being told `Busy`, or that the server has ended, is an answer; hearing nothing but that for
//! [`STARVED`] is a breach.

use crate::numbered::{PATH, first_wrong_word};
use crate::page::Page;
use crate::rest::Rest;
use core::time::Duration;
use filesystems_api::file::SMALL_READ_BYTES;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Refusal;
use kernel_runtime::files::{Names, Node, ReadError, Window};
use kernel_runtime::ipc::CallError;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, clock};
use tests_guest::{Failed, Random};
use tests_stress_core::numbered::FILE_BYTES;
use tests_stress_core::tally::Counter;

/// Pages of one read.
const WINDOW_PAGES: u64 = 16;
/// Between two reads.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest time without a read that succeeds.
const STARVED: Duration = Duration::from_secs(30);

/// The reader.
pub fn run(startup: &Startup<'static>, page: &mut Page, random: &mut Random) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let names = Names::from_startup(startup);
    let mut window = Window::new(WINDOW_PAGES).map_err(|error| ("window", error))?;
    let mut starved = Deadline::after(STARVED);
    let mut node = None;
    loop {
        page.count(Counter::Tried);
        let start = clock::ticks();
        let done = match &node {
            None => names.lookup(PATH, true).map(|found| node = Some(found)).map_err(ReadError::File),
            Some(node) if random.below(4) == 0 => read_small(node, page, random),
            Some(node) => read_window(node, &mut window, page, random),
        };
        match done {
            Ok(()) => {
                page.record(clock::ticks() - start);
                page.count(Counter::Granted);
                starved = Deadline::after(STARVED);
            }
            Err(ReadError::File(CallError::Refused(_))) => page.count(Counter::Refused),
            Err(ReadError::File(CallError::Kernel(_))) => page.count(Counter::Unanswered),
            Err(error) => page.breach(format_args!("a read failed: {error:?}")),
        }
        if starved.has_passed() {
            page.breach(format_args!("no read has succeeded for {STARVED:?}"));
            starved = Deadline::after(STARVED);
        }
        rest.rest(PAUSE);
    }
}

fn read_window(
    node: &Node,
    window: &mut Window,
    page: &mut Page,
    random: &mut Random,
) -> Result<(), ReadError> {
    let offset = random.below(FILE_BYTES / FRAME_BYTES) * FRAME_BYTES;
    let (bytes, error) = window.read_partly(node, offset)?;
    let expected = (FILE_BYTES - offset).min(WINDOW_PAGES * FRAME_BYTES);
    // Fewer are valid where an error says so, and only there.
    let is_told = error.is_some() || bytes.len() as u64 == expected;
    page.check(is_told, format_args!("{} bytes at {offset}, without an error", bytes.len()));
    check(page, bytes, offset);
    match error {
        Some(error) => Err(ReadError::File(CallError::Refused(Refusal::new(error)))),
        None => Ok(()),
    }
}

fn read_small(node: &Node, page: &mut Page, random: &mut Random) -> Result<(), ReadError> {
    let offset = random.below((FILE_BYTES - SMALL_READ_BYTES as u64) / 8) * 8;
    let contents = node.read_small(offset, SMALL_READ_BYTES as u32)?;
    check(page, contents.bytes.as_slice(), offset);
    Ok(())
}

fn check(page: &mut Page, bytes: &[u8], offset: u64) {
    let wrong = first_wrong_word(bytes, offset);
    page.check(wrong.is_none(), format_args!("word {} of the file is wrong", wrong.unwrap_or(0)));
}
