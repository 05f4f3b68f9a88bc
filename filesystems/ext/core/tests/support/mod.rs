//! Images made by the host's `mke2fs` from a tree of files made here, and a source that reads them from memory.
#![allow(dead_code)]

use filesystems_ext_core::{Source, SourceError, Volume};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

/// A seeded random number generator (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.below(251) as u8 + 1);
    }
}

/// A disk in memory, with bytes that differ from the shared image.
#[derive(Clone)]
pub struct Memory(pub Arc<Vec<u8>>, pub BTreeMap<usize, u8>);

impl Source for Memory {
    fn sectors(&self) -> u64 {
        self.0.len() as u64 / 512
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), SourceError> {
        assert!(into.len().is_multiple_of(512) && !into.is_empty(), "whole sectors");
        let start = usize::try_from(sector * 512).unwrap();
        into.copy_from_slice(self.0.get(start..start + into.len()).ok_or(SourceError::Beyond)?);
        for (&place, &byte) in self.1.range(start..start + into.len()) {
            into[place - start] = byte;
        }
        Ok(())
    }
}

/// How an image is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    pub format: &'static str,
    pub block_bytes: u32,
    pub options: &'static str,
}

pub const KINDS: [Kind; 8] = [
    Kind { format: "ext2", block_bytes: 1024, options: "none" },
    Kind { format: "ext2", block_bytes: 4096, options: "dir_index" },
    Kind { format: "ext3", block_bytes: 1024, options: "dir_index" },
    Kind { format: "ext3", block_bytes: 2048, options: "dir_index" },
    Kind { format: "ext4", block_bytes: 1024, options: "dir_index" },
    Kind { format: "ext4", block_bytes: 2048, options: "^64bit,^metadata_csum,uninit_bg" },
    Kind { format: "ext4", block_bytes: 4096, options: "dir_index" },
    Kind { format: "ext4", block_bytes: 4096, options: "^has_journal,^extents,^64bit,metadata_csum_seed" },
];

/// An image and what went into it.
pub struct Image {
    pub kind: Kind,
    pub disk: Memory,
    pub tree: &'static Path,
}

impl Image {
    pub fn volume(&self) -> Volume<Memory> {
        Volume::mount(self.disk.clone()).unwrap_or_else(|error| panic!("{:?}: {error}", self.kind))
    }
}

/// All images, made once a test program.
pub fn images() -> &'static [Image] {
    static IMAGES: OnceLock<Vec<Image>> = OnceLock::new();
    IMAGES.get_or_init(|| KINDS.iter().map(|&kind| make(kind)).collect())
}

fn make(kind: Kind) -> Image {
    let tree = tree();
    let path = scratch().join(format!("{}-{}-{}.img", kind.format, kind.block_bytes, kind.options.len()));
    let file = File::create(&path).unwrap();
    file.set_len(40 << 20).unwrap();
    drop(file);
    let block_bytes = kind.block_bytes.to_string();
    let target = path.to_str().unwrap();
    let source = tree.to_str().unwrap();
    run(
        "mke2fs",
        &[
            "-q",
            "-F",
            "-t",
            kind.format,
            "-b",
            &block_bytes,
            "-O",
            kind.options,
            "-N",
            "4096",
            "-L",
            "tenure",
            "-d",
            source,
            target,
        ],
    );
    // Contents that were allocated and never written, and index blocks for the large directory.
    if kind.format == "ext4" && !kind.options.contains("^extents") {
        run("debugfs", &["-w", "-R", "fallocate /unwritten 10 40", target]);
    }
    let status = Command::new("e2fsck").args(["-fyD", target]).output().expect(HINT).status;
    assert!(status.code().is_some_and(|code| code < 4), "e2fsck -fyD: {status}");
    let disk = load(&path);
    fs::remove_file(&path).unwrap();
    Image { kind, disk, tree }
}

const HINT: &str = "mke2fs, debugfs and e2fsck are needed: apt-get install e2fsprogs";

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(HINT);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();
    SCRATCH.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// An empty image made with these arguments.
pub fn empty_image(name: &str, megabytes: u64, arguments: &[&str]) -> PathBuf {
    let path = scratch().join(name);
    File::create(&path).unwrap().set_len(megabytes << 20).unwrap();
    run("mke2fs", &[&["-q", "-F"], arguments, &[path.to_str().unwrap()]].concat());
    path
}

pub fn load(path: &Path) -> Memory {
    Memory(Arc::new(fs::read(path).unwrap()), BTreeMap::new())
}

/// Longest name there is, in bytes that are no UTF-8.
pub fn long_name() -> Vec<u8> {
    let mut name = vec![0xff; 255];
    name[0] = b'L';
    name
}

/// An image with nothing but a directory of so many names that small blocks need an index of two levels.
pub fn deep_directory() -> (Memory, Vec<String>) {
    let tree = scratch().join("deep-tree");
    fs::create_dir(&tree).unwrap();
    // Links, so that they need no inodes.
    fs::write(tree.join("first"), "linked").unwrap();
    let names: Vec<String> =
        (0..3000).map(|number| format!("{number}-{}", "l".repeat(70 + number % 30))).collect();
    for name in &names {
        fs::hard_link(tree.join("first"), tree.join(name)).unwrap();
    }
    let path = scratch().join("deep.img");
    File::create(&path).unwrap().set_len(8 << 20).unwrap();
    let target = path.to_str().unwrap();
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "1024", "-d", tree.to_str().unwrap(), target]);
    let status = Command::new("e2fsck").args(["-fyD", target]).output().expect(HINT).status;
    assert!(status.code().is_some_and(|code| code < 4), "e2fsck -fyD: {status}");
    let shown = run("debugfs", &["-R", "htree_dump /", target]);
    assert!(shown.contains("Indirect levels: 1"), "{}", &shown[..300]);
    (load(&path), names)
}

fn tree() -> &'static Path {
    static TREE: OnceLock<PathBuf> = OnceLock::new();
    TREE.get_or_init(|| {
        let tree = scratch().join("tree");
        fs::create_dir(&tree).unwrap();
        plain_files(&tree);
        sparse_files(&tree);
        names(&tree);
        links(&tree);
        tree
    })
}

fn plain_files(tree: &Path) {
    let mut random = Random(42);
    for size in [0, 1, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, 12 << 10, 60_000, 300_000, 1 << 20] {
        let mut bytes = vec![0; size];
        random.fill(&mut bytes);
        fs::write(tree.join(format!("size-{size}")), bytes).unwrap();
    }
    let mut bytes = vec![0; 200 << 10];
    random.fill(&mut bytes);
    fs::write(tree.join("unwritten"), bytes).unwrap();
}

/// Files with holes: regular ones, many small extents, and parts beyond 4 GiB.
fn sparse_files(tree: &Path) {
    let mut random = Random(43);
    let mut put = |file: &File, offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        file.write_all_at(&bytes, offset).unwrap();
    };
    let holes = File::create(tree.join("holes")).unwrap();
    for (offset, length) in [(0, 100), (5000, 3000), (9 << 10, 1024), (70_000, 9000), (300 << 10, 5)] {
        put(&holes, offset, length);
    }
    holes.set_len(400_001).unwrap();
    // A KiB of data, a KiB of nothing: holes within a page wherever blocks are smaller.
    let comb = File::create(tree.join("comb")).unwrap();
    (0..900).for_each(|tooth| put(&comb, tooth * 8192, 1024));
    // The host's own blocks are 4 KiB, so this one is made finer by debugfs only where holes are that fine.
    let far = File::create(tree.join("far")).unwrap();
    for offset in [3, 300 << 10, 70 << 20, (100 << 20) + 4096, (4 << 30) - 10, (4 << 30) + 12_345, 5 << 30] {
        put(&far, offset, 5000);
    }
    let nothing = File::create(tree.join("nothing")).unwrap();
    nothing.set_len(6 << 30).unwrap();
}

fn names(tree: &Path) {
    let many = tree.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..1500 {
        fs::write(many.join(format!("entry-{number}-{}", "n".repeat(number % 40))), []).unwrap();
    }
    let odd = tree.join("odd");
    fs::create_dir(&odd).unwrap();
    for name in ["with space", "grüße", "日本語", "..."] {
        fs::write(odd.join(name), name).unwrap();
    }
    fs::write(odd.join(std::ffi::OsStr::from_bytes(&long_name())), "long").unwrap();
    fs::write(odd.join(std::ffi::OsStr::from_bytes(b"\x01\x7f\x80\xfe")), "bytes").unwrap();
    fs::create_dir_all(tree.join("deep/er/est")).unwrap();
    fs::write(tree.join("deep/er/est/file"), "deep").unwrap();
}

fn links(tree: &Path) {
    let link = |target: &str, name: &str| symlink(target, tree.join(name)).unwrap();
    link("size-1", "short");
    link("deep/er/../er/est/file", "relative");
    link(&format!("deep/{}er/est/file", "./".repeat(100)), "slow");
    link("/etc/passwd", "absolute");
    link("loop-b", "loop-a");
    link("loop-a", "loop-b");
    link("nowhere", "dangling");
    link("deep", "directory");
    link("../../size-1", "deep/er/up");
    link(&"x/".repeat(29), "fifty-eight");
    link(&"y/".repeat(30), "sixty");
}
