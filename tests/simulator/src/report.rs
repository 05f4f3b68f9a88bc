//! What the user sees: a line of progress, a table at the end, the story of a failure.

use crate::env::{COUNTERS, Counter};
use crate::run::{Outcome, Plan, Steps};
use crate::scenario::of_seed;
use std::time::Duration;

/// Sums over all runs.
pub struct Sums {
    /// Runs.
    pub seeds: u64,
    /// Steps.
    pub steps: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Counts.
    pub counts: [u64; COUNTERS],
}

impl Default for Sums {
    fn default() -> Self {
        Sums { seeds: 0, steps: 0, failures: 0, counts: [0; COUNTERS] }
    }
}

impl Sums {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.failures += u64::from(outcome.broken.is_some());
        self.counts.iter_mut().zip(outcome.counts).for_each(|(sum, count)| *sum += count);
    }

    /// One line.
    pub fn line(&self, time: Duration) -> String {
        let rate = self.steps as f64 / time.as_secs_f64().max(0.001);
        format!("{} seeds, {} steps, {rate:.0} steps/s, {} failures", self.seeds, self.steps, self.failures)
    }

    /// The table.
    pub fn table(&self, time: Duration) -> String {
        let mut text = self.line(time) + "\n";
        for &(counter, name) in Counter::ALL {
            text += &format!("{:>14}  {name}\n", self.counts[counter as usize]);
        }
        text
    }
}

/// Steps as the option `--script` takes them: `3,5-9`.
pub fn script(steps: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &step in steps {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => ranges.push((step, step)),
        }
    }
    let told = ranges.iter().map(
        |&(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    );
    told.collect::<Vec<_>>().join(",")
}

/// The other way round; none if it makes no sense.
pub fn parse_script(text: &str) -> Option<Vec<u64>> {
    let mut steps = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        steps.extend(first.trim().parse().ok()?..=last.trim().parse::<u64>().ok()?);
    }
    Some(steps)
}

/// The story of a failure, and how to see it again.
pub fn failure(plan: &Plan, outcome: &Outcome) -> String {
    let (mix, frames) = of_seed(plan.seed, plan.only);
    let mut text = format!("seed {}, scenario {}, {frames} frames\n", plan.seed, mix.name);
    for line in &outcome.story {
        text += &format!("    {line}\n");
    }
    if let Some(broken) = &outcome.broken {
        text += &format!("broken: {}: {}\n", broken.law, broken.text);
    }
    let only = plan.only.map_or_else(String::new, |mix| format!(" --only {}", mix.name));
    let steps = match &plan.steps {
        Steps::All(steps) => format!(" --steps {steps}"),
        Steps::These(steps) => format!(" --script {}", script(steps)),
    };
    text + &format!("again: cargo run -- simulate --seeds {}..{}{only}{steps}\n", plan.seed, plan.seed + 1)
}
