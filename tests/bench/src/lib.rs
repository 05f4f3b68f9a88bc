//! Programs that measure what operations cost. They print one line for each row,
//!
//! `row NAME MEDIAN LEAST MOST COUNT warm=NUMBER each=NUMBER`
//!
//! with ` unmarked` behind it where somebody else has taken the times; in ticks of the time-stamp counter an operation: guest instructions, where the emulator counts them. `COUNT` samples were
//! taken after `warm` that do not count, each of `each` operations. Every sample is marked for a counter outside of the
//! machine ([`kernel_runtime::region`]), those of the warm-up included; its figures leave idle time out, which the
//! time-stamp counter does not.
//!
//! Nothing in here needs a heap: the first task has none.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt::Arguments;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_runtime::{clock, region};

/// Samples of a row at most.
pub const SAMPLES_MAX: usize = 256;

/// How a row is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Samples that do not count.
    pub warm: usize,
    /// Samples that do; at most [`SAMPLES_MAX`].
    pub count: usize,
    /// Operations of a sample.
    pub each: u64,
    /// Whether its samples are marked, as [`Begun`] does.
    pub marked: bool,
}

/// For what is cheap and repeats: 64 samples after 8.
pub const USUAL: Plan = Plan { warm: 8, count: 64, each: 1, marked: true };

impl Plan {
    /// Samples in all.
    pub const fn samples(self) -> usize {
        self.warm + self.count
    }
}

/// A sample that has begun.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Begun(u64);

impl Begun {
    /// Begins a sample.
    #[inline(always)]
    pub fn now() -> Begun {
        let ticks = clock::ticks();
        region::begin::<{ region::SAMPLE }>();
        Begun(ticks)
    }

    /// Ends it: ticks, with those of reading the counter.
    #[inline(always)]
    pub fn end(self) -> u64 {
        region::end::<{ region::SAMPLE }>();
        clock::ticks().wrapping_sub(self.0)
    }

    /// As a number that another thread can go on from.
    pub fn to_number(self) -> u64 {
        self.0
    }

    /// From such a number.
    pub fn from_number(number: u64) -> Begun {
        Begun(number)
    }
}

/// Ticks of some work, with those of reading the counter.
#[inline(always)]
pub fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let begun = Begun::now();
    let result = work();
    (begun.end(), result)
}

/// Ticks that a sample of nothing has.
fn nothing() -> u64 {
    static NOTHING: AtomicU64 = AtomicU64::new(0);
    if NOTHING.load(Ordering::Relaxed) == 0 {
        let read = || clock::ticks().wrapping_sub(clock::ticks()).wrapping_neg();
        // The two marks of a sample are two more.
        let least = (0..16).map(|_| read()).min().unwrap_or(0) + 2;
        NOTHING.store(least, Ordering::Relaxed);
    }
    NOTHING.load(Ordering::Relaxed)
}

/// Which rows are wanted: all, or those whose names begin so.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a>(pub &'a [&'a [u8]]);

impl Wanted<'_> {
    /// Whether a row is.
    pub fn has(self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|begin| name.as_bytes().starts_with(begin))
    }
}

/// Takes the samples of a row and prints it. `once` gives the ticks of one sample, as [`Begun::end`] does.
pub fn row<E>(
    print: &mut impl FnMut(Arguments<'_>),
    name: &str,
    plan: Plan,
    mut once: impl FnMut() -> Result<u64, E>,
) -> Result<(), E> {
    let mut values = [0; SAMPLES_MAX];
    let nothing = nothing();
    for number in 0..plan.samples() {
        let ticks = once()?.saturating_sub(nothing);
        if let Some(value) = number.checked_sub(plan.warm).and_then(|index| values.get_mut(index)) {
            *value = (ticks + plan.each / 2) / plan.each;
        }
    }
    let values = &mut values[..plan.count];
    values.sort_unstable();
    let (median, least, most) = (values[plan.count / 2], values[0], values[plan.count - 1]);
    let Plan { warm, count, each, marked } = plan;
    let marked = if marked { "" } else { " unmarked" };
    print(format_args!("row {name} {median} {least} {most} {count} warm={warm} each={each}{marked}"));
    Ok(())
}
