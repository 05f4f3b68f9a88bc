//! Shrinking: from a failing run to few steps that break the same law (delta debugging: Zeller, Hildebrandt, "Simplifying
//! and isolating failure-inducing input", 2002).

use crate::run::{Outcome, Plan, Runner, Steps};
use std::time::{Duration, Instant};

/// Leaves out steps as long as the same law is broken, for so long at most. The smallest plan, and its outcome told.
pub fn shrink(runner: &mut Runner, plan: &Plan, failed: &Outcome, time: Duration) -> (Plan, Outcome) {
    let Some(broken) = &failed.broken else { return (plan.clone(), failed.clone()) };
    let law = broken.law;
    let begin = Instant::now();
    let last = (failed.steps + 1).min(plan.steps.count());
    let mut steps: Vec<u64> = match &plan.steps {
        Steps::All(_) => (0..last).collect(),
        Steps::These(steps) => steps[..last as usize].to_vec(),
    };
    let with = |steps: Vec<u64>| Plan { steps: Steps::These(steps), ..plan.clone() };
    let mut chunk = steps.len().div_ceil(2).max(1);
    while begin.elapsed() < time {
        let mut removed = false;
        let mut at = 0;
        while at < steps.len() && begin.elapsed() < time {
            let end = (at + chunk).min(steps.len());
            let rest: Vec<u64> = steps[..at].iter().chain(&steps[end..]).copied().collect();
            let outcome = runner.run(&with(rest.clone()), false);
            if outcome.broken.is_some_and(|broken| broken.law == law) {
                steps = rest;
                steps.truncate(outcome.steps as usize + 1);
                removed = true;
            } else {
                at = end;
            }
        }
        if chunk == 1 && !removed {
            break;
        }
        if !removed {
            chunk = (chunk / 2).max(1);
        }
    }
    let plan = with(steps);
    let outcome = runner.run(&plan, true);
    (plan, outcome)
}
