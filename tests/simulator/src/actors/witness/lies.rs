//! Lending a range to a server that lies: as to the file server, but nothing that it says is believed. The range comes back
//! by taking the grant away, and may hold what it held, zeros, or what the liar wrote; everything else is untouched.

use super::reads::Loan;
use super::{Grant, Witness, grant_request};
use crate::contents::{Cell, FRAME, SECTOR};
use crate::env::{Counter, Env, ReadCall};
use containers_api::ContainerRights;

/// What the liar may do with the range.
const LIARS_RIGHTS: ContainerRights =
    ContainerRights::LOCK.union(ContainerRights::FILL).union(ContainerRights::MAP);

impl Witness {
    /// Lends some pages to the liar.
    pub(super) fn lend_to_liar(&mut self, env: &mut Env<'_>, place: usize) {
        let holding = &self.holdings[place];
        if holding.loan.is_some() || holding.sealed {
            return;
        }
        if holding.grant.is_some() {
            return self.revoke(env, place);
        }
        let (first, pages) = self.range(env, place);
        let maximum_lock_ns = env.random.between(1_000, 2_000_000_000);
        let mut rights = LIARS_RIGHTS;
        rights.set(ContainerRights::WRITE, !env.random.once_in(4));
        let request = grant_request(first, pages, rights, maximum_lock_ns);
        let badge = match env.world.ask_badge(holding.badge, &request, &[]) {
            Ok(badge) => badge,
            Err(refused) => return self.require_scarce(env, refused, 1),
        };
        let call = env.next_call();
        let (at, bytes) = (first * FRAME as u64, pages * FRAME as u64);
        env.record.count(Counter::Lent);
        env.record
            .note(call, || format!("lends {pages} pages of container {place} from {first} to the liar"));
        let patience = env.random.between(1, 1_000_000_000);
        self.holdings[place].grant = Some(Grant { badge, maximum_lock_ns });
        self.holdings[place].loan = Some(Loan::to_liar(call, (at, bytes), env.now(), patience));
        env.to_liar.push_back(ReadCall {
            call,
            client: self.index,
            inode: 0,
            offset: 0,
            bytes,
            container_offset: at,
            container: badge,
        });
    }

    /// Looks for the liar's answer, which says nothing: the range comes back by taking it. True: that was the step.
    pub(super) fn take_back_from_liar(&mut self, env: &mut Env<'_>, place: usize, call: u64) -> bool {
        let Some(loan) = &self.holdings[place].loan else { return false };
        let late = env.now() > loan.deadline;
        let answered = env.take_mail(self.index, call).is_some();
        if answered || late {
            self.revoke(env, place);
        }
        answered || late
    }
}

/// What a sector is that the liar may have written.
pub(super) fn from_liar(old: Cell, bytes: &[u8]) -> Option<Cell> {
    if [old, Cell::ZERO].iter().any(|cell| cell.is(bytes)) {
        return Some(if old.is(bytes) { old } else { Cell::ZERO });
    }
    (*bytes == [crate::actors::liar::BYTE; SECTOR]).then(|| Cell::hashed(bytes))
}
