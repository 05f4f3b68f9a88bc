//! Law 1: a server holds no frame on a client's behalf. Serves itself from the file servers in every way that could make
//! them keep something, and compares the frames of all contracts before and after.
//!
//! Arguments: a file, the number of lookups that are never closed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use core::time::Duration;
use filesystems_api::file::{DirLookup, FileStatfs, IoRead, IoStat};
use kernel_protocol::Bytes;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::files::{LOCK_NS, Names, Node, path};
use kernel_runtime::ipc::call;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle};
use tests_guest::child::Child;
use tests_guest::{Books, Failed, Random, Report};

kernel_runtime::program!(main);

/// Reads of each kind.
const READS: u64 = 300;
/// Clients that die half-way.
const DEATHS: u64 = 20;
/// Pages of the container that is read into.
const PAGES: u64 = 64;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [b"victim", file] => read_for_ever(&startup, file),
        [file, count] => run(&startup, &mut report, file, count),
        _ => Err(Failed("usage: law-one FILE LOOKUPS".to_string())),
    };
    report.finish("law-one", result)
}

fn run(startup: &Startup<'_>, report: &mut Report, file: &[u8], count: &[u8]) -> Result<(), Failed> {
    let lookups = core::str::from_utf8(count).ok().and_then(|text| text.parse().ok());
    let lookups: u64 = lookups.ok_or(Failed("the number of lookups is no number".to_string()))?;
    let names = Names::from_startup(startup);
    let node = names.lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let own = "law-one";
    // Once before the first look, so that what is made on first use is there.
    repeat_reads(&node, 2)?;
    send_capabilities(startup, &node)?;
    die_half_way(startup, file, 1)?;
    let before = Books::look(startup)?;
    before.check_sum()?;

    repeat_reads(&node, READS)?;
    Books::look(startup)?.check_same(&before, own)?;
    report.line(format_args!("law-one: {} reads left nothing behind", 2 * READS));

    look_up(startup, file, lookups)?;
    Books::look(startup)?.check_same(&before, own)?;
    report.line(format_args!("law-one: {lookups} lookups never closed left nothing behind"));

    for _ in 0..READS {
        send_capabilities(startup, &node)?;
    }
    Books::look(startup)?.check_same(&before, own)?;
    report.line(format_args!("law-one: {} calls with capabilities left nothing behind", 4 * READS));

    die_half_way(startup, file, DEATHS)?;
    Books::look(startup)?.check_same(&before, own)?;
    report.line(format_args!("law-one: {DEATHS} clients that died in a read left nothing behind"));
    Ok(())
}

/// Reads at aligned and other places, through containers and messages.
fn repeat_reads(node: &Node, count: u64) -> Result<(), Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let rights = containers_api::ContainerRights::LOCK
        | containers_api::ContainerRights::FILL
        | containers_api::ContainerRights::COPY_OUT;
    let grant = container.grant(0..PAGES, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    let mut random = Random::new(1);
    for _ in 0..count {
        let (offset, place) = (random.below(1 << 16), random.below(PAGES * 2048));
        node.read_container(offset, random.below(PAGES * 2048), &grant, place)
            .map_err(|error| ("read", error))?;
        node.read_container(offset & !4095, PAGES * 2048, &grant, 0)
            .map_err(|error| ("aligned read", error))?;
        node.read_small(offset, 100).map_err(|error| ("small read", error))?;
    }
    Ok(())
}

/// Looks a file up again and again, and never says that it is done with it.
fn look_up(startup: &Startup<'_>, file: &[u8], count: u64) -> Result<(), Failed> {
    let mounts = startup.mounts.iter();
    let mounts = mounts.filter_map(|&(prefix, entry)| Some((prefix, entry, path::below(file, prefix)?)));
    let (_, root, rest) = mounts
        .max_by_key(|(prefix, ..)| prefix.len())
        .ok_or(Failed("the file is below no mount".to_string()))?;
    let (root, path) = (Handle(root), Bytes::new(rest).ok_or(Failed("path too long".to_string()))?);
    for _ in 0..count {
        // What arrives stays in the receive window until the next answer drops it.
        call(root, &DirLookup { path, follow: true }, &[], Deadline::NEVER)
            .map_err(|error| ("lookup", error))?;
    }
    Ok(())
}

/// Sends capabilities along where none are wanted.
fn send_capabilities(startup: &Startup<'_>, node: &Node) -> Result<(), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let extra = [container.handle(), kernel_runtime::layout::CONTRACT, node.handle(), node.handle()];
    call(node.handle(), &IoStat {}, &extra, Deadline::NEVER).map_err(|error| ("status", error))?;
    call(node.handle(), &IoRead { offset: 0, bytes: 10 }, &extra[..3], Deadline::NEVER)
        .map_err(|error| ("small read", error))?;
    for &(_, root) in &startup.mounts {
        call(Handle(root), &FileStatfs {}, &extra[..2], Deadline::NEVER)
            .map_err(|error| ("file system status", error))?;
    }
    Ok(())
}

/// Starts clients that read without end, and ends them in the middle.
fn die_half_way(startup: &Startup<'_>, file: &[u8], count: u64) -> Result<(), Failed> {
    let mut random = Random::new(7);
    for _ in 0..count {
        let child = Child::start(startup, "/.boot/test/law-one", &[b"victim", file])?;
        if let Some(end) = child.wait(Duration::from_micros(2_000 + random.below(30_000))) {
            return Err(Failed(alloc::format!("the victim ended by itself: {end}")));
        }
    }
    Ok(())
}

/// The victim: reads until somebody ends it.
fn read_for_ever(startup: &Startup<'_>, file: &[u8]) -> Result<(), Failed> {
    let node =
        Names::from_startup(startup).lookup(file, true).map_err(|error| ("looking the file up", error))?;
    loop {
        repeat_reads(&node, READS)?;
    }
}
