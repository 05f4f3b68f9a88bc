//! Who pays for the compressed tier: bytes of places, by the owner's account.

use crate::limits::ACCOUNTS;
use alloc::boxed::Box;
use alloc::vec;

#[derive(Clone, Copy)]
struct Account {
    charged: u64,
    limit: u64,
}

/// The accounts there can be. One that was never named is unlimited.
pub(crate) struct Accounts(Box<[Account]>);

impl Accounts {
    pub fn new() -> Accounts {
        Accounts(vec![Account { charged: 0, limit: u64::MAX }; ACCOUNTS].into_boxed_slice())
    }

    pub fn exists(&self, account: u16) -> bool {
        usize::from(account) < self.0.len()
    }

    pub fn set_limit(&mut self, account: u16, bytes: u64) -> Option<()> {
        self.0.get_mut(usize::from(account))?.limit = bytes;
        Some(())
    }

    pub fn charged(&self, account: u16) -> u64 {
        self.0.get(usize::from(account)).map_or(0, |one| one.charged)
    }

    /// Whether an owner may have any more of the tier.
    pub fn has_room(&self, account: u16) -> bool {
        self.0.get(usize::from(account)).is_some_and(|one| one.charged < one.limit)
    }

    pub fn charge(&mut self, account: u16, bytes: u64) {
        if let Some(one) = self.0.get_mut(usize::from(account)) {
            one.charged += bytes;
        }
    }

    /// The header of a spoilt object may name another account than was charged: never below nothing.
    pub fn discharge(&mut self, account: u16, bytes: u64) {
        if let Some(one) = self.0.get_mut(usize::from(account)) {
            one.charged = one.charged.saturating_sub(bytes);
        }
    }
}
