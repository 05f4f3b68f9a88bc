//! Zeroing and copying frames.

use crate::harness::{ARRAY, FREE_FRAME, System, boot_handle};
use kernel_abi::KernelError::{InvalidAddress, InvalidArgument, WrongFrame, WrongKind};
use kernel_abi::boot::{FRAMES, TASK};
use kernel_abi::pmap::{BATCH_ITEMS, FrameRange, FrameSpan};
use kernel_abi::{KernelError, SystemCall, USER_END};

fn zero(system: &mut System, ranges: &[FrameRange]) -> Result<u64, KernelError> {
    let words: Vec<u64> = ranges
        .iter()
        .map(|range| u64::from(range.frame) | u64::from(range.offset) << 32 | u64::from(range.bytes) << 48)
        .collect();
    system.poke_words(system.boss_task.link, ARRAY, &words);
    system.call(SystemCall::FrameZero, &[boot_handle(FRAMES), ARRAY, ranges.len() as u64])
}

fn copy(system: &mut System, spans: &[FrameSpan]) -> Result<u64, KernelError> {
    let words: Vec<u64> = spans
        .iter()
        .flat_map(|span| {
            let offsets = u64::from(span.source_offset) | u64::from(span.destination_offset) << 16;
            let rest = u64::from(span.bytes) << 32 | u64::from(span.reserved) << 48;
            [u64::from(span.source) | u64::from(span.destination) << 32, offsets | rest]
        })
        .collect();
    system.poke_words(system.boss_task.link, ARRAY, &words);
    system.call(SystemCall::FrameCopy, &[boot_handle(FRAMES), ARRAY, spans.len() as u64])
}

const RANGE: FrameRange = FrameRange { frame: FREE_FRAME, offset: 0, bytes: 4096 };
const SPAN: FrameSpan = FrameSpan {
    source: FREE_FRAME,
    destination: FREE_FRAME + 1,
    source_offset: 0,
    destination_offset: 0,
    bytes: 4096,
    reserved: 0,
};

#[test]
fn exactly_the_bytes_asked_for_are_cleared() {
    let mut system = System::new();
    system.kernel.machine.contents(FREE_FRAME).fill(7);
    let part = FrameRange { offset: 100, bytes: 10, ..RANGE };
    let none = FrameRange { offset: 4096, bytes: 0, ..RANGE };
    assert_eq!(zero(&mut system, &[part, none]), Ok(2));
    let contents = *system.kernel.machine.contents(FREE_FRAME);
    let cleared = contents.iter().enumerate().filter(|&(_, &byte)| byte == 0).map(|(at, _)| at);
    assert_eq!(cleared.collect::<Vec<_>>(), (100..110).collect::<Vec<_>>());
    assert_eq!(zero(&mut system, &[RANGE]), Ok(1));
    assert!(system.kernel.machine.contents(FREE_FRAME).iter().all(|&byte| byte == 0));
}

#[test]
fn exactly_the_bytes_asked_for_are_copied() {
    let mut system = System::new();
    for (at, byte) in system.kernel.machine.contents(FREE_FRAME).iter_mut().enumerate() {
        *byte = at as u8 | 1;
    }
    let part = FrameSpan { source_offset: 4000, destination_offset: 7, bytes: 96, ..SPAN };
    assert_eq!(copy(&mut system, &[part]), Ok(1));
    let source = *system.kernel.machine.contents(FREE_FRAME);
    let destination = *system.kernel.machine.contents(FREE_FRAME + 1);
    assert_eq!(destination[7..103], source[4000..4096]);
    assert!(destination[..7].iter().chain(&destination[103..]).all(|&byte| byte == 0));
    assert_eq!(copy(&mut system, &[SPAN]), Ok(1));
    assert_eq!(*system.kernel.machine.contents(FREE_FRAME + 1), source);
}

#[test]
fn bad_items_are_refused_before_the_good_ones_are_done() {
    let mut system = System::new();
    let end = system.kernel.machine.frames();
    system.kernel.machine.contents(FREE_FRAME).fill(7);
    for (bad, error) in [
        (FrameRange { offset: 1, ..RANGE }, InvalidArgument),
        (FrameRange { offset: 4096, bytes: 1, ..RANGE }, InvalidArgument),
        (FrameRange { offset: u16::MAX, bytes: u16::MAX, ..RANGE }, InvalidArgument),
        (FrameRange { bytes: 4097, ..RANGE }, InvalidArgument),
        (FrameRange { frame: end, ..RANGE }, InvalidArgument),
        (FrameRange { frame: u32::MAX, ..RANGE }, InvalidArgument),
        (FrameRange { frame: 0, ..RANGE }, WrongFrame),
        (FrameRange { frame: 1, ..RANGE }, WrongFrame),
        (FrameRange { frame: 6, ..RANGE }, WrongFrame),
    ] {
        assert_eq!(zero(&mut system, &[RANGE, bad]), Err(error), "{bad:?}");
    }
    for (bad, error) in [
        (FrameSpan { source_offset: 1, ..SPAN }, InvalidArgument),
        (FrameSpan { destination_offset: 4096, ..SPAN }, InvalidArgument),
        (FrameSpan { bytes: u16::MAX, ..SPAN }, InvalidArgument),
        (FrameSpan { reserved: 1, ..SPAN }, InvalidArgument),
        (FrameSpan { destination: FREE_FRAME, ..SPAN }, InvalidArgument),
        (FrameSpan { source: 2, ..SPAN }, WrongFrame),
        (FrameSpan { destination: 5, ..SPAN }, WrongFrame),
        (FrameSpan { destination: end, ..SPAN }, InvalidArgument),
    ] {
        assert_eq!(copy(&mut system, &[SPAN, bad]), Err(error), "{bad:?}");
    }
    assert_eq!(system.kernel.machine.contents(FREE_FRAME)[0], 7);
    assert_eq!(system.kernel.machine.contents(FREE_FRAME + 1)[0], 0);
}

#[test]
fn arrays_and_authority_are_checked() {
    let mut system = System::new();
    for call in [SystemCall::FrameZero, SystemCall::FrameCopy] {
        system.refused(call, &[boot_handle(TASK), ARRAY, 0], WrongKind);
        system.refused(call, &[boot_handle(FRAMES), ARRAY, BATCH_ITEMS as u64 + 1], InvalidArgument);
        system.refused(call, &[boot_handle(FRAMES), ARRAY, u64::MAX], InvalidArgument);
        system.refused(call, &[boot_handle(FRAMES), ARRAY + 4, 1], InvalidAddress);
        system.refused(call, &[boot_handle(FRAMES), USER_END, 1], InvalidAddress);
        assert_eq!(system.call(call, &[boot_handle(FRAMES), USER_END, 0]), Ok(0));
        system.ok(call, &[boot_handle(FRAMES), ARRAY, 0]);
    }
}

#[test]
fn a_batch_may_clear_the_memory_that_it_lies_in() {
    let mut system = System::new();
    let own = system.frame_at(system.boss_task.link, ARRAY);
    system.kernel.machine.contents(FREE_FRAME).fill(7);
    let ranges = [FrameRange { frame: own, ..RANGE }, RANGE];
    assert_eq!(zero(&mut system, &ranges), Ok(2), "all items were read before");
    assert_eq!(system.kernel.machine.contents(FREE_FRAME)[0], 0);
}
