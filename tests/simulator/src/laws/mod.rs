//! The laws, checked from outside: those that a step touched after the step, all of them by a walk through everything.

mod container;
mod published;
mod step;
mod walk;

pub use step::check_step;
pub use walk::check_all;

use crate::contents::Frame;
use crate::env::Env;
use crate::law;
use crate::world::World;
use containers_core::layout::grant;
use containers_core::record::{Container, Contract, Grant, Records};
use containers_core::{Entry, pages};
use physmem_core::badge::{Badge, BadgeKind};
use physmem_core::database::NO_FRAME;
use physmem_core::paging::Contents;

/// The frame of a container's page; none: it is absent, or there is no such container.
pub fn frame_of(world: &World<'_>, badge: u64, page: u64) -> Option<u32> {
    let found = world.machine.resolve::<Container>(Badge(badge).name())?;
    pages::entry(&world.machine, found, page).frame()
}

/// Frames that were seized from a contract.
pub fn seized_from(world: &World<'_>, badge: u64) -> u64 {
    let found = world.machine.resolve::<Contract>(Badge(badge).name());
    found.map_or(0, |found| world.machine.get(found, physmem_core::layout::contract::SEIZED))
}

/// Whether a page was seized.
pub fn is_lost(world: &World<'_>, badge: u64, page: u64) -> bool {
    let found = world.machine.resolve::<Container>(Badge(badge).name());
    found.is_some_and(|found| {
        let entry = pages::entry(&world.machine, found, page);
        entry == Entry::LOST || entry.out().is_some_and(|number| world.machine.is_out_lost(number))
    })
}

/// What a container's page holds, wherever that is; none: it is absent, or lost.
pub fn contents_of(env: &Env<'_>, badge: u64, page: u64) -> Option<Box<Frame>> {
    let machine = &env.world.machine;
    let found = machine.resolve::<Container>(Badge(badge).name())?;
    let entry = pages::entry(machine, found, page);
    let in_frame = |frame: u32| Some(Box::new(machine.pmap.frames[frame as usize]));
    match (entry.frame(), entry.out().map(|number| machine.contents_under(number))) {
        (Some(frame), _) | (None, Some(Contents::Frame(frame))) => in_frame(frame),
        (None, Some(Contents::Name(name))) => {
            let kept = env.kept.get(&name);
            law!("pager", kept.is_some(), "page {page} is out as {name}, which the pager has forgotten");
            kept.cloned()
        }
        (None, Some(Contents::Lost) | None) => None,
    }
}

/// Whether a page takes part in a logical copy.
pub fn is_shared(world: &World<'_>, badge: u64, page: u64) -> bool {
    let found = world.machine.resolve::<Container>(Badge(badge).name());
    found.is_some_and(|found| pages::entry(&world.machine, found, page).is_shared())
}

/// The container that a grant is on, as a badge, and the first page granted.
pub fn granted_on(world: &World<'_>, badge: u64) -> Option<(u64, u64)> {
    let found = world.machine.resolve::<Grant>(Badge(badge).name())?;
    let container = world.machine.get(found, grant::CONTAINER);
    let badge = Badge::new(BadgeKind::Container, 0, container.word());
    Some((badge.0, world.machine.get(found, grant::FIRST_PAGE)))
}

/// Whether the owner waits for a grant to end.
pub fn is_revoking(world: &World<'_>, badge: u64) -> bool {
    let found = world.machine.resolve::<Grant>(Badge(badge).name());
    found.is_some_and(|found| world.machine.get(found, grant::REVOKING))
}

/// Records of a list, from its first.
fn each<T: Copy>(first: Option<T>, next: impl Fn(T) -> Option<T>) -> impl Iterator<Item = T> {
    std::iter::successors(first, move |&here| next(here))
}

/// Frames of a ring.
fn ring<'w>(world: &'w World<'_>, head: u32) -> impl Iterator<Item = u32> + 'w {
    let first = (head != NO_FRAME).then_some(head);
    std::iter::successors(first, move |&frame| {
        Some(world.machine.database().ring_next(frame)).filter(|&next| next != head)
    })
}
