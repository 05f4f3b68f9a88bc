//! Writes to the swap disk and reads it back, in the default pager's place: `tests/system` puts this program under that name into the
//! boot archive, so that it is given what the pager is given. What it finds is told in the log.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use containers_api::space::MapProtection;
use containers_api::{LockMode, MemoryError};
use filesystems_api::block::{
    BlockDone, BlockError, BlockRead, BlockStat, BlockWrite, Extent, Extents, SECTOR_BYTES,
};
use kernel_protocol::{ErrorCode, Request};
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::memory::Mapping;
use kernel_runtime::server::receive;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle};

kernel_runtime::program!(main);

/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;
/// Pages that are written, in two parts that are apart on the disk and out of order.
const PAGES: u64 = 64;
/// First sectors of the two parts (`tests/system` looks there).
const SECTORS: [u64; 2] = [800, 80];
/// How long a lock may last.
const TERM_NS: u64 = 10_000_000_000;

fn main(startup: Startup<'static>) -> i32 {
    let (Some(block), Some(endpoint)) = (startup.capability("block"), startup.capability("endpoint")) else {
        log::error!("swap-disk: not in the default pager's place");
        return 1;
    };
    match run(block) {
        Ok(()) => log::info!("swap-disk: ok"),
        Err(error) => log::info!("swap-disk: {error}"),
    }
    // Nobody calls. An end would be a reason to start it again.
    let _ = receive(endpoint, Deadline::NEVER);
    1
}

fn run(block: Handle) -> Result<(), String> {
    let pages = OwnContainer::new(PAGES).map_err(said)?;
    let mut mapping = Mapping::new(&pages, 0, PAGES, MapProtection::WRITE).map_err(said)?;
    fill(mapping.as_mut_slice(), 0);
    written(block, &pages)?;
    // What was written stays as it is, and is what the disk gives again, wherever it goes.
    check(mapping.as_slice(), 0)?;
    let other = OwnContainer::new(PAGES).map_err(said)?;
    let read = transfer(block, &other, LockMode::Dma, &BlockRead { extents: parts() });
    done("read", read)?;
    let view = Mapping::new(&other, 0, PAGES, MapProtection::empty()).map_err(said)?;
    check(view.as_slice(), 0)?;
    refusals(block, &pages)
}

/// Two writes of the same place: the second counts.
fn written(block: Handle, pages: &Container) -> Result<(), String> {
    for _ in 0..2 {
        done("write", transfer(block, pages, LockMode::Fill, &BlockWrite { extents: parts() }))?;
    }
    Ok(())
}

/// What must not be written is not, and the error says why.
fn refusals(block: Handle, pages: &Container) -> Result<(), String> {
    let end = call(block, &BlockStat {}, &[], Deadline::NEVER).map_err(|error| error.to_string())?.sectors;
    let mut beyond = Extents::EMPTY;
    let _ = beyond.push(Extent { sector: end - 1, offset: 0, bytes: PAGE_BYTES as u32 });
    let asked = transfer(block, pages, LockMode::Fill, &BlockWrite { extents: beyond });
    expect(asked, BlockError::OutOfRange, 0)?;
    // Under a dma lock pages have no contents yet, but what others left in their frames.
    let raw = OwnContainer::new(PAGES).map_err(said)?;
    let asked = transfer(block, &raw, LockMode::Dma, &BlockWrite { extents: parts() });
    expect(asked, BlockError::BadLock, u64::from(MemoryError::NoContents.code()))
}

fn expect(
    asked: Result<BlockDone, CallError<BlockError>>,
    error: BlockError,
    detail: u64,
) -> Result<(), String> {
    match asked {
        Err(CallError::Refused(refusal)) if refusal.error == error && refusal.detail == detail => Ok(()),
        other => Err(format!("{error:?} ({detail}) was due: {other:?}")),
    }
}

/// Both parts.
fn parts() -> Extents {
    let bytes = (PAGES / 2 * PAGE_BYTES) as u32;
    let mut extents = Extents::EMPTY;
    for (part, sector) in SECTORS.into_iter().enumerate() {
        // Two have room.
        let _ = extents.push(Extent { sector, offset: part as u32 * bytes, bytes });
    }
    extents
}

/// Hands a locked range to the driver.
fn transfer<R: Request<Reply = BlockDone, Error = BlockError>>(
    block: Handle,
    pages: &Container,
    mode: LockMode,
    request: &R,
) -> Result<BlockDone, CallError<BlockError>> {
    let no_lock = |_: MemoryCallError| CallError::Violation;
    let lock = pages.lock(0..PAGES, mode, TERM_NS).map_err(no_lock)?.lock;
    let (_, passed) = pages.lock_pass(lock, LockMode::Dma, TERM_NS).map_err(no_lock)?;
    let result = call(block, request, &[passed.handle()], Deadline::NEVER);
    pages.unlock(lock, PAGES * PAGE_BYTES).map_err(no_lock)?;
    result
}

fn done(what: &str, result: Result<BlockDone, CallError<BlockError>>) -> Result<(), String> {
    match result {
        Ok(done) if done.bytes == PAGES * PAGE_BYTES => Ok(()),
        Ok(done) => Err(format!("{what}: {} bytes", done.bytes)),
        Err(CallError::Refused(refusal)) => Err(format!("{what}: {} ({})", refusal.error, refusal.detail)),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn said(error: MemoryCallError) -> String {
    error.to_string()
}

/// The word of this number (`tests/system` expects the same).
fn word(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn fill(bytes: &mut [u8], first: u64) {
    let (words, _) = bytes.as_chunks_mut::<8>();
    words.iter_mut().zip(first..).for_each(|(place, number)| *place = word(number).to_le_bytes());
}

fn check(bytes: &[u8], first: u64) -> Result<(), String> {
    const _: () = assert!(PAGE_BYTES.is_multiple_of(SECTOR_BYTES));
    let (words, _) = bytes.as_chunks::<8>();
    match words.iter().zip(first..).find(|(found, number)| u64::from_le_bytes(**found) != word(*number)) {
        None => Ok(()),
        Some((found, number)) => Err(format!("word {number} is {found:x?}")),
    }
}
