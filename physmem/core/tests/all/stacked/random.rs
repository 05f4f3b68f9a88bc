//! Random work of children of a stacked physmem, against a model of their contents.

use super::level::{Level, Server};
use super::{Child, FRAMES, Second, Touch, first, walk};
use containers_api::container::{ContainerDestroy, Copy, Deallocate};
use containers_api::contract::{ContractDestroy, ContractStat};
use containers_api::space::SpaceDestroy;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

/// Pages of each container of the random test.
const PAGES: u64 = 12;

/// A container with what its pages' first bytes must be, and where it is mapped.
struct Held {
    container: u64,
    child: usize,
    address: u64,
}

fn random<S: Server + 'static>(
    level: &mut Level<S>,
    seed: u64,
    steps: u32,
    mut check: impl FnMut(&mut Level<S>),
) {
    let mut random = Random(seed);
    let root = level.root();
    let contract = level.split(root, 300);
    let mut children: Vec<Child> = (0..3).map(|_| level.child(contract)).collect();
    let mut bytes: BTreeMap<(usize, u64), u8> = BTreeMap::new();
    let mut held: Vec<Held> = (0..6)
        .map(|index| Held {
            container: level.container(contract, PAGES),
            child: index % 3,
            address: 0x10_0000 + index as u64 * 0x20_0000,
        })
        .collect();
    for one in &held {
        level.map(children[one.child], one.container, one.address, PAGES);
    }
    for step in 0..steps {
        let which = random.below(held.len() as u64) as usize;
        let (page, value) = (random.below(PAGES), random.below(255) as u8 + 1);
        let (container, child) = (held[which].container, children[held[which].child]);
        let address = held[which].address + page * 4096;
        match random.below(10) {
            0..4 => {
                assert_eq!(level.touch(child, address, Some(value)), Touch::Byte(value), "step {step}");
                bytes.insert((which, page), value);
            }
            4..7 => {
                let expected = bytes.get(&(which, page)).copied().unwrap_or(0);
                assert_eq!(level.touch(child, address, None), Touch::Byte(expected), "step {step}");
            }
            7 => {
                let other = (which + 1) % held.len();
                let count = random.below(PAGES - page) + 1;
                let offset = page * 4096;
                let request = Copy { source_offset: offset, destination_offset: offset, bytes: count * 4096 };
                level.ask(container, &request, &[held[other].container]);
                for page in page..page + count {
                    let byte = bytes.get(&(which, page)).copied().unwrap_or(0);
                    bytes.insert((other, page), byte);
                }
            }
            8 => {
                level.ask(container, &Deallocate { first_page: page, pages: 1 }, &[]);
                bytes.remove(&(which, page));
            }
            _ if random.below(8) == 0 => {
                // A child ends, another comes in its place.
                let ended = held[which].child;
                level.ask(child.space, &SpaceDestroy {}, &[]);
                children[ended] = level.child(contract);
                for one in held.iter().filter(|one| one.child == ended) {
                    level.map(children[ended], one.container, one.address, PAGES);
                }
            }
            _ => {
                level.ask(container, &ContainerDestroy {}, &[]);
                bytes.retain(|&(index, _), _| index != which);
                held[which].container = level.container(contract, PAGES);
                level.map(child, held[which].container, held[which].address, PAGES);
            }
        }
        if step % 16 == 0 {
            check(level);
        }
    }
    level.ask(contract, &ContractDestroy {}, &[]);
    check(level);
    assert_eq!(level.ask(root, &ContractStat {}, &[]).handed_on, 0);
}

#[test]
fn random_work_one_level_deep() {
    for seed in 1..6 {
        let (mut level, _) = first();
        random(&mut level, seed, 600, walk::check);
    }
}

#[test]
fn random_work_two_levels_deep() {
    for seed in 11..14 {
        let (level, _) = first();
        let level = Rc::new(RefCell::new(level));
        let contract = {
            let mut level = level.borrow_mut();
            let root = level.root();
            level.split(root, 560)
        };
        let mut second: Second = Level::new(level.clone(), contract, FRAMES.1);
        random(&mut second, seed, 300, |second| {
            walk::check(second);
            walk::check(&mut level.borrow_mut());
        });
    }
}
