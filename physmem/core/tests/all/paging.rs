//! Paging: pages that go out and come in, who pays, and pagers that do not do as they are asked.

use crate::support::pager::{FakePager, authority};
use crate::support::{Call, Space, Touch, World};
use containers_api::container::*;
use containers_api::contract::Split;
use containers_api::pager::*;
use containers_api::{FaultReason, LockMode, MemoryError, Name};
use kernel_protocol::ErrorCode;

const PAGE: u64 = 4096;
const BASE: u64 = 0x100_0000;

/// A contract with so many frames and a swap limit, with a task that maps a container of so many pages.
struct Small {
    world: World,
    pager: FakePager,
    contract: u64,
    space: Space,
    container: u64,
}

fn swapping(world: &mut World, guaranteed: u64, swap_limit: u64) -> u64 {
    let split =
        Split { swap_limit, ..Split::new(guaranteed, 0, guaranteed / 2, Name::new("small").unwrap()) };
    world.ask_badge(world.root(), &split, &[])
}

impl Small {
    fn new(guaranteed: u64, swap_limit: u64, pages: u64) -> Small {
        let mut world = World::new(1200);
        let pager = FakePager::new(&mut world, 4000);
        let contract = swapping(&mut world, guaranteed, swap_limit);
        let space = world.space(contract);
        let container = world.container(contract, pages);
        world.map(space, container, BASE, pages);
        Small { world, pager, contract, space, container }
    }

    /// Writes a page, with the pager at work whenever it is needed.
    fn write(&mut self, page: u64, value: u8) {
        self.touch(page, Some(value));
    }

    fn touch(&mut self, page: u64, write: Option<u8>) -> u8 {
        for _ in 0..20 {
            match self.world.touch(self.space, BASE + page * PAGE, write) {
                Touch::Byte(byte) => return byte,
                Touch::Waits(_) => self.pager.work(&mut self.world),
                Touch::Ended(reason) => panic!("page {page}: {reason}"),
            }
        }
        panic!("page {page} never comes");
    }

    fn out(&self) -> u64 {
        FakePager::out(&self.world, self.container)
    }

    /// Writes pages until one is out whose page-out has been answered, then has the first be out alone.
    fn fill(&mut self, pages: u64) {
        (0..pages).for_each(|page| self.write(page, page as u8 + 1));
        self.pager.work(&mut self.world);
        self.world.check();
    }
}

fn stamp(round: u64, page: u64) -> u8 {
    (round * 31 + page * 7 + 1) as u8
}

#[test]
fn four_times_a_contracts_memory_is_read_and_written() {
    let mut small = Small::new(60, 400, 200);
    for round in 0..4 {
        for page in 0..200 {
            if round != 0 {
                assert_eq!(small.touch(page, None), stamp(round - 1, page), "page {page} in round {round}");
            }
            small.write(page, stamp(round, page));
            if page % 16 == 0 {
                small.world.check();
            }
        }
    }
    let status = small.world.machine.swap_status();
    assert!(status.paged_out >= 600 && status.paged_in >= 150, "{status:?}");
    assert_eq!(status.lost, 0);
    small.world.ask(small.contract, &containers_api::contract::ContractDestroy {}, &[]);
    small.pager.work(&mut small.world);
    small.pager.work(&mut small.world);
    small.world.check();
    assert_eq!(small.world.machine.swap_status().swapped, 0);
    assert_eq!(
        small.pager.names.len() as u64,
        small.world.machine.swap_status().used,
        "names are given back"
    );
}

#[test]
fn a_page_that_was_only_read_goes_out_without_being_written_again() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    for page in 0..200 {
        assert_eq!(small.touch(page, None), page as u8 + 1);
    }
    let before = small.world.machine.swap_status();
    for page in 0..200 {
        assert_eq!(small.touch(page, None), page as u8 + 1);
    }
    let after = small.world.machine.swap_status();
    assert!(after.dropped_clean > before.dropped_clean + 100, "{before:?} {after:?}");
    assert!(after.paged_out < before.paged_out + 60, "{before:?} {after:?}");
    small.world.check();
}

#[test]
fn without_a_swap_limit_nothing_goes_out() {
    let mut small = Small::new(60, 0, 200);
    let mut page = 0;
    let reason = loop {
        match small.world.touch(small.space, BASE + page * PAGE, Some(1)) {
            Touch::Byte(_) => page += 1,
            Touch::Ended(reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(reason, FaultReason::ContractExhausted | FaultReason::NoRecord));
    assert_eq!(small.out(), 0);
}

#[test]
fn a_swap_limit_holds() {
    let mut small = Small::new(60, 20, 200);
    let mut page = 0;
    let reason = loop {
        match small.world.touch(small.space, BASE + page * PAGE, Some(1)) {
            Touch::Byte(_) => page += 1,
            Touch::Waits(_) => small.pager.work(&mut small.world),
            Touch::Ended(reason) => break reason,
        }
    };
    assert!(matches!(reason, FaultReason::ContractExhausted | FaultReason::NoRecord));
    assert_eq!(small.out(), 20);
    small.world.check();
}

#[test]
fn a_copy_of_what_is_out_is_out_and_is_written_once() {
    let mut small = Small::new(120, 400, 200);
    let copy = small.world.container(small.contract, 200);
    (0..40).for_each(|page| small.write(page, page as u8 + 1));
    let request = Copy { source_offset: 0, destination_offset: 0, bytes: 40 * PAGE };
    small.world.ask(small.container, &request, &[copy]);
    // Both holders go out, and more than they.
    small.fill(200);
    let written = small.world.machine.swap_status().paged_out;
    let third = small.world.container(small.contract, 200);
    let request = Copy { source_offset: 0, destination_offset: 0, bytes: 200 * PAGE };
    loop {
        match small.world.call(small.container, &request, &[third]) {
            Call::Reply(..) => break,
            Call::Waits(_) => small.pager.work(&mut small.world),
            Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::Again),
        }
    }
    small.world.check();
    assert!(FakePager::out(&small.world, third) >= 60, "what is out is copied as such");
    assert!(small.world.machine.swap_status().paged_out <= written + 200, "not once for each holder");
    let space = small.world.space(small.contract);
    small.world.map(space, third, BASE, 200);
    for page in 0..200 {
        let byte = loop {
            match small.world.touch(space, BASE + page * PAGE, None) {
                Touch::Byte(byte) => break byte,
                Touch::Waits(_) => small.pager.work(&mut small.world),
                Touch::Ended(reason) => panic!("{reason}"),
            }
        };
        assert_eq!(byte, page as u8 + 1);
    }
    small.world.check();
}

#[test]
fn bytes_of_a_page_that_is_out_are_copied_when_it_has_come_in() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    let other = small.world.container(small.contract, 2);
    let request = Copy { source_offset: 100, destination_offset: 0, bytes: 200 };
    let Call::Waits(handle) = small.world.call(small.container, &request, &[other]) else {
        panic!("the page is in memory");
    };
    small.pager.work(&mut small.world);
    let label = small.world.machine.pmap.answers.iter().rfind(|answer| answer.0 == handle).unwrap().1;
    assert_eq!(label, MemoryError::Again.code());
    small.write(0, 9);
    loop {
        match small.world.call(small.container, &request, &[other]) {
            Call::Reply(..) => break,
            Call::Waits(_) => small.pager.work(&mut small.world),
            Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::Again),
        }
    }
    small.world.check();
}

#[test]
fn a_fill_lock_gives_up_what_is_out() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    let lock = Lock { first_page: 0, pages: 4, mode: LockMode::Fill, term_ns: 1000 };
    loop {
        match small.world.call(small.container, &lock, &[]) {
            Call::Reply(..) => break,
            Call::Waits(_) => small.pager.work(&mut small.world),
            Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::Again),
        }
    }
    small.world.check();
    assert_eq!(small.world.contents(small.container, 0), [0; 4096]);
}

#[test]
fn a_pager_that_never_answers_fails_accesses_and_nothing_else() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    let Touch::Waits(handle) = small.world.touch(small.space, BASE, None) else {
        panic!("the page is there")
    };
    small.pager.listen(&mut small.world);
    let moment = small.world.now + PAGER_TERM_NS;
    small.world.run_until(moment + 1);
    assert!(
        small.world.machine.pmap.answers.iter().any(|answer| answer.0 == handle),
        "the thread waits for ever"
    );
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::PagerFailed));
    // What does not need the pager goes on.
    assert_eq!(small.touch(199, None), 200);
    // The next one is told anew, and brings it.
    small.pager.told.clear();
    small.pager.attach(&mut small.world, 4000);
    assert_eq!(small.touch(0, None), 1);
    small.world.check();
}

#[test]
fn a_pager_that_does_not_even_ask_is_forgiven_when_it_does() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    let Touch::Waits(_) = small.world.touch(small.space, BASE, None) else { panic!("the page is there") };
    let moment = small.world.now + PAGER_TERM_NS;
    small.world.run_until(moment + 1);
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::PagerFailed));
    small.pager.work(&mut small.world);
    assert_eq!(small.touch(0, None), 1);
    small.world.check();
}

#[test]
fn pages_that_a_pager_does_not_take_in_time_are_lost_and_a_late_answer_changes_nothing() {
    let mut small = Small::new(60, 400, 200);
    (0..80).for_each(|page| small.write(page, 1));
    small.pager.listen(&mut small.world);
    let told = small.pager.told.clone();
    assert!(!told.is_empty());
    let moment = small.world.now + PAGER_TERM_NS;
    small.world.run_until(moment + 1);
    let lost = small.world.machine.swap_status().lost;
    assert!(lost >= 16, "{lost} pages lost");
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::Repossessed));
    let refusal = small.world.refusal(
        small.container,
        &Copy { source_offset: 0, destination_offset: 100 * PAGE, bytes: PAGE },
        &[small.container],
    );
    assert_eq!(refusal, MemoryError::Lost);
    for (header, words) in told {
        let results = small.pager.carry_out(&mut small.world, header, &words);
        small.pager.answer(&mut small.world, header, &results);
    }
    small.pager.told.clear();
    small.pager.work(&mut small.world);
    small.world.check();
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::Repossessed));
    // Deallocated, the page is good again.
    small.world.ask(small.container, &Deallocate { first_page: 0, pages: 1 }, &[]);
    assert_eq!(small.touch(0, None), 0);
}

#[test]
fn a_crashed_pager_is_told_everything_again_and_nothing_is_lost() {
    let mut small = Small::new(60, 400, 200);
    for page in 0..200 {
        small.write(page, page as u8 + 1);
        if page % 7 == 0 {
            // It takes requests and dies, having done some of them without answering.
            small.pager.listen(&mut small.world);
            let told = std::mem::take(&mut small.pager.told);
            for (header, words) in told.iter().take(1) {
                small.pager.carry_out(&mut small.world, *header, words);
            }
            small.pager.attach(&mut small.world, 4000);
        }
        small.world.check();
    }
    for page in 0..200 {
        assert_eq!(small.touch(page, None), page as u8 + 1);
    }
    assert_eq!(small.world.machine.swap_status().lost, 0);
}

#[test]
fn answers_that_nobody_awaits_change_nothing() {
    let mut small = Small::new(60, 400, 200);
    (0..80).for_each(|page| small.write(page, page as u8 + 1));
    small.pager.listen(&mut small.world);
    let (header, words) = small.pager.told[0].clone();
    let results = small.pager.carry_out(&mut small.world, header, &words);
    let ignored = small.world.machine.swap_status().ignored;
    let foreign = Header { sequence: header.sequence + 1, ..header };
    let idle = Header { operation: Operation(7), count: 1, sequence: 1 };
    small.pager.answer(&mut small.world, foreign, &results);
    small.pager.answer(&mut small.world, idle, &[page_out_word(Ok(1))]);
    small.pager.answer(&mut small.world, header, &results);
    small.pager.answer(&mut small.world, header, &results);
    assert_eq!(small.world.machine.swap_status().ignored, ignored + 3);
    small.pager.told.retain(|told| told.0 != header);
    small.world.check();
    for page in 0..80 {
        assert_eq!(small.touch(page, None), page as u8 + 1);
    }
    // Words that are no batch are refused.
    let refused = small.world.raw(authority(), 98, &[3, 1], &[]);
    assert!(matches!(refused, physmem_core::Outcome::Answered(answer) if answer.label != 0));
}

#[test]
fn a_pager_that_is_full_loses_pages_and_one_with_few_names_none() {
    let mut small = Small::new(60, 400, 200);
    small.pager.room = 0;
    (0..100).for_each(|page| small.write(page, 1));
    small.pager.work(&mut small.world);
    assert!(small.world.machine.swap_status().lost >= 32);
    small.world.check();
    let mut small = Small::new(60, 400, 200);
    small.pager.attach(&mut small.world, 20);
    let mut page = 0;
    while let Touch::Byte(_) = small.world.touch(small.space, BASE + page * PAGE, Some(1)) {
        page += 1;
    }
    small.pager.work(&mut small.world);
    assert_eq!(small.world.machine.swap_status().lost, 0);
    assert!(small.world.machine.swap_status().used <= 20);
    small.world.check();
}

#[test]
fn a_bad_page_ends_only_the_access_that_needed_it() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    // The pager forgets one page.
    let Touch::Waits(_) = small.world.touch(small.space, BASE, None) else { panic!("the page is there") };
    small.pager.listen(&mut small.world);
    let (header, words) = small.pager.told.pop().unwrap();
    small.pager.names.remove(&words[0]);
    let results = small.pager.carry_out(&mut small.world, header, &words);
    small.pager.answer(&mut small.world, header, &results);
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::Repossessed));
    for page in 1..200 {
        assert_eq!(small.touch(page, None), page as u8 + 1);
    }
    small.world.check();
}

#[test]
fn the_place_goes_with_its_contract_and_what_is_out_is_lost() {
    let mut small = Small::new(60, 400, 200);
    small.fill(200);
    let Touch::Waits(handle) = small.world.touch(small.space, BASE, None) else {
        panic!("the page is there")
    };
    small.world.ask(small.pager.contract, &containers_api::contract::ContractDestroy {}, &[]);
    small.world.check();
    assert!(small.world.machine.pmap.answers.iter().any(|answer| answer.0 == handle));
    assert_eq!(small.world.touch(small.space, BASE, None), Touch::Ended(FaultReason::Repossessed));
    let root = small.world.root();
    assert_eq!(small.world.refusal(authority(), &PagerCreate {}, &[root]), MemoryError::Limit);
    assert_eq!(
        small.world.refusal(authority(), &PagerExchange { answers: Batch::default() }, &[]),
        MemoryError::NoPager
    );
    small.world.ask(small.contract, &containers_api::contract::ContractDestroy {}, &[]);
    small.world.check();
}

#[test]
fn only_who_has_the_right_is_the_default_pager() {
    let mut world = World::new(1200);
    let root = world.root();
    let nobody = crate::support::world::Machine::control_badge(containers_api::control::ControlRights::DMA).0;
    assert_eq!(world.refusal(nobody, &PagerCreate {}, &[root]), MemoryError::MissingRight);
    assert_eq!(
        world.refusal(nobody, &PagerExchange { answers: Batch::default() }, &[]),
        MemoryError::MissingRight
    );
    assert_eq!(
        world.refusal(authority(), &PagerExchange { answers: Batch::default() }, &[]),
        MemoryError::NoPager
    );
    let poor = world.split(root, 100);
    let free = world.free_frames();
    assert_eq!(world.refusal(authority(), &PagerCreate {}, &[poor]), MemoryError::NotAdmitted);
    world.check();
    assert!(world.free_frames() + 3 >= free, "a failed attempt keeps frames");
    let _pager = FakePager::new(&mut world, 10);
    assert_eq!(world.refusal(authority(), &PagerCreate {}, &[root]), MemoryError::Limit);
    world.ask(nobody, &SwapStat {}, &[]);
}

#[test]
fn a_contract_goes_while_its_requests_wait_for_the_pager() {
    let mut small = Small::new(60, 400, 200);
    // The pager is silent: in the end all its operations are in use, and a request waits for one.
    let mut first = 0;
    let waits = loop {
        let allocate = Allocate { first_page: first, pages: 8, any_contents: false };
        match small.world.call(small.container, &allocate, &[]) {
            Call::Reply(..) => first += 8,
            Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::Again),
            Call::Waits(handle) => break handle,
        }
        if first == 200 {
            small.container = small.world.container(small.contract, 200);
            first = 0;
        }
    };
    small.world.check();
    small.world.ask(small.contract, &containers_api::contract::ContractDestroy {}, &[]);
    assert!(small.world.machine.pmap.answers.iter().any(|answer| answer.0 == waits));
    small.pager.work(&mut small.world);
    small.world.check();
}

#[test]
fn a_merge_wakes_who_waits_for_the_pager() {
    let mut world = World::new(1200);
    let mut pager = FakePager::new(&mut world, 4000);
    let parent = swapping(&mut world, 120, 800);
    let split = Split { swap_limit: 800, ..Split::new(50, 0, 10, Name::new("child").unwrap()) };
    let child = world.ask_badge(parent, &split, &[]);
    let (from, to) = (world.container(child, 400), world.container(child, 1));
    for first_page in (0..400).step_by(8) {
        let allocate = Allocate { first_page, pages: 8, any_contents: false };
        while !matches!(world.call(from, &allocate, &[]), Call::Reply(..)) {
            pager.work(&mut world);
        }
    }
    pager.work(&mut world);
    let request = Copy { source_offset: 10, destination_offset: 0, bytes: 100 };
    let handle = loop {
        match world.call(from, &request, &[to]) {
            Call::Waits(handle) => break handle,
            Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::Again),
            Call::Reply(..) => panic!("the page is in memory"),
        }
    };
    world.ask(parent, &containers_api::contract::Merge {}, &[child]);
    assert!(world.machine.pmap.answers.iter().any(|answer| answer.0 == handle));
    world.check();
    pager.work(&mut world);
    world.check();
}
