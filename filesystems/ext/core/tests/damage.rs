//! Damaged images: whatever the bytes say, every answer is a value or a typed error, and comes soon.
#![forbid(unsafe_code)]

mod support;

use filesystems_ext_core::cache::{FileKey, PageIndex};
use filesystems_ext_core::plan::{Read, Step};
use filesystems_ext_core::{Inode, MountError, Source, SourceError, Volume, VolumeError};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::{Memory, Random, images, run};

/// A disk that counts what is read.
struct Counting(Memory, Rc<Cell<u64>>);

impl Source for Counting {
    fn sectors(&self) -> u64 {
        self.0.sectors()
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), SourceError> {
        self.1.set(self.1.get() + 1);
        self.0.read(sector, into)
    }
}

/// Visits what can be reached, a bounded part of it. Returns how many answers were errors.
fn explore(volume: &mut Volume<Counting>) -> u32 {
    let mut index = PageIndex::new(64);
    let mut errors = 0;
    let mut queue = vec![2];
    let mut at = 0;
    while at < queue.len().min(60) {
        let number = queue[at];
        at += 1;
        let Ok(inode) = volume.inode(number) else {
            errors += 1;
            continue;
        };
        errors += u32::from(read_some(volume, &mut index, &inode).is_err());
        errors +=
            u32::from(volume.read_link(&inode, &mut [0; 4095]).is_err_and(|e| e != VolumeError::WrongKind));
        let mut names = 0;
        let listed = volume.read_directory(&inode, 0, &mut |entry| {
            queue.push(entry.inode);
            names += 1;
            names < 30
        });
        errors += u32::from(listed.is_err_and(|error| error != VolumeError::NotDirectory));
        for name in [&b"entry-77-nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"[..], b"many", b"none"] {
            errors +=
                u32::from(volume.find(&inode, name).is_err_and(|error| error != VolumeError::NotDirectory));
        }
    }
    let root = volume.inode(2);
    for path in [&b"slow"[..], b"many/entry-3-nnn", b"loop-a", b"deep/er/up"] {
        errors += u32::from(root.is_ok_and(|root| volume.lookup(&root, path, true).is_err()));
    }
    errors
}

fn read_some(volume: &mut Volume<Counting>, index: &mut PageIndex, inode: &Inode) -> Result<(), VolumeError> {
    let sectors = volume.geometry().blocks * u64::from(volume.geometry().block_bytes) / 512;
    for (offset, direct) in
        [(0, true), (100, false), (70 << 20, true), (4 << 30, true), (inode.size / 2, true)]
    {
        let read = Read {
            inode: *inode,
            offset,
            bytes: 100_000,
            container_offset: offset % 4096,
            direct,
            disk_pages: 64,
        };
        let mut done = 0;
        for _ in 0..30 {
            let (extents, valid) = match read.next(volume, index, done)? {
                Step::Done | Step::NoPlace => break,
                Step::Copy { run, valid, .. } => {
                    index.release(run);
                    (None, valid)
                }
                Step::Zero { valid, .. } => (None, valid),
                Step::Direct { extents, valid, .. } => (Some(extents), valid),
                Step::Fill { reservation, extents, file_page, .. } => {
                    let key = FileKey { inode: inode.number, generation: inode.generation };
                    index.publish(reservation, key, file_page);
                    (Some(extents), 0)
                }
                Step::Assemble { reservation, .. } => {
                    index.cancel(reservation);
                    (None, 4096 - offset % 4096)
                }
            };
            for extent in extents.iter().flat_map(|extents| extents.as_slice()) {
                assert!(
                    extent.sector + u64::from(extent.bytes) / 512 <= sectors,
                    "beyond the disk: {extent:?}"
                );
            }
            done += valid;
        }
    }
    volume.read(inode, inode.size / 3, &mut [0; 5000]).map(|_| ())
}

fn try_image(image: &support::Image, damage: BTreeMap<usize, u8>) -> (bool, u32) {
    let reads = Rc::new(Cell::new(0));
    let source = Counting(Memory(image.disk.0.clone(), damage), reads.clone());
    let result = match Volume::mount(source) {
        Ok(mut volume) => (true, explore(&mut volume)),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            (false, 1)
        }
    };
    assert!(reads.get() < 60_000, "{} reads", reads.get());
    result
}

/// Where metadata lies: superblock, group descriptors, the first inode table and directory blocks.
fn places(image: &support::Image) -> Vec<std::ops::Range<usize>> {
    let block = image.kind.block_bytes as usize;
    let mut volume = image.volume();
    let descriptors = volume.geometry().descriptors_start as usize;
    let bytes = &image.disk.0;
    let table =
        u32::from_le_bytes(bytes[descriptors + 8..descriptors + 12].try_into().unwrap()) as usize * block;
    let mut places = vec![1024..2048, descriptors..descriptors + 64, table..table + 256 * 60];
    let root = volume.inode(2).unwrap();
    for (name, length) in [(&b"many"[..], 3), (b".", 1)] {
        let number = volume.find(&root, name).unwrap().unwrap();
        let inode = volume.inode(number).unwrap();
        if let filesystems_ext_core::Backing::Disk(place) = volume.run(&inode, 0).unwrap().backing {
            places.push(place as usize * block..(place as usize + length) * block);
        }
    }
    places.extend(map_blocks(image).into_iter().map(|place| place * block..(place + 1) * block));
    places
}

/// Blocks that hold extent nodes (leaves first) or pointers of two files with many parts.
fn map_blocks(image: &support::Image) -> Vec<usize> {
    static IMAGES: AtomicU32 = AtomicU32::new(0);
    let path = support::scratch().join(format!("map-blocks-{}.img", IMAGES.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, &image.disk.0[..]).unwrap();
    let target = path.to_str().unwrap();
    let (mut leaves, mut others) = (Vec::new(), Vec::new());
    for file in ["/comb", "/far"] {
        let nodes = run("debugfs", &["-R", &format!("dump_extents -n {file}"), target]);
        for line in nodes.lines().filter(|line| line.contains('/')) {
            // Level, depth; entries; first and last block of the file; the block below, its length.
            let numbers: Vec<usize> =
                line.split(['/', ' ', '-']).filter_map(|word| word.parse::<usize>().ok()).collect();
            if let [level, depth, .., block, _] = numbers[..] {
                if level + 1 == depth {
                    leaves.push(block)
                } else if level < depth {
                    others.push(block)
                }
            }
        }
        let pointers = run("debugfs", &["-R", &format!("stat {file}"), target]);
        let words = pointers.split([' ', ',', '\n']);
        let levels = words.filter_map(|word| word.split_once("IND):").map(|(_, block)| block));
        others.extend(levels.filter_map(|block| block.parse::<usize>().ok()).take(6));
    }
    std::fs::remove_file(path).unwrap();
    let blocks = [leaves, others].concat();
    assert!(!blocks.is_empty(), "{:?}", image.kind);
    blocks
}

#[test]
fn flipped_bytes_never_panic_or_hang() {
    let (mut mounted, mut damaged) = (0, 0);
    for (number, image) in images().iter().enumerate() {
        let places = places(image);
        for seed in 0..60 {
            let mut random = Random(1 + seed * 8 + number as u64);
            let mut damage = BTreeMap::new();
            for _ in 0..1 + random.below(12) {
                let place = &places[random.below(places.len() as u64) as usize];
                let at = place.start + random.below(place.len() as u64) as usize;
                let value = [0, 0xff, 0x80, random.below(256) as u8][random.below(4) as usize];
                damage.insert(at, value);
            }
            let (ok, errors) = try_image(image, damage);
            mounted += u32::from(ok);
            damaged += u32::from(errors > 0);
        }
    }
    println!("{mounted} mounted, {damaged} with errors");
    assert!(mounted > 50 && damaged > 50);
}

#[test]
fn random_metadata_never_panics_or_hangs() {
    for (number, image) in images().iter().enumerate() {
        let places = places(image);
        for seed in 0..40 {
            let mut random = Random(1000 + seed * 8 + number as u64);
            let place = &places[1 + random.below(places.len() as u64 - 1) as usize];
            let start = place.start + random.below(place.len() as u64 / 2) as usize;
            let end = start + 1 + random.below((place.end - start) as u64) as usize;
            try_image(image, (start..end).map(|place| (place, random.below(256) as u8)).collect());
        }
    }
}

#[test]
fn superblock_fields_set_to_extremes_are_refused_or_harmless() {
    // Without checksums, so that the field itself is looked at.
    let image = &images()[0];
    for field in (0..256).step_by(2) {
        for value in [0_u16, 1, 2, 0x7fff, 0x8000, 0xffff] {
            let damage = (1024 + field..).zip(value.to_le_bytes()).collect();
            try_image(image, damage);
        }
    }
}

/// Runs of a file whose first extent node was changed by `change`, in an image without checksums.
fn with_node(change: impl Fn(&mut [u8], u32)) -> Result<u64, VolumeError> {
    let image = images().iter().find(|image| image.kind.options.contains("^metadata_csum")).unwrap();
    let node = map_blocks(image)[0];
    let start = node * image.kind.block_bytes as usize;
    let mut bytes = image.disk.0[start..start + image.kind.block_bytes as usize].to_vec();
    change(&mut bytes, node as u32);
    let damage = (start..).zip(bytes).collect();
    let mut volume = Volume::mount(Memory(image.disk.0.clone(), damage)).unwrap();
    let root = volume.inode(2).unwrap();
    let comb = volume.find(&root, b"comb").unwrap().unwrap();
    let comb = volume.inode(comb).unwrap();
    (0..40).map(|block| volume.run(&comb, block).map(|run| run.blocks)).sum()
}

#[test]
fn extent_nodes_that_contradict_themselves_are_damage() {
    assert!(with_node(|_, _| ()).is_ok());
    let circle = |node: &mut [u8], number: u32| {
        node[6] = 1;
        for entry in node[12..].chunks_exact_mut(12) {
            entry[4..8].copy_from_slice(&number.to_le_bytes());
            entry[8..12].fill(0);
        }
    };
    assert_eq!(with_node(circle), Err(VolumeError::Damaged("depth of an extent node")));
    let put = |place: usize, value: &'static [u8]| {
        with_node(move |node, _| node[place..place + value.len()].copy_from_slice(value))
    };
    assert_eq!(put(0, &[0]), Err(VolumeError::Damaged("header of an extent node")), "no magic");
    assert_eq!(
        put(2, &[0xff, 0xff, 0xff, 0xff]),
        Err(VolumeError::Damaged("header of an extent node")),
        "too many"
    );
    assert_eq!(put(12 + 4, &[0xff, 0x7f]), Err(VolumeError::Damaged("length of an extent")), "overlap");
    assert_eq!(put(12 + 4, &[0, 0]), Err(VolumeError::Damaged("length of an extent")), "empty");
    assert_eq!(put(12 + 8, &[0, 0, 0, 0xff]), Err(VolumeError::Damaged("place of an extent")), "beyond");
    assert_eq!(put(12 + 8, &[0; 4]), Err(VolumeError::Damaged("place of an extent")), "the boot block");
}

#[test]
fn checksums_notice_a_flipped_bit_wherever_it_is() {
    for image in images().iter().filter(|image| image.volume().geometry().checksums) {
        let block = image.kind.block_bytes as usize;
        let geometry = *image.volume().geometry();
        let descriptors = geometry.descriptors_start as usize;
        let bytes = &image.disk.0;
        let table = u32::from_le_bytes(bytes[descriptors + 8..descriptors + 12].try_into().unwrap()) as usize;
        let root = table * block + usize::from(geometry.inode_bytes);
        let with = |place: usize| {
            let damage = BTreeMap::from([(place, bytes[place] ^ 1)]);
            Volume::mount(Memory(image.disk.0.clone(), damage))
        };
        let refused = |place, what| assert_eq!(with(place).map(|_| ()), Err(MountError::Damaged(what)));
        refused(1024 + 0x78, "checksum");
        refused(descriptors + 16, "checksum of a group descriptor");
        refused(root + 12, "checksum of an inode");
        let mut volume = image.volume();
        let inode = volume.inode(2).unwrap();
        let run = volume.run(&inode, 0).unwrap().backing;
        let filesystems_ext_core::Backing::Disk(place) = run else { panic!("{run:?}") };
        let found = with(place as usize * block + 8).unwrap().find(&inode, b"far");
        assert_eq!(found, Err(VolumeError::Damaged("checksum of a directory block")));
        assert_eq!(volume.inode(0).map(|_| ()), Err(VolumeError::Damaged("inode number")));
        let beyond = volume.inode(geometry.inodes + 1).map(|_| ());
        assert_eq!(beyond, Err(VolumeError::Damaged("inode number")));
    }
}

#[test]
fn a_directory_larger_than_its_volume_is_damage() {
    let image = &images()[0];
    let descriptors = image.volume().geometry().descriptors_start as usize;
    let bytes = &image.disk.0;
    let table = u32::from_le_bytes(bytes[descriptors + 8..descriptors + 12].try_into().unwrap()) as usize;
    let root = table * image.kind.block_bytes as usize + usize::from(image.volume().geometry().inode_bytes);
    let damage = (root + 4..).zip(0xffff_fc00_u32.to_le_bytes()).collect();
    let mut volume = Volume::mount(Memory(image.disk.0.clone(), damage)).unwrap();
    let root = volume.inode(2).unwrap();
    assert_eq!(volume.find(&root, b"none"), Err(VolumeError::Damaged("size of a directory")));
}

#[test]
fn truncated_images_say_so() {
    for image in images() {
        for length in [0, 512, 1024, 1536, 2048, 4096, 1 << 20, (40 << 20) - 4096] {
            let bytes = image.disk.0[..length].to_vec();
            match Volume::mount(Memory(Arc::new(bytes), BTreeMap::new())).map(|_| ()) {
                Err(MountError::Truncated { .. }) => assert!(length >= 2048),
                Err(MountError::Source(SourceError::Beyond)) => assert!(length < 2048),
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let zeros = Memory(Arc::new(vec![0; 1 << 20]), BTreeMap::new());
    assert_eq!(Volume::mount(zeros).map(|_| ()), Err(MountError::NotExt));
    for (options, named) in [
        ("meta_bg,^resize_inode", "meta_bg"),
        ("inline_data", "inline_data"),
        ("encrypt", "encrypt"),
        ("large_dir,ea_inode", "ea_inode, large_dir"),
        ("casefold", "casefold"),
    ] {
        let path = support::empty_image("features.img", 8, &["-t", "ext4", "-O", options]);
        let error = Volume::mount(support::load(&path)).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("unsupported features: {named}"));
    }
}

#[test]
fn a_journal_that_needs_recovery_is_refused_with_the_command() {
    let path = support::empty_image("journal.img", 16, &["-t", "ext4"]);
    assert!(Volume::mount(support::load(&path)).is_ok());
    run("debugfs", &["-w", "-R", "feature +needs_recovery", path.to_str().unwrap()]);
    let error = Volume::mount(support::load(&path)).map(|_| ()).unwrap_err();
    assert_eq!(error, MountError::NeedsRecovery);
    assert!(error.to_string().contains("e2fsck -p IMAGE"));
}

#[test]
fn old_revisions_are_read() {
    let path = support::empty_image("revision-0.img", 4, &["-r", "0", "-t", "ext2"]);
    let mut volume = Volume::mount(support::load(&path)).unwrap();
    let root = volume.inode(2).unwrap();
    assert!(volume.find(&root, b"lost+found").unwrap().is_some());
}
