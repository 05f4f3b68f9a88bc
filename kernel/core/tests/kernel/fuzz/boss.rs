//! What keeps a random system going: the boss answers faults, makes new tasks and takes ended ones apart. And what keeps it
//! going at all: calls by which the boss would saw off its own branch are left out.

use super::arguments::held;
use super::random::Random;
use crate::harness::{ARRAY, CODE, MEMORY, MEMORY_PAGES, SCHEDULE_FRAME, System, boot_handle};
use kernel_abi::boot;
use kernel_abi::capability::Kind;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::schedule::NO_SCHEDULE;
use kernel_abi::{FRAME_BYTES, SystemCall};
use kernel_core::frame_table::FrameKind;
use kernel_core::objects::{Capability, Task};
use kernel_core::{Link, Machine};

const FRAMES: u64 = boot::FRAMES.0 as u64;

/// Handles of the boss, made first of all, that every task gets: two endpoints and a notification.
pub const SHARED: std::ops::Range<u64> = 18..21;

/// Handle of the boss with a schedule that every task gets: most of what they do is more than its budget.
pub const SCHEDULE: u64 = 21;

/// Frames and tables that the kernel started with, and handles of the boss that stay.
const FIRST_FRAMES: std::ops::Range<u64> = 1..7;
const KEPT_HANDLES: [u64; 9] = [1, 2, 3, 4, 5, 6, 7, boot::SCHEDULE.0 as u64, SCHEDULE];

/// Whether a frame is one that the kernel started with.
pub fn is_first(frame: u64) -> bool {
    FIRST_FRAMES.contains(&frame) || frame == u64::from(SCHEDULE_FRAME)
}

/// A plain frame that nobody maps.
fn spare_frame(system: &mut System, random: &mut Random) -> Option<u64> {
    let frames = u64::from(system.kernel.machine.frames());
    let start = random.below(frames / 2);
    (0..frames).map(|beyond| (start + beyond) % frames).find(|&frame| {
        let entry = *system.kernel.machine.frame(frame as u32).expect("below the end");
        entry.kind() == FrameKind::Plain && entry.map_count() == 0 && frame > 63
    })
}

fn empty_handle(system: &mut System) -> Option<u64> {
    let taken = held(system, None);
    (22..118).find(|handle| !taken.contains(handle))
}

/// The boss, which runs, drops capabilities, so that there are empty entries.
pub fn tidy_up(system: &mut System, random: &mut Random) {
    for handle in held(system, None) {
        if handle > SCHEDULE && random.once_in(3) {
            system.call_unchecked(SystemCall::CapabilityDrop, &[handle]);
        }
    }
}

/// The boss, which runs, makes a task with memory, a thread, and some capabilities.
pub fn make_task(system: &mut System, random: &mut Random) -> Option<()> {
    let task = empty_handle(system)?;
    let (frame, root) = (spare_frame(system, random)?, spare_frame(system, random)?);
    let endpoint = boot_handle(boot::ENDPOINT);
    system.call_unchecked(SystemCall::TaskCreate, &[FRAMES, frame, 0, task, root, endpoint, task])?;
    let table = spare_frame(system, random)?;
    system.call_unchecked(SystemCall::CapabilityTableAdd, &[FRAMES, task, table])?;
    let mut stock = Vec::new();
    for _ in 0..6 {
        stock.push(spare_frame(system, random)? as u32);
    }
    stock.sort_unstable();
    stock.dedup();
    system.write_numbers(ARRAY, &stock);
    system.call_unchecked(SystemCall::PmapStock, &[FRAMES, task, ARRAY, stock.len() as u64])?;
    let mut mappings = Vec::new();
    for page in 0..MEMORY_PAGES {
        let frame = spare_frame(system, random)? as u32;
        mappings.push(Mapping::new(MEMORY + page * FRAME_BYTES, Protection::WRITE, frame, 1));
    }
    system.write_mappings(&mappings);
    system.call_unchecked(SystemCall::PmapEnter, &[FRAMES, task, ARRAY, mappings.len() as u64])?;
    let threads = 1 + random.below(3);
    for _ in 0..threads {
        make_thread(system, random, task);
    }
    for (shared, destination) in SHARED.zip(1..) {
        system.call_unchecked(SystemCall::TaskInstall, &[task, shared, destination, 0xf])?;
    }
    system.call_unchecked(SystemCall::TaskInstall, &[task, SCHEDULE, 30, 0x58])?;
    for _ in 0..12 {
        let sources = held(system, None);
        let (source, destination) = (random.pick(&sources), 4 + random.below(20));
        if random.once_in(12) {
            system.call_unchecked(SystemCall::TaskInstall, &[task, FRAMES, 4, 8]);
        }
        let own = [boot_handle(boot::TASK), boot_handle(boot::THREAD), boot_handle(boot::NOTIFICATION)];
        if !own.contains(&source) && (source != FRAMES || random.once_in(3)) {
            system.call_unchecked(
                SystemCall::TaskInstall,
                &[task, source, destination, random.pick(&[9, 11, 15, 8, 0x78, 0x18, 0x58])],
            );
        }
    }
    Some(())
}

fn make_thread(system: &mut System, random: &mut Random, task: u64) -> Option<()> {
    let thread = empty_handle(system)?;
    let frame = spare_frame(system, random)?;
    system.call_unchecked(SystemCall::ThreadCreate, &[FRAMES, frame, 0, thread, task])?;
    let schedules = held(system, Some(Kind::Schedule));
    let schedule = match random.below(4) {
        0 => 0,
        1 => NO_SCHEDULE,
        _ if schedules.is_empty() => 0,
        _ => random.pick(&schedules),
    };
    let priority = if schedule == NO_SCHEDULE { 0 } else { 1 + random.below(30) };
    let start = |system: &mut System, priority| {
        system.call_unchecked(SystemCall::ThreadStart, &[thread, CODE, 0, 0, 0, priority, schedule])
    };
    start(system, priority).or_else(|| start(system, 0))?;
    if random.once_in(2) {
        system.call_unchecked(SystemCall::CapabilityDrop, &[thread])?;
    }
    Some(())
}

/// The boss, which runs, answers the fault that it received last, if it did.
pub fn answer(system: &mut System, random: &mut Random) {
    let registers = system.registers(system.current());
    let address = registers.rdx & !(FRAME_BYTES - 1);
    if let Some(frame) = spare_frame(system, random) {
        system.write_mappings(&[Mapping::new(address, Protection::WRITE, frame as u32, 1)]);
        let deadline = system.kernel.machine.time + random.below(1 << 21) + 1;
        let arguments = [boot_handle(boot::ENDPOINT), FRAMES, ARRAY, 1];
        system.issue_unchecked(SystemCall::ResolveReceive, &arguments, deadline);
    }
    if system.current() == system.boss && random.once_in(2) {
        system.call_unchecked(SystemCall::Reply, &[0, random.below(2) << 32]);
    }
}

/// Makes a capability of the boss that it may have lost, for cleaning up. Not by a call.
fn restore_task_capability(system: &mut System, task: Link, handle: u64) {
    let name = system.kernel.name_of::<Task>(task);
    let table = system.task(system.boss_task.link).table[0];
    *system.kernel.machine.object::<Capability>(Link::new::<Capability>(table, handle as u32)) =
        Capability::full(Kind::Task, name);
}

/// The boss, which runs, takes apart one task. False: it could not be ended.
pub fn take_apart(system: &mut System, task: Link) {
    const HANDLE: u64 = 119;
    system.call_unchecked(SystemCall::CapabilityDrop, &[HANDLE]);
    restore_task_capability(system, task, HANDLE);
    let tables = system.task(task).table;
    system.ok_unchecked(SystemCall::TaskKill, &[HANDLE, 0]);
    while system.ok_unchecked(SystemCall::PmapUnstock, &[FRAMES, HANDLE, ARRAY, 100]) != 0 {}
    for table in tables.into_iter().filter(|&table| table != 0) {
        system.ok_unchecked(SystemCall::Reclaim, &[FRAMES, table.into()]);
    }
    system.ok_unchecked(SystemCall::CapabilityDrop, &[HANDLE]);
}

/// Whether a call of the current thread would take from the boss what it needs to go on.
pub fn saws_the_branch(system: &mut System, call: SystemCall, arguments: &[u64]) -> bool {
    use SystemCall as Call;
    let thread = system.current();
    // Other threads may have been made in its task.
    let is_boss = system.thread(thread).task.link == system.boss_task.link;
    let kept = |handle: u64| is_boss && (KEPT_HANDLES.contains(&handle) || SHARED.contains(&handle));
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    match call {
        Call::TaskExit | Call::ThreadExit => is_boss,
        Call::CapabilityDrop | Call::CapabilityMove => kept(argument(0)),
        Call::ThreadBuffer => is_boss && (argument(1) < 8 || argument(0) == 0),
        Call::TaskKill => names_boss(system, argument(0)),
        Call::Reclaim => is_first(argument(1)),
        Call::PmapEnter | Call::PmapRemove | Call::PmapProtect | Call::PmapEnterDevice => {
            names_boss(system, argument(1))
        }
        _ => false,
    }
}

/// Whether a handle of the current task names the boss's task.
fn names_boss(system: &mut System, handle: u64) -> bool {
    let thread = system.current();
    let task = system.thread(thread).task.link;
    let (table, slot) = ((handle / 128) as usize, handle as u32 % 128);
    let tables = system.task(task).table;
    let Some(&frame) = tables.get(table).filter(|&&frame| frame != 0) else { return false };
    let capability = *system.kernel.machine.object::<Capability>(Link::new::<Capability>(frame, slot));
    capability.kind == Kind::Task && capability.name.link == system.boss_task.link
}
