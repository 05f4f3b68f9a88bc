//! One container: its counts, its pages, its locks, and where it is mapped.

use super::each;
use crate::law;
use crate::world::World;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use containers_core::access::{locks_on, mode_in_force, span_of};
use containers_core::frames::Span;
use containers_core::layout::{container, grant, lock};
use containers_core::pages;
use containers_core::record::{Container, Lock, Mapping, Name, Records};
use kernel_abi::{FRAME_BYTES, Handle};
use physmem_core::database::State;
use physmem_core::layout::{mapping, space};

/// Checks it; tells each frame that a page of it holds. The pages that its locks pin.
pub fn check_container(world: &World<'_>, this: Name<Container>, mut held: impl FnMut(u32)) -> u64 {
    let machine = &world.machine;
    let database = machine.database();
    let (mut present, mut shared, mut page) = (0, 0, 0);
    while let Some((here, entry)) = pages::next_present(machine, this, page, u64::MAX) {
        let frame = entry.frame().unwrap_or(0);
        law!("conservation", database.state(frame) == State::Held, "page {here} has frame {frame}, not held");
        held(frame);
        present += 1;
        shared += u64::from(entry.is_shared());
        law!("conservation", here < machine.get(this, container::PAGES), "page {here} is beyond the end");
        if entry.is_raw() {
            let covers = |lock: Name<Lock>| {
                span_of(machine, lock).contains(here) && machine.get(lock, lock::MODE) == LockMode::Dma
            };
            let covered =
                each(machine.get(this, container::LOCKS), |it| machine.get(it, lock::NEXT)).any(covers);
            law!("raw-pages-unseen", covered, "page {here} is raw without a dma lock");
        }
        let holders = database.holders(frame);
        law!("sharing", holders == 1 || entry.is_shared(), "frame {frame} has {holders} holders, not marked");
        let is_remembered = database.number(frame) != 0 && machine.swap_frames().is_some();
        law!("clean-is-clean", !is_remembered || entry.is_shared(), "page {here} can be written unnoticed");
        page = here + 1;
    }
    law!("charges", machine.get(this, container::PRESENT) == present, "{present} pages are present");
    law!("charges", machine.get(this, container::SHARED) == shared, "{shared} pages are shared");
    let mut pinned = 0;
    for here in each(machine.get(this, container::LOCKS), |here| machine.get(here, lock::NEXT)) {
        let expires = machine.get(here, lock::EXPIRES);
        law!("deadlines", expires > world.now, "a lock of {expires} is there at {}", world.now);
        if mode_in_force(machine, here) == LockMode::Dma {
            pinned += machine.get(here, lock::PAGES);
        }
    }
    pinned
}

/// Checks every page of a container that is mapped somewhere.
pub fn check_mappings(world: &World<'_>, this: Name<Container>) {
    let machine = &world.machine;
    for here in each(machine.get(this, container::MAPPINGS), |here| machine.get(here, mapping::NEXT)) {
        let task = Handle(machine.get(machine.get(here, mapping::SPACE), space::TASK));
        let Some(task) = machine.pmap.task(task).filter(|task| !task.ended) else { continue };
        let first = machine.get(here, mapping::ADDRESS) / FRAME_BYTES;
        let end = first + machine.get(here, mapping::PAGES);
        for (page, mapped) in task.tables.range(first, end) {
            let page = machine.get(here, mapping::FIRST_PAGE) + page - first;
            check_mapped(world, (here, this), page, mapped.frame, mapped.writable);
        }
    }
}

/// Checks a page of a container that is mapped to a frame.
pub fn check_mapped(
    world: &World<'_>,
    (by, this): (Name<Mapping>, Name<Container>),
    page: u64,
    frame: u32,
    writable: bool,
) {
    let machine = &world.machine;
    let entry = pages::entry(machine, this, page);
    let has = entry.frame();
    law!("unmapped-before-reuse", has == Some(frame), "page {page} is mapped to frame {frame}, has {has:?}");
    law!("raw-pages-unseen", !entry.is_raw(), "page {page} is raw and mapped");
    if writable {
        let allowed = MapProtection::from_bits_retain(machine.get(by, mapping::PROTECTION));
        law!("protection", allowed.contains(MapProtection::WRITE), "page {page} is mapped writable");
        law!("sharing", !entry.is_shared(), "page {page} is shared and mapped writable");
        law!(
            "protection",
            !machine.get(this, container::SEALED),
            "page {page} is sealed and mapped writable"
        );
    }
    if let Some(via) = machine.get(by, mapping::VIA)
        && machine.get(via, grant::RIGHTS).contains(ContainerRights::LOCK)
    {
        let mut locks = locks_on(machine, this, Span::page(page));
        let held = locks.any(|found| machine.get(found, lock::VIA) == Some(via));
        law!("locks-shut-out", held, "page {page} is mapped by whoever had a lock on it");
    }
    for lock in locks_on(machine, this, Span::page(page)) {
        let holds = machine.get(lock, lock::VIA) == machine.get(by, mapping::VIA);
        match mode_in_force(machine, lock) {
            LockMode::Dma => law!("locks-shut-out", false, "page {page} is under a dma lock and mapped"),
            LockMode::Fill => {
                law!("locks-shut-out", holds, "page {page} is under somebody's fill lock, mapped")
            }
            LockMode::Stable => law!("locks-shut-out", !writable, "page {page} is stable and writable"),
        }
    }
}
