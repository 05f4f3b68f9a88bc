//! Reads as the server performs them: each step carried out on bytes, DMA by copying from the image.
#![forbid(unsafe_code)]

mod support;

use filesystems_api::block::Extents;
use filesystems_ext_core::cache::{FileKey, PageIndex, Reservation};
use filesystems_ext_core::plan::{COPY_PAGES, Read, STEP_PAGES, Step};
use filesystems_ext_core::{Inode, Resolved, Volume};
use std::os::unix::fs::FileExt;
use support::{Memory, Random, images};

const PAGE: usize = 4096;

/// A byte that nobody wrote: the client's own contents.
const UNTOUCHED: u8 = 0xfe;
/// A byte that the device left in a frame before this read.
const STALE: u8 = 0xfd;

struct Client {
    container: Vec<u8>,
    steps: usize,
    moved: u64,
    dma: u64,
}

struct Server {
    volume: Volume<Memory>,
    disk: Memory,
    index: PageIndex,
    cache: Vec<u8>,
    /// Pages of the cache that were seized.
    lost: Vec<bool>,
    /// Seizes pages now and then.
    thief: Option<Random>,
    /// Copies that were refused.
    refused: u32,
    /// How often each kind of step was taken: copy, zero, direct, fill, assemble.
    taken: [u32; 5],
}

impl Server {
    fn new(image: &support::Image, places: u32) -> Server {
        Server {
            volume: image.volume(),
            disk: image.disk.clone(),
            index: PageIndex::new(places),
            cache: vec![STALE; places as usize * PAGE],
            lost: vec![false; places as usize],
            thief: None,
            refused: 0,
            taken: [0; 5],
        }
    }

    fn node(&mut self, path: &str) -> Inode {
        let root = self.volume.inode(2).unwrap();
        match self.volume.lookup(&root, path.as_bytes(), true).unwrap() {
            Resolved::Node(inode) => inode,
            Resolved::Retry(_) => panic!("absolute"),
        }
    }

    /// What a device and physmem do to a locked range: the extents, then zeros behind the filled part.
    fn dma(&self, range: &mut [u8], extents: &Extents, filled: u64) {
        range.fill(STALE);
        let mut end = 0;
        for extent in extents.as_slice() {
            let (from, length) = (extent.sector as usize * 512, extent.bytes as usize);
            assert!(extent.bytes % 512 == 0 && extent.bytes > 0 && extent.offset % 512 == 0);
            assert_eq!(extent.offset, end, "extents follow each other");
            end += extent.bytes;
            range[extent.offset as usize..][..length].copy_from_slice(&self.disk.0[from..from + length]);
        }
        assert!(u64::from(end) >= filled && u64::from(end) < filled + 512, "filled {filled} of {end}");
        range[filled as usize..].fill(0);
    }

    fn read(
        &mut self,
        inode: Inode,
        offset: u64,
        bytes: u64,
        container_offset: u64,
        direct: bool,
    ) -> (u64, Client) {
        let container = vec![UNTOUCHED; (container_offset + bytes) as usize + 2 * PAGE];
        let mut client = Client { container, steps: 0, moved: 0, dma: 0 };
        let read = Read { inode, offset, bytes, container_offset, direct, disk_pages: 64 };
        let key = FileKey { inode: inode.number, generation: inode.generation };
        let mut done = 0;
        loop {
            client.steps += 1;
            self.steal();
            assert!(client.steps < 4000, "no progress");
            let step = read.next(&mut self.volume, &mut self.index, done).unwrap();
            self.count(&step);
            match step {
                Step::Done => return (done, client),
                Step::NoPlace => panic!("no place in the cache"),
                Step::Copy { run, source_offset, bytes, .. } if self.is_lost(source_offset, bytes) => {
                    self.refused += 1;
                    for offset in (0..run.pages).filter(|offset| self.lost[(run.place + offset) as usize]) {
                        self.index.lose(&run, offset);
                    }
                    self.index.release(run);
                }
                Step::Copy { run, source_offset, destination_offset, bytes, valid } => {
                    assert!(
                        source_offset / PAGE as u64 == u64::from(run.place) && valid > 0 && valid <= bytes
                    );
                    assert!(
                        source_offset + bytes <= (u64::from(run.place) + u64::from(run.pages)) * PAGE as u64
                    );
                    let source = &self.cache[source_offset as usize..][..bytes as usize];
                    client.container[destination_offset as usize..][..bytes as usize].copy_from_slice(source);
                    if source_offset as usize % PAGE != destination_offset as usize % PAGE {
                        client.moved += bytes;
                    } else {
                        let head = (PAGE as u64 - source_offset % PAGE as u64) % PAGE as u64;
                        let edges = if bytes < head { bytes } else { head + (bytes - head) % PAGE as u64 };
                        client.moved += edges;
                    }
                    self.index.release(run);
                    done += valid;
                }
                Step::Zero { destination_offset, bytes, valid } => {
                    assert!(valid > 0 && valid <= bytes && bytes <= COPY_PAGES * PAGE as u64);
                    client.container[destination_offset as usize..][..bytes as usize].fill(0);
                    done += valid;
                }
                Step::Direct { first_page, pages, extents, valid, file_page } => {
                    assert!(direct && pages <= STEP_PAGES && file_page * PAGE as u64 == offset + done);
                    let start = first_page as usize * PAGE;
                    let mut range = client.container[start..start + pages as usize * PAGE].to_vec();
                    self.dma(&mut range, &extents, valid);
                    client.dma += valid;
                    if let Some(reservation) = self.index.reserve(pages as u32) {
                        let length = reservation.pages as usize * PAGE;
                        let place = reservation.place as usize * PAGE;
                        self.cache[place..place + length].copy_from_slice(&range[..length]);
                        self.make_good(&reservation);
                        self.index.publish(reservation, key, file_page);
                    }
                    client.container[start..start + range.len()].copy_from_slice(&range);
                    done += valid;
                }
                Step::Fill { reservation, extents, filled, file_page } => {
                    let place = reservation.place as usize * PAGE;
                    let mut range = vec![0; reservation.pages as usize * PAGE];
                    self.dma(&mut range, &extents, filled);
                    self.cache[place..place + range.len()].copy_from_slice(&range);
                    self.make_good(&reservation);
                    self.index.publish(reservation, key, file_page);
                }
                Step::Assemble { reservation, file_page } => {
                    let place = reservation.place as usize * PAGE;
                    let page = &mut self.cache[place..place + PAGE];
                    page.fill(0);
                    self.volume.read(&inode, file_page * PAGE as u64, page).unwrap();
                    self.make_good(&reservation);
                    self.index.publish(reservation, key, file_page);
                }
            }
        }
    }

    /// Somebody takes a page, and somebody wants some back.
    fn steal(&mut self) {
        let Some(thief) = &mut self.thief else { return };
        if thief.below(4) == 0 {
            let page = thief.below(self.lost.len() as u64) as usize;
            self.lost[page] = true;
            self.cache[page * PAGE..][..PAGE].fill(STALE);
        }
        if thief.below(16) == 0
            && let Some(run) = self.index.retire(8)
        {
            for page in run.place..run.place + run.pages {
                self.lost[page as usize] = false;
                self.cache[page as usize * PAGE..][..PAGE].fill(0);
            }
            self.index.retired(run);
        }
        self.index.set_growth(thief.below(2) == 0);
    }

    fn is_lost(&self, offset: u64, bytes: u64) -> bool {
        let pages = offset as usize / PAGE..(offset + bytes).div_ceil(PAGE as u64) as usize;
        self.lost[pages].contains(&true)
    }

    fn make_good(&mut self, reservation: &Reservation) {
        self.lost[reservation.place as usize..][..reservation.pages as usize].fill(false);
    }

    fn count(&mut self, step: &Step) {
        let kind = match step {
            Step::Done | Step::NoPlace => return,
            Step::Copy { .. } => 0,
            Step::Zero { .. } => 1,
            Step::Direct { .. } => 2,
            Step::Fill { .. } => 3,
            Step::Assemble { .. } => 4,
        };
        self.taken[kind] += 1;
    }

    /// Reads and compares, with the bytes beside the request untouched.
    fn check(
        &mut self,
        path: &str,
        file: &std::fs::File,
        offset: u64,
        bytes: u64,
        at: u64,
        direct: bool,
    ) -> Client {
        let inode = self.node(path);
        let (valid, client) = self.read(inode, offset, bytes, at, direct);
        assert_eq!(valid, inode.size.saturating_sub(offset).min(bytes), "{path} {offset}+{bytes}");
        let mut expected = vec![0; valid as usize];
        file.read_exact_at(&mut expected, offset).unwrap();
        let (before, rest) = client.container.split_at(at as usize);
        let (contents, after) = rest.split_at(valid as usize);
        assert!(contents == expected, "{path} {offset}+{bytes} at {at}");
        assert!(before.iter().all(|&byte| byte == UNTOUCHED), "{path}: before the range");
        let (slack, beyond) = after.split_at((bytes - valid) as usize);
        assert!(slack.iter().all(|&byte| byte == UNTOUCHED || byte == 0), "{path}: stale bytes");
        assert!(beyond.iter().all(|&byte| byte == UNTOUCHED), "{path}: after the range");
        client
    }
}

const FILES: [&str; 12] = [
    "size-0",
    "size-1",
    "size-1023",
    "size-1025",
    "size-4096",
    "size-4097",
    "size-60000",
    "size-1048576",
    "holes",
    "comb",
    "far",
    "unwritten",
];

#[test]
fn random_reads_agree_with_the_files() {
    random_reads(|server, _| server.index = PageIndex::new(40));
}

/// Pages of the cache are seized and called back while reads go on: never a wrong byte.
#[test]
fn random_reads_agree_with_the_files_while_the_cache_is_taken_away() {
    let refused = random_reads(|server, seed| {
        server.index = PageIndex::with_floor(40, 8);
        server.thief = Some(Random(seed + 99));
    });
    assert!(refused > 100, "{refused} copies were refused");
}

/// Copies that were refused because of seized pages.
fn random_reads(prepare: impl Fn(&mut Server, u64)) -> u32 {
    let mut refused = 0;
    for (seed, image) in images().iter().enumerate() {
        let mut random = Random(seed as u64 + 7);
        let mut server = Server::new(image, 40);
        prepare(&mut server, seed as u64);
        for name in FILES {
            let path = image.tree.join(name);
            let file = std::fs::File::open(&path).unwrap();
            let size = file.metadata().unwrap().len();
            for _ in 0..60 {
                let near = [0, 70 << 20, 100 << 20, (4 << 30) - 20_000, 5 << 30][random.below(5) as usize];
                let start = if near > size { 0 } else { near };
                let mut offset = start + random.below((size - start).min(2_000_000) + 5000);
                let mut bytes = random.below(200_000);
                let mut at = random.below(9000);
                if random.below(2) == 0 {
                    offset &= !4095;
                    at &= !4095;
                }
                if random.below(3) == 0 {
                    bytes = bytes.next_multiple_of(4096);
                }
                server.check(name, &file, offset, bytes, at, random.below(4) != 0);
            }
        }
        let small_blocks = image.kind.block_bytes < 4096;
        let [.., assemble] = server.taken;
        assert!(server.taken[..4].iter().all(|&count| count > 20), "{:?}", server.taken);
        assert_eq!(assemble > 20, small_blocks, "{:?} {:?}", image.kind, server.taken);
        refused += server.refused;
    }
    refused
}

#[test]
fn an_aligned_read_moves_no_byte_cold_or_cached() {
    for image in images() {
        let mut server = Server::new(image, 1024);
        let file = std::fs::File::open(image.tree.join("size-1048576")).unwrap();
        let cold = server.check("size-1048576", &file, 0, 1 << 20, 0, true);
        assert_eq!((cold.moved, cold.dma), (0, 1 << 20), "{:?}", image.kind);
        assert!(cold.steps <= 12, "{} steps", cold.steps);
        let cached = server.check("size-1048576", &file, 0, 1 << 20, 0, true);
        assert_eq!((cached.moved, cached.dma), (0, 0));
        assert_eq!(cached.steps, 2, "one copy for all of it");
        let (pages, hits, _) = server.index.counts();
        assert!(pages >= 256 && hits >= 256);
    }
}

#[test]
fn what_is_cached_does_not_come_from_the_disk_again() {
    for image in images() {
        let mut server = Server::new(image, 1024);
        let file = std::fs::File::open(image.tree.join("size-1048576")).unwrap();
        server.check("size-1048576", &file, 10 << 12, 20 << 12, 0, true);
        let client = server.check("size-1048576", &file, 0, 1 << 20, 0, true);
        assert_eq!((client.moved, client.dma), (0, (256 - 20) << 12), "{:?}", image.kind);
    }
}

#[test]
fn the_end_of_a_file_is_whole_if_the_request_covers_the_page() {
    for image in images() {
        let mut server = Server::new(image, 64);
        let file = std::fs::File::open(image.tree.join("size-4097")).unwrap();
        let client = server.check("size-4097", &file, 0, 8192, 4096, true);
        assert_eq!((client.moved, client.dma), (0, 4097), "{:?}", image.kind);
        let client = server.check("size-4097", &file, 0, 4097, 4096, true);
        assert_eq!((client.moved, client.dma), (1, 0));
    }
}

#[test]
fn a_hole_costs_one_step_whatever_its_length() {
    for image in images() {
        let mut server = Server::new(image, 16);
        let file = std::fs::File::open(image.tree.join("nothing")).unwrap();
        let client = server.check("nothing", &file, 5 << 30, 8 << 20, 0, true);
        assert_eq!((client.steps, client.dma), (2, 0), "{:?}", image.kind);
    }
}

#[test]
fn extremes_of_an_offset_are_no_trouble() {
    let mut server = Server::new(&images()[0], 16);
    let inode = server.node("size-4096");
    for (offset, bytes) in [(u64::MAX, 0), (u64::MAX - 5, 5), (4096, 1), (0, 0)] {
        let read = Read { inode, offset, bytes, container_offset: 0, direct: true, disk_pages: 64 };
        assert_eq!(read.next(&mut server.volume, &mut server.index, 0), Ok(Step::Done));
    }
}
