//! Disks for swap: written and read back, as the host sees it, and such as are not what they should be. Then the default pager on
//! them: how it comes up, what it says of a disk that it does not use, and that the next one goes on.

use crate::Scenario;
use crate::restart::kill;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;
use tests_runner::archive::Archive;
use tests_runner::machine::{Disk, Fault, Transfer};
use tests_runner::swap::MAGIC;
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("what_is_written_is_on_the_host_s_disk", what_is_written_is_on_the_host_s_disk),
    ("a_disk_that_cannot_be_written_says_so", a_disk_that_cannot_be_written_says_so),
    ("writes_that_fail_are_errors", writes_that_fail_are_errors),
    ("the_pager_marks_a_new_disk_and_goes_on_after_its_end", marks_and_goes_on),
    ("disks_that_are_not_for_swap_are_left_alone", disks_that_are_not_for_swap),
    ("without_random_numbers_nothing_leaves_memory", without_random_numbers),
    ("four_times_a_contracts_memory", four_times_a_contracts_memory),
    ("the_pager_and_its_driver_end_in_the_middle_of_work", ends_in_the_middle_of_work),
];

/// Bytes of the disks.
const BYTES: u64 = 4 << 20;
/// Where the guest writes, in sectors, and how many bytes (`tests/guest`, `swap-disk`).
const PLACES: [u64; 2] = [800, 80];
const PART: usize = 32 * 4096;

/// A file of zeros.
fn empty() -> NamedTempFile {
    sized(BYTES)
}

fn sized(bytes: u64) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    file.as_file().set_len(bytes).expect("it grows");
    file
}

/// The program that writes and reads, in the pager's place.
fn writer(disk: Disk) -> Boot {
    let replace = |archive: &mut Archive| {
        let program = archive.contents_mut("test/swap-disk").expect("it is in the archive").clone();
        *archive.contents_mut("default-pager").expect("it is in the archive") = program;
    };
    Boot::new().change_archive(replace).swap(disk)
}

/// Boots, waits until the log says this, and ends in order.
#[track_caller]
fn until(boot: Boot, text: &str) -> Conversation {
    let mut shell = boot.limit(Duration::from_secs(40)).talk();
    shell.await_log(text);
    shell
}

fn end(mut shell: Conversation) -> String {
    shell.say("poweroff\r");
    shell.end().success().log().to_owned()
}

fn what_is_written_is_on_the_host_s_disk() {
    let file = empty();
    let log = end(until(writer(Disk::writable(file.path())), "swap-disk: "));
    assert!(log.contains("swap-disk: ok"), "{log}");
    let bytes = std::fs::read(file.path()).expect("the disk is read");
    let word = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let expected: Vec<u8> = (0..2 * PART as u64 / 8).flat_map(word).collect();
    let mut rest = bytes.clone();
    for (part, sector) in PLACES.into_iter().enumerate() {
        let place = sector as usize * 512..sector as usize * 512 + PART;
        assert!(bytes[place.clone()] == expected[part * PART..(part + 1) * PART], "part {part}");
        rest[place].fill(0);
    }
    assert!(rest.iter().all(|byte| *byte == 0), "nothing else was written");
}

fn a_disk_that_cannot_be_written_says_so() {
    let file = empty();
    let log = end(until(writer(Disk::new(file.path())), "swap-disk: "));
    assert!(log.contains("swap-disk: write: the disk cannot be written (0)"), "{log}");
    // Too small even for what is to be written.
    file.as_file().set_len(4096).expect("it shrinks");
    let log = end(until(writer(Disk::writable(file.path())), "swap-disk: "));
    assert!(log.contains("swap-disk: write: beyond the end of the disk or of the locked range (0)"), "{log}");
}

fn writes_that_fail_are_errors() {
    for (on, sector, said) in [
        (Transfer::Write, Some(808), "swap-disk: write: the disk reported an error (800)"),
        (Transfer::Write, None, "swap-disk: write: the disk reported an error ("),
        (Transfer::Read, Some(80), "swap-disk: read: the disk reported an error (80)"),
    ] {
        let file = empty();
        let disk = Disk { faults: vec![Fault { on, sector, once: false }], ..Disk::writable(file.path()) };
        let log = end(until(writer(disk), "swap-disk: "));
        assert!(log.contains(said), "{said}: {log}");
    }
}

fn first_page(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the disk is read")[..4096].to_vec()
}

fn marks_and_goes_on() {
    let file = empty();
    let mut shell = until(Boot::new().swap(Disk::writable(file.path())), "slots, ");
    shell.await_log("keys from ");
    kill(&mut shell, "default-pager");
    shell.await_log("default-pager: goes on: 0 of 1023 slots in use");
    let log = end(shell);
    assert!(log.contains("default-pager was ended with its contract; it is started again in 10 ms"), "{log}");
    assert!(log.contains("default-pager: 1023 slots, "), "one page is the header: {log}");
    assert!(log.contains("ChaCha12, scalar; keys from Rdrand"), "{log}");
    let page = first_page(file.path());
    assert!(page.starts_with(MAGIC) && page[MAGIC.len()..].iter().all(|byte| *byte == 0));
    // A disk that was used is taken again, and by a boot that knows nothing of it.
    let log = end(until(Boot::new().swap(Disk::writable(file.path())), "default-pager: 1023 slots, "));
    assert!(!log.contains("is not used"), "{log}");
}

fn disks_that_are_not_for_swap() {
    let file = empty();
    std::fs::write(file.path(), vec![7; BYTES as usize]).expect("it is filled");
    let not_used = "the swap disk is not used: ";
    let log = end(until(Boot::new().swap(Disk::writable(file.path())), not_used));
    assert!(log.contains("it holds something else"), "{log}");
    assert!(std::fs::read(file.path()).expect("it is read").iter().all(|byte| *byte == 7), "untouched");

    let file = empty();
    let log = end(until(Boot::new().swap(Disk::new(file.path())), "keys from "));
    assert!(log.contains("the swap disk is read-only: pages stay in memory"), "{log}");

    file.as_file().set_len(4096).expect("it shrinks");
    let log = end(until(Boot::new().swap(Disk::writable(file.path())), not_used));
    assert!(log.contains("8 sectors hold no page"), "{log}");

    for (on, said) in [
        (Transfer::Read, "its first page cannot be read"),
        (Transfer::Write, "its first page cannot be written"),
    ] {
        let file = empty();
        let disk =
            Disk { faults: vec![Fault { on, sector: Some(0), once: false }], ..Disk::writable(file.path()) };
        let log = end(until(Boot::new().swap(disk), not_used));
        assert!(log.contains(said), "{log}");
    }
}

fn without_random_numbers() {
    let file = empty();
    let boot = Boot::new().swap(Disk::writable(file.path())).without_entropy();
    let log = end(until(boot, "the swap disk is not used: "));
    assert!(log.contains("the processor has no random numbers"), "{log}");
    assert!(first_page(file.path()).iter().all(|byte| *byte == 0), "nothing was written");
}

/// A disk on which all that is written by `swapping` has room several times.
const ROOMY: u64 = 16 << 20;

fn four_times_a_contracts_memory() {
    for cpus in [1, 2] {
        let file = sized(ROOMY);
        let boot = Boot::new().cpus(cpus).swap(Disk::writable(file.path())).limit(Duration::from_secs(120));
        // A pager that has just been started looks at its disk first.
        let mut shell = until(boot, "keys from ");
        let said = shell.command("/.boot/test/swapping 4");
        assert!(
            said.contains("swapping: 512 pages within 128 frames; ") && said.contains("swapping: ok"),
            "{said}"
        );
        looks(&mut shell);
        end(shell);
        let bytes = std::fs::read(file.path()).expect("the disk is read");
        let written = bytes[4096..].chunks_exact(4096).filter(|page| page.iter().any(|byte| *byte != 0));
        assert!(written.count() > 100, "noise went to the disk");
        // What is on the disk says nothing: neither text nor the words that were written.
        let text = 2_u64 << 32 | 1 << 12;
        assert!(!bytes.windows(8).any(|window| window == text.to_le_bytes()), "it is encrypted");
    }
}

/// What a person sees of it, when all has been given back.
fn looks(shell: &mut Conversation) {
    // Names that nobody needs go back little by little, with other requests.
    let swap = shell.command("swap");
    let number = |name: &str, text: &str| -> u64 {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        let number = line[name.len()..].split_whitespace().next().and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("{line}"))
    };
    let (books, pager) = swap.split_once("SLOTS").expect("two parts");
    assert!(number("names", books) == 4095 && number("in use", books) <= 256, "{swap}");
    assert!(number("went out", books) > 384 && number("came in", books) > 384, "{swap}");
    assert!(number("lost", books) == 0 && number("free", pager) > 3000, "{swap}");
    assert!(number("straight to the disk", pager) > 100, "{swap}");
    assert!(number("given from the disk", pager) > 100 && number("given from memory", pager) > 100, "{swap}");
    assert!(swap.contains("plain registers"), "{swap}");
    let lines = shell.command("vmstat 2");
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.starts_with("     free    extra  waiting  swapped    out/s"), "{lines}");
    assert!(shell.command("vmstat 0").contains("vmstat: 0: not a number of lines"));
}

/// Ends of each server, while a program has most of its memory with the pager.
const ENDS: usize = 4;

fn ends_in_the_middle_of_work() {
    for name in ["block", "default-pager"] {
        let file = sized(ROOMY);
        let boot = Boot::new().swap(Disk::writable(file.path())).limit(Duration::from_secs(120));
        let mut shell = until(boot, "keys from ");
        shell.command("/.boot/test/swapping 12 &");
        for _ in 0..ENDS {
            std::thread::sleep(Duration::from_millis(300));
            kill(&mut shell, name);
        }
        let said = shell.hear("swapping: ");
        let result = shell.hear("\n");
        assert!(result.contains("512 pages"), "{said}{result}");
        shell.hear("swapping: ok");
        let log = end(shell);
        assert_eq!(log.matches(&format!("{name} was ended with its contract")).count(), ENDS, "{log}");
    }
}
