//! A default pager for tests: it keeps what it is given in memory, and does as it is told, or not.

use super::World;
use super::kernel::NOTIFICATION;
use super::world::Machine;
use containers_api::control::ControlRights;
use containers_api::pager::*;
use containers_core::layout::container;
use containers_core::pages;
use containers_core::record::Records;
use kernel_protocol::Request;
use physmem_core::{Outcome, Sent};
use std::collections::BTreeMap;

/// The pager. What it knows outlives it: a crash forgets only what it was told.
pub struct FakePager {
    pub contract: u64,
    window: u64,
    pub names: BTreeMap<u64, Box<[u8; 4096]>>,
    next_name: u64,
    /// What each operation was answered last, by its sequence.
    done: BTreeMap<u8, (u32, Vec<u64>)>,
    /// Requests that it was told and has not answered.
    pub told: Vec<(Header, Vec<u64>)>,
    /// Pages that it takes before it is full.
    pub room: u64,
}

/// The control capability that the pager shows.
pub fn authority() -> u64 {
    Machine::control_badge(ControlRights::PAGER).0
}

impl FakePager {
    /// Makes the place under a contract of its own, and comes to it.
    pub fn new(world: &mut World, slots: u64) -> FakePager {
        let contract = world.split(world.root(), WINDOW_PAGES as u64 + 40);
        let window = world.ask_badge(authority(), &PagerCreate {}, &[contract]);
        let pager = FakePager {
            contract,
            window,
            names: BTreeMap::new(),
            next_name: 0,
            done: BTreeMap::new(),
            told: Vec::new(),
            room: u64::MAX,
        };
        pager.attach(world, slots);
        pager
    }

    pub fn attach(&self, world: &mut World, slots: u64) {
        let sent = [Sent::Handle(NOTIFICATION)];
        match world.raw(authority(), PagerAttach::LABEL, &[slots], &sent) {
            Outcome::Answered(answer) => assert_eq!(answer.label, 0),
            other => panic!("{other:?}"),
        }
    }

    /// Hands answers in, and notes what it is told.
    pub fn exchange(&mut self, world: &mut World, answers: Batch) -> Requests {
        let reply = world.ask(authority(), &PagerExchange { answers }, &[]);
        for (header, words) in reply.requests.requests() {
            self.told.push((header, words.to_vec()));
        }
        reply
    }

    /// Asks until there is nothing more.
    pub fn listen(&mut self, world: &mut World) {
        while self.exchange(world, Batch::default()).more {}
    }

    /// Does all that it was told, and answers.
    pub fn work(&mut self, world: &mut World) {
        loop {
            self.listen(world);
            if self.told.is_empty() {
                return;
            }
            for (header, words) in std::mem::take(&mut self.told) {
                let results = self.carry_out(world, header, &words);
                self.answer(world, header, &results);
            }
        }
    }

    pub fn answer(&mut self, world: &mut World, header: Header, results: &[u64]) {
        let mut answers = Batch::default();
        assert!(answers.add(header, results.iter().copied()));
        self.exchange(world, answers);
    }

    /// Does what a request asks, once: the words of its answer.
    pub fn carry_out(&mut self, world: &mut World, header: Header, words: &[u64]) -> Vec<u64> {
        if let Some((sequence, results)) = self.done.get(&header.operation.0)
            && *sequence == header.sequence
            && header.operation.kind() == Some(Kind::PageOut)
        {
            return results.clone();
        }
        let first = header.operation.window().0 as u64;
        let results: Vec<u64> = match header.operation.kind().unwrap() {
            Kind::PageOut => (0..u64::from(header.count))
                .map(|index| {
                    if self.names.len() as u64 >= self.room {
                        return page_out_word(Err(PageOutError::Full));
                    }
                    self.next_name += 1;
                    let page = world.contents(self.window, first + index);
                    self.names.insert(self.next_name, Box::new(page));
                    page_out_word(Ok(self.next_name))
                })
                .collect(),
            Kind::PageIn => (first..)
                .zip(words)
                .map(|(page, name)| match self.names.get(name) {
                    Some(bytes) => {
                        Self::put(world, self.window, page, bytes);
                        page_in_word(Ok(()))
                    }
                    None => page_in_word(Err(PageInError::Stale)),
                })
                .collect(),
            Kind::Free => {
                for name in words {
                    assert!(self.names.remove(name).is_some(), "name {name} is given back twice");
                }
                Vec::new()
            }
        };
        self.done.insert(header.operation.0, (header.sequence, results.clone()));
        results
    }

    /// Writes to the window, as far as that is the pager's to write to.
    fn put(world: &mut World, window: u64, page: u64, bytes: &[u8; 4096]) {
        let entry = pages::entry(&world.machine, world.container_name(window), page);
        assert!(!entry.is_shared(), "the pager is to fill a page that it may not write to");
        let frame = entry.frame().unwrap();
        assert_eq!(world.machine.database().holders(frame), 1);
        world.ram.borrow_mut().bytes[frame as usize] = *bytes;
    }

    /// Pages of a container that are out.
    pub fn out(world: &World, container: u64) -> u64 {
        world.machine.get(world.container_name(container), container::OUT)
    }
}
