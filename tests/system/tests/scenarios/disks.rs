//! Disks that are not what they should be: a typed error in the shell, and everything else goes on working.

use crate::Scenario;
use std::time::Duration;
use tests_runner::machine::{Fault, Transfer};
use tests_system::image::{Image, Maker, noise};
use tests_system::{Boot, Outcome};

pub const SCENARIOS: &[Scenario] = &[
    ("missing", missing),
    ("without_a_file_system", without_a_file_system),
    ("truncated", truncated),
    ("with_a_journal_to_recover", with_a_journal_to_recover),
    ("with_unknown_features", with_unknown_features),
    ("damaged_ext2", || damaged("ext2")),
    ("damaged_ext4", || damaged("ext4")),
    ("unreadable", unreadable),
    ("unreadable_in_one_place", unreadable_in_one_place),
    ("unreadable_once", unreadable_once),
    ("stopped", stopped),
];

/// Seeds of damage of each region.
const SEEDS: u64 = 8;

/// Bytes that are changed in one image.
const CHANGES: usize = 3;

fn small(kind: &'static str) -> Maker {
    Maker::new(kind, 1024).size("1M").file("file", &noise(1, 20_000)).file("folder/inner", &noise(2, 3000))
}

/// The disk cannot be used, and the shell says why; the boot archive is there all the same.
#[track_caller]
fn refused(boot: Boot, error: &str) -> Outcome {
    let commands = "ls /; stat /file; sha256sum /file; ls /.boot/bin && echo alive";
    let errors = format!("ls: /: {error}\nstat: /file: {error}\nsha256sum: /file: {error}\n");
    boot.exec(commands)
        .mentions(&errors)
        .mentions("sha256sum\nstacked\nstat\nswap\ntop\nvmstat\nalive\n")
        .success()
}

fn missing() {
    refused(Boot::new(), "there is no disk");
}

fn without_a_file_system() {
    for bytes in [vec![], vec![0; 512], vec![0; 1 << 20], noise(1, 1 << 20)] {
        refused(Boot::new().disk(&Image::of_bytes(&bytes)), "no ext2, ext3 or ext4 file system on the disk");
    }
}

fn truncated() {
    let bytes = small("ext4").make().bytes();
    let error = "the file system is larger than its disk: run 'e2fsck -f IMAGE' on the host";
    for length in [bytes.len() / 2, 4096, bytes.len() - 1024] {
        refused(Boot::new().disk(&Image::of_bytes(&bytes[..length])), error);
    }
}

fn with_a_journal_to_recover() {
    for kind in ["ext3", "ext4"] {
        let image = small(kind).size("4M").request("feature needs_recovery").make();
        let error = "the journal needs recovery: run 'e2fsck -p IMAGE' on the host";
        refused(Boot::new().disk(&image), error).logs("e2fsck -p");
    }
}

fn with_unknown_features() {
    let image = small("ext4").feature("inline_data,casefold,encrypt").make();
    let error = "the file system uses unsupported features, see the log";
    refused(Boot::new().disk(&image), error).logs("unsupported features: inline_data, encrypt, casefold");
}

/// Superblock, group descriptors, inodes and directories, each with bytes changed here and there. Whatever comes of it is
/// an answer; the shell and the other file system work on, and nothing leaks.
fn damaged(kind: &'static str) {
    let image = small(kind).make();
    let intact = image.bytes();
    let inodes = image.inode_place("/", 1024);
    let regions = [
        (1024, 264),
        (2048, 32),
        (inodes, 14 * 256),
        (image.block("/", 0) * 1024, 100),
        (image.block("/folder", 0) * 1024, 60),
    ];
    for (region, (start, length)) in regions.into_iter().enumerate() {
        for seed in 0..SEEDS {
            let mut bytes = intact.clone();
            let random = noise(1000 * region as u64 + seed, 4 * CHANGES);
            for change in random.chunks_exact(4) {
                let place = u64::from(u16::from_le_bytes([change[0], change[1]])) % length;
                bytes[(start + place) as usize] = if seed % 2 == 0 { change[2] } else { 0xff };
            }
            let damaged = Image::of_bytes(&bytes);
            let boot = Boot::new().disk(&damaged).limit(Duration::from_secs(40));
            let commands = "ls -l -a / /folder; stat / /file /folder /folder/inner; hexdump /folder/inner\n\
                 sha256sum /file /folder/inner\nls /.boot/bin && echo alive";
            let outcome = boot
                .exec(commands)
                .mentions("sha256sum\nstacked\nstat\nswap\ntop\nvmstat\nalive\n")
                .success();
            assert!(!outcome.log().contains("panic"), "{kind} {region} {seed}:\n{}", outcome.log());
        }
    }
}

fn unreadable() {
    let fault = Fault { on: Transfer::Read, sector: None, once: false };
    refused(Boot::new().disk(&small("ext4").make()).fault(fault), "input/output error");
}

/// Numbered lines, so that it can be seen how far a read came.
fn lines() -> Vec<u8> {
    (0..40_000).flat_map(|number| format!("{number:07}\n").into_bytes()).collect()
}

/// A disk on which the block of this number of the file `/lines` cannot be read.
fn faulty(block: u64, once: bool) -> (Image, Boot) {
    let image = small("ext4").size("2M").file("lines", &lines()).make();
    let sector = 2 * image.block("/lines", block);
    let boot = Boot::new().disk(&image).fault(Fault { on: Transfer::Read, sector: Some(sector), once });
    (image, boot)
}

/// What lies before the place is read and right, each time; other files are not concerned.
fn unreadable_in_one_place() {
    const BLOCK: u64 = 101;
    let (image, boot) = faulty(BLOCK, false);
    let commands = "cat /lines; sha256sum /lines /file; cat /lines; hexdump /lines 200000 16";
    let outcome = boot.exec(commands).success();
    let text = outcome.text();
    let error = "cat: /lines: input/output error\n";
    let readable = &lines()[..(BLOCK / 4 * 4096) as usize];
    let cat = format!("{}{error}", String::from_utf8_lossy(readable));
    let sums = format!("sha256sum: /lines: input/output error\n{}", image.sha256sum_line("/file"));
    let beyond = String::from_utf8_lossy(&lines()[200_000..200_016]).replace('\n', ".");
    assert!(text.starts_with(&format!("{cat}{sums}{cat}")), "before the place");
    assert!(text.contains(&format!("|{beyond}|\n")), "behind the place");
}

/// An error that passes is not remembered.
fn unreadable_once() {
    let (image, boot) = faulty(77, true);
    let outcome = boot.exec("sha256sum /lines; sha256sum /lines").success();
    // Or the server tried again by itself, page by page, and had it then.
    let line = image.sha256sum_line("/lines");
    assert!(outcome.text().ends_with(&line), "{}", outcome.text());
}

/// A disk that no longer answers holds up who reads from it, for as long as the deadline says, and nobody else. Whether it is
/// the server's deadline or the program's that passes first depends on what was read before.
fn stopped() {
    let image = small("ext4").size("8M").file("large", &noise(3, 3 << 20)).make();
    let boot = Boot::new().disk(&image).disk_speed(8_000).limit(Duration::from_secs(120));
    let outcome = boot.exec_alone("sha256sum /large; ls /.boot/bin && echo alive").success();
    outcome.mentions(" did not answer").mentions("sha256sum\nstacked\nstat\nswap\ntop\nvmstat\nalive\n");
}
