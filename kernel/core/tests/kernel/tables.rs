//! Frames for page tables: into the stock, out of it, and out of a task that has ended.

use crate::harness::{ARRAY, FREE_FRAME, MEMORY, Process, System, boot_handle};
use kernel_abi::KernelError::{InvalidArgument, WrongFrame, WrongState};
use kernel_abi::SystemCall::{PmapStock, PmapUnstock};
use kernel_abi::boot::FRAMES;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::{FRAME_BYTES, SystemCall};
use kernel_core::frame_table::FrameKind;

fn stock(
    system: &mut System,
    process: Process,
    frames: &[u32],
) -> Result<u64, (kernel_abi::KernelError, u64)> {
    system.write_numbers(ARRAY, frames);
    system.call_with_value(PmapStock, &[boot_handle(FRAMES), process.handle, ARRAY, frames.len() as u64])
}

#[test]
fn what_is_refused_takes_nothing() {
    let mut system = System::new();
    let process = system.process();
    let before = system.task(process.link).stock_frames;
    let mapped = system.frame_at(process.link, MEMORY);
    let end = system.kernel.machine.frames();
    for (bad, error) in [
        (0, WrongFrame),
        (1, WrongFrame),
        (6, WrongFrame),
        (mapped, WrongFrame),
        (FREE_FRAME, WrongFrame),
        (end, InvalidArgument),
        (u32::MAX, InvalidArgument),
    ] {
        let result = stock(&mut system, process, &[FREE_FRAME, FREE_FRAME + 1, bad]);
        assert_eq!(result, Err((error, 0)), "{bad:#x}");
        assert_eq!(
            (system.kind(FREE_FRAME), system.kind(FREE_FRAME + 1)),
            (FrameKind::Plain, FrameKind::Plain)
        );
        assert_eq!(system.task(process.link).stock_frames, before);
    }
    assert_eq!(stock(&mut system, process, &[FREE_FRAME, FREE_FRAME + 1]), Ok(2));
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    assert_eq!(stock(&mut system, process, &[FREE_FRAME + 2]), Err((WrongState, 0)));
}

#[test]
fn what_is_stocked_comes_out_again() {
    let mut system = System::new();
    let process = system.process();
    let arguments = |count: u64| [boot_handle(FRAMES), process.handle, ARRAY, count];
    let before = u64::from(system.task(process.link).stock_frames);
    assert_eq!(stock(&mut system, process, &[FREE_FRAME]), Ok(1));
    assert_eq!(system.ok(PmapUnstock, &arguments(1)), 1);
    assert_eq!(system.peek(system.boss_task.link, ARRAY) as u32, FREE_FRAME);
    assert_eq!(system.kind(FREE_FRAME), FrameKind::Plain);
    assert_eq!(system.ok(PmapUnstock, &arguments(64)), before);
    assert_eq!(system.ok(PmapUnstock, &arguments(64)), 0, "of a task that is alive tables in use stay");
    assert_eq!(system.ok(PmapUnstock, &arguments(0)), 0);
}

#[test]
fn all_tables_of_a_dead_task_come_back_and_each_once() {
    let mut system = System::new();
    let process = system.process();
    let items: Vec<Mapping> = (1..=2)
        .flat_map(|upper| [upper << 39, (upper << 39) + (1 << 21), (upper << 39) + (1 << 30)])
        .map(|address| Mapping::new(address, Protection::empty(), FREE_FRAME, 1))
        .collect();
    system.stock(process, 7);
    assert_eq!(system.enter(process, &items), Ok(6));
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    let mut back = Vec::new();
    loop {
        let taken = system.ok(PmapUnstock, &[boot_handle(FRAMES), process.handle, ARRAY, 1]);
        if taken == 0 {
            break;
        }
        let frame = system.peek(system.boss_task.link, ARRAY) as u32;
        assert_eq!(system.kind(frame), FrameKind::Plain);
        back.push(frame);
    }
    // The top one, three of the memory, and for each upper address one, two and three.
    assert_eq!(back.len(), 1 + 3 + 12);
    assert_eq!(system.map_count(FREE_FRAME), 0);
    back.sort_unstable();
    back.dedup();
    assert_eq!(back.len(), 16);
    assert_eq!(system.task(process.link).root, 0);
}

#[test]
fn an_ended_task_may_still_be_the_active_one() {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    system.run(thread);
    system.issue(SystemCall::TaskExit, &[0]);
    assert_eq!(system.current(), kernel_core::Link::NONE);
    // Nobody ran in between: the processor still has its tables.
    system.dismantle_from_idle(process);
}

impl System {
    fn dismantle_from_idle(&mut self, process: Process) {
        self.kernel.device_interrupt(crate::harness::WAKE_LINE);
        assert_eq!(self.leave(), Some(self.boss));
        self.dismantle(process);
    }
}

#[test]
fn an_array_that_is_partly_absent_loses_no_frame() {
    let mut system = System::new();
    let (process, deputy) = (system.process(), system.process());
    let transfer = kernel_abi::Rights::TRANSFER;
    system.give(deputy, boot_handle(FRAMES), 1, transfer);
    system.give(deputy, process.handle, 2, transfer);
    let (_, thread) = system.spawn(deputy, 6);
    let at = MEMORY + 5 * FRAME_BYTES - 8;
    let page = MEMORY + 5 * FRAME_BYTES;
    let frame = system.frame_at(deputy.link, page);
    // Out: the third number would lie on an absent page.
    system.unmap(deputy, page, 1);
    system.run(thread);
    let before = system.task(process.link).stock_frames;
    system.issue(PmapUnstock, &[1, 2, at, 4]);
    assert_eq!(system.task(process.link).stock_frames, before, "nothing was taken");
    assert_eq!(system.resolve(page, frame.into()), Some(thread));
    system.kernel.system_call();
    assert_eq!(system.leave(), Some(thread));
    assert_eq!((system.status(thread), system.registers(thread).rdx), (Ok(()), 4));
    // In: the same array, the same page gone again.
    system.unmap(deputy, page, 1);
    system.run(thread);
    system.issue(PmapStock, &[1, 2, at, 4]);
    assert_eq!(system.task(process.link).stock_frames, before - 4, "nothing was added");
    assert_eq!(system.resolve(page, frame.into()), Some(thread));
    system.kernel.system_call();
    assert_eq!(system.leave(), Some(thread));
    assert_eq!(system.status(thread), Ok(()));
    assert_eq!(system.task(process.link).stock_frames, before);
}
