//! Events in rings.

use crate::harness::{MEMORY, MEMORY_PAGES, System, boot_handle, info};
use crate::pair::{BADGE, ENDPOINT, Pair};
use kernel_abi::trace::{
    EVENT_WORDS, EVENTS_PER_PAGE, Event, EventKind, RING_AT_CAPACITY, RING_AT_EVENTS, RING_AT_WRITTEN,
};
use kernel_abi::{FRAME_BYTES, KernelError, SystemCall, boot};
use kernel_core::trace::Tracer;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages of a ring here.
const PAGES: usize = 2;

fn rings(processors: usize) -> &'static [AtomicU64] {
    Vec::leak((0..processors * PAGES * 512).map(|_| AtomicU64::new(0)).collect())
}

fn traced(system: &mut System) -> &'static [AtomicU64] {
    let rings = rings(1);
    system.kernel.trace_into(Tracer::new(rings, PAGES, 1));
    rings
}

fn word(ring: &[AtomicU64], index: usize) -> u64 {
    ring[index].load(Ordering::Relaxed)
}

fn events(ring: &[AtomicU64]) -> Vec<Event> {
    let event = |number: u64| {
        let place = RING_AT_EVENTS + number as usize * EVENT_WORDS;
        Event::from_words(std::array::from_fn(|index| word(ring, place + index))).expect("it is one")
    };
    (0..word(ring, RING_AT_WRITTEN)).map(event).collect()
}

fn kinds(ring: &[AtomicU64]) -> Vec<EventKind> {
    events(ring).iter().map(|event| event.kind).collect()
}

#[test]
fn a_call_and_its_answer_are_told_by_whatever_path() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    let ring = traced(&mut pair.system);
    pair.system.kernel.machine.time = 77;
    pair.call(pair.client, &[1]);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(9, 0)]);
    use EventKind::{Call, Reply, Switch};
    assert_eq!(kinds(ring), [Call, Switch, Reply, Switch]);
    let told = events(ring);
    assert_eq!(
        (told[0].subject, told[0].arguments[1..4].to_vec()),
        (pair.client.number(), vec![BADGE, 7, 0])
    );
    assert_eq!((told[1].subject, told[1].time), (pair.server.number(), 77));
    let task = u64::from(pair.server_task.link.number());
    assert_eq!((told[1].arguments[0], told[1].arguments[3]), (task, 6), "task and priority");
    assert_eq!(told[2].subject, pair.server.number());
    assert_eq!(told[2].arguments[..2], [u64::from(pair.client.number()), 9]);
    assert_eq!(told[3].subject, pair.client.number());
}

#[test]
fn a_call_that_fails_a_fault_and_an_end_are_told() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    let ring = traced(&mut pair.system);
    pair.call_until(pair.client, &[1], 1000);
    pair.park();
    pair.system.pass(5000);
    assert_eq!(pair.system.status(pair.client), Err(KernelError::TimedOut));
    let failed: Vec<_> = events(ring).into_iter().filter(|one| one.kind == EventKind::CallFailed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].subject, failed[0].arguments[0]),
        (pair.client.number(), KernelError::TimedOut.status())
    );
    pair.run(pair.client);
    let address = MEMORY + MEMORY_PAGES * FRAME_BYTES;
    pair.system.fault(address, 0);
    let fault = *events(ring).iter().find(|one| one.kind == EventKind::Fault).expect("it is told");
    assert_eq!((fault.subject, fault.arguments[0]), (pair.client.number(), address));
    let client_task = pair.client_task;
    let boss = pair.system.boss;
    assert_eq!(pair.system.current(), boss, "the pager has the fault");
    pair.system.issue(SystemCall::ReplyReceive, &[boot_handle(boot::ENDPOINT), info(5, 0)]);
    let answered = *events(ring).iter().find(|one| one.kind == EventKind::FaultAnswered).expect("it is told");
    assert_eq!((answered.subject, answered.arguments[0]), (pair.client.number(), 5));
    pair.system.dismantle(client_task);
    let ended = events(ring).iter().filter(|one| one.kind == EventKind::ThreadEnded).count();
    assert_eq!(ended, 2, "both threads of the client");
}

#[test]
fn the_newest_event_takes_the_place_of_the_oldest() {
    let mut system = System::new();
    let ring = traced(&mut system);
    let capacity = word(ring, RING_AT_CAPACITY);
    assert_eq!(capacity as usize, (PAGES - 1) * EVENTS_PER_PAGE);
    let kind = EventKind::DiskRead as u64;
    let written = word(ring, RING_AT_WRITTEN);
    for number in 0..capacity + 3 {
        system.ok(SystemCall::TraceWrite, &[boot_handle(boot::TRACE), kind, number, 2, 3, 4]);
    }
    // The boss was said to go on once, after its first call.
    assert_eq!(word(ring, RING_AT_WRITTEN), written + capacity + 4);
    let place = (written + capacity + 3) % capacity;
    let newest = RING_AT_EVENTS + place as usize * EVENT_WORDS;
    let words = std::array::from_fn(|index| word(ring, newest + index));
    let event = Event::from_words(words).expect("it is one");
    assert_eq!(event.arguments, [capacity + 2, 2, 3, 4, 0, 0]);
    assert_eq!((event.kind, event.subject), (EventKind::DiskRead, system.boss.number()));
}

#[test]
fn servers_need_the_right_and_cannot_speak_for_the_kernel() {
    let mut system = System::new();
    let write = |system: &mut System, handle, kind| system.call(SystemCall::TraceWrite, &[handle, kind]);
    let trace = boot_handle(boot::TRACE);
    let kind = EventKind::ContractCalled as u64;
    assert_eq!(write(&mut system, trace, kind), Ok(0), "without rings nothing is written");
    let ring = traced(&mut system);
    assert_eq!(write(&mut system, boot_handle(boot::LOG), kind), Err(KernelError::WrongKind));
    assert_eq!(write(&mut system, 99, kind), Err(KernelError::InvalidHandle));
    for kind in [0, EventKind::Switch as u64, EventKind::ThreadEnded as u64, 15, u64::MAX] {
        assert_eq!(write(&mut system, trace, kind), Err(KernelError::InvalidArgument));
    }
    assert!(kinds(ring).iter().all(|&kind| kind == EventKind::Switch));
}

#[test]
fn each_processor_has_a_ring() {
    let mut system = System::with_processors(2);
    let rings = rings(2);
    system.kernel.trace_into(Tracer::new(rings, PAGES, 2));
    system.ok(SystemCall::Yield, &[]);
    system.on(1);
    system.kernel.device_interrupt(5);
    let (first, second) = rings.split_at(PAGES * 512);
    assert_eq!(kinds(first), [EventKind::Switch]);
    assert_eq!(kinds(second), [EventKind::Interrupt]);
    assert_eq!((events(second)[0].processor, events(second)[0].arguments[0]), (1, 5));
}
