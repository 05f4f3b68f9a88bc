//! Who runs when: as many tasks at a time as the frames allow, each for a random while, then it is ended, rests, and is
//! started again. Whoever has waited longest is next, so that all get their turn. The seed alone decides, with the
//! moments at which the schedule is asked.

use alloc::vec::Vec;

/// Least and longest life of a task, in nanoseconds.
const LIFE_NS: (u64, u64) = (300_000_000, 2_500_000_000);
/// Longest rest.
const REST_NS: u64 = 200_000_000;

/// Random numbers: one below the bound, which is not 0.
pub type Below<'a> = &'a mut dyn FnMut(u64) -> u64;

/// What to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start this task.
    Start(usize),
    /// End this one, wherever it is.
    End(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Since when it may be started.
    Waiting(u64),
    /// When it is to be ended.
    Running(u64),
}

/// The schedule of some tasks, known by their numbers.
#[derive(Clone, Debug)]
pub struct Schedule {
    tasks: Vec<(u64, State)>,
    budget: u64,
    used: u64,
}

impl Schedule {
    /// Tasks that need so many frames each, out of so many together. The order of the first turns is random. A task that
    /// needs more than there is never runs.
    pub fn new(frames: &[u64], budget: u64, below: Below<'_>) -> Schedule {
        // Moments in the distant past, in random order.
        let mut order: Vec<u64> = (0..frames.len() as u64).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, below(index as u64 + 1) as usize);
        }
        let tasks = frames.iter().zip(order).map(|(&frames, turn)| (frames, State::Waiting(turn))).collect();
        Schedule { tasks, budget, used: 0 }
    }

    /// Something to do; ask until there is nothing.
    pub fn next(&mut self, now: u64, below: Below<'_>) -> Option<Action> {
        let is_over = |(_, state): &(u64, State)| matches!(state, State::Running(until) if *until <= now);
        if let Some(index) = self.tasks.iter().position(is_over) {
            self.ended(index, now, below);
            return Some(Action::End(index));
        }
        let budget = self.budget;
        let waiting = self.tasks.iter().enumerate().filter_map(|(index, &(frames, state))| match state {
            State::Waiting(from) if from <= now && frames <= budget => Some((from, index, frames)),
            _ => None,
        });
        let (_, index, frames) = waiting.min()?;
        // Nobody overtakes: else one that needs much would never run.
        if self.used + frames > budget {
            return None;
        }
        self.used += frames;
        self.tasks[index].1 = State::Running(now + LIFE_NS.0 + below(LIFE_NS.1 - LIFE_NS.0));
        Some(Action::Start(index))
    }

    /// A task has ended by itself, or was not started after all: it rests.
    pub fn ended(&mut self, index: usize, now: u64, below: Below<'_>) {
        let (frames, state) = &mut self.tasks[index];
        if matches!(state, State::Running(_)) {
            self.used -= *frames;
            *state = State::Waiting(now + 1 + below(REST_NS));
        }
    }

    /// Number of tasks that run.
    pub fn running(&self) -> usize {
        self.tasks.iter().filter(|(_, state)| matches!(state, State::Running(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of a simple generator (Knuth's MMIX).
    fn generator(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |bound| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        }
    }

    fn run(seed: u64, frames: &[u64], budget: u64) -> Vec<(u64, Action)> {
        let mut below = generator(seed);
        let mut schedule = Schedule::new(frames, budget, &mut below);
        let (mut done, mut used) = (Vec::new(), 0);
        for step in 1..400 {
            let now = step * 50_000_000;
            while let Some(action) = schedule.next(now, &mut below) {
                match action {
                    Action::Start(index) => used += frames[index],
                    Action::End(index) => used -= frames[index],
                }
                assert!(used <= budget);
                done.push((now, action));
            }
        }
        done
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let frames = [10, 20, 30, 40];
        assert_eq!(run(1, &frames, 60), run(1, &frames, 60));
        assert_ne!(run(1, &frames, 60), run(2, &frames, 60));
    }

    #[test]
    fn everybody_gets_turns_even_who_needs_all() {
        let frames = [10, 10, 10, 60, 10];
        let done = run(3, &frames, 60);
        for index in 0..frames.len() {
            let turns = done.iter().filter(|(_, action)| *action == Action::Start(index)).count();
            assert!(turns >= 3, "{index}: {turns}");
        }
    }

    #[test]
    fn who_needs_more_than_there_is_keeps_nobody_up() {
        let done = run(4, &[100, 10], 60);
        assert!(!done.iter().any(|(_, action)| *action == Action::Start(0)));
        assert!(done.iter().any(|(_, action)| *action == Action::Start(1)));
    }

    #[test]
    fn who_ends_by_itself_makes_room() {
        let mut below = generator(5);
        let mut schedule = Schedule::new(&[60, 60], 60, &mut below);
        let Some(Action::Start(first)) = schedule.next(100, &mut below) else { panic!("nobody starts") };
        assert_eq!((schedule.next(100, &mut below), schedule.running()), (None, 1));
        schedule.ended(first, 101, &mut below);
        schedule.ended(first, 101, &mut below);
        assert_eq!(schedule.next(102, &mut below), Some(Action::Start(1 - first)));
    }
}
