//! A server that lies to its client (`good::client`).
//!
//! Law 7: it is lent a range for a time and does with it whatever a server must not: fills beyond what was lent, into other
//! containers, claims to have filled more than there is, fills nothing, goes on writing after unlock, after expiry and after
//! the grant was revoked, keeps the capability, locks again and again, answers late or never, burns the time that is lent with the
//! call and goes on when the call is over, or dies with the lock in its hands. Each step beyond what was lent must be refused; the client checks that its memory is its own afterwards.

use super::{Attacker, unable};
use crate::page::Page;
use crate::rest::Rest;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode, MemoryError};
use core::hint;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{Empty, protocol};
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::memory::Mapping;
use kernel_runtime::server::{Outgoing, receive, reply};
use kernel_runtime::{Deadline, syscall};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Name of the server's endpoint: the client may send, the server receives.
pub const SERVICE: &str = "service";

/// How long to wait for a client.
const PATIENCE: Duration = Duration::from_millis(500);
/// Term asked for; the grant allows less.
const TERM_NS: u64 = 60_000_000_000;
/// How long the client's time is burnt: as long as the client waits and then looks who works at its cost, and longer.
const BURNING: Duration = Duration::from_millis(250);
/// Pages that the client lends.
const PAGES: u64 = 4;

protocol! {
    error MemoryError;

    /// Fill the container sent along.
    1 Serve {} => Empty;
}

/// One request.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let endpoint = startup.capability(SERVICE).ok_or_else(|| unable("no endpoint"))?;
    let incoming = receive(endpoint, Deadline::after(PATIENCE)).map_err(|error| ("receive", error))?;
    let taken = incoming.received.take(0).map_err(|error| ("no container", error))?;
    let lent = Container::new(taken);
    page.count(Counter::Tried);
    overstep(page, &lent);
    let locked = page.outcome(lent.lock(0..PAGES, LockMode::Fill, TERM_NS));
    let mut filled = page.outcome(Mapping::new(&lent, 0, PAGES, MapProtection::WRITE));
    match random.below(7) {
        // Dies with the lock, and the mapping, and the caller's reply.
        0 => syscall::task_exit(1),
        // Never answers: the next receive drops the reply.
        1 => return Ok(()),
        // Burns the client's time, until long after it has given up.
        2 => {
            let end = Deadline::after(BURNING);
            while !end.has_passed() {
                hint::spin_loop();
            }
            return Ok(());
        }
        // Fills, and claims too much, then too little.
        3 => {
            if let (Some(locked), Some(mapping)) = (&locked, &mut filled) {
                mapping.as_mut_slice().fill(0xdd);
                page.must_refuse("filling too much", lent.unlock(locked.lock, PAGES * FRAME_BYTES + 1));
                page.outcome(lent.unlock(locked.lock, 1));
                page.must_refuse("unlocking twice", lent.unlock(locked.lock, 1));
            }
        }
        // Answers only when the lock has expired, and then uses it.
        4 => {
            Rest::new().map_err(|error| ("rest", error))?.rest(Duration::from_millis(30));
            if let Some(locked) = &locked {
                page.must_refuse("an expired lock", lent.unlock(locked.lock, 0));
                page.must_refuse("an expired lock", lent.lock_change(locked.lock, LockMode::Stable, 0));
            }
        }
        // Passes it on to nobody in particular.
        5 => {
            drop(locked.and_then(|locked| page.outcome(lent.lock_pass(locked.lock, LockMode::Dma, TERM_NS))))
        }
        // Keeps it, and answers that all is well.
        _ => {}
    }
    let _ = reply(Outgoing::reply(&Empty));
    // The client has the range back by and by: a write now must wait, end this task, or go nowhere.
    if let (Some(mut mapping), 0) = (filled, random.below(2)) {
        mapping.as_mut_slice().fill(0xcc);
    }
    Ok(())
}

/// Beyond what was lent.
fn overstep(page: &mut Page, lent: &Container) {
    page.must_refuse("a lock beyond the grant", lent.lock(0..PAGES + 1, LockMode::Fill, TERM_NS));
    page.must_refuse(
        "a mapping beyond the grant",
        Mapping::new(lent, PAGES, 1, MapProtection::WRITE).map(drop),
    );
    page.must_refuse("another's frames", lent.deallocate(0..1));
    page.must_refuse("granting on", lent.grant(0..1, ContainerRights::MAP, 1).map(drop));
    page.must_refuse("breaking as if the owner", lent.break_locks(0..1));
    if let Some(own) = page.outcome(OwnContainer::new(PAGES)) {
        page.must_refuse("copying out", lent.copy_to(0, &own, 0, FRAME_BYTES));
    }
}
