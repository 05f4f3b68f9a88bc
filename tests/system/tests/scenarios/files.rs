//! Files of all kinds, on images of all kinds, are in the guest what they are on the host.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Image, Maker, noise};
use tests_system::{Boot, host_view};

pub const SCENARIOS: &[Scenario] = &[
    ("ext2_1k", || agree("ext2", 1024)),
    ("ext2_2k", || agree("ext2", 2048)),
    ("ext2_4k", || agree("ext2", 4096)),
    ("ext3_1k", || agree("ext3", 1024)),
    ("ext3_4k", || agree("ext3", 4096)),
    ("ext4_1k", || agree("ext4", 1024)),
    ("ext4_2k", || agree("ext4", 2048)),
    ("ext4_4k", || agree("ext4", 4096)),
    ("far_offsets", far_offsets),
    ("a_large_file_in_little_memory", a_large_file_in_little_memory),
];

/// Bytes of arguments in one command: they must fit a page.
const ARGUMENT_BYTES: usize = 2000;

/// Where two of the links lead.
const LINKED: &str = "/sizes/65537";

/// Names in the large directory.
const NAMES: usize = 400;

/// Sizes around the edges of blocks and pages, and of what 12 blocks hold, and of what one indirect block adds.
const SIZES: [usize; 19] = [
    0, 1, 511, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 8191, 12_288, 12_289, 49_152, 49_153, 65_537,
    262_144, 274_432, 280_577,
];

fn agree(kind: &'static str, block_bytes: u32) {
    let (image, files) = make(kind, block_bytes);
    let links = ["/to-file", "/to-link", "/to-root", "/slow-link"].map(String::from);
    let (mut commands, mut expected) = (String::new(), String::new());
    for part in in_parts(&files) {
        commands += &format!("sha256sum {}\n", quoted(part));
        part.iter().for_each(|path| expected += &image.sha256sum_line(path));
    }
    commands += "sha256sum /to-file /to-link\n";
    let linked = image.sha256sum_line(LINKED);
    expected += &(linked.replace(LINKED, "/to-file") + &linked.replace(LINKED, "/to-link"));
    let described: Vec<String> =
        files.iter().chain(&links).cloned().chain([String::from("/"), String::from("/deep")]).collect();
    for part in in_parts(&described) {
        commands += &format!("stat {}\n", quoted(part));
        let nodes = host_view::nodes(&image, part);
        part.iter().zip(&nodes).for_each(|(path, node)| expected += &host_view::stat_text(path, node));
    }
    for directory in ["/", "/large", "/deep/0/1/2/3/4/5/6/7/8/9", "/empty"] {
        commands += &format!("ls -l -a {directory}\n");
        expected += &host_view::listing(&image, directory);
    }
    Boot::new().disk(&image).exec(&commands).prints(&expected).success();
}

/// The image, and the paths of its files.
fn make(kind: &'static str, block_bytes: u32) -> (Image, Vec<String>) {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        files.push((format!("/sizes/{size}"), noise(index as u64, size)));
    }
    let depth: String = (0..10).map(|level| format!("/{level}")).collect();
    files.push((format!("/deep{depth}/bottom"), noise(30, 5000)));
    files.push((format!("/{}", "n".repeat(255)), noise(31, 300)));
    files.push(("/names/grüße aus köln – 日本語 🙂".into(), noise(32, 7000)));
    files.push(("/names/.hidden".into(), noise(33, 10)));
    for index in 0..NAMES {
        // Every tenth has contents of its own.
        let size = if index % 10 == 0 { index } else { 0 };
        files.push((format!("/large/a rather long name, number {index}"), noise(40, size)));
    }
    let mut maker = Maker::new(kind, block_bytes).size("24M");
    for (path, contents) in &files {
        maker = maker.file(path, contents);
    }
    let (island, cape) = (noise(50, 5000), noise(51, 100));
    let last = (1 << 20) - 50;
    maker = maker
        .sparse_file("holes/middle", 1 << 20, &[(0, &cape), (300_000, &island), (last, &cape[..50])])
        .sparse_file("holes/end", 300_001, &[(100, &cape)])
        .sparse_file("holes/only", 77_777, &[])
        .fragmented_file("/pieces", &noise(52, 300_000))
        .symlink("to-file", &LINKED[1..])
        .symlink("to-link", "names/../to-file")
        .symlink("to-root", "/")
        .symlink("slow-link", &"long/".repeat(40))
        .folder("empty");
    let mut paths: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    paths.extend(["/holes/middle", "/holes/end", "/holes/only", "/pieces"].map(String::from));
    (maker.make_indexed(), paths)
}

/// Beyond 4 GiB, and, with blocks of 1 KiB, where blocks are three indirections away.
fn far_offsets() {
    const FAR: u64 = 5 << 30;
    const TRIPLE: u64 = (12 + 256 + 256 * 256 + 3) << 10;
    let (island, cape) = (noise(1, 3000), noise(2, 2000));
    let extents = Maker::new("ext4", 4096)
        .sparse_file("far", FAR + 2000, &[(4096, &island), ((4 << 30) - 1500, &island), (FAR, &cape)])
        .make();
    let blocks = Maker::new("ext2", 1024)
        .sparse_file("far", TRIPLE + 9000, &[(0, &cape), (TRIPLE - 4000, &island), (TRIPLE + 7000, &cape)])
        .make();
    let ends = |length: u64| [0, 4096, length / 2, length - 2000];
    for (image, places, length) in [
        (&extents, [(4096, &island[..]), ((4 << 30) - 1500, &island), (FAR, &cape)], FAR + 2000),
        (&blocks, [(0, &cape[..]), (TRIPLE - 4000, &island), (TRIPLE + 7000, &cape)], TRIPLE + 9000),
    ] {
        let starts: Vec<u64> = places.iter().map(|(at, _)| *at).chain(ends(length)).collect();
        let commands: String = starts
            .iter()
            .map(|start| format!("hexdump /far {start} 1600; hexdump /far {length} 10\n"))
            .collect();
        let mut expected = String::new();
        for start in starts {
            expected += &hexdump(start, &sparse_bytes(start, 1600.min(length - start), &places));
            expected += &hexdump(length, &[]);
        }
        let commands = format!("{commands}stat /far\n");
        let paths = [String::from("/far")];
        expected += &host_view::stat_text("/far", &host_view::nodes(image, &paths)[0]);
        Boot::new().disk(image).exec(&commands).prints(&expected).success();
    }
}

/// The bytes of a sparse file from a place on.
fn sparse_bytes(start: u64, length: u64, places: &[(u64, &[u8])]) -> Vec<u8> {
    let byte = |at: u64| {
        let within = |(first, bytes): &(u64, &[u8])| bytes.get(at.checked_sub(*first)? as usize).copied();
        places.iter().find_map(within).unwrap_or(0)
    };
    (start..start + length).map(byte).collect()
}

/// What the guest's `hexdump` must print.
fn hexdump(start: u64, bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut dump = hurd_glue_programs_core::hexdump::Hexdump::new(start);
    dump.add(bytes, |line| text += line);
    dump.finish(|line| text += line);
    text
}

/// 512 MiB through 64 MiB: holes, and as much data as makes the cache give pages up again.
fn a_large_file_in_little_memory() {
    const LENGTH: u64 = 512 << 20;
    let data = noise(3, 48 << 20);
    let (one, other) = data.split_at(20 << 20);
    let image = Maker::new("ext4", 4096)
        .size("640M")
        .sparse_file("large", LENGTH, &[(1 << 20, one), ((200 << 20) + 12_345, other), (LENGTH - 1, b"!")])
        .make();
    let boot = Boot::new().disk(&image).memory("64M").limit(Duration::from_secs(150));
    boot.exec("sha256sum /large").prints(&image.sha256sum_line("/large")).success();
}

/// As many paths a part as fit one command.
fn in_parts(paths: &[String]) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, path) in paths.iter().enumerate() {
        if bytes + path.len() > ARGUMENT_BYTES {
            parts.push(&paths[first..index]);
            (first, bytes) = (index, 0);
        }
        bytes += path.len() + 8;
    }
    parts.push(&paths[first..]);
    parts
}

fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(" ")
}
