//! The laws and the counters, seen from inside: the programs of `tests/guest` look at the books after each thing they do.

use crate::Scenario;
use std::time::Duration;
use tests_system::Boot;
use tests_system::image::{Image, Maker, noise};

pub const SCENARIOS: &[Scenario] = &[
    ("no_byte_is_moved_ext4_4k", || no_byte_is_moved("ext4", 4096)),
    ("no_byte_is_moved_ext2_1k", || no_byte_is_moved("ext2", 1024)),
    ("servers_do_not_grow_by_serving", servers_do_not_grow_by_serving),
    ("filling_a_contract_costs_nobody_else", filling_a_contract_costs_nobody_else),
    ("malformed_messages_are_refused", malformed_messages_are_refused),
    ("random_system_calls", random_system_calls),
    ("machs_vm_calls", machs_vm_calls),
    ("more_memory_than_the_contract_allows", more_memory_than_the_contract_allows),
];

/// Lookups that are never closed: half a minute. On ext2, since checksums of directory blocks would make it twice that.
const LOOKUPS: u32 = 1_000_000;

/// Random system calls of one seed, and the seeds.
const CALLS: u32 = 400_000;
const SEEDS: [u32; 3] = [1, 77, 2026];

/// Malformed messages of one seed, to the file servers and to physmem each.
const MESSAGES: u32 = 20_000;

/// A file whose words are known by their numbers, as `reads` has it.
fn numbered(kind: &'static str, block_bytes: u32) -> Image {
    let word = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let contents: Vec<u8> = (0..(4 << 20) / 8).flat_map(word).collect();
    Maker::new(kind, block_bytes).file("numbered", &contents).make()
}

fn no_byte_is_moved(kind: &'static str, block_bytes: u32) {
    let expected = "reads: 4 MiB from the disk, 12 from the cache, no byte moved\nreads: ok\n";
    let image = numbered(kind, block_bytes);
    Boot::new().disk(&image).exec("/.boot/test/reads /numbered").prints(expected).success();
}

fn servers_do_not_grow_by_serving() {
    let image = Maker::new("ext2", 1024).file("file", &noise(1, 500_000)).make();
    let command = format!("/.boot/test/law-one /file {LOOKUPS}");
    let boot = Boot::new().disk(&image).limit(Duration::from_secs(300));
    let expected = format!("law-one: {LOOKUPS} lookups never closed left nothing behind\n");
    boot.exec(&command).mentions(&expected).mentions("law-one: ok\n").success();
}

fn filling_a_contract_costs_nobody_else() {
    Boot::new().exec("/.boot/test/records").mentions("records: ok\n").success();
}

/// Seeds of random `vm_*` calls.
const VM_SEEDS: [u32; 2] = [1, 2026];

fn machs_vm_calls() {
    let commands: String =
        VM_SEEDS.iter().map(|seed| format!("/.boot/test/vm-calls {seed} || exit 1\n")).collect();
    let outcome = Boot::new().exec(&commands).success();
    outcome.mentions("vm-calls: 9 kinds of calls, no frame left behind\n").mentions("vm-calls: ok\n");
}

fn malformed_messages_are_refused() {
    let image = Maker::new("ext4", 1024).file("file", &noise(1, 50_000)).make();
    let commands: String = SEEDS
        .iter()
        .map(|seed| format!("/.boot/test/messages {seed} {MESSAGES} /file || exit 1\n"))
        .collect();
    let commands = commands + "sha256sum /file\n";
    let outcome = Boot::new().disk(&image).exec(&commands).success();
    outcome.mentions(&image.sha256sum_line("/file"));
}

fn random_system_calls() {
    let image = Maker::new("ext4", 1024).file("file", &noise(1, 50_000)).make();
    let commands: String =
        SEEDS.iter().map(|seed| format!("/.boot/test/fuzz {seed} {CALLS} || exit 1\n")).collect();
    let commands = commands + "sha256sum /file\n";
    let outcome = Boot::new().disk(&image).exec(&commands).success();
    outcome.mentions(&image.sha256sum_line("/file"));
}

/// By asking, the answer is an error; by touching, the program ends with the reason.
fn more_memory_than_the_contract_allows() {
    let outcome = Boot::new().exec("/.boot/test/greedy; /.boot/test/greedy touch").status(99);
    outcome.mentions("greedy: ok\n").mentions("ended by a page fault (the contract has no frames left)\n");
}
