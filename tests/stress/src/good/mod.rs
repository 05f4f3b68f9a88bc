//! The tasks that keep to the rules. Each owns memory, does something useful with it in small steps for ever, and checks
//! after each that nobody has touched what is its own and that it got what it was promised.

mod client;
mod faulter;
mod lender;
mod reader;
mod toucher;
mod witness;

pub use witness::{is_secret, secret};

use crate::page::Page;
use alloc::string::ToString;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Longest wait for a frame of one's guarantee, in nanoseconds: one term of extra frames, and the grace of a call.
const BOUND_NS: u64 = 100_000_000 + 20_000_000;
/// What the emulator and its host may add.
const LATE_NS: u64 = 1_000_000_000;

/// A good task: runs until it cannot go on.
type Good = fn(&Startup<'static>, &mut Page, &mut Random) -> Result<(), Failed>;

/// All of them, by name.
const ALL: &[(&str, Good)] = &[
    ("witness", |startup, page, random| witness::run(startup, page, random, false)),
    ("false-witness", |startup, page, random| witness::run(startup, page, random, true)),
    ("faulter", faulter::run),
    ("lender", lender::run),
    ("toucher", toucher::run),
    ("reader", reader::run),
    ("client", client::run),
];

/// `good NAME seed=N`.
pub fn main(startup: Startup<'static>) -> i32 {
    let Ok(mut page) = Page::open(&startup) else { return 2 };
    let name = startup.arguments.first().copied().unwrap_or_default();
    let known = ALL.iter().find(|(known, _)| known.as_bytes() == name);
    let mut random = Random::new(startup.number("seed").unwrap_or(0));
    let result = match known {
        Some((_, run)) => run(&startup, &mut page, &mut random),
        None => Err(Failed("no such task".to_string())),
    };
    // A good task that cannot go on was refused what it was promised.
    if let Err(Failed(reason)) = result {
        page.breach(format_args!("a good task could not go on: {reason}"));
    }
    page.count(Counter::Unable);
    1
}
