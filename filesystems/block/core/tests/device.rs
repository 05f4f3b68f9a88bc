//! The driver against a device made here, well-behaved and not.
#![forbid(unsafe_code)]

mod support;

use containers_api::lock::{RUNS_PER_ANSWER, Run, Runs};
use filesystems_api::block::{BlockError, Extent, Extents};
use filesystems_block_core::*;
use kernel_protocol::Refusal;
use support::{Fault, SECTORS, Shared, contents, device, start};

/// A locked range of frames given to the device, with what tells where they are.
fn range(device: &Shared, list: &[(u32, u32)]) -> PhysicalRuns {
    let mut runs = PhysicalRuns::new();
    let pages = list.iter().map(|run| u64::from(run.1)).sum();
    for part in list.chunks(RUNS_PER_ANSWER) {
        let mut answer =
            Runs { range_pages: pages, count: part.len(), runs: [Run::default(); RUNS_PER_ANSWER] };
        for (run, &(frame, frames)) in answer.runs.iter_mut().zip(part) {
            *run = Run { frame, frames };
        }
        runs.extend(&answer).unwrap();
    }
    for &(frame, frames) in list {
        for frame in frame..frame + frames {
            device.0.borrow_mut().memory.insert(frame.into(), [0xee; 4096]);
        }
    }
    runs
}

fn extents(list: &[(u64, u32, u32)]) -> Extents {
    let mut extents = Extents::EMPTY;
    for &(sector, offset, bytes) in list {
        extents.push(Extent { sector, offset, bytes }).unwrap();
    }
    extents
}

fn read_range(device: &Shared, list: &[(u32, u32)]) -> Vec<u8> {
    let device = device.0.borrow();
    let frames = list.iter().flat_map(|&(frame, frames)| frame..frame + frames);
    frames.flat_map(|frame| device.memory[&u64::from(frame)]).collect()
}

fn check(device: &Shared, list: &[(u32, u32)], extents: &Extents) {
    let bytes = read_range(device, list);
    let mut expected = vec![0xee; bytes.len()];
    for extent in extents.as_slice() {
        for offset in 0..u64::from(extent.bytes) {
            expected[extent.offset as usize + offset as usize] = contents(extent.sector * 512 + offset);
        }
    }
    assert!(bytes == expected);
}

#[test]
fn scattered_reads_arrive_where_they_belong() {
    for (indirect, segments) in [(true, 126), (false, 126), (true, 3), (false, 1)] {
        let device = device(indirect, segments);
        let mut disk = start(&device).unwrap();
        let status = disk.status(256).unwrap();
        assert_eq!((status.sectors, status.pages_in_flight), (SECTORS, 256));
        let frames: Vec<(u32, u32)> = (0..200).map(|index| (5000 + 3 * index, 1 + index % 2)).collect();
        let runs = range(&device, &frames);
        let wanted =
            extents(&[(7, 512, 100 * 512), (900, 65_536, 300_000 / 512 * 512), (4095, 1_000_448, 512)]);
        let slot = disk.submit(Direction::Read, &wanted, &runs, 0).unwrap();
        let completion = loop {
            match disk.next_completion(1) {
                Some(completion) => break completion,
                None => assert!(device.0.borrow().operations < 10_000),
            }
        };
        assert_eq!((completion.slot, completion.frames_safe), (slot, true));
        assert_eq!(completion.written, 0, "there is a gap at the front");
        assert_eq!(
            completion.result.unwrap().bytes,
            wanted.as_slice().iter().map(|e| u64::from(e.bytes)).sum()
        );
        check(&device, &frames, &wanted);
        assert!(disk.take_interrupt() && !disk.take_interrupt());
        assert!(device.0.borrow().largest <= segments as usize);
        assert_eq!(disk.next_completion(2), None);
        assert_eq!(disk.deadline(), None);
    }
}

#[test]
fn scattered_writes_arrive_where_they_belong() {
    for (indirect, segments) in [(true, 126), (false, 126), (true, 3), (false, 1)] {
        let device = device(indirect, segments);
        let mut disk = start(&device).unwrap();
        let frames: Vec<(u32, u32)> = (0..50).map(|index| (5000 + 3 * index, 1 + index % 2)).collect();
        let runs = range(&device, &frames);
        for (index, &(frame, _)) in frames.iter().enumerate() {
            device.0.borrow_mut().memory.insert(frame.into(), [index as u8; 4096]);
        }
        let wanted = extents(&[(7, 512, 100 * 512), (900, 65_536, 512), (4095, 8192, 512)]);
        let before = read_range(&device, &frames);
        let slot = disk.submit(Direction::Write, &wanted, &runs, 0).unwrap();
        let completion = loop {
            match disk.next_completion(1) {
                Some(completion) => break completion,
                None => assert!(device.0.borrow().operations < 10_000),
            }
        };
        assert_eq!((completion.slot, completion.written, completion.frames_safe), (slot, 0, true));
        let bytes: u64 = wanted.as_slice().iter().map(|extent| u64::from(extent.bytes)).sum();
        assert_eq!(completion.result.unwrap().bytes, bytes);
        assert!(read_range(&device, &frames) == before, "the frames are only read");
        for extent in wanted.as_slice() {
            for offset in 0..u64::from(extent.bytes) {
                let found = device.0.borrow().on_disk(extent.sector * 512 + offset);
                assert_eq!(found, before[extent.offset as usize + offset as usize]);
            }
        }
        assert_eq!(device.0.borrow().on_disk(6 * 512), contents(6 * 512), "what was not written stays");
        let status = disk.status(256).unwrap();
        assert_eq!((status.bytes_read, status.bytes_written), (0, bytes));
    }
}

#[test]
fn a_disk_that_cannot_be_written_is_not() {
    let device = device(true, 126);
    device.0.borrow_mut().read_only = true;
    let mut disk = start(&device).unwrap();
    assert!(disk.status(256).unwrap().read_only);
    let runs = range(&device, &[(70, 1)]);
    let wanted = extents(&[(0, 0, 512)]);
    assert_eq!(disk.submit(Direction::Write, &wanted, &runs, 0), Err(BlockError::ReadOnly));
    let runs = range(&device, &[(70, 1)]);
    assert!(disk.submit(Direction::Read, &wanted, &runs, 0).is_ok());
}

#[test]
fn writes_that_fail_are_errors_of_the_request() {
    for (fault, expected) in [
        (Fault::IoAt(103), BlockError::Io),
        (Fault::Unsupported, BlockError::Unsupported),
        (Fault::Short, BlockError::Io),
    ] {
        let device = device(true, 126);
        let mut disk = start(&device).unwrap();
        device.0.borrow_mut().fault = fault;
        let runs = range(&device, &[(70, 2)]);
        disk.submit(Direction::Write, &extents(&[(100, 0, 8192)]), &runs, 0).unwrap();
        let completion = disk.next_completion(1).expect("an answer");
        assert_eq!(completion.result.map_err(|refusal| refusal.error), Err(expected), "{fault:?}");
    }
}

#[test]
fn many_requests_are_in_flight_and_the_table_is_bounded() {
    let device = device(true, 126);
    let mut disk = start(&device).unwrap();
    device.0.borrow_mut().fault = Fault::Silent;
    let list = |index: u32| [(9000 + 10 * index, 2)];
    for index in 0..REQUESTS as u32 {
        let runs = range(&device, &list(index));
        disk.submit(Direction::Read, &extents(&[(u64::from(index) * 16, 0, 8192)]), &runs, 0).unwrap();
    }
    assert!(!disk.has_room());
    assert_eq!(disk.status(256).unwrap().in_flight, REQUESTS as u32);
    let more = range(&device, &[(1, 1)]);
    assert_eq!(disk.submit(Direction::Read, &extents(&[(0, 0, 512)]), &more, 0), Err(BlockError::Busy));
    assert_eq!(device.0.borrow().operations, 0);
    device.0.borrow_mut().fault = Fault::None;
    device.0.borrow_mut().run();
    let mut done = Vec::new();
    while let Some(completion) = disk.next_completion(5) {
        assert!(completion.result.is_ok() && completion.written == 8192);
        done.push(completion.slot);
    }
    done.sort();
    assert_eq!(done, (0..REQUESTS).collect::<Vec<_>>());
    (0..REQUESTS as u32)
        .for_each(|index| check(&device, &list(index), &extents(&[(u64::from(index) * 16, 0, 8192)])));
    assert_eq!(disk.status(256).unwrap().requests, REQUESTS as u64);
}

#[test]
fn what_cannot_be_right_is_refused_before_the_device_sees_it() {
    let device = device(true, 126);
    let mut disk = start(&device).unwrap();
    for (list, error) in [
        (vec![], BlockError::Malformed),
        (vec![(0, 0, 0)], BlockError::Unaligned),
        (vec![(0, 0, 100)], BlockError::Unaligned),
        (vec![(0, 100, 512)], BlockError::Unaligned),
        (vec![(SECTORS, 0, 512)], BlockError::OutOfRange),
        (vec![(u64::MAX, 0, 512)], BlockError::OutOfRange),
        (vec![(0, 0, 512), (SECTORS - 1, 0, 1024)], BlockError::OutOfRange),
        (vec![(0, 4096, 512)], BlockError::OutOfRange),
        (vec![(0, 0xffff_fe00, 0xffff_fe00)], BlockError::OutOfRange),
    ] {
        let runs = range(&device, &[(1, 1)]);
        assert_eq!(disk.submit(Direction::Read, &extents(&list), &runs, 0), Err(error), "{list:?}");
    }
    assert_eq!(device.0.borrow().operations, 0);
}

/// One request of two extents against a fault; the answer.
fn with_fault(fault: Fault) -> (Shared, Disk<Shared, Shared>, Completion) {
    let device = device(true, 2);
    let mut disk = start(&device).unwrap();
    device.0.borrow_mut().fault = fault;
    let runs = range(&device, &[(70, 1), (80, 3)]);
    disk.submit(Direction::Read, &extents(&[(100, 0, 4096), (50, 4096, 8192)]), &runs, 10).unwrap();
    let completion = disk.next_completion(11).or_else(|| disk.next_completion(10 + REQUEST_TIMEOUT_NS));
    (device, disk, completion.expect("an answer"))
}

#[test]
fn faults_of_the_device_are_errors_of_the_request() {
    let io = |sector| Err(Refusal::with_detail(BlockError::Io, sector));
    let plain = |error: BlockError| Err(Refusal::new(error));
    for (fault, expected) in [
        (Fault::IoAt(103), io(100)),
        (Fault::IoAt(50), io(50)),
        (Fault::Unsupported, plain(BlockError::Unsupported)),
        (Fault::Short, io(100)),
        (Fault::OddStatus, io(100)),
        (Fault::Silent, plain(BlockError::TimedOut)),
        (Fault::WrongHead, plain(BlockError::Io)),
        (Fault::HugeHead, plain(BlockError::Io)),
        (Fault::IndexJump, plain(BlockError::Io)),
    ] {
        let (device, mut disk, completion) = with_fault(fault);
        assert_eq!(completion.result.map(|done| done.bytes), expected, "{fault:?}");
        assert!(completion.frames_safe && completion.written == 0, "{fault:?}");
        // The disk goes on once the device behaves.
        device.0.borrow_mut().fault = Fault::None;
        let list = [(200, 2)];
        let runs = range(&device, &list);
        let wanted = extents(&[(8, 0, 8192)]);
        disk.submit(Direction::Read, &wanted, &runs, 0).unwrap();
        let mut completion = None;
        for _ in 0..4 {
            completion = completion.or_else(|| disk.next_completion(1));
        }
        assert!(completion.expect("an answer").result.is_ok(), "{fault:?}");
        check(&device, &list, &wanted);
    }
}

#[test]
fn the_status_of_an_earlier_operation_does_not_count() {
    let device = device(true, 126);
    let mut disk = start(&device).unwrap();
    for (fault, expected) in [(Fault::None, true), (Fault::NoStatus, false)] {
        device.0.borrow_mut().fault = fault;
        let runs = range(&device, &[(70, 1)]);
        disk.submit(Direction::Read, &extents(&[(8, 0, 4096)]), &runs, 0).unwrap();
        assert_eq!(disk.next_completion(1).unwrap().result.is_ok(), expected, "{fault:?}");
    }
}

#[test]
fn a_device_that_does_not_come_out_of_reset_keeps_its_frames() {
    let device = device(true, 126);
    let mut disk = start(&device).unwrap();
    device.0.borrow_mut().fault = Fault::Silent;
    let runs = range(&device, &[(70, 1)]);
    disk.submit(Direction::Read, &extents(&[(0, 0, 4096)]), &runs, 0).unwrap();
    device.0.borrow_mut().fault = Fault::NoReset;
    let completion = disk.next_completion(REQUEST_TIMEOUT_NS).unwrap();
    assert_eq!(completion.result, Err(BlockError::TimedOut.into()));
    assert!(!completion.frames_safe);
    assert_eq!(disk.state(), DiskState::Dead);
    assert!(disk.status(256).is_err());
    let runs = range(&device, &[(70, 1)]);
    assert_eq!(disk.submit(Direction::Read, &extents(&[(0, 0, 512)]), &runs, 0), Err(BlockError::TimedOut));
    assert_eq!(disk.next_completion(u64::MAX), None);
}

#[test]
fn random_use_rings_and_descriptors_never_run_out() {
    for seed in 1..30_u64 {
        let mut random = seed;
        let mut next = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let device = device(seed % 2 == 0, 1 + next(40) as u32);
        let mut disk = start(&device).unwrap();
        let faults = [
            Fault::None,
            Fault::None,
            Fault::None,
            Fault::IoAt(300),
            Fault::Twice,
            Fault::Silent,
            Fault::Short,
        ];
        let (mut submitted, mut completed) = (0, 0);
        for step in 0..300 {
            device.0.borrow_mut().fault = faults[next(7) as usize];
            let list: Vec<(u32, u32)> =
                (0..1 + next(20) as u32).map(|run| (3000 + run * 5, 1 + run % 3)).collect();
            let runs = range(&device, &list);
            let sector = next(SECTORS - 64);
            let wanted =
                extents(&[(sector, 0, 512 * (1 + next(8) as u32)), (sector, 512 * next(7) as u32, 512)]);
            submitted += u32::from(disk.submit(Direction::Read, &wanted, &runs, step * 1000).is_ok());
            while disk.next_completion(step * 1000).is_some() {
                completed += 1;
            }
        }
        device.0.borrow_mut().fault = Fault::None;
        while disk.next_completion(u64::MAX).is_some() {
            completed += 1;
        }
        assert_eq!(submitted, completed, "seed {seed}");
    }
}

#[test]
fn a_device_without_the_needed_is_not_driven() {
    let small = device(true, 126);
    small.0.borrow_mut().queue_size = 8;
    assert_eq!(start(&small).map(|_| ()), Err(TransportError::Queue));
    let stuck = device(true, 126);
    stuck.0.borrow_mut().fault = Fault::NoReset;
    assert_eq!(start(&stuck).map(|_| ()), Err(TransportError::Reset));
}
