//! A file that the program itself pays for: what is written is read, the bytes are charged to nobody else, and there is no
//! room beyond the contract. It leaves the file behind: with the program its memory goes.
//!
//! Argument: the file's name.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use filesystems_api::file::{FileError, IoWrite, SMALL_WRITE_BYTES};
use kernel_protocol::Bytes;
use kernel_runtime::Deadline;
use kernel_runtime::containers::{Allowance, OwnContract, contract_status};
use kernel_runtime::files::{Names, Node, Window, append};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random, Report};

kernel_runtime::program!(main);

/// Bytes of the file: whole pages and some more.
const BYTES: usize = 5 * 4096 + 77;
/// What a contract is given that is to be used up.
const SMALL: Allowance = Allowance { guaranteed: 24, extra_limit: 0, pin_limit: 0 };

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [name] => run(&startup, &mut report, name),
        _ => Err(Failed("usage: temporary NAME".to_string())),
    };
    report.finish("temporary", result)
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed(what.to_string())) }
}

fn run(startup: &Startup<'_>, report: &mut Report, name: &[u8]) -> Result<(), Failed> {
    let names = Names::from_startup(startup);
    let pages = || contract_status(CONTRACT).map(|status| status.pages).map_err(|error| ("status", error));
    let mut window = Window::new(16).map_err(|error| ("window", error))?;
    let mut bytes = alloc::vec![0; BYTES];
    let mut random = Random::new(5);
    bytes.iter_mut().for_each(|byte| *byte = random.below(256) as u8);

    // Once for the program's own stack and heap, which grow with it.
    make(&names, name, &bytes, &mut window)?;
    names.unlink(name).map_err(|error| ("taking the file away", error))?;
    let before = pages()?;
    let node = make(&names, name, &bytes, &mut window)?;
    let copied = BYTES.div_ceil(4096) as u64;
    check(pages()? == before + copied, "each page that was written is charged to who made the file")?;
    let mut small = [0; 1000];
    node.read_by_messages(4000, &mut small).map_err(|error| ("reading by messages", error))?;
    check(small == bytes[4000..5000], "what was written is read by messages")?;

    // What was cut off does not show again.
    node.set_size(4100).and_then(|()| node.set_size(9000)).map_err(|error| ("size", error))?;
    bytes.truncate(4100);
    bytes.resize(9000, 0);
    check(read(&mut window, &node)? == bytes, "zeros follow where the file was cut off")?;
    report.line(format_args!("temporary: the file is what was written"));

    let again = names.create(name, CONTRACT).err().map(|error| error.to_string());
    check(again.as_deref() == Some("file exists"), "a name stands for one file")?;
    exhaust(&names, name, report)
}

/// Makes a file that holds these bytes, and reads it. The window keeps as many pages as the file has.
fn make(names: &Names, name: &[u8], bytes: &[u8], window: &mut Window) -> Result<Node, Failed> {
    let node = names.create(name, CONTRACT).map_err(|error| ("making the file", error))?;
    append(node.handle(), bytes).map_err(|error| ("writing", error))?;
    check(read(window, &node)? == bytes, "what was written is read")?;
    Ok(node)
}

fn read(window: &mut Window, node: &Node) -> Result<alloc::vec::Vec<u8>, Failed> {
    Ok(window.read(node, 0).map_err(|error| ("reading", error))?.to_vec())
}

/// A file of a small contract is filled until there is no room; then the contract ends, and the file's memory with it.
fn exhaust(names: &Names, name: &[u8], report: &mut Report) -> Result<(), Failed> {
    let other = [name, b"-small"].concat();
    let contract = OwnContract::split(CONTRACT, &SMALL, "small").map_err(|error| ("contract", error))?;
    let node = names.create(&other, contract.handle()).map_err(|error| ("small file", error))?;
    let bytes = Bytes::new(&[7; SMALL_WRITE_BYTES]).ok_or(Failed("too long".to_string()))?;
    let write = |offset| call(node.handle(), &IoWrite { offset, bytes }, &[], Deadline::NEVER);
    let refused = (0..).map(|page| write(page * 4096)).find_map(Result::err);
    let is = |error: Option<CallError<FileError>>, wanted| error.and_then(CallError::refusal) == Some(wanted);
    check(is(refused, FileError::NoSpace), "there is no room beyond the contract")?;
    check(write(0).is_ok(), "what is there can be written all the same")?;
    drop(contract);
    check(is(write(0).err(), FileError::DataLost), "the file ends with its contract, for writers")?;
    check(is(node.read_small(0, 8).err(), FileError::DataLost), "and for readers")?;
    names.unlink(&other).map_err(|error| ("taking the file away", error))?;
    check(is(write(0).err(), FileError::Stale), "a file that was taken away is stale")?;
    report.line(format_args!("temporary: no room beyond the contract"));
    Ok(())
}
