//! Running a seed: from the machine's size to the last check, with whatever goes wrong caught and named.

use crate::env::{COUNTERS, Record};
use crate::image::Image;
use crate::machine::Arena;
use crate::random::Random;
use crate::scenario::{Mix, of_seed};
use crate::sim::Sim;
use crate::violation::Violation;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps taken by all runs of this process: whoever watches sees whether it goes on.
pub static STEPS_TAKEN: AtomicU64 = AtomicU64::new(0);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The steps, by number, in order.
    pub steps: Steps,
    /// The scenario, if it is not the seed's own.
    pub only: Option<&'static Mix>,
}

/// Steps of a run.
#[derive(Clone, Debug)]
pub enum Steps {
    /// All, so many.
    All(u64),
    /// Only these.
    These(Vec<u64>),
}

impl Steps {
    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Steps::All(count) => *count,
            Steps::These(steps) => steps.len() as u64,
        }
    }

    fn get(&self, index: u64) -> u64 {
        match self {
            Steps::All(_) => index,
            Steps::These(steps) => steps[index as usize],
        }
    }
}

/// What a run came to.
#[derive(Clone)]
pub struct Outcome {
    /// Steps taken.
    pub steps: u64,
    /// The law that was broken.
    pub broken: Option<Violation>,
    /// Changes with everything that happened.
    pub hash: u64,
    /// Counts; of a run that failed: none.
    pub counts: [u64; COUNTERS],
    /// What happened, if it was to be told.
    pub story: Vec<String>,
}

/// What runs need and keep.
pub struct Runner {
    arena: Arena,
    image: Rc<Image>,
}

impl Default for Runner {
    fn default() -> Self {
        Runner::new()
    }
}

impl Runner {
    /// Ready to run.
    pub fn new() -> Runner {
        silence_panics();
        Runner { arena: Arena::default(), image: Image::new() }
    }

    /// Runs a plan.
    pub fn run(&mut self, plan: &Plan, told: bool) -> Outcome {
        let (mix, frames) = of_seed(plan.seed, plan.only);
        let image = self.image.clone();
        let mut taken = 0;
        let mut story = Vec::new();
        SILENT.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut sim = Sim::new(&mut self.arena, image, mix, frames, told);
            let acted = catch_unwind(AssertUnwindSafe(|| {
                for index in 0..plan.steps.count() {
                    sim.step(Random::of(plan.seed, plan.steps.get(index)));
                    taken += 1;
                    STEPS_TAKEN.fetch_add(1, Ordering::Relaxed);
                }
            }));
            if let Err(panic) = acted {
                story = sim.env.record.story.take().unwrap_or_default();
                std::panic::resume_unwind(panic);
            }
            sim.end()
        }));
        SILENT.set(false);
        match result {
            Ok(Record { counts, hash, story }) => {
                let story = story.unwrap_or_default();
                Outcome { steps: taken, broken: None, hash, counts, story }
            }
            Err(panic) => {
                let broken = violation_of(&*panic);
                Outcome { steps: taken, broken: Some(broken), hash: 0, counts: [0; COUNTERS], story }
            }
        }
    }
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
    static PLACE: Cell<Option<(&'static str, u32)>> = const { Cell::new(None) };
}

/// While a run goes on, panics are findings, not messages.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                return before(info);
            }
            if let Some(location) = info.location() {
                PLACE.set(Some((String::leak(location.file().to_owned()), location.line())));
            }
        }));
    });
}

fn violation_of(panic: &(dyn std::any::Any + Send)) -> Violation {
    if let Some(violation) = panic.downcast_ref::<Violation>() {
        return violation.clone();
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    let place = PLACE.get().map_or_else(String::new, |(file, line)| format!("{file}:{line}: "));
    Violation { law: "crash", text: format!("{place}{text}") }
}
