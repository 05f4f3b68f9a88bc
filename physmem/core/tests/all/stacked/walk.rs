//! The laws of a stacked physmem, by a walk through it and through the machine below.

use super::level::{FIRST_FRAME, Level, Server};
use crate::support::World;
use containers_core::layout::container;
use containers_core::pages;
use containers_core::record::{Container, Name, Records};
use physmem_core::badge::Badge;
use physmem_core::database::State;
use physmem_core::layout::contract;
use std::collections::BTreeMap;

/// The frame of a page of a container.
pub fn frame<S: Server + 'static>(level: &Level<S>, badge: u64, page: u64) -> u32 {
    let found: Name<Container> = level.machine.resolve(Badge(badge).name()).expect("the container lives");
    pages::entry(&level.machine, found, page).frame().expect("the page is present")
}

/// Panics where a law is broken, at this level or in the machine below.
pub fn check<S: Server + 'static>(level: &mut Level<S>) {
    level.server.borrow_mut().world(&mut |world: &mut World| world.check());
    level.machine.check_conservation();
    let machine = &level.machine;
    let mut holders: BTreeMap<u32, u32> = BTreeMap::new();
    let mut contracts = vec![machine.root()];
    while let Some(this) = contracts.pop() {
        let mut next = machine.get(this, contract::CHILDREN);
        while let Some(child) = next {
            contracts.push(child);
            next = machine.get(child, contract::NEXT);
        }
        let mut present = 0;
        let mut next = machine.get(this, contract::CONTAINERS);
        while let Some(here) = next {
            next = machine.get(here, container::NEXT);
            let mut page = 0;
            while let Some((found, entry)) = pages::next_present(machine, here, page, u64::MAX) {
                let frame = entry.frame().expect("a frame");
                *holders.entry(frame).or_default() += 1;
                present += 1;
                page = found + 1;
            }
        }
        assert_eq!(machine.get(this, contract::PAGES), present, "pages present are charged");
    }
    for frame in 0..level.frames {
        match machine.database().state(frame) {
            State::Held => {
                let found = holders.get(&frame).copied().unwrap_or(0);
                assert_eq!(machine.database().holders(frame), found, "holders of frame {frame}");
            }
            _ => assert!(!holders.contains_key(&frame), "a page has frame {frame}, which is not held"),
        }
    }
    check_banks(level);
}

/// A frame of kernel objects was given up to the parent, and so was one that the parent has called for; every other one is a
/// page that it holds there.
fn check_banks<S: Server + 'static>(level: &Level<S>) {
    let mut given_up = 0;
    for frame in 1..level.frames {
        let state = level.machine.database().state(frame);
        let is_gone = state == State::Object || state == State::System && frame >= FIRST_FRAME;
        let is_given_up = level.machine.pmap.is_given_up(frame);
        given_up += u64::from(is_given_up);
        assert_eq!(is_given_up, is_gone, "frame {frame} is {:?}", level.machine.database().state(frame));
    }
    let (mut present, mut banks) = (0, level.banks.clone());
    while let Some(bank) = banks.pop() {
        let words: &[u64] = &[];
        let label = <containers_api::container::ContainerStat as kernel_protocol::Request>::LABEL;
        let outcome = level.server.borrow_mut().serve(bank, label, words, &[]);
        match outcome {
            physmem_core::Outcome::Answered(answer) => {
                let status: containers_api::container::ContainerStatus =
                    kernel_protocol::Message::decode(&level.server.borrow().words_of(&answer))
                        .expect("a status");
                present += status.present;
            }
            other => panic!("{other:?}"),
        }
    }
    // Frame 0 is nobody's.
    assert_eq!(present + given_up, u64::from(level.frames) - 1, "pages held and given up");
}
