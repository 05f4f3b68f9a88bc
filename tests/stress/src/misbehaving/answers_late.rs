//! Takes all the memory that physmem lends, and answers the calls for it when their deadline is over.
//!
//! Law 6: the deadline is real time. An answer that comes a moment too late is none: the frames were seized, the call counts
//! as ignored, and giving back what is left of it is nothing but giving back. The task waits for each call, sleeps until a
//! random moment around the deadline, mostly after it, and then gives back what it was asked for.

use super::Attacker;
use crate::hoard::Hoard;
use crate::rest::Rest;
use core::time::Duration;
use kernel_runtime::{Deadline, clock};
use tests_guest::Failed;

/// Longest wait for a call.
const PATIENCE: Duration = Duration::from_millis(50);
/// From so long before the deadline ...
const EARLY_NS: u64 = 2_000_000;
/// ... the answer comes within this time.
const SPREAD_NS: u64 = 30_000_000;

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let mut hoard = Hoard::new()?;
    loop {
        hoard.fill(page);
        if hoard.wait_for_call(Deadline::after(PATIENCE)) {
            let called = hoard.call(page)?;
            let moment = called.deadline.saturating_sub(EARLY_NS) + random.below(SPREAD_NS);
            rest.rest(Duration::from_nanos(moment.saturating_sub(clock::now())));
            page.outcome(hoard.give_back(called.frames));
        }
        hoard.check_revocation(page)?;
    }
}
