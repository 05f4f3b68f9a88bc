//! All laws, by a walk through every contract, container, address space and frame.

use super::container::{check_container, check_mapped, check_mappings};
use super::step::{check_contract, check_sums};
use super::{each, ring};
use crate::env::{Counter, Env};
use crate::law;
use crate::machine::Kind;
use crate::world::World;
use containers_core::layout::{container, hold};
use containers_core::pages;
use containers_core::record::{Contract, Mapping, Name, Records, Space};
use kernel_abi::{FRAME_BYTES, Handle};
use physmem_core::database::{NO_FRAME, State};
use physmem_core::layout::{contract, mapping, space};
use std::collections::BTreeMap;

/// What the walk found.
struct Found {
    /// Pages that hold each frame.
    holders: Vec<u32>,
    /// Frames of records, kernel objects, quarantine: seen once each.
    owned: Vec<bool>,
    unfilled: u64,
    extra: u64,
    guaranteed: u64,
    claimed: u64,
    /// Pages that are out, by number.
    out: BTreeMap<u32, u64>,
}

/// Checks all laws.
pub fn check_all(env: &mut Env<'_>) {
    env.record.count(Counter::Walks);
    let world = &env.world;
    check_sums(world);
    let frames = world.machine.database().frames() as usize;
    let mut found = Found {
        holders: vec![0; frames],
        owned: vec![false; frames],
        unfilled: 0,
        extra: 0,
        guaranteed: 0,
        claimed: 0,
        out: BTreeMap::new(),
    };
    let mut next = vec![world.machine.root()];
    while let Some(this) = next.pop() {
        visit_contract(world, this, &mut found);
        for child in
            each(world.machine.get(this, contract::CHILDREN), |it| world.machine.get(it, contract::NEXT))
        {
            let parent = world.machine.get(child, contract::PARENT);
            law!("contract-tree", parent == Some(this), "a child has parent {parent:?}");
            next.push(child);
        }
    }
    check_frames(world, &found);
    check_numbers(world, &found);
    check_guarantees(world, &found);
}

fn own(found: &mut Found, world: &World<'_>, frame: u32, state: State) {
    let is = world.machine.database().state(frame);
    law!("conservation", is == state, "frame {frame} is {is:?}, and in a list of {state:?}");
    let seen = std::mem::replace(&mut found.owned[frame as usize], true);
    law!("conservation", !seen, "frame {frame} belongs to two");
}

fn visit_contract(world: &World<'_>, this: Name<Contract>, found: &mut Found) {
    let machine = &world.machine;
    check_contract(world, this);
    for head in [contract::SMALL_RING, contract::LARGE_RING, contract::NODE_RING, contract::HUGE_RING] {
        ring(world, machine.get(this, head)).for_each(|frame| own(found, world, frame, State::Record));
    }
    let page = machine.get(this, contract::PAGE);
    if page != NO_FRAME {
        own(found, world, page, State::Record);
    }
    if let Some(books) = machine.swap_frames().filter(|books| books.contract == this) {
        books.first.into_iter().for_each(|frame| own(found, world, frame, State::Record));
        for &frame in &machine.words(books.first[2])[..books.frames as usize] {
            own(found, world, frame as u32, State::Record);
        }
    }
    for head in [contract::ENDPOINT_RING, contract::NOTIFICATION_RING, contract::TASK_RING] {
        ring(world, machine.get(this, head)).for_each(|frame| own(found, world, frame, State::Object));
    }
    let mut spaces = 0;
    for here in each(machine.get(this, contract::SPACES), |here| machine.get(here, space::NEXT)) {
        spaces += 1;
        law!("contract-tree", machine.get(here, space::CONTRACT) == this, "a space of another contract");
        for head in [space::TABLE_RING, space::CAPABILITY_RING, space::THREAD_RING] {
            ring(world, machine.get(here, head)).for_each(|frame| own(found, world, frame, State::Object));
        }
        visit_space(world, here);
    }
    law!("charges", machine.get(this, contract::SPACE_COUNT) == spaces, "{spaces} spaces");
    let mut pinned = 0;
    for here in each(machine.get(this, contract::CONTAINERS), |here| machine.get(here, container::NEXT)) {
        law!("contract-tree", machine.get(here, container::CONTRACT) == this, "another contract's container");
        pinned += check_container(world, here, |frame| found.holders[frame as usize] += 1);
        check_mappings(world, here);
        let mut page = 0;
        let mut out = 0;
        while let Some((at, entry)) = pages::next_entry(machine, here, page, u64::MAX) {
            page = at + 1;
            if let Some(number) = entry.out() {
                out += 1;
                *found.out.entry(number).or_default() += 1;
            }
        }
        law!("swap-limits", machine.get(here, container::OUT) == out, "{out} pages are out");
    }
    visit_holds(world, this, found);
    pinned += machine.get(this, contract::SET_ASIDE);
    law!("pins-are-covered", machine.get(this, contract::PINNED) == pinned, "{pinned} pages are pinned");
    let handed: u64 = each(machine.get(this, contract::CHILDREN), |child| machine.get(child, contract::NEXT))
        .map(|child| machine.get(child, contract::GUARANTEED) + machine.get(child, contract::HANDED_ON))
        .sum();
    law!("contract-tree", machine.get(this, contract::HANDED_ON) == handed, "{handed} frames handed on");
    let guaranteed = machine.get(this, contract::GUARANTEED);
    let charged = machine.charged(this);
    found.unfilled += guaranteed.saturating_sub(charged);
    found.extra += charged.saturating_sub(guaranteed);
    found.claimed += machine.get(this, contract::CLAIMED);
    found.guaranteed += guaranteed;
}

fn visit_holds(world: &World<'_>, this: Name<Contract>, found: &mut Found) {
    let machine = &world.machine;
    for here in each(machine.get(this, contract::HOLDS), |here| machine.get(here, hold::NEXT)) {
        let mut frame = machine.get(here, hold::FRAMES);
        law!(
            "quarantine",
            frame == NO_FRAME || machine.get(here, hold::OVERDUE),
            "frames of a lock in force"
        );
        let mut count = 0;
        while frame != NO_FRAME {
            own(found, world, frame, State::Quarantined);
            frame = machine.database().next_quarantined(frame);
            count += 1;
        }
        law!("quarantine", count <= machine.get(here, hold::PAGES), "{count} frames in quarantine");
    }
}

fn in_order(world: &World<'_>, here: Option<Name<Mapping>>, visit: &mut impl FnMut(Name<Mapping>)) {
    if let Some(here) = here {
        in_order(world, world.machine.get(here, mapping::LEFT), visit);
        visit(here);
        in_order(world, world.machine.get(here, mapping::RIGHT), visit);
    }
}

fn visit_space(world: &World<'_>, this: Name<Space>) {
    let machine = &world.machine;
    let Some(task) = machine.pmap.task(Handle(machine.get(this, space::TASK))) else {
        crate::violation::broken("contract-tree", String::from("a space without a task"));
    };
    let tables = task.tables.count() + task.stock.len() + usize::from(task.root != 0);
    let counted = ring(world, machine.get(this, space::TABLE_RING)).count();
    law!("charges", counted == tables, "{counted} page tables are charged, {tables} are there");
    let (mut count, mut end, mut explained) = (0, 0, 0);
    in_order(world, machine.get(this, space::MAPPINGS), &mut |here| {
        count += 1;
        let start = machine.get(here, mapping::ADDRESS);
        law!("mappings", start >= end, "mappings overlap at {start:#x}");
        end = start + machine.get(here, mapping::PAGES) * FRAME_BYTES;
        for (page, mapped) in task.tables.range(start / FRAME_BYTES, end / FRAME_BYTES) {
            explained += 1;
            if let (Some(on), false) = (machine.get(here, mapping::CONTAINER), task.ended) {
                let page = machine.get(here, mapping::FIRST_PAGE) + page - start / FRAME_BYTES;
                check_mapped(world, (here, on), page, mapped.frame, mapped.writable);
            }
        }
    });
    law!("mappings", machine.get(this, space::MAPPING_COUNT) == count, "{count} mappings");
    law!("mappings", explained == task.tables.pages(), "pages are mapped without a mapping");
}

fn check_frames(world: &World<'_>, found: &Found) {
    let database = world.machine.database();
    for frame in 0..found.holders.len() as u32 {
        let index = frame as usize;
        let (state, kind) = (database.state(frame), world.machine.pmap.kind(frame));
        let holders = found.holders[index];
        match state {
            State::Held => {
                let counted = database.holders(frame);
                law!("sharing", counted == holders, "frame {frame}: {counted} holders, {holders} are there");
                law!("conservation", holders != 0, "frame {frame} is held by nobody");
            }
            _ => law!("conservation", holders == 0, "frame {frame} is {state:?} and a page's"),
        }
        let owned = matches!(state, State::Record | State::Object | State::Quarantined);
        law!("conservation", found.owned[index] == owned, "frame {frame}, {state:?}, belongs to nobody");
        law!(
            "kernel",
            (kind != Kind::Plain) == (state == State::Object),
            "frame {frame}: {state:?}, {kind:?}"
        );
        let for_all = state == State::Record && database.record_size(frame).is_none();
        if state != State::Held && state != State::System && !for_all {
            let count = world.machine.pmap.map_count(frame);
            law!("unmapped-before-reuse", count == 0, "frame {frame} is {state:?}, mapped {count} times");
        }
        if state == State::FreeZero {
            let is_zero = world.machine.pmap.frames[index].iter().all(|&byte| byte == 0);
            law!("zeroed", is_zero, "frame {frame} counts as zeroed and is not");
        }
    }
}

/// Every number counts its holders and the frames that have its contents; who needs none any more is free.
fn check_numbers(world: &World<'_>, found: &Found) {
    let machine = &world.machine;
    let Some(books) = machine.swap_frames() else { return };
    let mut frames: BTreeMap<u32, u64> = BTreeMap::new();
    for frame in 0..found.holders.len() as u32 {
        if found.holders[frame as usize] != 0 {
            *frames.entry(machine.database().number(frame)).or_default() += 1;
        }
    }
    let count = |map: &BTreeMap<u32, u64>, number| map.get(&number).copied().unwrap_or(0);
    let mut used = 0;
    for number in 1..books.end {
        let there = (count(&found.out, number), count(&frames, number));
        let counted = machine.users_of_number(number);
        used += u64::from(counted.is_some());
        law!(
            "numbers",
            counted.unwrap_or((0, 0)) == there,
            "number {number} counts {counted:?}, there are {there:?}"
        );
    }
    law!("numbers", books.used == used, "{} numbers count as used, {used} are", books.used);
}

fn check_guarantees(world: &World<'_>, found: &Found) {
    let machine = &world.machine;
    let status = machine.revocation_status();
    let (free, room) = (machine.database().free_frames(), status.room + status.claimed);
    law!("guarantee", free >= room, "{free} frames are free, {room} may be charged");
    let unfilled = found.unfilled;
    law!("guarantee", room + found.extra >= unfilled, "{unfilled} frames are promised, {room} are there");
    let sum = machine.system_status().guaranteed;
    law!("guarantee", sum == found.guaranteed, "{sum} frames are guaranteed, {} found", found.guaranteed);
    law!("extra-terms", status.extra == found.extra, "{} extra frames, {} found", status.extra, found.extra);
    law!("claims", status.claimed == found.claimed, "{} frames claimed, {}", status.claimed, found.claimed);
}
