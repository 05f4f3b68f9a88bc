//! Makes more of its processor time than it is.
//!
//! Laws 2, 4 and 8, for time: it splits its schedule among many others, in a deep row, in circles; asks for more than it has, for
//! higher priorities, for periods that are no periods; lives on nothing at all, and has servers work for it meanwhile. What is beyond its share
//! must be refused, the sum of what it gave away must be what it gave, and whatever it gave away comes back to the bit. That its
//! share goes back to the supervisor is checked there.

use super::{Attacker, unable};
use crate::numbered::PATH;
use crate::page::Page;
use alloc::vec::Vec;
use core::fmt::Debug;
use kernel_abi::schedule::{DEPTH_MAX, Figure, PERIOD_MAX_NS, PERIOD_MIN_NS, WHOLE};
use kernel_runtime::containers::create_schedule;
use kernel_runtime::files::Names;
use kernel_runtime::layout::SCHEDULE;
use kernel_runtime::syscall::{self, TimeShare};
use kernel_runtime::{Capability, Handle, KernelError};
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Schedules that it splits its own into.
const CHILDREN: usize = 12;
/// Rounds before the task ends: its schedules come back with its contract alone.
const ROUNDS: u32 = 200;
/// Longest period, the shortest one, and what lies beyond them.
const NO_PERIODS: [u64; 4] = [0, PERIOD_MIN_NS - 1, PERIOD_MAX_NS + 1, u64::MAX];

const _: () = assert!(CHILDREN > DEPTH_MAX as usize);

/// Many rounds, then the end of the task.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let children: Result<Vec<_>, _> = (0..CHILDREN).map(|_| create_schedule()).collect();
    let children = children.map_err(|error| ("schedule", error))?;
    let names = Names::from_startup(&attacker.startup);
    let Attacker { page, random, .. } = attacker;
    for _ in 0..ROUNDS {
        let before = read(SCHEDULE, Figure::Given)?;
        ask_too_much(page, &children)?;
        give_all_away(page, random, &children)?;
        // On nothing: it goes on in the background, and its servers at their own cost.
        page.outcome(names.lookup(PATH, true).map(drop));
        page.check(give_back(&children).is_ok(), format_args!("a share cannot be given back"));
        go_deep(page, &children)?;
        page.check(give_back(&children).is_ok(), format_args!("a deep share cannot be given back"));
        let after = read(SCHEDULE, Figure::Given)?;
        page.check(after == before, format_args!("law 2: {before} parts given away became {after}"));
    }
    syscall::task_exit(0)
}

fn read(schedule: Handle, figure: Figure) -> Result<u64, Failed> {
    syscall::schedule_read(schedule, figure).map_err(|_| unable("a schedule cannot be read"))
}

/// Gives it a budget in each period of the usual length, at its own priority.
fn split(parent: Handle, child: &Capability, budget_ns: u64) -> Result<(), KernelError> {
    let priority = syscall::schedule_read(parent, Figure::Priority)? as u8;
    let share = TimeShare { priority, budget_ns, period_ns: TimeShare::PERIOD_NS };
    syscall::schedule_split(parent, child.handle(), &share)
}

fn must_refuse<T: Debug>(page: &mut Page, what: &str, result: Result<T, KernelError>) {
    page.count(Counter::Tried);
    page.count(if result.is_ok() { Counter::Granted } else { Counter::Refused });
    page.check(result.is_err(), format_args!("{what}: not refused"));
}

fn ask_too_much(page: &mut Page, children: &[Capability]) -> Result<(), Failed> {
    let (share, priority) = (read(SCHEDULE, Figure::Share)?, read(SCHEDULE, Figure::Priority)? as u8);
    let period_ns = TimeShare::PERIOD_NS;
    let whole = share * period_ns / WHOLE;
    let child = &children[0];
    let ask = |priority, budget_ns, period_ns| {
        syscall::schedule_split(SCHEDULE, child.handle(), &TimeShare { priority, budget_ns, period_ns })
    };
    must_refuse(page, "more time than it has", ask(priority, whole + period_ns / 100, period_ns));
    must_refuse(page, "all time there is, and more", ask(priority, u64::MAX, period_ns));
    must_refuse(page, "a higher priority", ask(priority + 1, 1, period_ns));
    must_refuse(page, "the highest priority", ask(u8::MAX, 1, period_ns));
    for period in NO_PERIODS {
        must_refuse(page, "a period that is none", ask(priority, 1, period));
    }
    must_refuse(page, "a share of itself", split(child.handle(), child, 1));
    must_refuse(page, "its own from one without any", split(child.handle(), &children[1], period_ns));
    let circle = TimeShare { priority: 0, budget_ns: 0, period_ns };
    must_refuse(page, "a circle", syscall::schedule_split(child.handle(), SCHEDULE, &circle));
    Ok(())
}

/// Splits its time until it is refused: no more is given than there is, and what was given adds up.
fn give_all_away(page: &mut Page, random: &mut Random, children: &[Capability]) -> Result<(), Failed> {
    let (before, share) = (read(SCHEDULE, Figure::Given)?, read(SCHEDULE, Figure::Share)?);
    let whole = share * TimeShare::PERIOD_NS / WHOLE;
    let mut sum = 0;
    for child in children {
        page.count(Counter::Tried);
        match split(SCHEDULE, child, 1 + random.below(whole)) {
            Ok(()) => {
                page.count(Counter::Granted);
                sum += read(child.handle(), Figure::Share)?;
            }
            Err(error) => {
                page.count(Counter::Refused);
                let is_typed = error == KernelError::OverCommitted;
                page.check(is_typed, format_args!("a share was refused with {error:?}"));
            }
        }
    }
    let given = read(SCHEDULE, Figure::Given)?;
    page.check(given == before + sum, format_args!("law 2: {sum} parts were given, not {given}"));
    page.check(given <= share, format_args!("law 4: {given} parts were given of {share}"));
    Ok(())
}

/// Each one is split off the one before, until that is refused.
fn go_deep(page: &mut Page, children: &[Capability]) -> Result<(), Failed> {
    let mut depth = 0;
    let mut above = SCHEDULE;
    for child in children {
        let budget = read(above, Figure::Budget)? / 2;
        page.count(Counter::Tried);
        if split(above, child, budget.max(1)).is_err() {
            page.count(Counter::Refused);
            break;
        }
        page.count(Counter::Granted);
        (depth, above) = (depth + 1, child.handle());
    }
    page.check(depth < DEPTH_MAX, format_args!("law 8: {depth} schedules in a row"));
    Ok(())
}

/// Takes all shares back, the deepest first.
fn give_back(children: &[Capability]) -> Result<(), KernelError> {
    for (index, child) in children.iter().enumerate().rev() {
        let nothing = |parent| split(parent, child, 0);
        // Whose child it is, if it is one, is known to the kernel alone: only that one may take it back.
        if syscall::schedule_read(child.handle(), Figure::Share)? == 0 {
            continue;
        }
        let above = if index == 0 { SCHEDULE } else { children[index - 1].handle() };
        nothing(SCHEDULE).or_else(|_| nothing(above))?;
    }
    Ok(())
}
