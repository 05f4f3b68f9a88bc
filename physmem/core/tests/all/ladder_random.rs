//! Random operations on a tree of contracts that borrow from each other, under the laws: after every one everything is walked
//! through, and nobody within its guarantee waits longer than one term and the grace. `LADDER_SEEDS` says how many runs.

use crate::support::{Call, World, kernel::NOTIFICATION};
use containers_api::container::{Allocate, ContainerStat, Deallocate, SetEviction};
use containers_api::contract::*;
use containers_api::{MemoryError, Name};
use kernel_abi::Handle;
use kernel_protocol::Request;
use physmem_core::limits::{CALL_GRACE_NS, EXTRA_TERM_NS};
use physmem_core::{Outcome, Sent};

const PAGES: u64 = 60;

/// Random numbers that a seed repeats (splitmix64, Steele and others, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len() as u64) as usize]) }
    }
}

/// A contract, as its holder knows it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Party {
    contract: u64,
    parent: u64,
}

struct Run {
    world: World,
    random: Random,
    parties: Vec<Party>,
    containers: Vec<(u64, u64)>,
    /// Who waits, and since when.
    waits: Vec<(Handle, u64)>,
    answered: usize,
    calls: u64,
    waited: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let world = World::new(260);
        let root = world.root();
        Run {
            world,
            random: Random(seed),
            parties: vec![Party { contract: root, parent: 0 }],
            containers: Vec::new(),
            waits: Vec::new(),
            answered: 0,
            calls: 0,
            waited: 0,
        }
    }

    fn ask<Q: Request<Error = MemoryError>>(&mut self, badge: u64, request: &Q, sent: &[u64]) -> bool {
        match self.world.call(badge, request, sent) {
            Call::Reply(..) => true,
            Call::Refused(_) => false,
            Call::Waits(handle) => {
                self.waits.push((handle, self.world.now));
                self.waited += 1;
                false
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..2 => self.split(),
            2 => self.new_container(),
            3..9 => self.allocate(),
            9..11 => self.deallocate(),
            11 => self.set_eviction(),
            12..14 => self.hand(),
            14 => self.merge_or_destroy(),
            15 => self.watch(),
            16 => self.renew_or_extend(),
            17 => self.answer_call(),
            _ => self.pass_time(),
        }
    }

    fn split(&mut self) {
        let Some(parent) = self.random.pick(&self.parties) else { return };
        if self.parties.len() > 12 {
            return;
        }
        let (guaranteed, extra, pins) = (self.random.below(90), self.random.below(250), self.random.below(9));
        let term_ns = [0, 0, 0, 3 * CALL_GRACE_NS, 50 * CALL_GRACE_NS][self.random.below(5) as usize];
        let weight = self.random.below(300);
        let name = Name::new("random").unwrap();
        let split = Split { weight, term_ns, ..Split::new(guaranteed, extra, pins, name) };
        if let Call::Reply(_, handed) = self.world.call(parent.contract, &split, &[]) {
            let contract = match handed[..] {
                [physmem_core::Handed::Badge(badge)] => badge.0,
                ref other => panic!("{other:?}"),
            };
            self.parties.push(Party { contract, parent: parent.contract });
        }
    }

    fn new_container(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        if let Call::Reply(_, handed) =
            self.world.call(party.contract, &ContainerCreate { pages: PAGES }, &[])
            && let [physmem_core::Handed::Badge(badge)] = handed[..]
        {
            self.containers.push((badge.0, party.contract));
        }
    }

    fn allocate(&mut self) {
        let Some((container, _)) = self.random.pick(&self.containers) else { return };
        let first_page = self.random.below(PAGES);
        let pages = 1 + self.random.below(PAGES - first_page);
        self.ask(container, &Allocate { first_page, pages, any_contents: false }, &[]);
    }

    fn deallocate(&mut self) {
        let Some((container, _)) = self.random.pick(&self.containers) else { return };
        let first_page = self.random.below(PAGES);
        let pages = 1 + self.random.below(PAGES - first_page);
        self.ask(container, &Deallocate { first_page, pages }, &[]);
    }

    fn set_eviction(&mut self) {
        let Some((container, _)) = self.random.pick(&self.containers) else { return };
        let rank = self.random.below(4) as u16;
        let (discardable, vital) = (self.random.below(2) == 0, self.random.below(4) == 0);
        self.ask(container, &SetEviction { rank, discardable, vital }, &[]);
    }

    fn hand(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        let (guaranteed, pin_limit) = (self.random.below(40), self.random.below(3));
        if self.random.below(2) == 0 {
            self.ask(party.parent, &HandDown { guaranteed, pin_limit }, &[party.contract]);
        } else {
            self.ask(party.parent, &TakeBack { guaranteed, pin_limit }, &[party.contract]);
        }
    }

    fn merge_or_destroy(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        if self.random.below(2) == 0 {
            self.ask(party.parent, &Merge {}, &[party.contract]);
        } else if party.parent != 0 {
            self.ask(party.contract, &ContractDestroy {}, &[]);
        }
        self.forget_the_gone();
    }

    fn forget_the_gone(&mut self) {
        let Run { world, parties, containers, .. } = self;
        let lives = |world: &mut World, contract: u64| {
            matches!(world.call(contract, &ContractStat {}, &[]), Call::Reply(..))
        };
        parties.retain(|party| lives(world, party.contract));
        let contracts: Vec<u64> = parties.iter().map(|party| party.contract).collect();
        for party in parties.iter_mut() {
            if party.parent != 0 && !contracts.contains(&party.parent) {
                // Its parent was merged into the one above; which that is is not known here.
                party.parent = contracts[0];
            }
        }
        containers.retain(|(container, _)| {
            matches!(world.call(*container, &ContainerStat {}, &[]), Call::Reply(..))
        });
    }

    fn watch(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        let sent = [Sent::Handle(NOTIFICATION)];
        let outcome = self.world.raw(party.contract, Watch::LABEL, &[], &sent);
        if let Outcome::Later(handle) = outcome {
            assert!(self.world.machine.pmap.handles.insert(handle.0));
            self.waits.push((handle, self.world.now));
        }
    }

    fn renew_or_extend(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        if self.random.below(2) == 0 {
            self.ask(party.contract, &Renew {}, &[]);
        } else {
            let term_ns = [0, 10 * CALL_GRACE_NS, 7][self.random.below(3) as usize];
            self.ask(party.parent, &Extend { term_ns }, &[party.contract]);
        }
    }

    fn answer_call(&mut self) {
        let Some(party) = self.random.pick(&self.parties) else { return };
        let Call::Reply(status, _) = self.world.call(party.contract, &CallStat {}, &[]) else { return };
        if status.frames != 0 {
            self.calls += 1;
            let own: Vec<u64> =
                self.containers.iter().filter(|(_, of)| *of == party.contract).map(|c| c.0).collect();
            if let Some(container) = self.random.pick(&own) {
                self.ask(container, &Deallocate { first_page: 0, pages: PAGES }, &[]);
            }
        }
    }

    /// Lets time pass as the server does, but never beyond a deadline in one go.
    fn pass_time(&mut self) {
        let end = self.world.now + self.random.below(EXTRA_TERM_NS);
        loop {
            while self.world.machine.has_work() {
                self.world.machine.work(self.world.now);
                self.world.machine.worked(self.world.now);
                self.world.check();
            }
            let next = self.world.machine.next_deadline().unwrap_or(u64::MAX).max(self.world.now + 1);
            self.world.now = next.min(end);
            self.world.machine.advance(self.world.now);
            self.check_waits();
            if next >= end {
                break;
            }
        }
        self.forget_the_gone();
    }

    fn check_waits(&mut self) {
        let answers = &self.world.machine.pmap.answers;
        for answer in &answers[self.answered..] {
            if let Some(place) = self.waits.iter().position(|wait| wait.0 == answer.0) {
                self.waits.swap_remove(place);
            }
        }
        self.answered = answers.len();
        let bound = EXTRA_TERM_NS + CALL_GRACE_NS;
        let now = self.world.now;
        if !self.world.machine.has_work() {
            let late = self.waits.iter().find(|wait| now > wait.1 + bound);
            assert!(late.is_none(), "{late:?} still waits at {now}");
        }
    }
}

#[test]
fn random_ladders_keep_the_laws_and_the_bound_on_waits() {
    let (mut calls, mut waited, mut seized) = (0, 0, 0);
    let seeds = std::env::var("LADDER_SEEDS").map_or(40, |seeds| seeds.parse().expect("a number of seeds"));
    for seed in 0..seeds {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for step in 0..600 {
            println!("step {step}");
            run.step();
            run.world.check();
            run.check_waits();
        }
        (calls, waited) = (calls + run.calls, waited + run.waited);
        seized += run.world.machine.revocation_status().seized;
    }
    println!("{calls} calls answered, {waited} waits, {seized} frames seized");
    assert!(calls > 5 && waited > 100 && seized > 1000, "the ladder is hardly used");
}
