//! What a page costs on its way out and in, on this machine: checksum, cipher and compression apart, then all
//! together without a device. Pages of zeros, of code (this program) and of text (this crate's sources).
//!
//! `cargo run --release -p default-pager-core --example cost`
#![forbid(unsafe_code)]

use default_pager_core::codec::{Codec, repeated, restore};
use default_pager_core::limits::{BATCH_PAGES, OPERATIONS, PAGE_BYTES};
use default_pager_core::seal::{Seal, Secret, cipher_backend};
use default_pager_core::word::{DISK_TAG_BITS, TIER_TAG_BITS};
use default_pager_core::{
    Disk, Page, PageOut, PageOutError, Pager, SlotName, Ticket, Transfer, region_words,
};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Pages of each kind.
const PAGES: usize = 256;

/// Times that each is measured; the least counts.
const ROUNDS: usize = 20;

/// A disk whose transfers are over as soon as they are asked about, and that keeps what it was given.
struct Platter {
    bytes: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    queue: Vec<Transfer>,
}

impl Disk for Platter {
    fn sectors(&self) -> u64 {
        self.bytes.len() as u64 / 512
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn buffer(&mut self, index: usize) -> &mut [u8] {
        &mut self.buffers[index]
    }

    fn submit(&mut self, transfer: Transfer) {
        self.queue.push(transfer);
    }
}

fn nanoseconds(mut work: impl FnMut()) -> u64 {
    let round = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    let least = (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or(Duration::ZERO);
    least.as_nanos() as u64 / PAGES as u64
}

/// Keeps the compiler from leaving out what made this.
fn void<T>(result: T) {
    let _ = black_box(result);
}

fn pages_of(bytes: &[u8]) -> Vec<Page> {
    let whole: Vec<Page> = bytes.as_chunks::<PAGE_BYTES>().0.to_vec();
    assert!(!whole.is_empty(), "less than a page");
    whole.iter().cycle().take(PAGES).copied().collect()
}

fn measure(what: &str, pages: &[Page]) {
    let seal = Seal::new(&Secret([3; 48]));
    let mut codec = Codec::new();
    let objects: Vec<Vec<u8>> =
        pages.iter().filter_map(|page| codec.compress(0, page).map(<[u8]>::to_vec)).collect();
    let each = |work: &mut dyn FnMut(&Page)| nanoseconds(|| pages.iter().for_each(&mut *work));
    let search = each(&mut |page| void(repeated(page)));
    let compress = each(&mut |page| void(codec.compress(0, page).map(<[u8]>::len)));
    let tag = each(&mut |page| void(seal.tag(1, 2, page, DISK_TAG_BITS)));
    let mut buffer = [0; PAGE_BYTES];
    let cipher = nanoseconds(|| (0..PAGES).for_each(|_| seal.crypt(1, 2, black_box(&mut buffer))));
    let object_tag = nanoseconds(|| {
        objects.iter().for_each(|object| void(seal.tag(1, 2, object, TIER_TAG_BITS)));
    });
    let expand = nanoseconds(|| {
        objects.iter().for_each(|object| assert!(restore(object, black_box(&mut buffer))));
    });
    let bytes: usize = objects.iter().map(Vec::len).sum();
    println!(
        "{what:>6} {:>4}% {:>6} {search:>7} {compress:>9} {expand:>7} {tag:>10} {object_tag:>11} {cipher:>7} {:>12} {:>12}",
        objects.len() * 100 / PAGES,
        bytes / objects.len().max(1),
        both_ways(pages, 16 << 20),
        both_ways(pages, 0),
    );
}

/// Out and in again through the pager, with so many bytes of compressed tier.
fn both_ways(pages: &[Page], tier_bytes: usize) -> u64 {
    let slots = 4 * PAGES;
    let region: Vec<AtomicU64> = (0..region_words(slots as u32)).map(|_| AtomicU64::new(0)).collect();
    let mut store = vec![0; tier_bytes];
    let platter = Platter {
        bytes: vec![0; slots * PAGE_BYTES],
        buffers: vec![vec![0; BATCH_PAGES * PAGE_BYTES]; OPERATIONS],
        queue: Vec::new(),
    };
    let mut pager =
        Pager::format(&region[..], &mut store[..], platter, &Secret([5; 48])).expect("room enough");
    let mut sequence = 0;
    let mut frames = vec![[0; PAGE_BYTES]; BATCH_PAGES];
    nanoseconds(|| {
        for batch in pages.chunks(BATCH_PAGES) {
            sequence += 1;
            let ticket = Ticket { lane: 0, sequence };
            let refs: Vec<&Page> = batch.iter().collect();
            pager.page_out(ticket, 0, None, &refs).expect("nothing is in the way");
            drain(&mut pager);
            let mut outcome = [PageOut::Err(PageOutError::Full); BATCH_PAGES];
            let count = pager.outcome(ticket, &mut outcome).expect("it is done");
            let names: Vec<SlotName> = outcome[..count].iter().flatten().copied().collect();
            let mut places: Vec<&mut Page> = frames.iter_mut().take(count).collect();
            let mut results = vec![None; count];
            let in_progress = pager.page_in(1, &names, &mut places, &mut results).expect("as above");
            drain(&mut pager);
            if in_progress == default_pager_core::Progress::UnderWay {
                pager.collect(1, &mut places, &mut results).expect("it has arrived");
            }
            assert!(results.iter().all(|result| *result == Some(Ok(()))) && frames[..count] == *batch);
            pager.free(&names).expect("a batch");
        }
    })
}

/// Lets the disk do its work: copies only, as a device would.
fn drain(pager: &mut Pager<&[AtomicU64], &mut [u8], Platter>) {
    while let Some(transfer) = pager.disk().queue.pop() {
        let disk = pager.disk();
        let bytes = transfer.pages * PAGE_BYTES;
        let on_disk = transfer.sector as usize * 512..transfer.sector as usize * 512 + bytes;
        let start = transfer.first_page * PAGE_BYTES;
        let buffer = &mut disk.buffers[transfer.buffer][start..start + bytes];
        match transfer.direction {
            default_pager_core::Direction::Read => buffer.copy_from_slice(&disk.bytes[on_disk]),
            default_pager_core::Direction::Write => disk.bytes[on_disk].copy_from_slice(buffer),
        }
        pager.completed(transfer.number, Ok(()));
    }
    while pager.next_event().is_some() {}
}

fn main() {
    let program = std::env::current_exe().and_then(std::fs::read).expect("this program can be read");
    let code = &program[program.len() / 4..program.len() / 4 * 3];
    let text: String = [include_str!("../src/pager.rs"), include_str!("../src/page_out.rs")].concat();
    println!("{}; nanoseconds for each page of {PAGE_BYTES} bytes", cipher_backend().name());
    println!(
        "{:>6} {:>5} {:>6} {:>7} {:>9} {:>7} {:>10} {:>11} {:>7} {:>12} {:>12}",
        "pages",
        "LZ4",
        "bytes",
        "search",
        "compress",
        "expand",
        "tag (page)",
        "tag (object)",
        "cipher",
        "via memory",
        "via disk"
    );
    measure("zeros", &pages_of(&vec![0; PAGES * PAGE_BYTES]));
    measure("code", &pages_of(code));
    measure("text", &pages_of(text.as_bytes()));
}
