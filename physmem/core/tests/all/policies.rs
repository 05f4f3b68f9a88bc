//! What every policy must keep to, whatever it prefers: the ladder's deadlines, the owner's order, what is spared, bounded work.

use crate::support::world::Machine;
use crate::support::{Call, Space, World};
use containers_api::container::*;
use containers_api::contract::{CallStat, CallStatus};
use containers_api::control::{ControlRights, PolicyKind, PolicySet, RevocationStat};
use containers_api::{ContainerRights, LockMode};
use containers_core::{Entry, pages};
use physmem_core::limits::*;

const PAGE: u64 = 4096;
const BASE: u64 = 0x100_0000;
const POLICIES: [PolicyKind; 3] = [PolicyKind::ClientOrder, PolicyKind::GlobalClock, PolicyKind::Aging];

fn set_policy(world: &mut World, policy: PolicyKind) {
    world.ask(Machine::control_badge(ControlRights::all()).0, &PolicySet { policy }, &[]);
    let status = world.ask(Machine::control_badge(ControlRights::all()).0, &RevocationStat {}, &[]);
    assert_eq!(status.policy, policy);
}

fn allocate(first_page: u64, pages: u64) -> Allocate {
    Allocate { first_page, pages, any_contents: false }
}

fn is_lost(world: &World, container: u64, page: u64) -> bool {
    pages::entry(&world.machine, world.container_name(container), page) == Entry::LOST
}

fn lost(world: &World, container: u64, pages: u64) -> u64 {
    (0..pages).filter(|&page| is_lost(world, container, page)).count() as u64
}

/// Lets time pass as the server does, with something done before each step of work; the most steps in one go.
fn run_until_with(world: &mut World, moment: u64, mut before_step: impl FnMut(&mut World)) -> u64 {
    let mut most = 0;
    loop {
        let mut steps = 0;
        while world.machine.has_work() {
            before_step(world);
            let before = world.machine.pmap.queried;
            world.machine.work(world.now);
            let queried = world.machine.pmap.queried - before;
            // The last look of a step may be the one that uses up the budget.
            assert!(queried <= SCAN_STEP_PAGES + 128, "{queried} pages looked at in one step");
            steps += 1;
            assert!(steps < 5000, "work without end");
        }
        most = most.max(steps);
        world.check();
        let next = world.machine.next_deadline().unwrap_or(u64::MAX).max(world.now + 1);
        if next > moment {
            break;
        }
        world.now = next;
        world.machine.advance(next);
    }
    world.now = moment;
    world.machine.advance(moment);
    most
}

fn run_until(world: &mut World, moment: u64) -> u64 {
    run_until_with(world, moment, |_| {})
}

/// A borrower that holds all idle frames as extra ones in a container that it has mapped and used, and an owner.
struct Lent {
    world: World,
    owner: u64,
    borrower: u64,
    space: Space,
    container: u64,
    pages: u64,
}

impl Lent {
    fn new(frames: usize, policy: PolicyKind) -> Lent {
        let mut world = World::new(frames);
        set_policy(&mut world, policy);
        let root = world.root();
        let owner = world.split(root, frames as u64 / 2);
        let borrower = world.split_with(root, 60, frames as u64 - 20, 16);
        let space = world.space(borrower);
        let container = world.container(borrower, frames as u64);
        world.map(space, container, BASE, frames as u64);
        let mut pages = 0;
        while let Call::Reply(..) = world.call(container, &allocate(pages, 1), &[]) {
            world.write(space, BASE + pages * PAGE, 1);
            pages += 1;
        }
        Lent { world, owner, borrower, space, container, pages }
    }

    /// The owner asks for frames within its guarantee, and gets them within term and grace.
    fn demand(&mut self, pages: u64, before_step: impl FnMut(&mut World)) -> u64 {
        let wanted = self.world.container(self.owner, pages);
        let begun = self.world.now;
        assert!(matches!(self.world.call(wanted, &allocate(0, pages), &[]), Call::Waits(_)));
        let steps = run_until_with(&mut self.world, begun + EXTRA_TERM_NS + CALL_GRACE_NS, before_step);
        self.world.ask(wanted, &allocate(0, pages), &[]);
        self.world.check();
        steps
    }
}

#[test]
fn every_policy_gives_back_what_is_guaranteed_within_term_and_grace() {
    for policy in POLICIES {
        let mut lent = Lent::new(600, policy);
        for _ in 0..3 {
            lent.demand(80, |_| {});
        }
        assert!(lost(&lent.world, lent.container, 600) >= 200, "{policy:?}");
    }
}

#[test]
fn nobody_starves_the_search_by_using_all_its_pages() {
    for policy in POLICIES {
        let mut lent = Lent::new(3000, policy);
        let (space, pages, container) = (lent.space, lent.pages, lent.container);
        let touch_all = |world: &mut World| {
            for page in 0..pages {
                if !is_lost(world, container, page) {
                    let _ = world.machine.pmap.access(space.task, BASE + page * PAGE, None);
                }
            }
        };
        let steps = lent.demand(700, touch_all);
        let scanned = lent.world.machine.counters().scanned;
        // A round and a search, each in a few laps, both in steps; what is seized besides.
        let looked = 8 * pages;
        assert!(scanned <= looked, "{policy:?}: {scanned} of {pages}");
        assert!(steps <= looked / SCAN_STEP_PAGES + 40, "{policy:?}: {steps} steps");
    }
}

#[test]
fn every_policy_keeps_to_the_owners_order_and_spares_what_is_vital_or_pinned() {
    for policy in POLICIES {
        let mut world = World::new(325);
        set_policy(&mut world, policy);
        let owner = world.split_with(world.root(), 200, 0, 0);
        let borrower = world.split_with(world.root(), 100, 300, 8);
        let space = world.space(borrower);
        let containers: Vec<u64> = (0..4).map(|_| world.container(borrower, 60)).collect();
        let [plain, vital, ranked, discardable] = containers[..] else { unreachable!() };
        let small = world.container(borrower, 60);
        world.ask(vital, &SetEviction { rank: 0, discardable: false, vital: true }, &[]);
        world.ask(ranked, &SetEviction { rank: 7, discardable: false, vital: false }, &[]);
        world.ask(discardable, &SetEviction { rank: 9, discardable: true, vital: false }, &[]);
        for (index, &container) in containers.iter().enumerate() {
            let at = BASE + index as u64 * 0x10_0000;
            world.map(space, container, at, 60);
            world.ask(container, &allocate(0, 60), &[]);
            // What is in order is in use: the order counts all the same. What is vital lies idle: it is spared all the same.
            if container != vital {
                (0..60).for_each(|page| assert_eq!(world.read(space, at + page * PAGE), 0));
            }
        }
        world.ask(small, &allocate(0, 4), &[]);
        let grant =
            Grant { first_page: 0, pages: 8, rights: ContainerRights::all(), maximum_lock_ns: u64::MAX };
        let granted = world.ask_badge(plain, &grant, &[]);
        let lock = Lock { first_page: 0, pages: 8, mode: LockMode::Dma, term_ns: u64::MAX };
        world.ask(granted, &lock, &[]);
        // Idle frames first; then what the borrower holds, in its order.
        let wanted = world.container(owner, 190);
        let (mut held, mut classes) = (0, Vec::new());
        while held < 190 {
            if let Call::Waits(_) = world.call(wanted, &allocate(held, 10), &[]) {
                let until = world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
                run_until(&mut world, until);
                world.ask(wanted, &allocate(held, 10), &[]);
            }
            held += 10;
            let gone = [discardable, ranked, plain].map(|container| lost(&world, container, 60));
            assert!(gone[0] == 60 || gone[1] == 0, "{policy:?}: {gone:?}");
            assert!(gone[1] == 60 || gone[2] == 0, "{policy:?}: {gone:?}");
            assert_eq!(lost(&world, vital, 60), 0, "{policy:?}");
            assert!((0..8).all(|page| !is_lost(&world, plain, page)), "{policy:?}: pinned");
            classes.push(gone);
        }
        let last = classes.last().unwrap();
        assert!(last[0] == 60 && last[1] == 60 && last[2] > 0, "{policy:?}: {last:?}");
    }
}

#[test]
fn what_becomes_vital_during_a_search_is_spared() {
    for policy in POLICIES {
        let mut lent = Lent::new(1200, policy);
        let borrower_pages = 40;
        let precious = lent.container;
        // A part moves to a container that the owner makes vital as soon as a seizure is under way.
        let other = lent.world.container(lent.borrower, borrower_pages);
        lent.world.ask(precious, &Deallocate { first_page: 0, pages: borrower_pages }, &[]);
        lent.world.ask(other, &allocate(0, borrower_pages), &[]);
        // In use, so that it does not go first.
        let at = BASE + 1250 * PAGE;
        lent.world.map(lent.space, other, at, borrower_pages);
        (0..borrower_pages).for_each(|page| lent.world.write(lent.space, at + page * PAGE, 1));
        let vital = SetEviction { rank: 0, discardable: false, vital: true };
        let mut lost_before = None;
        lent.demand(500, |world| {
            if lost_before.is_none() && world.machine.counters().seized > 0 {
                world.ask(other, &vital, &[]);
                lost_before = Some(lost(world, other, borrower_pages));
            }
        });
        assert_eq!(lost(&lent.world, other, borrower_pages), lost_before.expect("seized"), "{policy:?}");
    }
}

#[test]
fn policies_are_swapped_at_any_step_and_nothing_breaks() {
    let mut seed = 1u64;
    for _ in 0..20 {
        let mut lent = Lent::new(700, PolicyKind::ClientOrder);
        let mut swap = |world: &mut World| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 62 == 0 {
                set_policy(world, POLICIES[(seed >> 40) as usize % 3]);
                world.check();
            }
        };
        for _ in 0..3 {
            lent.demand(90, &mut swap);
            let next = POLICIES[(lent.world.now / 7) as usize % 3];
            set_policy(&mut lent.world, next);
            let until = lent.world.now + PASS_INTERVAL_NS / 2;
            run_until_with(&mut lent.world, until, &mut swap);
        }
    }
}

#[test]
fn a_policy_in_the_middle_of_a_call_leaves_it_to_its_successor() {
    for (first, second) in [(1, 2), (2, 0), (0, 1), (1, 0)] {
        let mut lent = Lent::new(600, POLICIES[first]);
        let wanted = lent.world.container(lent.owner, 100);
        let begun = lent.world.now;
        assert!(matches!(lent.world.call(wanted, &allocate(0, 100), &[]), Call::Waits(_)));
        run_until(&mut lent.world, begun + EXTRA_TERM_NS);
        let call: CallStatus = lent.world.ask(lent.borrower, &CallStat {}, &[]);
        assert!(call.frames >= 80 && call.deadline != 0, "{call:?}");
        set_policy(&mut lent.world, POLICIES[second]);
        let after: CallStatus = lent.world.ask(lent.borrower, &CallStat {}, &[]);
        assert_eq!((after.sequence, after.deadline), (call.sequence, call.deadline));
        run_until(&mut lent.world, begun + EXTRA_TERM_NS + CALL_GRACE_NS);
        lent.world.ask(wanted, &allocate(0, 100), &[]);
    }
}

#[test]
fn looking_leaves_it_known_which_pages_were_written() {
    for policy in [PolicyKind::GlobalClock, PolicyKind::Aging] {
        let mut lent = Lent::new(600, policy);
        let until = lent.world.now + 3 * PASS_INTERVAL_NS;
        run_until(&mut lent.world, until);
        assert!(lent.world.machine.counters().scanned >= lent.pages, "{policy:?}");
        let query = PageQuery { first_page: 0, pages: 100, clear: false };
        let states = lent.world.ask(lent.container, &query, &[]).states;
        assert!(states.as_slice().iter().all(|state| state & PAGE_DIRTY != 0), "{policy:?}");
        assert!(states.as_slice().iter().all(|state| state & PAGE_REFERENCED == 0), "{policy:?}");
    }
}

#[test]
fn a_page_mapped_many_times_costs_no_longer_steps() {
    for policy in [PolicyKind::GlobalClock, PolicyKind::Aging] {
        let mut lent = Lent::new(600, policy);
        for index in 1..20 {
            let at = BASE + index * 0x100_0000;
            lent.world.map(lent.space, lent.container, at, 200);
        }
        // The bound is in `run_until_with`.
        lent.demand(100, |_| {});
    }
}
