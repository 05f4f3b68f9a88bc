//! After a step: what it touched, and the sums that cost nothing.

use super::container::{check_container, check_mappings};
use super::published::{check_contract_page, check_pressure};
use super::{each, ring};
use crate::env::{Counter, Env};
use crate::law;
use crate::world::World;
use containers_core::layout::{container, hold};
use containers_core::record::{Contract, Name, Records};
use physmem_core::database::{NO_FRAME, State};
use physmem_core::destroy::ending;
use physmem_core::layout::{contract, space};
use physmem_core::machine::managed_frames;

/// Checks what the last step touched.
pub fn check_step(env: &mut Env<'_>) {
    check_sums(&env.world);
    let world = &env.world;
    let mut checks = 0;
    let mut last = None;
    for &this in &world.touched.containers {
        // The request may have ended it; and the list may name it twice.
        if last == Some(this.word()) || world.machine.resolve(this.word()) != Some(this) {
            continue;
        }
        last = Some(this.word());
        checks += 1;
        check_container(world, this, |_| {});
        check_mappings(world, this);
        check_contract(world, world.machine.get(this, container::CONTRACT));
    }
    for &this in &world.touched.contracts {
        if world.machine.resolve(this.word()) == Some(this) {
            checks += 1;
            check_contract(world, this);
        }
    }
    env.record.add(Counter::Checks, checks);
}

/// Sums over everything that physmem keeps.
pub fn check_sums(world: &World<'_>) {
    let database = world.machine.database();
    let managed = managed_frames(database);
    let used = database.count(State::Held) + database.count(State::Record) + database.count(State::Object);
    let all = used + database.count(State::Quarantined) + database.free_frames();
    law!("conservation", all == managed, "{all} frames of {managed} are somewhere");
    world.machine.check_conservation();
    check_pressure(world);
}

/// A contract's charges against what it holds, and its charges against its limits.
pub fn check_contract(world: &World<'_>, this: Name<Contract>) {
    let machine = &world.machine;
    let of = |head: containers_core::record::Field<Contract, u32>| {
        ring(world, machine.get(this, head)).count() as u64
    };
    let page = u64::from(machine.get(this, contract::PAGE) != NO_FRAME);
    let books = machine.swap_frames().filter(|books| books.contract == this);
    let books = books.map_or(0, |books| books.first.len() as u64 + u64::from(books.frames));
    let huge = of(contract::HUGE_RING) + page + books;
    let records = of(contract::SMALL_RING) + of(contract::LARGE_RING) + of(contract::NODE_RING) + huge;
    let charged = machine.get(this, contract::RECORDS);
    law!("charges", charged == records, "{charged} record frames are charged, {records} are there");
    let mut kernel = of(contract::ENDPOINT_RING) + of(contract::NOTIFICATION_RING) + of(contract::TASK_RING);
    for here in each(machine.get(this, contract::SPACES), |here| machine.get(here, space::NEXT)) {
        for head in [space::TABLE_RING, space::CAPABILITY_RING, space::THREAD_RING] {
            kernel += ring(world, machine.get(here, head)).count() as u64;
        }
    }
    let charged = machine.get(this, contract::KERNEL);
    law!("charges", charged == kernel, "{charged} kernel frames are charged, {kernel} are there");
    let (mut pages, mut containers, mut vital, mut out) = (0, 0, 0, 0);
    for here in each(machine.get(this, contract::CONTAINERS), |here| machine.get(here, container::NEXT)) {
        pages += machine.get(here, container::PRESENT);
        out += machine.get(here, container::OUT);
        containers += 1;
        if machine.get(here, container::VITAL) {
            vital += machine.get(here, container::PAGES);
        }
    }
    let charged = machine.get(this, contract::PAGES);
    law!("charges", charged == pages, "{charged} pages are charged, {pages} are there");
    let swapped = machine.get(this, contract::SWAPPED);
    law!("swap-limits", swapped == out, "{swapped} pages count as out, {out} are");
    law!("charges", machine.get(this, contract::CONTAINER_COUNT) == containers, "{containers} containers");
    law!("charges", machine.get(this, contract::VITAL) == vital, "{vital} pages are vital");
    let mut aside = 0;
    for here in each(machine.get(this, contract::HOLDS), |here| machine.get(here, hold::NEXT)) {
        aside += machine.get(here, hold::PAGES);
    }
    law!("charges", machine.get(this, contract::SET_ASIDE) == aside, "{aside} frames are set aside");
    check_limits(world, this);
    check_contract_page(world, this);
}

/// A contract within its limits.
pub fn check_limits(world: &World<'_>, this: Name<Contract>) {
    let machine = &world.machine;
    let (swapped, most) = (machine.get(this, contract::SWAPPED), machine.get(this, contract::SWAP_LIMIT));
    law!("swap-limits", swapped <= most, "{swapped} pages are out, {most} may be");
    let guaranteed = machine.get(this, contract::GUARANTEED);
    let pinned = machine.get(this, contract::PINNED);
    let vital = machine.get(this, contract::VITAL);
    let firm = machine.get(this, contract::RECORDS) + machine.get(this, contract::KERNEL) + pinned + vital;
    law!("firm-fits-guarantee", firm <= guaranteed, "{firm} firm frames, {guaranteed} guaranteed");
    let most = machine.get(this, contract::PIN_LIMIT);
    law!("pins-are-covered", pinned <= most, "{pinned} pages are pinned, {most} may be");
    let charged = machine.charged(this);
    let extra = charged.saturating_sub(guaranteed);
    let most = machine.get(this, contract::EXTRA_LIMIT);
    let waits = machine.get(this, contract::ENDING) != ending::ALIVE;
    let seizing = machine.get(this, contract::SEIZING);
    let is_asked = machine.get(this, contract::CALL_DEADLINE) != 0 || seizing != 0;
    law!("extra-within-limit", extra <= most || waits || is_asked, "{extra} extra frames, {most} may be");
    let terms: u64 = contract::TERMS.iter().map(|(count, _)| machine.get(this, *count)).sum();
    law!("extra-terms", terms == extra, "terms of {terms} frames, {extra} are extra");
    law!("extra-terms", seizing <= extra, "{seizing} frames are seized, {extra} are extra");
    let claimed = machine.get(this, contract::CLAIMED);
    law!("claims", claimed <= guaranteed.saturating_sub(charged), "{claimed} frames are claimed");
}
