//! Calls from above: a stacked physmem passes them down, gives up what comes back, and seizes the rest in time.

use super::level::{Level, Server};
use super::{FRAMES, GUARANTEE, Second, Touch, first, name, walk};
use containers_api::container::{Allocate, Deallocate, SetEviction};
use containers_api::contract::{CallStat, CallStatus, ContractDestroy, ContractStat, Split, TakeBack};
use containers_api::{FaultReason, MemoryError};
use physmem_core::limits::{CALL_GRACE_NS, OWED_CHILDREN};
use physmem_stacked_core::STACK_SLICE_NS;
use std::cell::RefCell;
use std::rc::Rc;

/// Frames that are taken back from above.
const TAKEN: u64 = 300;

fn allocate(pages: u64) -> Allocate {
    Allocate { first_page: 0, pages, any_contents: false }
}

impl<S: Server + 'static> Level<S> {
    /// Hears of the call from above, as its main does.
    fn hear(&mut self) -> (u64, u64) {
        let (frames, due) = self.machine.pmap.called_for();
        self.machine.owe(self.now, frames, due);
        self.work();
        (frames, due)
    }

    fn work(&mut self) {
        while self.machine.has_work() {
            self.machine.work(self.now);
        }
    }

    /// Lets time pass: each deadline in its turn.
    fn wait_until(&mut self, moment: u64) {
        while let Some(next) = self.machine.next_deadline().filter(|&next| next <= moment) {
            self.now = self.now.max(next);
            self.machine.advance(self.now);
            self.work();
        }
        self.now = moment;
        self.machine.advance(moment);
        self.work();
    }

    fn call_of(&mut self, contract: u64) -> CallStatus {
        self.ask(contract, &CallStat {}, &[])
    }
}

/// The machine's root contract takes frames from a level's contract, which is called for what it holds beyond.
fn take_back(level: &Level<crate::support::World>, contract: u64, guaranteed: u64) -> CallStatus {
    let mut world = level.server.borrow_mut();
    let root = world.root();
    world.ask(root, &TakeBack { guaranteed, pin_limit: 0 }, &[contract]);
    world.ask(contract, &CallStat {}, &[])
}

fn status(level: &Level<crate::support::World>, contract: u64) -> CallStatus {
    level.server.borrow_mut().ask(contract, &CallStat {}, &[])
}

/// Under the level's root contract: a child with a container of so many pages.
fn fill(level: &mut Level<crate::support::World>, pages: u64) -> u64 {
    let root = level.root();
    let container = level.container(root, pages);
    level.ask(container, &allocate(pages), &[]);
    container
}

#[test]
fn what_is_free_goes_up_at_once() {
    let (mut level, above) = first();
    let container = fill(&mut level, 200);
    let before = level.machine.database().free_frames();
    let call = take_back(&level, above, TAKEN);
    assert!(call.frames > 100 && call.frames < TAKEN, "{call:?}");
    let (frames, _) = level.hear();
    assert_eq!(frames, call.frames);
    assert_eq!((level.machine.owed(), level.machine.database().free_frames()), (0, before - frames));
    let after = status(&level, above);
    assert_eq!((after.frames, after.met, after.extra), (0, call.met + 1, 0), "the call is met");
    walk::check(&mut level);
    // What is left is as good as before, to the last frame that is guaranteed.
    level.ask(container, &Deallocate { first_page: 0, pages: 200 }, &[]);
    let root = level.root();
    let status = level.ask(root, &ContractStat {}, &[]);
    let left = status.guaranteed - status.records - status.kernel;
    let all = level.container(root, left);
    level.ask(all, &allocate(left - 4), &[]);
    walk::check(&mut level);
}

#[test]
fn what_is_held_is_called_for_with_a_shorter_deadline_and_goes_up_when_it_comes_back() {
    let (mut level, above) = first();
    let container = fill(&mut level, 560);
    let call = take_back(&level, above, TAKEN);
    assert_eq!(call.deadline, CALL_GRACE_NS + 1);
    level.hear();
    assert!(level.machine.owed() > 0, "not so many are free");
    let root = level.root();
    let passed = level.call_of(root);
    assert_eq!(passed.deadline, call.deadline - STACK_SLICE_NS);
    assert!(passed.frames >= level.machine.owed(), "{passed:?}");
    let late = level.call(root, &Split::new(1, 500, 0, name("late")), &[]);
    assert!(late.is_ok(), "requests are served meanwhile");
    level.now = passed.deadline - 1;
    let wanted = level.call_of(root).frames;
    level.ask(container, &Deallocate { first_page: 0, pages: wanted }, &[]);
    level.work();
    assert_eq!((level.machine.owed(), level.call_of(root).met), (0, 1));
    assert_eq!((status(&level, above).frames, status(&level, above).met), (0, call.met + 1));
    let seized = level.ask(root, &ContractStat {}, &[]).seized;
    assert_eq!(seized, 0, "who answers in time loses nothing");
    walk::check(&mut level);
}

#[test]
fn what_is_not_given_back_is_seized_in_its_owners_order_and_in_time() {
    let (mut level, above) = first();
    let root = level.root();
    let (kept, cache) = (level.container(root, 200), level.container(root, 360));
    level.ask(cache, &SetEviction { rank: 1, discardable: true, vital: false }, &[]);
    for container in [kept, cache] {
        let pages = if container == kept { 200 } else { 360 };
        level.ask(container, &allocate(pages), &[]);
    }
    let child = level.child(root);
    level.map(child, kept, 0x10_0000, 200);
    level.map(child, cache, 0x20_0000, 360);
    level.touch(child, 0x10_0000, Some(7));
    let call = take_back(&level, above, TAKEN);
    let (_, due) = level.hear();
    level.wait_until(due - 1);
    assert!(level.machine.owed() > 0 && level.ask(root, &ContractStat {}, &[]).seized == 0);
    level.wait_until(due);
    assert_eq!(level.machine.owed(), 0, "{STACK_SLICE_NS} ns before the parent's deadline");
    assert!(level.ask(root, &ContractStat {}, &[]).seized > 100);
    assert_eq!(level.touch(child, 0x20_0000, None), Touch::Ended(FaultReason::Repossessed));
    assert_eq!(level.touch(child, 0x10_0000, None), Touch::Byte(7), "the cache went first");
    let after = status(&level, above);
    assert_eq!((after.frames, after.met), (0, call.met + 1), "the parent has nothing to seize");
    walk::check(&mut level);
}

#[test]
fn guarantees_of_children_go_down_as_far_as_what_is_firm_lets_them() {
    let (mut level, above) = first();
    let root = level.root();
    let children: Vec<u64> = (0..4).map(|_| level.split(root, 130)).collect();
    let vital = level.container(children[0], 100);
    level.ask(vital, &SetEviction { rank: 0, discardable: false, vital: true }, &[]);
    level.ask(vital, &allocate(100), &[]);
    take_back(&level, above, GUARANTEE - 200);
    let (frames, due) = level.hear();
    level.wait_until(due);
    walk::check(&mut level);
    let firm = level.ask(children[0], &ContractStat {}, &[]);
    assert!(firm.guaranteed >= 100 && firm.pages == 100, "{firm:?}");
    assert_eq!(level.machine.owed(), 0, "{frames} were called for");
    let system = level.machine.database().frames() - level.machine.system_status().kernel;
    assert!(level.machine.system_status().guaranteed <= system, "no more is promised than is there");
    // More than there is to give: what is firm stays, and the parent has to see to the rest.
    level.machine.owe(level.now, u64::MAX >> 8, level.now + 1);
    level.wait_until(level.now + CALL_GRACE_NS);
    walk::check(&mut level);
    assert_eq!(level.ask(children[0], &ContractStat {}, &[]).pages, 100);
}

#[test]
fn one_call_lowers_the_guarantees_of_so_many_children_at_most() {
    let (mut level, _) = first();
    let root = level.root();
    let most = OWED_CHILDREN as usize;
    let children: Vec<u64> = (0..most + 6).map(|_| level.split(root, 7)).collect();
    level.machine.owe(level.now, u64::MAX >> 8, level.now + 1);
    let guaranteed = |level: &mut Level<_>, child: u64| level.ask(child, &ContractStat {}, &[]).guaranteed;
    let lowered = children.iter().filter(|&&child| guaranteed(&mut level, child) == 0).count();
    assert_eq!(lowered, most);
    walk::check(&mut level);
}

#[test]
fn nobody_is_lent_what_is_owed() {
    let (mut level, above) = first();
    let root = level.root();
    let borrower = level.badge(root, &Split::new(20, 400, 0, name("borrower")), &[]);
    let container = level.container(borrower, 400);
    level.ask(container, &allocate(300), &[]);
    take_back(&level, above, 500);
    level.hear();
    assert!(level.machine.owed() > 0, "the borrower's term is not over");
    let refused = level.call(container, &Allocate { first_page: 300, pages: 1, any_contents: true }, &[]);
    assert_eq!(refused.map(drop), Err(MemoryError::ContractExhausted));
    walk::check(&mut level);
}

#[test]
fn a_call_goes_down_through_two_levels() {
    let (level, above) = first();
    let level = Rc::new(RefCell::new(level));
    let contract = {
        let mut level = level.borrow_mut();
        let root = level.root();
        level.split(root, 560)
    };
    let mut second: Second = Level::new(level.clone(), contract, FRAMES.1);
    let root = second.root();
    let container = second.container(root, 380);
    second.ask(container, &allocate(380), &[]);
    let call = take_back(&level.borrow(), above, TAKEN);
    let (_, due) = level.borrow_mut().hear();
    let passed = level.borrow_mut().call_of(contract);
    assert_eq!((passed.deadline, due), (due, call.deadline - STACK_SLICE_NS));
    let (frames, inner) = second.hear();
    assert_eq!((frames, inner), (passed.frames, due - STACK_SLICE_NS));
    second.wait_until(inner);
    let owed = level.borrow().machine.owed();
    assert_eq!((second.machine.owed(), owed), (0, 0), "seized below, in its time");
    walk::check(&mut second);
    level.borrow_mut().wait_until(due);
    let seized = level.borrow_mut().ask(contract, &ContractStat {}, &[]).seized;
    assert_eq!(seized, 0, "nothing is left to seize here");
    assert_eq!(status(&level.borrow(), above).frames, 0);
    walk::check(&mut level.borrow_mut());
    level.borrow_mut().ask(contract, &ContractDestroy {}, &[]);
    walk::check(&mut level.borrow_mut());
}
