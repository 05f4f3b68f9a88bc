//! `cargo run -- simulate`: the command line, and the loop over the seeds.

use crate::report::{self, Sums};
use crate::run::{Plan, Runner, STEPS_TAKEN, Steps};
use crate::scenario::{self, Mix, SCENARIOS};
use crate::shrink::shrink;
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Exit status where a law was broken.
const BROKEN: u8 = 1;
/// Time from one line of progress to the next.
const PROGRESS: Duration = Duration::from_millis(500);
/// How long a step may take before the program gives it up as hanging.
const STEP_TIME: Duration = Duration::from_secs(60);
/// Exit status where a step hangs.
const HANGS: i32 = 3;
/// Longest that a failing run is shrunk.
const SHRINK_TIME: Duration = Duration::from_secs(30);

/// Runs the system in a simulator, seed by seed, and checks its laws at every step.
#[derive(Parser, Clone, Debug)]
#[command(name = "simulate", bin_name = "cargo run -- simulate", version)]
pub struct Options {
    /// Seeds, first and end
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    pub seeds: (u64, u64),

    /// Steps of each seed
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub steps: u64,

    /// Only this scenario [default: each seed's own]
    #[arg(long, value_name = "SCENARIO", value_parser = scenario_of)]
    pub only: Option<Chosen>,

    /// Only these steps of each seed, as in `3,5-9`, with their story
    #[arg(long, value_name = "STEPS", conflicts_with = "steps", value_parser = script_of)]
    pub script: Option<Script>,

    /// Tell what happens, step by step
    #[arg(long)]
    pub verbose: bool,
}

/// A chosen scenario.
#[derive(Clone, Copy, Debug)]
pub struct Chosen(&'static Mix);

/// Chosen steps.
#[derive(Clone, Debug)]
pub struct Script(Vec<u64>);

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, end) = text.split_once("..").ok_or("write them as in 0..1000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    match (number(first)?, number(end)?) {
        (first, end) if first < end => Ok((first, end)),
        _ => Err(String::from("there is no seed in that range")),
    }
}

fn scenario_of(text: &str) -> Result<Chosen, String> {
    let names = || SCENARIOS.iter().map(|mix| mix.name).collect::<Vec<_>>().join(", ");
    scenario::named(text).map(Chosen).ok_or_else(|| format!("there are {}", names()))
}

fn script_of(text: &str) -> Result<Script, String> {
    report::parse_script(text).map(Script).ok_or_else(|| String::from("write it as in 3,5-9"))
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    run(&Options::parse())
}

/// Does what the options say.
pub fn run(options: &Options) -> ExitCode {
    let mut runner = Runner::new();
    let mut sums = Sums::default();
    let begin = Instant::now();
    let mut told = begin;
    let live = std::io::stderr().is_terminal();
    let current = Arc::new(AtomicU64::new(0));
    watch(Arc::clone(&current));
    for seed in options.seeds.0..options.seeds.1 {
        current.store(seed, Ordering::Relaxed);
        let plan = plan(options, seed);
        let tells = options.verbose || options.script.is_some();
        let outcome = runner.run(&plan, tells);
        sums.add(&outcome);
        if outcome.broken.is_some() {
            print_failure(&mut runner, options, &plan, &outcome);
            break;
        } else if tells {
            outcome.story.iter().for_each(|line| println!("    {line}"));
        }
        if live && told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprint!("\r\x1b[K{}", sums.line(begin.elapsed()));
            let _ = std::io::stderr().flush();
        }
    }
    if live {
        eprint!("\r\x1b[K");
    }
    print!("{}", sums.table(begin.elapsed()));
    if sums.failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

/// Ends the program where a step does not come to an end by itself: nothing inside the run could notice.
fn watch(current: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        loop {
            let before = STEPS_TAKEN.load(Ordering::Relaxed);
            std::thread::sleep(STEP_TIME);
            if STEPS_TAKEN.load(Ordering::Relaxed) == before {
                eprintln!("\nseed {}: a step does not come to an end", current.load(Ordering::Relaxed));
                std::process::exit(HANGS);
            }
        }
    });
}

fn plan(options: &Options, seed: u64) -> Plan {
    let steps = match &options.script {
        Some(Script(steps)) => Steps::These(steps.clone()),
        None => Steps::All(options.steps),
    };
    Plan { seed, steps, only: options.only.map(|chosen| chosen.0) }
}

fn print_failure(runner: &mut Runner, options: &Options, plan: &Plan, outcome: &crate::run::Outcome) {
    if options.script.is_some() {
        return print!("{}", report::failure(plan, outcome));
    }
    let seed = plan.seed;
    let broken = outcome.broken.as_ref().map_or("", |broken| broken.law);
    eprintln!("\nseed {seed} breaks `{broken}` at step {}; shrinking it", outcome.steps);
    let (small, told) = shrink(runner, plan, outcome, SHRINK_TIME);
    print!("{}", report::failure(&small, &told));
    println!(
        "whole: {}",
        report::failure(plan, &crate::run::Outcome { story: Vec::new(), ..outcome.clone() })
    );
}
