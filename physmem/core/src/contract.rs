//! Contracts: charges with admission control, and splitting.
//!
//! `charge = pages + records + kernel + set aside`. What is beyond the guarantee is *extra*: at most the
//! contract's limit, and in sum at most what guarantees and reserve leave of RAM. What cannot be taken back at once
//! (records, kernel frames, pinned pages, what is set aside) is *firm* and must fit inside the guarantee.

use crate::layout::{CHILDREN, contract};
use crate::limits::{CONTRACT_DEPTH_MAX, PRINCIPAL_MAX};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::record::{Contract, Field, Name, Records};

/// Which count of a contract a charge goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
    /// A container page.
    Page,
    /// A frame of records.
    Record,
    /// A frame of kernel objects or page tables.
    Kernel,
    /// A frame set aside for quarantine.
    SetAside,
}

impl Charge {
    fn field(self) -> Field<Contract, u64> {
        match self {
            Charge::Page => contract::PAGES,
            Charge::Record => contract::RECORDS,
            Charge::Kernel => contract::KERNEL,
            Charge::SetAside => contract::SET_ASIDE,
        }
    }
}

/// What a new contract may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Frames that are its for certain.
    pub guaranteed: u64,
    /// Frames beyond that at most.
    pub extra_limit: u64,
    /// Pinned at most.
    pub pin_limit: u64,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// All that a contract is charged for.
    pub fn charged(&self, payer: Name<Contract>) -> u64 {
        self.get(payer, contract::PAGES)
            + self.get(payer, contract::RECORDS)
            + self.get(payer, contract::KERNEL)
            + self.get(payer, contract::SET_ASIDE)
    }

    /// What of it cannot be taken back at once.
    fn firm(&self, payer: Name<Contract>) -> u64 {
        self.get(payer, contract::RECORDS)
            + self.get(payer, contract::KERNEL)
            + self.get(payer, contract::PINNED)
    }

    /// What of it is beyond the guarantee.
    pub fn extra_of(&self, payer: Name<Contract>) -> u64 {
        self.charged(payer).saturating_sub(self.get(payer, contract::GUARANTEED))
    }

    /// The sum of what all contracts hold beyond their guarantees.
    pub fn extra_in_sum(&self) -> u64 {
        self.extra
    }

    /// Charges frames, or changes nothing. Errors: `ContractExhausted`.
    pub(crate) fn charge(
        &mut self,
        payer: Name<Contract>,
        what: Charge,
        frames: u64,
    ) -> Result<(), MemoryError> {
        let guaranteed = self.get(payer, contract::GUARANTEED);
        let before = self.extra_of(payer);
        let total = self.charged(payer).checked_add(frames).ok_or(MemoryError::ContractExhausted)?;
        let after = total.saturating_sub(guaranteed);
        let in_sum = self.extra - before + after;
        let is_firm = what != Charge::Page;
        if after > self.get(payer, contract::EXTRA_LIMIT)
            || in_sum > self.extra_capacity
            || is_firm && self.firm(payer) + frames > guaranteed
        {
            return Err(MemoryError::ContractExhausted);
        }
        self.extra = in_sum;
        self.raise(payer, what.field(), frames);
        Ok(())
    }

    /// Gives charges back.
    pub(crate) fn discharge(&mut self, payer: Name<Contract>, what: Charge, frames: u64) {
        let before = self.extra_of(payer);
        self.lower(payer, what.field(), frames);
        self.extra -= before - self.extra_of(payer);
    }

    /// Counts pages as pinned. Errors: `PinLimit`.
    pub(crate) fn pin_pages(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        let pinned = self.get(payer, contract::PINNED).checked_add(pages).ok_or(MemoryError::PinLimit)?;
        let firm = self.firm(payer).saturating_add(pages);
        if pinned > self.get(payer, contract::PIN_LIMIT) || firm > self.get(payer, contract::GUARANTEED) {
            return Err(MemoryError::PinLimit);
        }
        self.set(payer, contract::PINNED, pinned);
        Ok(())
    }

    /// Makes a child. Errors: `NotAdmitted`, `NoRecord`, `Limit`.
    pub(crate) fn split(
        &mut self,
        parent: Name<Contract>,
        allowance: Allowance,
        name: &str,
    ) -> Result<Name<Contract>, MemoryError> {
        let Allowance { guaranteed, extra_limit, pin_limit } = allowance;
        if self.get(parent, contract::DEPTH) >= CONTRACT_DEPTH_MAX || self.last_principal == PRINCIPAL_MAX {
            return Err(MemoryError::Limit);
        }
        if pin_limit > guaranteed
            || pin_limit > self.get(parent, contract::PIN_LIMIT)
            || guaranteed > self.get(parent, contract::GUARANTEED)
            || extra_limit > self.get(parent, contract::EXTRA_LIMIT)
        {
            return Err(MemoryError::NotAdmitted);
        }
        let child = self.create::<Contract>(parent)?;
        if let Err(error) = self.hand_on(parent, guaranteed, pin_limit) {
            self.delete(parent, child);
            return Err(error);
        }
        self.last_principal += 1;
        self.set(child, contract::PRINCIPAL, self.last_principal);
        self.set(child, contract::PARENT, Some(parent));
        self.set(child, contract::DEPTH, self.get(parent, contract::DEPTH) + 1);
        self.set(child, contract::GUARANTEED, guaranteed);
        self.set(child, contract::EXTRA_LIMIT, extra_limit);
        self.set(child, contract::PIN_LIMIT, pin_limit);
        self.set_name(child, contract::NAME, contract::NAME_REST, name);
        CHILDREN.push(self, parent, child);
        Ok(child)
    }

    /// Takes guarantee and pin limit from a parent, if what it holds itself still fits. Errors: `NotAdmitted`.
    fn hand_on(&mut self, parent: Name<Contract>, guaranteed: u64, pins: u64) -> Result<(), MemoryError> {
        let left = self.get(parent, contract::GUARANTEED) - guaranteed;
        let pins_left = self.get(parent, contract::PIN_LIMIT) - pins;
        let extra = self.charged(parent).saturating_sub(left);
        let in_sum = self.extra - self.extra_of(parent) + extra;
        if self.firm(parent) > left
            || self.get(parent, contract::PINNED) > pins_left
            || extra > self.get(parent, contract::EXTRA_LIMIT)
            || in_sum > self.extra_capacity
        {
            return Err(MemoryError::NotAdmitted);
        }
        self.extra = in_sum;
        self.set(parent, contract::GUARANTEED, left);
        self.set(parent, contract::PIN_LIMIT, pins_left);
        self.raise(parent, contract::HANDED_ON, guaranteed);
        Ok(())
    }

    /// Returns what was handed on to a child from the child's allowance.
    pub(crate) fn take_back(&mut self, child: Name<Contract>, guaranteed: u64, pins: u64) {
        let parent = self.get(child, contract::PARENT).expect("the root contract is never destroyed");
        let before = self.extra_of(parent) + self.extra_of(child);
        self.lower(child, contract::GUARANTEED, guaranteed);
        self.lower(child, contract::PIN_LIMIT, pins);
        self.raise(parent, contract::GUARANTEED, guaranteed);
        self.raise(parent, contract::PIN_LIMIT, pins);
        self.lower(parent, contract::HANDED_ON, guaranteed);
        self.extra = self.extra - before + self.extra_of(parent) + self.extra_of(child);
    }
}
