//! The sweep of failing allocations: in each of some scenes, the first, second, third ... allocation of a frame fails, then of a
//! kernel object, for every one that there is. Nothing panics, nothing hangs, nothing is lost.
//!
//! The servers have no heap of their own here. Where their allocator runs dry their task ends; that, at every step of
//! theirs, is what the scenario `deaths` does.
#![forbid(unsafe_code)]

use containers_core::mutations::refuse_charge;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tests_simulator::env::Counter;
use tests_simulator::image::Image;
use tests_simulator::machine::Arena;
use tests_simulator::random::Random;
use tests_simulator::scenario::{self, Mix};
use tests_simulator::sim::Sim;
use tests_simulator::violation::Violation;

/// A scene: a scenario, its seed, and the steps from and to which allocations are made to fail.
struct Scene {
    name: &'static str,
    scenario: &'static str,
    seed: u64,
    steps: (u64, u64),
}

const SCENES: [Scene; 6] = [
    Scene { name: "boot", scenario: "boot-read", seed: 3, steps: (0, 60) },
    Scene { name: "read", scenario: "boot-read", seed: 3, steps: (60, 360) },
    Scene { name: "grant and lock", scenario: "locks", seed: 5, steps: (40, 300) },
    Scene { name: "restart", scenario: "deaths", seed: 8, steps: (20, 400) },
    Scene { name: "contract tree", scenario: "trees", seed: 2, steps: (0, 300) },
    Scene { name: "the ladder", scenario: "ladder", seed: 1, steps: (100, 500) },
];

/// What is made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Frames,
    Objects,
}

fn mix_of(scene: &Scene) -> Mix {
    *scenario::named(scene.scenario).expect("a scenario of that name")
}

/// Plays a scene in which one allocation fails; 0: none. How many there are.
fn play(arena: &mut Arena, scene: &Scene, what: What, failing: u64) -> u64 {
    let mut sim = Sim::new(arena, Image::new(), mix_of(scene), 160, false);
    let (first, end) = scene.steps;
    (0..first).for_each(|step| sim.step(Random::of(scene.seed, step)));
    let kernel = &mut sim.env.world.machine.pmap;
    (kernel.injecting, kernel.object_calls) = (true, 0);
    match what {
        What::Frames => drop(refuse_charge(failing)),
        What::Objects => kernel.refuse_object_in = failing,
    }
    (first..end).for_each(|step| sim.step(Random::of(scene.seed, step)));
    let count = match what {
        What::Frames => refuse_charge(0),
        What::Objects => {
            sim.env.world.machine.pmap.refuse_object_in = 0;
            sim.env.world.machine.pmap.object_calls
        }
    };
    // Goes on for a while, as if nothing had been, and ends with everything given back.
    (end..end + 200).for_each(|step| sim.step(Random::of(scene.seed, step)));
    let record = sim.end();
    assert!(record.counts[Counter::Walks as usize] > 0);
    count
}

/// Each allocation of a scene fails once, as long as there are as many; how many have failed.
fn sweep(scene: &Scene, what: What) -> u64 {
    let mut arena = Arena::default();
    for failing in 1.. {
        match catch_unwind(AssertUnwindSafe(|| play(&mut arena, scene, what, failing))) {
            Ok(count) if count < failing => return failing - 1,
            Ok(_) => {}
            Err(panic) => {
                let law = panic.downcast_ref::<Violation>();
                panic!("{}: allocation {failing} of {what:?}: {law:?}", scene.name);
            }
        }
    }
    unreachable!("a scene has an end")
}

#[test]
fn whatever_allocation_fails_nothing_is_lost() {
    for scene in &SCENES {
        for what in [What::Frames, What::Objects] {
            let count = sweep(scene, what);
            println!("{}: {count} allocations of {what:?} have failed, one at a time", scene.name);
            assert!(count > 0, "{}: nothing is allocated", scene.name);
        }
    }
}
