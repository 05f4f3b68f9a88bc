//! Random arguments: mostly such that a call could succeed, often at an edge, sometimes nonsense.

use super::random::Random;
use super::signatures::Argument;
use crate::harness::{FRAMES, MEMORY, MEMORY_PAGES, System};
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, Kind};
use kernel_abi::pmap::Protection;
use kernel_abi::{FRAME_BYTES, MessageInfo, PRIORITY_MAX, USER_END};
use kernel_core::frame_table::FrameKind;
use kernel_core::objects::{Capability, Task, Thread};
use kernel_core::{Link, Machine};

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    127,
    128,
    129,
    511,
    512,
    513,
    4096,
    4097,
    0xffff_ffff,
    1 << 32,
    USER_END - 1,
    USER_END,
    i64::MAX as u64,
    u64::MAX,
];

/// Addresses of pages on all sides of table boundaries.
const PAGES: [u64; 12] = [
    0,
    0x1f_f000,
    0x20_0000,
    0x60_0000,
    0x3fff_f000,
    0x4000_0000,
    0x4020_0000,
    0x7f_ffff_f000,
    0x80_0000_0000,
    0x80_0020_0000,
    USER_END - 0x20_0000,
    USER_END - FRAME_BYTES,
];

/// An argument for the current thread. `array` is where an array of items may be put.
pub fn argument(system: &mut System, random: &mut Random, kind: Argument, array: u64) -> u64 {
    let in_memory = matches!(
        kind,
        Argument::Mappings | Argument::Ranges | Argument::Numbers | Argument::Parts | Argument::Spans
    );
    if random.once_in(40) && !(in_memory && system.current() == system.boss) {
        return random.pick(&EDGES);
    }
    match kind {
        Argument::Capability(kind) => capability(system, random, Some(kind)),
        Argument::AnyCapability => capability(system, random, None),
        Argument::Destination => destination(system, random),
        Argument::HardwareKind => random.pick(&[8, 9, 10, 10]),
        Argument::Resource => {
            let bound = random.pick(&[24, 1 << 16, 1 << 20]);
            random.below(bound) + if bound == 1 << 20 { u64::from(FRAMES) } else { 0 }
        }
        Argument::Slot => random.pick(&[0, 0, 1, 1, 2, 3, 3, 4, 7, 8, 31, 63, 64]),
        Argument::Buffer => {
            MEMORY + random.below(MEMORY_PAGES * 8) * 512 + random.pick(&[0, 0, 0, 8, 16, 24])
        }
        Argument::Frame => frame(system, random),
        Argument::Small => random.below(9),
        Argument::Rights => random.pick(&[0, 1, 2, 3, 9, 11, 15, 0x78, 0x7f, 8, 0x18]),
        Argument::Word => random.word() >> random.below(64),
        Argument::Info => info(random),
        Argument::Address => address(random),
        Argument::Page => page(random),
        Argument::Mappings | Argument::Ranges | Argument::Numbers | Argument::Parts | Argument::Spans => {
            fill(system, random, kind, array);
            array
        }
        Argument::Count => random.pick(&[0, 1, 1, 1, 2, 3, 5, 17, 64]),
        Argument::Time => time(system, random),
        Argument::Budget => random.pick(&[0, 1, 50_000, 200_000, 500_000, 1_000_000]),
        Argument::Period => random.pick(&[1_000_000, 1_000_000, 2_000_000, 3_141_592, 1_000_000_000]),
        Argument::Priority => random.below(u64::from(PRIORITY_MAX)),
    }
}

/// A deadline or other point in time.
pub fn time(system: &System, random: &mut Random) -> u64 {
    let now = system.kernel.machine.time;
    match random.below(8) {
        0 if random.once_in(3) => 0,
        1 => now.saturating_sub(random.below(1 << 20)),
        3 => u64::MAX - random.below(1 << 18),
        4 => now + (1 << random.below(50)),
        _ => now + 1 + random.below(1 << 22),
    }
}

fn destination(system: &mut System, random: &mut Random) -> u64 {
    let start = random.below(140);
    let taken = held(system, None);
    if random.once_in(3) {
        start
    } else {
        (start..140).find(|handle| !taken.contains(handle)).unwrap_or(start)
    }
}

/// Whether a capability names an object that still exists, as far as that is simple to tell.
fn is_fresh(system: &mut System, capability: &Capability) -> bool {
    let link = capability.name.link;
    let is_there = |system: &mut System, kind| {
        link.is_some() && system.kernel.machine.frame(link.frame()).is_some_and(|entry| entry.kind() == kind)
    };
    match capability.kind {
        Kind::Task => {
            is_there(system, FrameKind::Task) && system.kernel.name_of::<Task>(link) == capability.name
        }
        Kind::Thread => {
            is_there(system, FrameKind::Thread) && system.kernel.name_of::<Thread>(link) == capability.name
        }
        _ => true,
    }
}

/// Handles of the current task's first table with a capability of a kind, or of any.
pub fn held(system: &mut System, kind: Option<Kind>) -> Vec<u64> {
    let thread = system.current();
    let task = system.thread(thread).task.link;
    let table = system.task(task).table[0];
    if table == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for slot in 1..CAPABILITIES_PER_FRAME {
        let held = *system.kernel.machine.object::<Capability>(Link::new::<Capability>(table, slot));
        let asked_for = kind.is_none_or(|kind| held.kind == kind && is_fresh(system, &held));
        if held.kind != Kind::Null && asked_for {
            found.push(u64::from(slot));
        }
    }
    found
}

fn capability(system: &mut System, random: &mut Random, kind: Option<Kind>) -> u64 {
    match random.below(20) {
        0 => random.below(140),
        1 if kind == Some(Kind::Reply) => 0,
        _ => {
            let handles = held(system, kind);
            // The first are those that tasks have in common: so that they meet.
            if !handles.is_empty() && random.once_in(2) {
                return handles[random.below(2.min(handles.len() as u64)) as usize];
            }
            if handles.is_empty() { random.below(140) } else { random.pick(&handles) }
        }
    }
}

fn frame(system: &mut System, random: &mut Random) -> u64 {
    let number = random.below(u64::from(system.kernel.machine.frames()));
    if random.once_in(3) {
        // One that holds kernel objects already, for its other slots.
        for beyond in 0..256 {
            let near = (number + beyond) % u64::from(system.kernel.machine.frames());
            let kind = system.kernel.machine.frame(near as u32).map(|entry| entry.kind());
            if !matches!(kind, Some(FrameKind::Plain | FrameKind::Reserved)) {
                return near;
            }
        }
    }
    number
}

fn info(random: &mut Random) -> u64 {
    let words = if random.once_in(3) { random.below(66) } else { random.below(9) };
    let capabilities = if random.once_in(2) { random.below(5) } else { 0 };
    MessageInfo::new(random.pick(&[0, 0, 1, u32::MAX]), words as usize, capabilities as usize).0
}

fn address(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => random.pick(&EDGES),
        1 => page(random) + FRAME_BYTES - random.below(600),
        2 => USER_END - random.below(8192),
        _ => MEMORY + random.below(MEMORY_PAGES + 1) * FRAME_BYTES + random.below(512) * 8,
    }
}

fn page(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => MEMORY + random.below(MEMORY_PAGES) * FRAME_BYTES,
        1 => random.pick(&PAGES),
        _ => (random.pick(&PAGES) + random.below(1024) * FRAME_BYTES).min(USER_END),
    }
}

/// Puts items where the kernel will read them, as far as the current task has memory there.
fn fill(system: &mut System, random: &mut Random, kind: Argument, array: u64) {
    for item in 0..8 {
        let words = match kind {
            Argument::Mappings => mapping(system, random),
            Argument::Ranges => {
                let bits = if random.once_in(2) { random.below(4) } else { 0 };
                let pages = random.pick(&[
                    0,
                    1,
                    1,
                    2,
                    16,
                    511,
                    512,
                    513,
                    1 << 18,
                    (USER_END / FRAME_BYTES),
                    u64::MAX,
                ]);
                [page(random) | bits, pages]
            }
            Argument::Numbers => {
                let numbers = [(); 4].map(|()| frame(system, random));
                [numbers[0] | numbers[1] << 32, numbers[2] | numbers[3] << 32]
            }
            Argument::Parts => [part(system, random), part(system, random)],
            _ => {
                let frames = frame(system, random) | frame(system, random) << 32;
                let offsets = random.below(4097) | random.below(4097) << 16 | random.below(64) << 32;
                [frames, offsets]
            }
        };
        write(system, array + item * 16, words);
    }
}

fn part(system: &mut System, random: &mut Random) -> u64 {
    let (offset, bytes) = (random.below(4096), random.pick(&[0, 1, 8, 512, 4096]));
    frame(system, random) | offset << 32 | bytes << 48
}

fn mapping(system: &mut System, random: &mut Random) -> [u64; 2] {
    let mut protection = random.below(4);
    let (mut address, mut number) = (page(random), frame(system, random));
    let mut frames = random.pick(&[1, 1, 1, 1, 2, 7]);
    if random.once_in(2) {
        // The upper half is mostly free of kernel frames.
        number = 1024 + random.below(256);
        frames = random.pick(&[1, 60, 100, 300, 513]);
    }
    if random.once_in(5) {
        protection |= Protection::SUPERPAGE.bits();
        (address, number) = (address & !0x1f_ffff, 1024 + random.below(2) * 512);
        frames = random.pick(&[1, 1, 2]);
    }
    if random.once_in(40) {
        frames = random.pick(&[0, 512, 1 << 18, 0xffff_ffff]);
    }
    if random.once_in(50) {
        protection |= 1 << random.below(12);
    }
    [address | protection, number | frames << 32]
}

/// Writes two words into the current task's memory, if it has some there.
pub fn write(system: &mut System, address: u64, words: [u64; 2]) {
    let thread = system.current();
    let task = system.thread(thread).task.link;
    let root = system.task(task).root;
    let place = kernel_core::page_table::walk(&mut system.kernel.machine, root, address, 1);
    let usable = kernel_core::page_table::PRESENT | kernel_core::page_table::DEVICE;
    if place.level == 1 && place.entry & usable == kernel_core::page_table::PRESENT {
        let contents = system.kernel.machine.contents(kernel_core::page_table::frame_of(place.entry));
        let at = (address % FRAME_BYTES) as usize;
        for (index, word) in words.into_iter().enumerate() {
            contents[at + index * 8..][..8].copy_from_slice(&word.to_le_bytes());
        }
    }
}
