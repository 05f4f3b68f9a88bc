//! The ladder: frames lent, called, seized; guarantees met; contracts that end.

use crate::support::{Call, Space, Touch, World, kernel::NOTIFICATION};
use containers_api::container::*;
use containers_api::contract::*;
use containers_api::page::{self, Fate};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError, Name};
use containers_core::record::Records;
use kernel_abi::Handle;
use kernel_abi::fault::RESUME;
use kernel_protocol::ErrorCode;
use physmem_core::limits::*;
use physmem_core::{Outcome, Sent};

const PAGE: u64 = 4096;
const BASE: u64 = 0x100_0000;

/// A machine in which a borrower holds all idle frames as extra ones, in one container, and an owner has guarantees that it
/// does not use.
struct Lent {
    world: World,
    owner: u64,
    borrower: u64,
    container: u64,
    extra: u64,
}

impl Lent {
    fn new() -> Lent {
        let mut world = World::new(400);
        let owner = world.split(world.root(), 200);
        let borrower = world.split_with(world.root(), 20, 380, 0);
        watch(&mut world, borrower);
        let container = world.container(borrower, 400);
        let extra = fill(&mut world, container, borrower);
        world.check();
        Lent { world, owner, borrower, container, extra }
    }

    /// Has the owner ask for frames within its guarantee; the handle at which it waits.
    fn demand(&mut self, pages: u64) -> (u64, Handle) {
        let wanted = self.world.container(self.owner, pages);
        match self.world.call(wanted, &allocate(0, pages), &[]) {
            Call::Waits(handle) => (wanted, handle),
            other => panic!("{other:?}"),
        }
    }

    /// The borrower's call.
    fn call(&mut self) -> CallStatus {
        self.world.ask(self.borrower, &CallStat {}, &[])
    }

    fn gone(&self, from: u64) -> Vec<u64> {
        let is_lost = |&page: &u64| {
            let name = self.world.container_name(self.container);
            containers_core::pages::entry(&self.world.machine, name, page) == containers_core::Entry::LOST
        };
        (from..400).filter(is_lost).collect()
    }
}

fn allocate(first_page: u64, pages: u64) -> Allocate {
    Allocate { first_page, pages, any_contents: false }
}

/// Allocates page after page until refused; extra frames held then.
fn fill(world: &mut World, container: u64, contract: u64) -> u64 {
    let mut page = 0;
    loop {
        match world.call(container, &allocate(page, 1), &[]) {
            Call::Reply(..) => page += 1,
            Call::Refused(refusal) => {
                assert_eq!(refusal.error, MemoryError::ContractExhausted);
                return world.stat(contract).extra;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn watch(world: &mut World, contract: u64) {
    let sent = [Sent::Handle(NOTIFICATION)];
    match world.raw(contract, <Watch as kernel_protocol::Request>::LABEL, &[], &sent) {
        Outcome::Answered(answer) => assert_eq!(answer.label, 0),
        other => panic!("{other:?}"),
    }
}

fn label_of(world: &World, handle: Handle) -> Option<u32> {
    world.machine.pmap.answers.iter().rfind(|answer| answer.0 == handle).map(|answer| answer.1)
}

#[test]
fn nine_tenths_of_what_guarantees_leave_idle_are_lent() {
    let mut lent = Lent::new();
    let root = lent.world.root();
    let idle = lent.world.stat(root).guaranteed + lent.world.stat(lent.owner).guaranteed;
    assert!(lent.extra * 10 >= idle * 9, "{} of {idle}", lent.extra);
}

#[test]
fn a_charge_within_the_guarantee_waits_for_the_term_and_the_grace_and_no_longer() {
    let mut lent = Lent::new();
    let begun = lent.world.now;
    let (wanted, handle) = lent.demand(100);
    // While somebody waits nobody gets more extra frames.
    let more = lent.world.refusal(lent.container, &allocate(399, 1), &[]);
    assert_eq!(more, MemoryError::ContractExhausted);
    lent.world.run_until(begun + EXTRA_TERM_NS - 1);
    assert_eq!(lent.call().frames, 0, "before the end of their term the frames are the borrower's");
    assert_eq!(label_of(&lent.world, handle), None);
    lent.world.run_until(begun + EXTRA_TERM_NS);
    assert!(lent.call().frames >= 80, "{:?}", lent.call());
    assert_eq!(label_of(&lent.world, handle), None, "the borrower has its grace");
    lent.world.run_until(begun + EXTRA_TERM_NS + CALL_GRACE_NS);
    assert_eq!(label_of(&lent.world, handle), Some(MemoryError::Again.code()));
    lent.world.ask(wanted, &allocate(0, 100), &[]);
    lent.world.check();
    assert_eq!(lent.world.stat(lent.borrower).standing, STANDING_MAX - 1, "it did not answer");
}

#[test]
fn frames_that_were_waited_for_are_kept_for_who_waited() {
    let mut lent = Lent::new();
    let (wanted, handle) = lent.demand(100);
    let until = lent.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    lent.world.run_until(until);
    assert!(label_of(&lent.world, handle).is_some());
    assert!(lent.world.stat(lent.owner).claimed >= 90);
    fill(&mut lent.world, lent.container, lent.borrower);
    lent.world.ask(wanted, &allocate(0, 100), &[]);
    assert!(lent.world.stat(lent.owner).claimed < 10, "what bookkeeping might have needed");
    lent.world.check();
}

#[test]
fn a_claim_that_nobody_uses_lapses() {
    let mut lent = Lent::new();
    lent.demand(100);
    let until = lent.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    lent.world.run_until(until);
    let extra = fill(&mut lent.world, lent.container, lent.borrower);
    let until = lent.world.now + CLAIM_TERM_NS;
    lent.world.run_until(until);
    assert_eq!(lent.world.stat(lent.owner).claimed, 0);
    assert!(fill(&mut lent.world, lent.container, lent.borrower) >= extra + 90);
}

#[test]
fn who_gives_pages_back_and_takes_others_does_not_wait_for_what_was_lent() {
    let mut world = World::new(400);
    let owner = world.split(world.root(), 200);
    let borrower = world.split_with(world.root(), 20, 380, 0);
    let worked_on = world.container(owner, 100);
    world.ask(worked_on, &allocate(0, 100), &[]);
    let container = world.container(borrower, 400);
    let extra = fill(&mut world, container, borrower);
    for _ in 0..3 {
        world.ask(worked_on, &Deallocate { first_page: 0, pages: 100 }, &[]);
        assert_eq!(world.stat(owner).claimed, 100);
        assert_eq!(fill(&mut world, container, borrower), extra, "what was given back is not lent at once");
        world.ask(worked_on, &allocate(0, 100), &[]);
        world.check();
    }
    // What is not needed again is lent after a while, also where some of it is.
    world.ask(worked_on, &Deallocate { first_page: 0, pages: 100 }, &[]);
    let begun = world.now;
    world.run_until(begun + CLAIM_TERM_NS / 2);
    world.ask(worked_on, &allocate(0, 1), &[]);
    world.ask(worked_on, &Deallocate { first_page: 0, pages: 1 }, &[]);
    world.run_until(begun + CLAIM_TERM_NS);
    assert_eq!(world.stat(owner).claimed, 0);
    assert!(fill(&mut world, container, borrower) >= extra + 99);
    world.check();
}

#[test]
fn what_is_given_back_outlasts_a_borrower_that_takes_a_third_of_the_memory_at_once() {
    let mut world = World::new(400);
    let owner = world.split(world.root(), 200);
    let borrower = world.split_with(world.root(), 20, 380, 0);
    let worked_on = world.container(owner, 180);
    world.ask(worked_on, &allocate(0, 180), &[]);
    let container = world.container(borrower, 400);
    world.ask(container, &allocate(0, 40), &[]);
    assert!(world.stat(borrower).extra > 0, "lending has begun");
    let third = world.machine.room() * 2 / 3;
    assert!(third > 400 / 8, "room is left");
    world.ask(worked_on, &Deallocate { first_page: 0, pages: 180 }, &[]);
    world.ask(container, &allocate(40, third), &[]);
    fill(&mut world, container, borrower);
    world.ask(worked_on, &allocate(0, 180), &[]);
    world.check();
}

#[test]
fn who_answers_a_call_in_time_loses_nothing_else() {
    let mut lent = Lent::new();
    let (_, handle) = lent.demand(100);
    let until = lent.world.now + EXTRA_TERM_NS;
    lent.world.run_until(until);
    assert_eq!(lent.world.machine.pmap.signals.len(), 1);
    let frames = lent.call().frames;
    lent.world.ask(lent.container, &Deallocate { first_page: 0, pages: frames }, &[]);
    assert_eq!(label_of(&lent.world, handle), Some(MemoryError::Again.code()));
    let until = lent.world.now + 2 * CALL_GRACE_NS;
    lent.world.run_until(until);
    let status = lent.call();
    assert_eq!((status.sequence, status.met, status.frames), (1, 1, 0));
    let contract = lent.world.stat(lent.borrower);
    assert_eq!((contract.standing, contract.seized), (STANDING_MAX, 0));
}

#[test]
fn who_ignores_calls_is_no_longer_asked_until_time_has_passed() {
    let mut lent = Lent::new();
    for round in 0..STANDING_MAX {
        let (wanted, _) = lent.demand(100);
        let until = lent.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
        lent.world.run_until(until);
        assert_eq!(lent.world.stat(lent.borrower).standing, STANDING_MAX - 1 - round);
        lent.world.ask(wanted, &ContainerDestroy {}, &[]);
        lent.world.ask(lent.container, &Deallocate { first_page: 0, pages: 400 }, &[]);
        let until = lent.world.now + CLAIM_TERM_NS;
        lent.world.run_until(until);
        fill(&mut lent.world, lent.container, lent.borrower);
    }
    let calls = lent.call().sequence;
    let (_, handle) = lent.demand(100);
    let until = lent.world.now + EXTRA_TERM_NS;
    lent.world.run_until(until);
    assert_eq!(lent.call().sequence, calls, "it is not asked");
    assert_eq!(label_of(&lent.world, handle), Some(MemoryError::Again.code()), "nor waited for");
    let until = lent.world.now + STANDING_MAX * STANDING_RECOVERY_NS;
    lent.world.run_until(until);
    assert_eq!(lent.world.stat(lent.borrower).standing, STANDING_MAX);
}

#[test]
fn what_is_seized_is_lost_and_said_so() {
    let mut lent = Lent::new();
    let space = lent.world.space(lent.owner);
    lent.world.map(space, lent.container, BASE, 400);
    lent.demand(100);
    let until = lent.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    lent.world.run_until(until);
    let gone = lent.gone(0);
    assert!(gone.len() >= 80, "{gone:?}");
    let status: ContainerStatus = lent.world.ask(lent.container, &ContainerStat {}, &[]);
    assert_eq!(status.lost, gone.len() as u64);
    let touched = lent.world.touch(space, BASE + gone[0] * PAGE, None);
    assert_eq!(touched, Touch::Ended(FaultReason::Repossessed));
    let elsewhere = lent.world.container(lent.owner, 4);
    let copy = Copy { source_offset: gone[0] * PAGE, destination_offset: 0, bytes: 10 };
    assert_eq!(lent.world.refusal(lent.container, &copy, &[elsewhere]), MemoryError::Lost);
    let into_part = Copy { source_offset: 0, destination_offset: gone[0] * PAGE + 8, bytes: 10 };
    assert_eq!(lent.world.refusal(elsewhere, &into_part, &[lent.container]), MemoryError::Lost);
    check_record(&mut lent, &gone);
    // Deallocating makes the page good again, as zeros.
    lent.world.ask(lent.container, &Deallocate { first_page: gone[0], pages: 1 }, &[]);
    lent.world.ask(lent.container, &copy, &[elsewhere]);
    lent.world.check();
}

/// The repossession record names exactly what is gone.
fn check_record(lent: &mut Lent, gone: &[u64]) {
    let name = lent.world.machine.resolve(physmem_core::badge::Badge(lent.borrower).name()).unwrap();
    let frame = lent.world.machine.get(name, physmem_core::layout::contract::PAGE);
    let words = *lent.world.machine.words(frame);
    assert!(words[page::contract::SEQUENCE].is_multiple_of(2));
    let mut told = Vec::new();
    for index in 0..words[page::contract::SEIZURES] as usize {
        let entry = &words[page::contract::RECORD + index * page::contract::RECORD_ENTRY..][..4];
        told.extend(entry[1]..entry[1] + entry[2]);
        assert_eq!(entry[3] & 0xff, Fate::Lost as u64);
    }
    told.sort_unstable();
    assert_eq!(told, gone);
}

#[test]
fn seizure_keeps_to_the_clients_order_and_spares_the_vital_set() {
    let mut world = World::new(260);
    let root = world.root();
    let owner = world.split_with(root, 120, 0, 0);
    let borrower = world.split_with(root, 60, 120, 0);
    let used = world.container(root, 60);
    world.ask(used, &allocate(0, 55), &[]);
    let containers: Vec<u64> = (0..4).map(|_| world.container(borrower, 40)).collect();
    let [plain, vital, ranked, discardable] = containers[..] else { unreachable!() };
    world.ask(vital, &SetEviction { rank: 0, discardable: false, vital: true }, &[]);
    world.ask(ranked, &SetEviction { rank: 7, discardable: false, vital: false }, &[]);
    world.ask(discardable, &SetEviction { rank: 9, discardable: true, vital: false }, &[]);
    for &container in &containers {
        world.ask(container, &allocate(0, 40), &[]);
    }
    let lost = |world: &mut World, container: u64| -> u64 {
        let status: ContainerStatus = world.ask(container, &ContainerStat {}, &[]);
        status.lost
    };
    for (demand, expected) in [(40, [0, 0, 0, 1]), (70, [0, 0, 1, 2]), (112, [1, 0, 2, 2])] {
        let wanted = world.container(owner, 200);
        let held = world.stat(owner).pages;
        if !matches!(world.call(wanted, &allocate(0, demand - held), &[]), Call::Waits(_)) {
            panic!("there were frames left");
        }
        let until = world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
        world.run_until(until);
        world.ask(wanted, &allocate(0, demand - held), &[]);
        for (container, wanted) in [plain, vital, ranked, discardable].into_iter().zip(expected) {
            let class = match lost(&mut world, container) {
                0 => 0,
                40 => 2,
                _ => 1,
            };
            assert_eq!(class, wanted, "{demand}");
        }
    }
}

#[test]
fn taking_a_page_breaks_fill_and_stable_locks_and_spares_pinned_ones() {
    let mut world = World::new(200);
    let owner = world.split_with(world.root(), 100, 0, 0);
    let borrower = world.split_with(world.root(), 40, 190, 8);
    let container = world.container(borrower, 200);
    world.ask(container, &SetEviction { rank: 1, discardable: false, vital: false }, &[]);
    let grant = world.grant(container, 30, ContainerRights::all());
    fill(&mut world, container, borrower);
    let lock = |first_page, pages, mode| Lock { first_page, pages, mode, term_ns: u64::MAX };
    let long = Grant { first_page: 0, pages: 30, rights: ContainerRights::all(), maximum_lock_ns: u64::MAX };
    let granted = world.ask_badge(container, &long, &[]);
    let pinned = world.ask(granted, &lock(0, 8, LockMode::Dma), &[]).lock;
    let filled = world.ask(granted, &lock(8, 8, LockMode::Fill), &[]).lock;
    let stable = world.ask(granted, &lock(16, 8, LockMode::Stable), &[]).lock;
    let wanted = world.container(owner, 90);
    assert!(matches!(world.call(wanted, &allocate(0, 85), &[]), Call::Waits(_)));
    let until = world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    world.run_until(until);
    world.ask(wanted, &allocate(0, 85), &[]);
    let unlock = |lock, filled_bytes| Unlock { lock, filled_bytes };
    assert_eq!(world.refusal(granted, &unlock(filled, 0), &[]), MemoryError::LockGone);
    assert_eq!(world.refusal(granted, &unlock(stable, 0), &[]), MemoryError::LockGone);
    world.ask(granted, &unlock(pinned, 0), &[]);
    let _ = grant;
    world.check();
}

#[test]
fn a_fault_within_the_guarantee_waits_too() {
    let mut lent = Lent::new();
    let space = lent.world.space(lent.owner);
    let wanted = lent.world.container(lent.owner, 100);
    lent.world.map(space, wanted, BASE, 100);
    let handle = touch_until_it_waits(&mut lent.world, space);
    let until = lent.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    lent.world.run_until(until);
    assert_eq!(label_of(&lent.world, handle), Some(RESUME));
    lent.world.write(space, BASE + 99 * PAGE, 7);
}

fn touch_until_it_waits(world: &mut World, space: Space) -> Handle {
    for page in 0..100 {
        match world.touch(space, BASE + page * PAGE, Some(1)) {
            Touch::Byte(_) => {}
            Touch::Waits(handle) => return handle,
            other => panic!("{other:?}"),
        }
    }
    panic!("it never had to wait");
}

#[test]
fn renewal_is_granted_while_nobody_waits() {
    let mut lent = Lent::new();
    let until = lent.world.now + EXTRA_TERM_NS / 2;
    lent.world.run_until(until);
    let renewed: Renewed = lent.world.ask(lent.borrower, &Renew {}, &[]);
    assert_eq!((renewed.frames, renewed.until), (lent.extra, lent.world.now + EXTRA_TERM_NS));
    lent.demand(100);
    assert_eq!(lent.world.refusal(lent.borrower, &Renew {}, &[]), MemoryError::UnderPressure);
    lent.world.run_until(renewed.until - 1);
    assert_eq!(lent.call().frames, 0, "not before the new end of the term");
}

#[test]
fn a_contract_that_is_over_gets_notice_and_ends() {
    let mut world = World::new(200);
    let before = world.free_frames();
    let term_ns = 5 * CALL_GRACE_NS;
    let name = Name::new("short").unwrap();
    let child = world.ask_badge(world.root(), &Split { term_ns, ..Split::new(40, 0, 0, name) }, &[]);
    let grandchild = world.split_with(child, 10, 0, 0);
    let container = world.container(grandchild, 10);
    world.ask(container, &allocate(0, 5), &[]);
    watch(&mut world, child);
    let ends = world.stat(child).expires;
    assert_eq!(ends, world.now + term_ns);
    assert_eq!(world.stat(grandchild).expires, ends, "nothing below lasts longer");
    world.run_until(ends - CALL_GRACE_NS);
    assert_eq!(world.machine.pmap.signals.len(), 1, "notice");
    assert_eq!(world.stat(child).pages, 0);
    world.run_until(ends);
    assert_eq!(world.refusal(child, &ContractStat {}, &[]), MemoryError::Stale);
    assert_eq!(world.refusal(container, &ContainerStat {}, &[]), MemoryError::Stale);
    assert_eq!(world.free_frames(), before);
}

#[test]
fn a_parent_extends_the_term_and_nobody_else() {
    let mut world = World::new(200);
    let name = Name::new("short").unwrap();
    let split = |term_ns| Split { term_ns, ..Split::new(40, 0, 0, name) };
    let root = world.root();
    let child = world.ask_badge(root, &split(CONTRACT_TERM_MIN_NS), &[]);
    let other = world.split(root, 10);
    let extend = Extend { term_ns: 10 * CONTRACT_TERM_MIN_NS };
    assert_eq!(world.refusal(other, &extend, &[child]), MemoryError::WrongObject);
    world.ask(root, &extend, &[child]);
    let until = world.now + 2 * CONTRACT_TERM_MIN_NS;
    world.run_until(until);
    assert_eq!(world.stat(child).pages, 0, "it is still there");
    world.ask(root, &Extend { term_ns: 0 }, &[child]);
    assert_eq!(world.stat(child).expires, u64::MAX);
    for bad in [split(1), split(CONTRACT_TERM_MIN_NS - 1), split(u64::MAX)] {
        assert_eq!(world.refusal(root, &bad, &[]), MemoryError::OutOfRange);
    }
}

#[test]
fn guarantees_are_handed_down_and_taken_back_from_who_does_not_want_to_give() {
    let mut world = World::new(200);
    let root = world.root();
    let child = world.split_with(root, 40, 0, 10);
    world.ask(root, &HandDown { guaranteed: 20, pin_limit: 5 }, &[child]);
    let status = world.stat(child);
    assert_eq!((status.guaranteed, status.pin_limit), (60, 15));
    let container = world.container(child, 60);
    world.ask(container, &allocate(0, 50), &[]);
    world.ask(root, &TakeBack { guaranteed: 30, pin_limit: 5 }, &[child]);
    let status: CallStatus = world.ask(child, &CallStat {}, &[]);
    assert!(status.frames > 0, "what is beyond the limit is called at once: {status:?}");
    let until = world.now + CALL_GRACE_NS;
    world.run_until(until);
    let status = world.stat(child);
    assert_eq!((status.guaranteed, status.extra), (30, 0));
    let too_much = TakeBack { guaranteed: 31, pin_limit: 0 };
    assert_eq!(world.refusal(root, &too_much, &[child]), MemoryError::NotAdmitted);
    assert_eq!(world.refusal(child, &too_much, &[root]), MemoryError::WrongObject);
}

#[test]
fn a_merged_child_is_its_parents_own() {
    let mut world = World::new(300);
    let parent = world.split_with(world.root(), 150, 20, 20);
    let child = world.split_with(parent, 80, 10, 10);
    let grandchild = world.split(child, 20);
    let space = world.space(child);
    let container = world.container(child, 20);
    world.map(space, container, BASE, 20);
    world.write(space, BASE, 5);
    world.ask(container, &SetEviction { rank: 3, discardable: false, vital: false }, &[]);
    watch(&mut world, child);
    world.check();
    let (all, theirs) = (world.stat(parent), world.stat(child));
    world.ask(parent, &Merge {}, &[child]);
    world.check();
    assert_eq!(world.refusal(child, &ContractStat {}, &[]), MemoryError::Stale);
    let merged = world.stat(parent);
    assert_eq!(merged.guaranteed, all.guaranteed + theirs.guaranteed);
    assert_eq!((merged.pages, merged.handed_on), (all.pages + theirs.pages, 20));
    assert_eq!(world.read(space, BASE), 5);
    world.write(space, BASE + PAGE, 6);
    world.ask(container, &allocate(0, 20), &[]);
    let more = world.container(grandchild, 4);
    world.ask(more, &allocate(0, 4), &[]);
    world.check();
    let before = world.free_frames();
    world.ask(parent, &ContractDestroy {}, &[]);
    world.check();
    assert!(world.free_frames() > before);
}

#[test]
fn vital_pages_are_firm() {
    let mut world = World::new(200);
    let contract = world.split_with(world.root(), 40, 20, 10);
    let container = world.container(contract, 30);
    let vital = SetEviction { rank: 0, discardable: false, vital: true };
    world.ask(container, &vital, &[]);
    assert_eq!(world.stat(contract).vital, 30);
    assert_eq!(world.refusal(container, &Resize { pages: 60 }, &[]), MemoryError::NotAdmitted);
    let other = world.container(contract, 20);
    assert_eq!(world.refusal(other, &vital, &[]), MemoryError::NotAdmitted);
    world.ask(container, &Resize { pages: 10 }, &[]);
    assert_eq!(world.stat(contract).vital, 10);
    world.ask(container, &SetEviction { vital: false, ..vital }, &[]);
    assert_eq!(world.stat(contract).vital, 0);
    world.ask(container, &vital, &[]);
    world.ask(container, &ContainerDestroy {}, &[]);
    assert_eq!(world.stat(contract).vital, 0);
    world.check();
}

#[test]
fn a_large_contract_goes_in_steps_and_others_are_served_between_them() {
    let mut world = World::new(5000);
    let (large, other) = (world.split(world.root(), 4200), world.split(world.root(), 20));
    let container = world.container(large, 4000);
    for part in 0..4 {
        world.ask(container, &allocate(part * 1000, 1000), &[]);
    }
    let Call::Waits(handle) = world.call(large, &ContractDestroy {}, &[]) else {
        panic!("it was done at once")
    };
    assert_eq!(world.refusal(large, &ContractStat {}, &[]), MemoryError::Stale);
    let mut steps = 0;
    while world.machine.has_work() {
        world.machine.work(world.now);
        world.stat(other);
        steps += 1;
    }
    assert!(steps >= 4, "{steps}");
    assert_eq!(label_of(&world, handle), Some(0));
    world.check();
}

#[test]
fn how_pages_are_used_is_told_to_their_owner() {
    let mut world = World::new(200);
    let contract = world.split(world.root(), 80);
    let (space, other) = (world.space(contract), world.space(contract));
    let container = world.container(contract, 8);
    world.map(space, container, BASE, 8);
    world.map(other, container, BASE, 8);
    world.write(space, BASE, 1);
    world.read(other, BASE + 2 * PAGE);
    let query = |clear| PageQuery { first_page: 0, pages: 4, clear };
    let states = world.ask(container, &query(true), &[]).states;
    let used = PAGE_PRESENT | PAGE_REFERENCED;
    assert_eq!(states.as_slice(), [used | PAGE_DIRTY, 0, used, 0]);
    let states = world.ask(container, &query(false), &[]).states;
    assert_eq!(states.as_slice(), [PAGE_PRESENT, 0, PAGE_PRESENT, 0]);
    let grant = world.grant(container, 4, ContainerRights::MAP);
    assert_eq!(world.refusal(grant, &query(true), &[]), MemoryError::MissingRight);
    let too_many = PageQuery { first_page: 0, pages: QUERY_PAGES_MAX + 1, clear: false };
    world.ask(container, &Resize { pages: 1000 }, &[]);
    assert_eq!(world.refusal(container, &too_many, &[]), MemoryError::Limit);
}
