//! The contract page: what a contract's tasks can read about calls, its end, and what was seized, without a message.
//!
//! It is a frame like those of records, charged to the contract, and mapped read-only into address spaces that the same
//! contract pays for; so no mapping of it outlives it. Nothing in it is ever taken for a record.

use crate::database::NO_FRAME;
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use crate::seizure::Run;
use containers_api::MemoryError;
use containers_api::page::{Fate, PAGE_WORDS, contract as place};
use containers_core::layout::container;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Contract, Name, Records};
use core::sync::atomic::{Ordering, fence};
use kernel_abi::Handle;

/// Changes a page that others read while it is written: the sequence word is odd meanwhile. The fences keep compiler and
/// processor from moving the changes out of that time, or from making one change of two.
pub(crate) fn write_shared(
    words: &mut [u64; PAGE_WORDS],
    sequence: usize,
    change: impl FnOnce(&mut [u64; PAGE_WORDS]),
) {
    words[sequence] += 1;
    fence(Ordering::Release);
    change(words);
    fence(Ordering::Release);
    words[sequence] += 1;
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The words of a contract's page; none: nobody watches its calls.
    pub fn contract_page(&self, this: Name<Contract>) -> Option<&[u64; PAGE_WORDS]> {
        let frame = self.get(this, contract::PAGE);
        (frame != NO_FRAME).then(|| self.memory.words(frame))
    }

    /// The words of the pressure page, once something has been written to it.
    pub fn pressure_page(&self) -> Option<&[u64; PAGE_WORDS]> {
        self.pressure_frame.filter(|_| self.published != u64::MAX).map(|frame| self.memory.words(frame))
    }

    /// Keeps a notification for calls, and makes the page. Errors: `Limit`, `ContractExhausted`, `WrongObject`.
    pub(crate) fn watch(&mut self, this: Name<Contract>, notification: Handle) -> Result<(), MemoryError> {
        if self.get(this, contract::PAGE) == NO_FRAME {
            let frame = self.make_page_of_words(this)?;
            self.set(this, contract::PAGE, frame);
        }
        let old = self.get(this, contract::CALL_NOTIFICATION);
        let kept = if old != 0 { Handle(old) } else { self.handles.take().ok_or(MemoryError::Limit)? };
        if old != 0 {
            self.pmap.drop_handle(kept);
        }
        if self.pmap.keep_notification(notification, kept).is_err() {
            self.handles.give(kept);
            self.set(this, contract::CALL_NOTIFICATION, 0);
            return Err(MemoryError::WrongObject);
        }
        self.set(this, contract::CALL_NOTIFICATION, kept.0);
        self.write_contract_page(this);
        Ok(())
    }

    /// A contract ends: its page and its notification go.
    pub(crate) fn end_watch(&mut self, this: Name<Contract>) {
        let kept = self.get(this, contract::CALL_NOTIFICATION);
        if kept != 0 {
            self.pmap.drop_handle(Handle(kept));
            self.handles.give(Handle(kept));
            self.set(this, contract::CALL_NOTIFICATION, 0);
        }
        let frame = self.get(this, contract::PAGE);
        if frame != NO_FRAME {
            self.set(this, contract::PAGE, NO_FRAME);
            self.return_page_of_words(this, frame);
        }
    }

    /// Writes what the page says of the call in progress and the end of the contract.
    pub(crate) fn write_contract_page(&mut self, this: Name<Contract>) {
        let frame = self.get(this, contract::PAGE);
        if frame == NO_FRAME {
            return;
        }
        let frames = if self.is_called(this) { self.due(this) } else { 0 };
        if frames == 0 && mutations::has(Mutation::StaleContractPage) {
            return;
        }
        let says = [
            (place::CALL, self.get(this, contract::CALLS)),
            (place::CALL_FRAMES, frames),
            (place::CALL_DEADLINE, self.get(this, contract::CALL_DEADLINE)),
            (place::STANDING, self.standing(this)),
            (place::EXPIRES, self.get(this, contract::EXPIRES)),
        ];
        let words: &mut [u64; PAGE_WORDS] = self.memory.words_mut(frame);
        write_shared(words, place::SEQUENCE, |words| {
            for (word, value) in says {
                words[word] = value;
            }
        });
    }

    /// Adds an entry to the repossession record.
    pub(crate) fn record_seizure(&mut self, this: Name<Contract>, run: Run, fate: Fate) {
        let frame = self.get(this, contract::PAGE);
        if frame == NO_FRAME || mutations::has(Mutation::ForgetRepossession) {
            return;
        }
        let number = self.get(run.container, container::NUMBER);
        let sequence = self.get(this, contract::CALLS);
        let words: &mut [u64; PAGE_WORDS] = self.memory.words_mut(frame);
        let index = words[place::SEIZURES] as usize % place::RECORD_ENTRIES;
        let first = place::RECORD + index * place::RECORD_ENTRY;
        write_shared(words, place::SEQUENCE, |words| {
            words[first] = number;
            words[first + 1] = run.span.first;
            words[first + 2] = run.span.pages;
            words[first + 3] = fate as u64 | sequence << 8;
            words[place::SEIZURES] += 1;
        });
    }
}
