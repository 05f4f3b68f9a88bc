//! Contracts: charges with admission control.
//!
//! `charge = pages + records + kernel + set aside`. All charges and claims together stay within what RAM has beyond the
//! reserve, so a charge always finds its frame. What a contract holds beyond its guarantee is *extra*: at most its limit, and
//! only as long as frames are left over that nobody waits for. What cannot be taken back at once (records, kernel frames,
//! pinned pages, what is set aside, vital pages) is *firm* and must fit inside the guarantee; so whatever is extra can be
//! seized.

use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use crate::waits::Shortage;
use containers_api::MemoryError;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Contract, Field, Name, Records, View};

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

/// All that a contract is charged for.
#[inline(always)]
pub(crate) fn charged(payer: &View<'_, Contract>) -> u64 {
    payer.get(contract::PAGES)
        + payer.get(contract::RECORDS)
        + payer.get(contract::KERNEL)
        + payer.get(contract::SET_ASIDE)
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// All that a contract is charged for.
    pub fn charged(&self, payer: Name<Contract>) -> u64 {
        charged(&self.view(payer))
    }

    /// What of it cannot be taken back at once.
    pub(crate) fn firm(&self, payer: Name<Contract>) -> u64 {
        self.get(payer, contract::RECORDS)
            + self.get(payer, contract::KERNEL)
            + self.get(payer, contract::PINNED)
            + self.get(payer, contract::VITAL)
    }

    /// Frames that a contract's charges can take now: those that it has a claim on, and those that are left when all who wait
    /// have theirs.
    pub(crate) fn room_for(&self, payer: Name<Contract>) -> u64 {
        self.get(payer, contract::CLAIMED) + self.room().saturating_sub(self.waits.frames())
    }

    /// Charges frames, or changes nothing. Errors: `ContractExhausted`; where the guarantee covers them it is noted as a
    /// shortage, for which the caller can wait.
    pub(crate) fn charge(
        &mut self,
        payer: Name<Contract>,
        what: Charge,
        frames: u64,
    ) -> Result<(), MemoryError> {
        let view = self.view(payer);
        let (guaranteed, charged) = (view.get(contract::GUARANTEED), charged(&view));
        let claimed = view.get(contract::CLAIMED);
        let total = charged.checked_add(frames).ok_or(MemoryError::ContractExhausted)?;
        let refused =
            total <= guaranteed && total + 16 > guaranteed && mutations::has(Mutation::ShortGuarantee);
        if frames != 0 && (refused || mutations::is_refused()) {
            return Err(MemoryError::ContractExhausted);
        }
        if what != Charge::Page && self.firm(payer) + frames > guaranteed {
            return Err(MemoryError::ContractExhausted);
        }
        if total <= guaranteed || frames == 0 {
            if frames > self.room_for(payer) {
                self.shortage = Some(Shortage { payer, total });
                return Err(MemoryError::ContractExhausted);
            }
        } else if total - guaranteed > self.get(payer, contract::EXTRA_LIMIT)
            || frames > self.lendable_to(payer)
        {
            self.note_exhausted(payer, frames);
            return Err(MemoryError::ContractExhausted);
        }
        self.charged += frames;
        let lost = what == Charge::Page && frames == 1 && mutations::has(Mutation::LoseCharge);
        self.raise(payer, what.field(), if lost { 0 } else { frames });
        if claimed != 0 {
            self.use_claim(payer, frames);
        }
        if total > guaranteed {
            self.extra_changed(payer, charged.saturating_sub(guaranteed));
        }
        Ok(())
    }

    /// Frames that a contract may take beyond its guarantee now.
    fn lendable_to(&self, payer: Name<Contract>) -> u64 {
        if self.lends_nothing() { 0 } else { self.room_for(payer).saturating_sub(self.margin) }
    }

    /// Gives charges back.
    pub(crate) fn discharge(&mut self, payer: Name<Contract>, what: Charge, frames: u64) {
        let before = self.extra_of(payer);
        self.charged -= frames;
        self.lower(payer, what.field(), frames);
        if before != 0 {
            self.extra_changed(payer, before);
        }
    }

    /// Counts pages as vital. Errors: `NotAdmitted`.
    pub(crate) fn admit_vital(&mut self, payer: Name<Contract>, pages: u64) -> Result<(), MemoryError> {
        if self.firm(payer).saturating_add(pages) > self.get(payer, contract::GUARANTEED) {
            return Err(MemoryError::NotAdmitted);
        }
        self.raise(payer, contract::VITAL, pages);
        Ok(())
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
}
