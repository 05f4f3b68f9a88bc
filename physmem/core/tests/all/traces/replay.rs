//! Replaying a trace on the simulated machine. Tenants ignore calls, so that the policy chooses every page.

use super::trace::{Action, Event, Trace};
use crate::support::world::Machine;
use crate::support::{Call, Space, Touch, World};
use containers_api::container::{Allocate, Deallocate};
use containers_api::contract::Split;
use containers_api::control::{ControlRights, PolicyKind, PolicySet};
use containers_api::{FaultReason, MemoryError, Name};
use containers_core::{Entry, pages};
use physmem_core::limits::{CALL_GRACE_NS, EXTRA_TERM_NS};
use std::collections::BTreeMap;

const FRAMES: usize = 640;
const PAGE: u64 = 4096;
const BASE: u64 = 0x100_0000;

/// A page that is used again so soon after it was seized was taken wrongly.
const WRONG_WITHIN_NS: u64 = 100_000_000;

/// What came of a tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Pages seized.
    pub seized: u64,
    /// Of these, used again.
    pub refetched: u64,
    /// Of these, soon.
    pub wrongly_taken: u64,
    /// Accesses to pages that were seized, while there was no frame for them too.
    pub misses: u64,
}

/// What came of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Result {
    /// The tenants, without the owner.
    pub tenants: Vec<Outcome>,
    /// Pages that the policy looked at.
    pub scanned: u64,
    /// Most steps of work in one go.
    pub steps_most: u64,
}

impl Result {
    /// Over all tenants.
    pub fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.tenants.iter().map(of).sum()
    }
}

struct Tenant {
    space: Space,
    container: u64,
    pages: u64,
    /// When pages that are lost were seized.
    lost: BTreeMap<u64, u64>,
}

struct Replay {
    world: World,
    tenants: Vec<Tenant>,
    outcomes: Vec<Outcome>,
    /// Pages seized that are known.
    seized: u64,
    steps_most: u64,
}

/// Replays a trace.
pub fn replay(trace: &Trace, policy: PolicyKind) -> Result {
    let mut replay = Replay::new(trace, policy);
    for event in &trace.events {
        let moment = replay.world.now.max(event.time_us * 1000);
        replay.run_until(moment);
        replay.act(event);
    }
    replay.world.check();
    let scanned = replay.world.machine.counters().scanned;
    assert!(replay.world.machine.pmap.queried >= scanned);
    replay.outcomes.pop();
    Result { tenants: replay.outcomes, scanned, steps_most: replay.steps_most }
}

impl Replay {
    fn new(trace: &Trace, policy: PolicyKind) -> Replay {
        let mut world = World::new(FRAMES);
        world.ask(Machine::control_badge(ControlRights::all()).0, &PolicySet { policy }, &[]);
        let tenants: Vec<Tenant> = trace
            .tenants
            .iter()
            .map(|tenant| {
                let name = Name::new("tenant").unwrap();
                let split =
                    Split { weight: tenant.weight, ..Split::new(tenant.guaranteed, tenant.pages, 0, name) };
                let contract = world.ask_badge(world.root(), &split, &[]);
                let space = world.space(contract);
                let container = world.container(contract, tenant.pages);
                world.map(space, container, BASE, tenant.pages);
                Tenant { space, container, pages: tenant.pages, lost: BTreeMap::new() }
            })
            .collect();
        let outcomes = vec![Outcome::default(); tenants.len()];
        Replay { world, tenants, outcomes, seized: 0, steps_most: 0 }
    }

    /// Lets time pass as the server does.
    fn run_until(&mut self, moment: u64) {
        loop {
            let mut steps = 0;
            while self.world.machine.has_work() {
                self.world.machine.work(self.world.now);
                steps += 1;
            }
            self.steps_most = self.steps_most.max(steps);
            self.note_seized();
            let next = self.world.machine.next_deadline().unwrap_or(u64::MAX).max(self.world.now + 1);
            if next > moment {
                break;
            }
            self.world.now = next;
            self.world.machine.advance(next);
        }
        self.world.now = moment;
        self.world.machine.advance(moment);
    }

    fn note_seized(&mut self) {
        if std::mem::replace(&mut self.seized, self.world.machine.counters().seized) == self.seized {
            return;
        }
        for (tenant, outcome) in self.tenants.iter_mut().zip(&mut self.outcomes) {
            let name = self.world.container_name(tenant.container);
            for page in 0..tenant.pages {
                let is_lost = pages::entry(&self.world.machine, name, page) == Entry::LOST;
                if is_lost && !tenant.lost.contains_key(&page) {
                    tenant.lost.insert(page, self.world.now);
                    outcome.seized += 1;
                }
            }
        }
    }

    fn act(&mut self, event: &Event) {
        let Event { tenant, action, .. } = *event;
        let container = self.tenants[tenant].container;
        match action {
            Action::Read(page) => self.touch(tenant, page, None),
            Action::Write(page) => self.touch(tenant, page, Some(1)),
            Action::Drop(first_page, pages) => {
                self.world.ask(container, &Deallocate { first_page, pages }, &[]);
                self.tenants[tenant].lost.retain(|page, _| !(first_page..first_page + pages).contains(page));
            }
            Action::Allocate(first_page, pages) => {
                let allocate = Allocate { first_page, pages, any_contents: false };
                let begun = self.world.now;
                while let Call::Waits(_) = self.world.call(container, &allocate, &[]) {
                    let moment = begun + EXTRA_TERM_NS + CALL_GRACE_NS;
                    assert!(self.world.now < moment, "it waits for longer than term and grace");
                    self.run_until(moment);
                }
            }
        }
    }

    fn touch(&mut self, tenant: usize, page: u64, write: Option<u8>) {
        let Tenant { space, container, .. } = self.tenants[tenant];
        match self.world.touch(space, BASE + page * PAGE, write) {
            Touch::Ended(FaultReason::Repossessed) => {
                self.outcomes[tenant].misses += 1;
                let taken = self.tenants[tenant].lost.get(&page).copied();
                let allocate = Allocate { first_page: page, pages: 1, any_contents: false };
                match self.world.call(container, &allocate, &[]) {
                    Call::Reply(..) => drop(self.tenants[tenant].lost.remove(&page)),
                    // It stays lost, and is wanted again at the next touch.
                    Call::Refused(refusal) => assert_eq!(refusal.error, MemoryError::ContractExhausted),
                    Call::Waits(_) => {}
                }
                // Each seizure counts once, at the first touch.
                if let Some(moment) = taken.filter(|&moment| moment != u64::MAX) {
                    self.outcomes[tenant].refetched += 1;
                    let is_wrong = self.world.now - moment <= WRONG_WITHIN_NS;
                    self.outcomes[tenant].wrongly_taken += u64::from(is_wrong);
                    if let Some(known) = self.tenants[tenant].lost.get_mut(&page) {
                        *known = u64::MAX;
                    }
                }
            }
            // The page was never there, and there is no frame for it now.
            Touch::Ended(FaultReason::ContractExhausted) | Touch::Byte(_) => {}
            Touch::Waits(_) => {
                let moment = self.world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
                self.run_until(moment);
            }
            Touch::Ended(other) => panic!("{other:?}"),
        }
    }
}
