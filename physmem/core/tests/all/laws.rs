//! The laws, checked by walking through everything: every contract, container, page, mapping and frame.

use crate::support::World;
use crate::support::kernel::Kind;
use crate::support::world::Machine;
use containers_api::LockMode;
use containers_api::space::MapProtection;
use containers_core::access::{mode_in_force, span_of};
use containers_core::frames::Span;
use containers_core::layout::{EVICTION_ORDER, container, hold, lock};
use containers_core::record::{Container, Contract, Lock, Mapping, Name, Record, Records, Space};
use containers_core::tree::Tree;
use containers_core::{Entry, pages};
use kernel_abi::pmap::Protection;
use physmem_core::database::{NO_FRAME, State};
use physmem_core::layout::{SPACE_MAPPINGS, contract, mapping, space};
use std::collections::{BTreeMap, BTreeSet};

const FRAME: u64 = 4096;

/// What the walk found.
#[derive(Default)]
struct Found {
    holders: BTreeMap<u32, u32>,
    frames: BTreeMap<State, BTreeSet<u32>>,
    /// Pages that are out, by number.
    out: BTreeMap<u32, u64>,
    unfilled: u64,
    extra: u64,
    claimed: u64,
    guaranteed: u64,
}

/// Panics where a law is broken.
pub fn check(world: &World) {
    let mut found = Found::default();
    let mut next = vec![world.machine.root()];
    while let Some(this) = next.pop() {
        check_contract(world, this, &mut found);
        let mut child = world.machine.get(this, contract::CHILDREN);
        while let Some(here) = child {
            assert_eq!(world.machine.get(here, contract::PARENT), Some(this));
            next.push(here);
            child = world.machine.get(here, contract::NEXT);
        }
    }
    check_frames(world, &found);
    check_numbers(world, &found);
    check_guarantees(world, &found);
}

fn each<T: Copy>(first: Option<T>, next: impl Fn(T) -> Option<T>) -> Vec<T> {
    std::iter::successors(first, |&here| next(here)).collect()
}

fn ring(world: &World, head: u32) -> Vec<u32> {
    if head == NO_FRAME {
        return Vec::new();
    }
    let mut frames = vec![head];
    loop {
        let next = world.machine.database().ring_next(*frames.last().unwrap());
        if next == head {
            return frames;
        }
        frames.push(next);
    }
}

fn check_contract(world: &World, this: Name<Contract>, found: &mut Found) {
    let machine = &world.machine;
    let mut records = 0;
    for head in [contract::SMALL_RING, contract::LARGE_RING, contract::NODE_RING, contract::HUGE_RING] {
        let frames = ring(world, machine.get(this, head));
        records += frames.len() as u64;
        add(found, State::Record, frames);
    }
    let page = machine.get(this, contract::PAGE);
    if page != NO_FRAME {
        records += 1;
        add(found, State::Record, vec![page]);
    }
    if let Some(books) = machine.swap_frames().filter(|books| books.contract == this) {
        let directory = machine.words(books.first[2])[..books.frames as usize].iter();
        let frames: Vec<u32> = books.first.into_iter().chain(directory.map(|&word| word as u32)).collect();
        records += frames.len() as u64;
        add(found, State::Record, frames);
    }
    assert_eq!(machine.get(this, contract::RECORDS), records, "frames of records");
    let mut kernel = 0;
    for head in [contract::ENDPOINT_RING, contract::NOTIFICATION_RING, contract::TASK_RING] {
        let frames = ring(world, machine.get(this, head));
        kernel += frames.len() as u64;
        add(found, State::Object, frames);
    }
    let spaces = each(machine.get(this, contract::SPACES), |here| machine.get(here, space::NEXT));
    assert_eq!(machine.get(this, contract::SPACE_COUNT), spaces.len() as u64);
    for &here in &spaces {
        assert_eq!(machine.get(here, space::CONTRACT), this);
        for head in [space::TABLE_RING, space::CAPABILITY_RING, space::THREAD_RING] {
            let frames = ring(world, machine.get(here, head));
            kernel += frames.len() as u64;
            add(found, State::Object, frames);
        }
        check_space(world, here);
    }
    assert_eq!(machine.get(this, contract::KERNEL), kernel, "kernel frames");
    let containers = each(machine.get(this, contract::CONTAINERS), |here| machine.get(here, container::NEXT));
    assert_eq!(machine.get(this, contract::CONTAINER_COUNT), containers.len() as u64);
    let (mut pages, mut pinned, mut vital, mut ordered, mut out) = (0, 0, 0, 0, 0);
    for &here in &containers {
        vital += if machine.get(here, container::VITAL) { machine.get(here, container::PAGES) } else { 0 };
        ordered += usize::from(machine.get(here, container::ORDER_HEIGHT) != 0);
        out += machine.get(here, container::OUT);
        assert_eq!(machine.get(here, container::CONTRACT), this);
        pages += machine.get(here, container::PRESENT);
        pinned += check_container(world, here, found);
    }
    assert_eq!(machine.get(this, contract::PAGES), pages, "pages present are charged");
    assert_eq!(machine.get(this, contract::VITAL), vital, "vital pages");
    assert_eq!(machine.get(this, contract::SWAPPED), out, "pages that are out");
    let mut order = Vec::new();
    tree(machine, &EVICTION_ORDER, machine.get(this, contract::ORDER), &mut order);
    assert_eq!(order.len(), ordered, "the eviction order");
    assert!(order.iter().all(|&here| machine.get(here, container::CONTRACT) == this));
    let set_aside = check_holds(world, this, found);
    assert_eq!(machine.get(this, contract::SET_ASIDE), set_aside, "set aside");
    assert_eq!(machine.get(this, contract::PINNED), pinned + set_aside, "pinned");
    check_allowance(world, this, found);
}

fn add(found: &mut Found, state: State, frames: Vec<u32>) {
    let set = found.frames.entry(state).or_default();
    frames.into_iter().for_each(|frame| assert!(set.insert(frame), "frame {frame} is in two places"));
}

fn check_allowance(world: &World, this: Name<Contract>, found: &mut Found) {
    let machine = &world.machine;
    let guaranteed = machine.get(this, contract::GUARANTEED);
    let charged = machine.charged(this);
    let firm = machine.get(this, contract::RECORDS)
        + machine.get(this, contract::KERNEL)
        + machine.get(this, contract::PINNED)
        + machine.get(this, contract::VITAL);
    assert!(firm <= guaranteed, "what cannot be taken at once fits inside the guarantee");
    assert!(machine.get(this, contract::PINNED) <= machine.get(this, contract::PIN_LIMIT));
    let extra = charged.saturating_sub(guaranteed);
    let is_asked =
        machine.get(this, contract::CALL_DEADLINE) != 0 || machine.get(this, contract::SEIZING) != 0;
    let limit = machine.get(this, contract::EXTRA_LIMIT);
    assert!(extra <= limit || is_asked, "extra frames within their limit");
    let children = each(machine.get(this, contract::CHILDREN), |here| machine.get(here, contract::NEXT));
    let handed_on: u64 = children
        .iter()
        .map(|&child| machine.get(child, contract::GUARANTEED) + machine.get(child, contract::HANDED_ON))
        .sum();
    assert_eq!(machine.get(this, contract::HANDED_ON), handed_on, "what was handed on");
    found.unfilled += guaranteed.saturating_sub(charged);
    let claimed = machine.get(this, contract::CLAIMED);
    assert!(claimed <= guaranteed.saturating_sub(charged), "a claim beyond the guarantee");
    found.claimed += claimed;
    let terms: u64 = contract::TERMS.iter().map(|(count, _)| machine.get(this, *count)).sum();
    assert_eq!(terms, extra, "the terms add up to the extra frames");
    assert!(machine.get(this, contract::SEIZING) <= extra, "more is seized than is extra");
    found.extra += extra;
    found.guaranteed += guaranteed;
}

fn check_holds(world: &World, this: Name<Contract>, found: &mut Found) -> u64 {
    let machine = &world.machine;
    let mut set_aside = 0;
    for here in each(machine.get(this, contract::HOLDS), |here| machine.get(here, hold::NEXT)) {
        set_aside += machine.get(here, hold::PAGES);
        let first = machine.get(here, hold::FRAMES);
        let frames = each((first != NO_FRAME).then_some(first), |frame| {
            Some(machine.database().next_quarantined(frame)).filter(|&next| next != NO_FRAME)
        });
        assert!(frames.is_empty() || machine.get(here, hold::OVERDUE));
        add(found, State::Quarantined, frames);
    }
    set_aside
}

/// Pages that the container's locks pin.
fn check_container(world: &World, this: Name<Container>, found: &mut Found) -> u64 {
    let machine = &world.machine;
    let locks = each(machine.get(this, container::LOCKS), |here| machine.get(here, lock::NEXT));
    assert_eq!(machine.get(this, container::LOCK_COUNT), locks.len() as u64);
    let (mut present, mut shared, mut page) = (0, 0, 0);
    while let Some((here, entry)) = pages::next_present(machine, this, page, u64::MAX) {
        let frame = entry.frame().expect("a frame");
        assert_eq!(machine.database().state(frame), State::Held, "page {here} has frame {frame}");
        *found.holders.entry(frame).or_default() += 1;
        present += 1;
        shared += u64::from(entry.is_shared());
        assert!(here < machine.get(this, container::PAGES), "a page beyond the end");
        if entry.is_raw() {
            let covered = |&lock: &Name<Lock>| {
                span_of(machine, lock).contains(here) && machine.get(lock, lock::MODE) == LockMode::Dma
            };
            assert!(locks.iter().any(covered), "a raw page without a dma lock");
        }
        let is_remembered = machine.database().number(frame) != 0 && machine.swap_frames().is_some();
        if machine.database().holders(frame) > 1 || is_remembered {
            assert!(entry.is_shared(), "a frame with several holders is not marked as shared");
        }
        page = here + 1;
    }
    assert_eq!(machine.get(this, container::PRESENT), present);
    assert_eq!(machine.get(this, container::SHARED), shared);
    let (mut lost, mut out, mut page) = (0, 0, 0);
    while let Some((here, entry)) = pages::next_entry(machine, this, page, u64::MAX) {
        lost += u64::from(entry == Entry::LOST);
        if let Some(number) = entry.out() {
            out += 1;
            *found.out.entry(number).or_default() += 1;
        }
        page = here + 1;
    }
    assert_eq!(machine.get(this, container::LOST), lost);
    assert_eq!(machine.get(this, container::OUT), out);
    let pins = |&&lock: &&Name<Lock>| mode_in_force(machine, lock) == LockMode::Dma;
    locks.iter().filter(pins).map(|&lock| machine.get(lock, lock::PAGES)).sum()
}

fn tree<R: Record>(machine: &Machine, tree_of: &Tree<R>, here: Option<Name<R>>, found: &mut Vec<Name<R>>) {
    if let Some(here) = here {
        tree(machine, tree_of, machine.get(here, tree_of.left), found);
        found.push(here);
        tree(machine, tree_of, machine.get(here, tree_of.right), found);
    }
}

fn check_space(world: &World, this: Name<Space>) {
    let machine = &world.machine;
    let mut mappings = Vec::new();
    tree(machine, &SPACE_MAPPINGS, machine.get(this, space::MAPPINGS), &mut mappings);
    assert_eq!(machine.get(this, space::MAPPING_COUNT), mappings.len() as u64);
    let task = &machine.pmap.tasks[&machine.get(this, space::TASK)];
    let tables = task.tables.len() + task.stock.len() + usize::from(task.root != 0);
    assert_eq!(ring(world, machine.get(this, space::TABLE_RING)).len(), tables, "page tables");
    let mut end = 0;
    let mut explained = 0;
    for here in mappings {
        let start = machine.get(here, mapping::ADDRESS);
        assert!(start >= end, "mappings overlap");
        end = start + machine.get(here, mapping::PAGES) * FRAME;
        let pages = task.pages.range(start / FRAME..end / FRAME);
        for (&page, &(frame, protection)) in pages {
            explained += 1;
            check_mapped(world, here, page - start / FRAME, frame, protection);
        }
    }
    assert_eq!(explained, task.pages.len(), "pages are mapped without a mapping");
}

fn check_mapped(world: &World, this: Name<Mapping>, index: u64, frame: u32, protection: Protection) {
    let machine = &world.machine;
    let Some(container) = machine.get(this, mapping::CONTAINER) else { return };
    let page = machine.get(this, mapping::FIRST_PAGE) + index;
    let entry = pages::entry(machine, container, page);
    assert_eq!(entry.frame(), Some(frame), "page {page} is mapped to a frame that it has no more");
    assert!(!entry.is_raw(), "a raw page is mapped");
    let writable = protection.contains(Protection::WRITE);
    let allowed = MapProtection::from_bits_retain(machine.get(this, mapping::PROTECTION));
    assert!(!writable || allowed.contains(MapProtection::WRITE), "writable beyond the mapping's protection");
    assert!(!writable || machine.database().holders(frame) == 1, "a shared frame is mapped writable");
    assert!(!writable || !machine.get(container, container::SEALED), "a sealed page is mapped writable");
    for lock in containers_core::access::locks_on(machine, container, Span::page(page)) {
        let holds = machine.get(lock, lock::VIA) == machine.get(this, mapping::VIA);
        match mode_in_force(machine, lock) {
            LockMode::Dma => panic!("a page under a dma lock is mapped"),
            LockMode::Fill => assert!(holds, "a page under a fill lock is mapped by somebody else"),
            LockMode::Stable => assert!(!writable, "a page under a stable lock is mapped writable"),
        }
    }
}

fn check_frames(world: &World, found: &Found) {
    let database = world.machine.database();
    let ram = world.ram.borrow();
    let mut map_counts = vec![0; ram.bytes.len()];
    for task in world.machine.pmap.tasks.values() {
        task.pages.values().for_each(|&(frame, _)| map_counts[frame as usize] += 1);
    }
    assert_eq!(ram.map_counts, map_counts, "the kernel's own counts");
    for frame in 0..ram.bytes.len() as u32 {
        let state = database.state(frame);
        let kind = ram.kinds[frame as usize];
        match state {
            State::Held => {
                let holders = found.holders.get(&frame).copied().unwrap_or(0);
                assert_eq!(database.holders(frame), holders, "holders of frame {frame}");
                assert_eq!(kind, Kind::Plain);
            }
            State::Record => assert_eq!(kind, Kind::Records),
            State::Object => assert!(kind != Kind::Plain && kind != Kind::Records, "frame {frame}: {kind:?}"),
            State::System => {
                assert!(kind == Kind::Plain || kind == Kind::Records, "the pressure page, or plain")
            }
            _ => assert_eq!(kind, Kind::Plain, "frame {frame} is {state:?}"),
        }
        let is_page_of_words = state == State::Record && database.record_size(frame).is_none();
        if state != State::Held && state != State::System && !is_page_of_words {
            assert_eq!(map_counts[frame as usize], 0, "frame {frame} is mapped and {state:?}");
        }
        if state == State::FreeZero {
            assert!(ram.bytes[frame as usize].iter().all(|&byte| byte == 0), "a zero frame is not zero");
        }
        if [State::Record, State::Object, State::Quarantined].contains(&state) {
            let set = found.frames.get(&state);
            assert!(set.is_some_and(|set| set.contains(&frame)), "frame {frame} belongs to nobody");
        }
    }
    for (state, set) in &found.frames {
        assert_eq!(database.count(*state), set.len() as u64);
    }
    assert_eq!(database.count(State::Held), found.holders.len() as u64, "held frames have holders");
}

/// Every number has as many holders and frames as it says, and who remembers one shows its frame to nobody writable.
fn check_numbers(world: &World, found: &Found) {
    let machine = &world.machine;
    let Some(books) = machine.swap_frames() else { return };
    let mut frames: BTreeMap<u32, u64> = BTreeMap::new();
    for &frame in found.holders.keys() {
        *frames.entry(machine.database().number(frame)).or_default() += 1;
    }
    let mut used = 0;
    for number in 1..books.end {
        let count = |map: &BTreeMap<u32, u64>| map.get(&number).copied().unwrap_or(0);
        match machine.users_of_number(number) {
            Some(users) => {
                assert_eq!(users, (count(&found.out), count(&frames)), "users of number {number}");
                used += 1;
            }
            None => assert_eq!((count(&found.out), count(&frames)), (0, 0), "number {number} is free"),
        }
    }
    assert_eq!(books.used, used, "numbers in use");
    let swapped: u64 = found.out.values().sum();
    assert_eq!(machine.swap_status().swapped, swapped, "pages that are out");
}

fn check_guarantees(world: &World, found: &Found) {
    let machine = &world.machine;
    machine.check_conservation();
    let status = machine.revocation_status();
    let room = world.machine.database().free_frames();
    assert!(
        room >= status.room + status.claimed,
        "{room} free frames for {} that may be charged",
        status.room
    );
    assert!(status.room + status.claimed + found.extra >= found.unfilled, "a guarantee cannot be met");
    assert_eq!(machine.system_status().guaranteed, found.guaranteed, "the sum of guarantees");
    assert_eq!(status.extra, found.extra, "the sum of extra frames");
    assert_eq!(status.claimed, found.claimed, "the sum of claims");
}
