//! One run, from the first start to the last look at the books.

use super::endings::{Endings, GONE};
use super::worker::{Nursery, Worker};
use super::{Plan, books, print, report};
use crate::numbered::PATH;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::control::Latency;
use core::time::Duration;
use kernel_abi::schedule::Figure;
use kernel_runtime::containers::contract_status;
use kernel_runtime::files::{Names, Window};
use kernel_runtime::layout::{CONTRACT, SCHEDULE};
use kernel_runtime::notification::Notification;
use kernel_runtime::output::Output;
use kernel_runtime::process::SpawnError;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock, syscall};
use tests_guest::{Books, Failed, Random};
use tests_stress_core::Line;
use tests_stress_core::schedule::{Action, Schedule};
use tests_stress_core::tally::Counter;
use tests_stress_core::tasks::TASKS;

/// Frames that the supervisor keeps for itself.
const KEPT_FRAMES: u64 = 160;
/// Between two looks at the schedule.
const STEP: Duration = Duration::from_millis(10);
/// Steps between two looks at the books.
const STEPS_PER_CHECK: u64 = 5;
/// Steps between two lines of progress.
const STEPS_PER_LINE: u64 = 50;
/// Breaches of the supervisor's own checks that are printed.
const PRINTED_MAX: u64 = 20;

const _: () = assert!(TASKS.len() <= 64, "each task's death is a bit of one notification");

/// What the supervisor's own checks found.
#[derive(Default)]
pub struct Findings {
    /// Checks made.
    pub checked: u64,
    /// Checks that failed.
    pub broken: u64,
}

/// The state of a run.
pub struct Run {
    startup: &'static Startup<'static>,
    plan: Plan,
    output: Output,
    control: Handle,
    nursery: Nursery<'static>,
    death: Notification,
    workers: Vec<Worker>,
    random: Random,
    findings: Findings,
    endings: Endings,
    constants: books::Constants,
    before: Books,
    /// The part of the supervisor's time that is given away.
    given_before: u64,
}

fn given_time() -> Result<u64, Failed> {
    syscall::schedule_read(SCHEDULE, Figure::Given).map_err(|error| ("time", error).into())
}

/// What is made on first use is there before the first look.
fn warm_up(startup: &Startup<'_>) -> Result<(), Failed> {
    let node = Names::from_startup(startup).lookup(PATH, true).map_err(|error| ("the file", error))?;
    let mut window = Window::new(16).map_err(|error| ("window", error))?;
    window.read(&node, 0).map_err(|error| ("reading the file", error))?;
    clock::now();
    Ok(())
}

impl Run {
    /// Looks at the books, and starts the tasks whose waits are measured: they run all the time, at the priority of the
    /// calling thread.
    pub fn prepare(startup: &'static Startup<'static>, plan: Plan, output: Output) -> Result<Run, Failed> {
        let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
        warm_up(startup)?;
        let before = Books::look(startup)?;
        before.check_sum()?;
        let workers = plan.tasks.iter().map(|task| Worker::new(task)).collect::<Result<Vec<_>, _>>()?;
        let random = Random::new(plan.seed);
        let mut run = Run {
            startup,
            plan,
            output,
            control,
            nursery: Nursery::new(startup)?,
            death: Notification::new().map_err(|error| ("notification", error))?,
            workers,
            random,
            findings: Findings::default(),
            endings: Endings::default(),
            constants: books::Constants::of(&before.system),
            before,
            given_before: given_time()?,
        };
        for index in 0..run.workers.len() {
            if run.workers[index].is_measured() && !run.start(index) {
                return Err(Failed("the tasks whose waits are measured cannot be started".to_string()));
            }
        }
        Ok(run)
    }

    /// Makes the run, below the priority that it was prepared at. How often a law was broken.
    pub fn finish(mut self) -> Result<u64, Failed> {
        let revocation = books::revocation(self.control)?;
        let clock = (clock::now(), clock::ticks());
        self.go()?;
        self.end_all()?;
        let line = Line::new("clock").with("clock-nanoseconds", clock::now() - clock.0);
        self.print(&line.with("clock-ticks", clock::ticks() - clock.1));
        self.print_all()?;
        let revoked = books::revocation(self.control)?;
        self.print(&report::revocation(&revocation, &revoked));
        for (name, which) in [("wait", Latency::Wait), ("call", Latency::Call), ("seizure", Latency::Seizure)]
        {
            let told = books::latencies(self.control, which)?;
            self.print(&report::told_latency(name, &told));
        }
        let broken = self.settle()?;
        let line = Line::new("end").with("broken", broken).with("checked", self.all_checked());
        self.print(&line);
        Ok(broken)
    }

    fn print(&mut self, line: &Line) {
        print(&mut self.output, line);
    }

    /// Until the time is up.
    fn go(&mut self) -> Result<(), Failed> {
        let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
        let budget = own.guaranteed.saturating_sub(own.pages + own.records + own.kernel + KEPT_FRAMES);
        let frames = |is_good: bool| -> Vec<u64> {
            // A task that is not this schedule's needs more than there can be.
            let is_its = |worker: &Worker| worker.is_good() == is_good && !worker.is_measured();
            let needs = |worker: &Worker| if is_its(worker) { worker.task.guaranteed } else { u64::MAX };
            self.workers.iter().map(needs).collect()
        };
        let (good, bad) = (frames(true), frames(false));
        let for_good: u64 = good.iter().filter(|&&frames| frames != u64::MAX).sum();
        let for_bad = budget.checked_sub(for_good).ok_or_else(|| {
            Failed(format!("{budget} frames are too few: the good tasks alone need {for_good}"))
        })?;
        let mut numbers = self.random.clone();
        let mut below = |bound: u64| numbers.below(bound);
        let mut schedules =
            [Schedule::new(&good, for_good, &mut below), Schedule::new(&bad, for_bad, &mut below)];
        let (begin, end) = (clock::now(), Deadline::after(Duration::from_secs(self.plan.seconds)));
        let mut step = 0u64;
        while !end.has_passed() {
            for schedule in &mut schedules {
                // On a slow machine there is always something to do.
                while !end.has_passed()
                    && let Some(action) = schedule.next(clock::now(), &mut below)
                {
                    self.act(action, schedule, &mut below);
                }
            }
            self.notice_deaths(&mut schedules, &mut below);
            if self.endings.is_waiting() {
                self.check_gone()?;
            }
            if step.is_multiple_of(STEPS_PER_CHECK) {
                self.check()?;
            }
            if step.is_multiple_of(STEPS_PER_LINE) {
                let running = schedules.iter().map(Schedule::running).sum();
                let line = report::progress(clock::now() - begin, running, &self.workers, &self.findings);
                self.print(&line);
            }
            step += 1;
        }
        Ok(())
    }

    fn act(&mut self, action: Action, schedule: &mut Schedule, below: &mut dyn FnMut(u64) -> u64) {
        match action {
            Action::End(index) => self.end(index, below(2) == 0),
            Action::Start(index) => {
                if !self.start(index) {
                    schedule.ended(index, clock::now(), below);
                }
            }
        }
    }

    /// Starts a task. Whether it runs.
    fn start(&mut self, index: usize) -> bool {
        let seed = self.random.number();
        let worker = &mut self.workers[index];
        let Err(error) = worker.start(&self.nursery, seed, &self.death, 1 << index) else { return true };
        // The file server may be too busy to hand out a program; nobody else may refuse.
        let is_busy = matches!(error, SpawnError::File(_));
        let name = worker.task.name;
        self.check_that(is_busy, name, || format!("law 4: it could not be started: {error:?}"));
        false
    }

    /// Waits a little; tasks that ended meanwhile make room.
    fn notice_deaths(&mut self, schedules: &mut [Schedule], below: &mut dyn FnMut(u64) -> u64) {
        let bits = self.death.wait(Deadline::after(STEP)).unwrap_or(0);
        for index in (0..self.workers.len()).filter(|index| bits >> index & 1 == 1) {
            // The bit may be of one that was ended meanwhile and started again.
            if self.workers[index].exit_status().is_none() {
                continue;
            }
            self.workers[index].ends += 1;
            self.end(index, false);
            schedules.iter_mut().for_each(|schedule| schedule.ended(index, clock::now(), below));
        }
    }

    fn end(&mut self, index: usize, kill: bool) {
        let Some(ended) = self.workers[index].end(kill) else { return };
        match books::contracts(self.control) {
            Ok(all) => self.endings.ended(&ended, &all),
            Err(Failed(text)) => self.check_that(false, "supervisor", || text),
        }
        if let Some(status) = ended.status.filter(|_| self.workers[index].is_good()) {
            let name = self.workers[index].task.name;
            self.check_that(false, name, || format!("a good task has ended: {status}"));
        }
    }

    /// Looks at everything that must hold now.
    fn check(&mut self) -> Result<(), Failed> {
        let status = books::system(self.control)?;
        let wrong = books::check_system(&status, &self.constants);
        self.check_that(wrong.is_none(), "physmem", || format!("{}: {status:?}", wrong.unwrap_or_default()));
        let intact = self.nursery.loot.is_intact();
        self.check_that(intact, "supervisor", || {
            "law 3: a page that was lent for reading was changed".into()
        });
        for entry in books::contracts(self.control)? {
            let wrong = books::check_contract(&entry);
            let name = entry.name;
            self.check_that(wrong.is_none(), name.as_str(), || {
                format!("{}: {entry:?}", wrong.unwrap_or_default())
            });
            let promised = self.workers.iter().find(|worker| worker.principal() == Some(entry.principal));
            if let Some(task) = promised.filter(|worker| worker.is_good()).map(|worker| worker.task) {
                let kept = entry.guaranteed == task.guaranteed;
                self.check_that(kept, task.name, || format!("law 4: its guarantee is {}", entry.guaranteed));
            }
        }
        self.check_gone()?;
        self.tell_breaches();
        Ok(())
    }

    /// A contract that has ended is gone after a while.
    fn check_gone(&mut self) -> Result<(), Failed> {
        let late = self.endings.look(&books::contracts(self.control)?);
        let text = || format!("law 6: contract {late:?} is still there {GONE:?} after its end");
        self.check_that(late.is_none(), "supervisor", text);
        Ok(())
    }

    fn check_that(&mut self, holds: bool, who: &str, text: impl FnOnce() -> alloc::string::String) {
        self.findings.checked += 1;
        if !holds {
            self.findings.broken += 1;
            if self.findings.broken <= PRINTED_MAX {
                print(&mut self.output, &report::breach(who, &text()));
            }
        }
    }

    /// Prints the first breach of each task.
    fn tell_breaches(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| !worker.is_told) {
            if let Some(text) = worker.tally().breach {
                worker.is_told = true;
                print(&mut self.output, &report::breach(worker.task.name, &text));
            }
        }
    }

    /// Ends all tasks and waits until they are gone.
    fn end_all(&mut self) -> Result<(), Failed> {
        (0..self.workers.len()).for_each(|index| self.end(index, false));
        let rest = super::rest()?;
        while self.endings.is_waiting() {
            self.check_gone()?;
            rest.rest(STEP);
        }
        self.tell_breaches();
        Ok(())
    }

    /// When all tasks are gone, everything is where it was. How often a law was broken in all.
    fn settle(&mut self) -> Result<u64, Failed> {
        // A look asks the file server for its part, and would wait for it for ever.
        let answer = Names::from_startup(self.startup).lookup(PATH, true).err();
        let answers = answer.is_none();
        self.check_that(answers, "ext", || format!("law 9: the file server serves no longer: {answer:?}"));
        if !answers {
            return Ok(self.all_broken());
        }
        let same = Books::look(self.startup)?.check_not_grown(&self.before, "stress");
        let text = same.err().map(|Failed(text)| text);
        self.check_that(text.is_none(), "supervisor", || format!("law 1: {}", text.unwrap_or_default()));
        let given = given_time()?;
        let before = self.given_before;
        let text = || format!("law 2: of its time {before} parts were given away before, and {given} now");
        self.check_that(given == before, "supervisor", text);
        Ok(self.all_broken())
    }

    fn all_broken(&self) -> u64 {
        let told = self.workers.iter().map(|worker| worker.tally().get(Counter::Broken));
        self.findings.broken + told.sum::<u64>()
    }

    fn all_checked(&self) -> u64 {
        let checked = self.workers.iter().map(|worker| worker.tally().get(Counter::Checked));
        self.findings.checked + checked.sum::<u64>()
    }

    fn print_all(&mut self) -> Result<(), Failed> {
        let after = books::system(self.control)?;
        for worker in &self.workers {
            print(&mut self.output, &report::task(worker));
        }
        let Endings { latencies, count, frames, .. } = &self.endings;
        let line = Line::new("terminations").with("count", count).with("frames", frames);
        print(&mut self.output, &line);
        print(&mut self.output, &report::latency("termination", latencies));
        for worker in self.workers.iter().filter(|worker| worker.tally().latencies.count() > 0) {
            print(&mut self.output, &report::latency(worker.task.name, &worker.tally().latencies));
        }
        self.print(&report::counts(&self.before.system, &after));
        Ok(())
    }
}
