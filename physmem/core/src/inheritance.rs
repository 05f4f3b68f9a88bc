//! The tree of contracts: splitting children off, handing guarantees down and taking them back.
//!
//! A guarantee is part of exactly one contract; the sum of all never changes. What was handed on to a child, whatever the
//! child has handed on itself, is counted at the parent.

use crate::destroy::ending;
use crate::layout::{CHILDREN, contract};
use crate::limits::{
    CONTRACT_DEPTH_MAX, CONTRACT_TERM_MAX_NS, CONTRACT_TERM_MIN_NS, EXTRA_TERM_MAX_NS, EXTRA_TERM_MIN_NS,
    EXTRA_TERM_NS, PRINCIPAL_MAX, WEIGHT, WEIGHT_MAX,
};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::contract::Split;
use containers_core::record::{Contract, Name, Records};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Makes a child. Errors: see [`Split`].
    pub(crate) fn split(
        &mut self,
        parent: Name<Contract>,
        asked: &Split,
    ) -> Result<Name<Contract>, MemoryError> {
        let expires = self.check_split(parent, asked)?;
        let child = self.create::<Contract>(parent)?;
        self.set(child, contract::PARENT, Some(parent));
        self.set(child, contract::EXPIRES, u64::MAX);
        if let Err(error) = self.hand_on(parent, child, asked.guaranteed, asked.pin_limit) {
            self.delete(parent, child);
            return Err(error);
        }
        self.last_principal += 1;
        self.set(child, contract::PRINCIPAL, self.last_principal);
        self.set(child, contract::DEPTH, self.get(parent, contract::DEPTH) + 1);
        self.set(child, contract::EXTRA_LIMIT, asked.extra_limit);
        self.set(child, contract::SWAP_LIMIT, asked.swap_limit);
        self.set(child, contract::WEIGHT, if asked.weight == 0 { WEIGHT } else { asked.weight });
        let term = if asked.extra_term_ns == 0 { EXTRA_TERM_NS } else { asked.extra_term_ns };
        self.set(child, contract::EXTRA_TERM_NS, term);
        self.set_name(child, contract::NAME, contract::NAME_REST, asked.name.as_str());
        self.set_end(child, expires);
        CHILDREN.push(self, parent, child);
        Ok(child)
    }

    /// When the child ends, if everything but the guarantee is in order.
    fn check_split(&self, parent: Name<Contract>, asked: &Split) -> Result<u64, MemoryError> {
        if self.get(parent, contract::DEPTH) >= CONTRACT_DEPTH_MAX || self.last_principal == PRINCIPAL_MAX {
            return Err(MemoryError::Limit);
        }
        self.check_swap_limit(parent, asked.swap_limit)?;
        let terms = EXTRA_TERM_MIN_NS..=EXTRA_TERM_MAX_NS;
        if asked.extra_term_ns != 0 && !terms.contains(&asked.extra_term_ns) || asked.weight > WEIGHT_MAX {
            return Err(MemoryError::OutOfRange);
        }
        if asked.pin_limit > asked.guaranteed || asked.extra_limit > self.get(parent, contract::EXTRA_LIMIT) {
            return Err(MemoryError::NotAdmitted);
        }
        self.end_after(parent, asked.term_ns)
    }

    /// The end of a term for a child of `parent` that begins now. Errors: `OutOfRange`.
    fn end_after(&self, parent: Name<Contract>, term_ns: u64) -> Result<u64, MemoryError> {
        let end = match term_ns {
            0 => u64::MAX,
            CONTRACT_TERM_MIN_NS..=CONTRACT_TERM_MAX_NS => self.now + term_ns,
            _ => return Err(MemoryError::OutOfRange),
        };
        Ok(end.min(self.get(parent, contract::EXPIRES)))
    }

    /// Gives a child a new term. Errors: `WrongObject`, `OutOfRange`.
    pub(crate) fn extend(
        &mut self,
        parent: Name<Contract>,
        child: Name<Contract>,
        term_ns: u64,
    ) -> Result<(), MemoryError> {
        self.require_child(parent, child)?;
        let expires = self.end_after(parent, term_ns)?;
        self.set_end(child, expires);
        self.write_contract_page(child);
        Ok(())
    }

    /// Moves guarantee down to a child. Errors: `WrongObject`, `NotAdmitted`.
    pub(crate) fn hand_down(
        &mut self,
        parent: Name<Contract>,
        child: Name<Contract>,
        guaranteed: u64,
        pins: u64,
    ) -> Result<(), MemoryError> {
        self.require_child(parent, child)?;
        let (all, all_pins) = (self.get(child, contract::GUARANTEED), self.get(child, contract::PIN_LIMIT));
        if all_pins.saturating_add(pins) > all.saturating_add(guaranteed) {
            return Err(MemoryError::NotAdmitted);
        }
        self.hand_on(parent, child, guaranteed, pins)
    }

    /// Moves guarantee back from a child. Errors: `WrongObject`, `NotAdmitted`.
    pub(crate) fn take_part_back(
        &mut self,
        parent: Name<Contract>,
        child: Name<Contract>,
        guaranteed: u64,
        pins: u64,
    ) -> Result<(), MemoryError> {
        self.require_child(parent, child)?;
        let left = self.get(child, contract::GUARANTEED).checked_sub(guaranteed);
        let pins_left = self.get(child, contract::PIN_LIMIT).checked_sub(pins);
        let (Some(left), Some(pins_left)) = (left, pins_left) else { return Err(MemoryError::NotAdmitted) };
        if self.firm(child) > left || self.get(child, contract::PINNED) > pins_left {
            return Err(MemoryError::NotAdmitted);
        }
        self.take_back(child, guaranteed, pins);
        // Relief asks the child for what is beyond its limit then.
        self.is_new_shortage |= self.over_limit != 0;
        Ok(())
    }

    /// `WrongObject` unless it is a living child.
    pub(crate) fn require_child(
        &self,
        parent: Name<Contract>,
        child: Name<Contract>,
    ) -> Result<(), MemoryError> {
        let is_child = self.get(child, contract::PARENT) == Some(parent)
            && self.get(child, contract::ENDING) == ending::ALIVE;
        if is_child { Ok(()) } else { Err(MemoryError::WrongObject) }
    }

    /// Moves guarantee and pin limit from a parent, if what it holds itself still fits. Errors: `NotAdmitted`.
    fn hand_on(
        &mut self,
        parent: Name<Contract>,
        child: Name<Contract>,
        guaranteed: u64,
        pins: u64,
    ) -> Result<(), MemoryError> {
        let left = self.get(parent, contract::GUARANTEED).checked_sub(guaranteed);
        let pins_left = self.get(parent, contract::PIN_LIMIT).checked_sub(pins);
        let (Some(left), Some(pins_left)) = (left, pins_left) else { return Err(MemoryError::NotAdmitted) };
        let extra = self.charged(parent).saturating_sub(left);
        if self.firm(parent) > left
            || self.get(parent, contract::PINNED) > pins_left
            || extra > self.get(parent, contract::EXTRA_LIMIT).max(self.extra_of(parent))
        {
            return Err(MemoryError::NotAdmitted);
        }
        let before = (self.extra_of(parent), self.extra_of(child));
        self.set(parent, contract::GUARANTEED, left);
        self.set(parent, contract::PIN_LIMIT, pins_left);
        self.raise(parent, contract::HANDED_ON, guaranteed);
        self.raise(child, contract::GUARANTEED, guaranteed);
        self.raise(child, contract::PIN_LIMIT, pins);
        self.guarantee_changed(parent, before.0);
        self.guarantee_changed(child, before.1);
        Ok(())
    }

    /// Returns what was handed on to a child from the child's allowance.
    pub(crate) fn take_back(&mut self, child: Name<Contract>, guaranteed: u64, pins: u64) {
        let parent = self.get(child, contract::PARENT).expect("the root contract is never destroyed");
        let before = (self.extra_of(parent), self.extra_of(child));
        self.lower(child, contract::GUARANTEED, guaranteed);
        self.lower(child, contract::PIN_LIMIT, pins);
        self.raise(parent, contract::GUARANTEED, guaranteed);
        self.raise(parent, contract::PIN_LIMIT, pins);
        self.lower(parent, contract::HANDED_ON, guaranteed);
        self.guarantee_changed(parent, before.0);
        self.guarantee_changed(child, before.1);
    }

    /// What follows from another guarantee: another extra, and no claim beyond it.
    pub(crate) fn guarantee_changed(&mut self, this: Name<Contract>, extra_before: u64) {
        self.extra_uncovered(this, extra_before);
        let covered = self.get(this, contract::GUARANTEED).saturating_sub(self.charged(this));
        let claim = self.get(this, contract::CLAIMED);
        self.use_claim(this, claim.saturating_sub(covered));
    }
}
