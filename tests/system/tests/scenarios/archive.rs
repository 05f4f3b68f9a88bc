//! A boot archive that is not what it should be ends in a typed error, not in a panic or a hang.

use crate::Scenario;
use std::time::Duration;
use tests_runner::archive::Archive;
use tests_runner::ending::Ending;
use tests_system::{Boot, image};

pub const SCENARIOS: &[Scenario] = &[
    ("without_a_first_task", without_a_first_task),
    ("with_a_first_task_that_is_no_program", with_a_first_task_that_is_no_program),
    ("of_noise", of_noise),
    ("without_members", without_members),
    ("cut_short", cut_short),
    ("with_a_damaged_program_header", with_a_damaged_program_header),
    ("with_a_damaged_member_header", with_a_damaged_member_header),
];

/// Time after which a first task that was loaded wrongly is taken to be lost.
const LOST: Duration = Duration::from_secs(10);

const FIRST_TASK: &str = "physmem";

/// Bytes of the first task's file header and program headers.
const PROGRAM_HEADER_BYTES: u64 = 64 + 4 * 56;

/// Bytes of one member's header.
const MEMBER_HEADER_BYTES: u64 = 512;

/// Bits that are flipped, each in a boot of its own.
const FLIPS: u64 = 24;

fn without_a_first_task() {
    let outcome = Boot::new().change_archive(|archive| drop(archive.remove(FIRST_TASK))).run();
    outcome.ends(&Ending::DidNotComeUp).logs("the boot archive holds no physmem");
}

fn with_a_first_task_that_is_no_program() {
    let text = |archive: &mut Archive| *first_task(archive) = b"#!/bin/sh\n".to_vec();
    Boot::new().change_archive(text).run().ends(&Ending::DidNotComeUp).logs("physmem's image is damaged");
}

fn of_noise() {
    Boot::new().archive_bytes(image::noise(1, 100_000)).run().ends(&Ending::DidNotComeUp);
}

fn without_members() {
    Boot::new().archive_bytes(vec![0; 1024]).run().ends(&Ending::DidNotComeUp);
}

/// Within the first task, and within its very header.
fn cut_short() {
    for length in [8192, 4096 - 100, 1, 600] {
        let boot = Boot::new();
        let bytes = boot.intact_archive_bytes();
        boot.archive_bytes(bytes[..length].to_vec()).run().ends(&Ending::DidNotComeUp);
    }
}

/// A first task that was loaded wrongly may do anything in ring 3, even nothing; the kernel must stand.
fn with_a_damaged_program_header() {
    for seed in 0..FLIPS {
        let flip = |archive: &mut Archive| flip_bit(first_task(archive), seed, PROGRAM_HEADER_BYTES);
        let outcome = Boot::new().change_archive(flip).limit(LOST).exec_alone("help");
        if outcome.ending != (Ending::TimedOut { answered: true }) {
            outcome.ends_in_order();
        }
    }
}

fn with_a_damaged_member_header() {
    for seed in 0..FLIPS {
        let boot = Boot::new();
        let mut bytes = boot.intact_archive_bytes();
        let header = bytes.windows(FIRST_TASK.len()).position(|window| window == FIRST_TASK.as_bytes());
        let header = header.expect("it is in the archive");
        flip_bit(&mut bytes[header..], seed, MEMBER_HEADER_BYTES);
        boot.archive_bytes(bytes).run().ends_in_order();
    }
}

fn first_task(archive: &mut Archive) -> &mut Vec<u8> {
    archive.contents_mut(FIRST_TASK).expect("it is in the archive")
}

/// Flips the bit that a seed chooses among the first `length` bytes.
fn flip_bit(bytes: &mut [u8], seed: u64, length: u64) {
    let choice = u64::from_le_bytes(image::noise(seed, 8).try_into().expect("eight bytes"));
    bytes[(choice % length) as usize] ^= 1 << (choice >> 32 & 7);
}
