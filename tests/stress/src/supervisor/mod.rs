//! The supervisor: starts the tasks by a seeded schedule, ends them at random moments, checks the books meanwhile, and
//! prints what came of it as [`Line`]s for the host.
//!
//! It trusts its tasks with nothing: a task has a contract of its own, a page to count in, and what it attacks with. Good
//! tasks have frames set aside for them and run above the misbehaving ones; those share what is left.

mod books;
mod endings;
mod loot;
mod report;
mod run;
mod worker;

use crate::rest::Rest;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use kernel_runtime::console::Console;
use kernel_runtime::notification::Notification;
use kernel_runtime::output::Output;
use kernel_runtime::startup::Startup;
use kernel_runtime::sync::Mutex;
use kernel_runtime::{Deadline, syscall, threads};
use run::Run;
use tests_guest::Failed;
use tests_stress_core::Line;
use tests_stress_core::tasks::{Part, TASKS, Task};

/// Exit status when a law was broken.
const BROKEN: i32 = 1;
/// Exit status when the run could not be made.
const FAILED: i32 = 3;
/// Seconds of a run unless others are asked for.
const SECONDS: u64 = 10;

/// What is asked for.
pub(crate) struct Plan {
    /// Decides everything that is random.
    pub seed: u64,
    /// How long the tasks run, in seconds of the guest's clock.
    pub seconds: u64,
    /// The tasks.
    pub tasks: Vec<&'static Task>,
}

impl Plan {
    fn from_arguments(startup: &Startup<'_>) -> Result<Plan, Failed> {
        let only = startup.value("only");
        let names = || only.into_iter().flat_map(|names| names.split(','));
        if let Some(unknown) = names().find(|name| tests_stress_core::tasks::find(name).is_none()) {
            return Err(Failed(alloc::format!("there is no task {unknown}")));
        }
        let is_named = |task: &Task| names().any(|name| name == task.name);
        let is_chosen = |task: &&Task| match task.part {
            Part::Good => true,
            Part::Misbehaving => only.is_none() || is_named(task),
            Part::OnRequest => is_named(task),
        };
        Ok(Plan {
            seed: startup.number("seed").unwrap_or(1),
            seconds: startup.number("seconds").unwrap_or(SECONDS),
            tasks: TASKS.iter().filter(is_chosen).collect(),
        })
    }
}

/// How far below its program's priority the supervisor works: where tasks whose waits are measured run above it, its own
/// work is no part of them.
const RANK: u8 = 1;
/// Pages of its stack.
const STACK_PAGES: u64 = 64;

/// `stress seed=N seconds=N only=NAME,NAME`.
pub fn main(startup: Startup<'static>) -> i32 {
    let startup: &'static Startup<'static> = Box::leak(Box::new(startup));
    let console = || Output::new(startup.capability("console").map(Console::new));
    let run = Plan::from_arguments(startup).and_then(|plan| Run::prepare(startup, plan, console()));
    let result = run.and_then(|run| finish_below(startup.priority - RANK, run));
    match result {
        Ok(0) => 0,
        Ok(_) => BROKEN,
        Err(Failed(reason)) => {
            print(&mut console(), &Line::new("failed").with_text(&reason));
            FAILED
        }
    }
}

/// Makes the run in a thread of lower priority.
fn finish_below(priority: u8, run: Run) -> Result<u64, Failed> {
    let done = Notification::new().map_err(|error| ("notification", error))?;
    let signaller = done.signaller(1).map_err(|error| ("signaller", error))?;
    let result = Arc::new(Mutex::new(None));
    let place = result.clone();
    let work = move || {
        let finished = run.finish();
        *place.lock() = Some(finished);
        let _ = syscall::signal(signaller.handle());
    };
    threads::spawn_at(priority, STACK_PAGES, work).map_err(|error| ("thread", error))?;
    while done.wait(Deadline::NEVER).is_err() {}
    let finished = result.lock().take();
    finished.unwrap_or_else(|| Err(Failed("the supervisor has ended".to_string())))
}

/// Prints a line at once.
pub(crate) fn print(output: &mut Output, line: &Line) {
    let text: String = line.to_string() + "\n";
    output.write(text.as_bytes());
    output.flush();
}

pub(crate) fn rest() -> Result<Rest, Failed> {
    Rest::new().map_err(|error| ("rest", error).into())
}
