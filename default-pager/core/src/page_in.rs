//! Page-in: a page comes from its word or the compressed tier at once, from the disk later.
//!
//! The slot stays what it was: a page that is not written afterwards is dropped again without writing, by who has
//! its name.

use crate::codec;
use crate::limits::BATCH_PAGES;
use crate::name::{Page, SlotName};
use crate::operation::Purpose;
use crate::outside::{Disk, Region, Store};
use crate::pager::{Pager, Progress, Refusal};
use crate::word::{DISK_TAG_BITS, State};

/// Why a page is not there. Only the access that needed this page fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageInError {
    /// The name is nobody's any more, or never was.
    Stale,
    /// The disk cannot read it: a bad sector, or no disk.
    Unreadable,
    /// What the disk or the compressed tier gave is not what was put there.
    Corrupt,
}

/// What became of a page.
pub type PageIn = Result<(), PageInError>;

impl<R: Region, S: Store, D: Disk> Pager<R, S, D> {
    /// Brings pages. What is in memory is there at once, in `pages`, with a result; where the disk is needed the
    /// result is none, and an event with `token` will tell when to [`Pager::collect`]. Names that follow each other
    /// are read by one transfer.
    pub fn page_in(
        &mut self,
        token: u64,
        names: &[SlotName],
        pages: &mut [&mut Page],
        results: &mut [Option<PageIn>],
    ) -> Result<Progress, Refusal> {
        let lengths_agree = names.len() == pages.len() && names.len() == results.len();
        if names.is_empty() || names.len() > BATCH_PAGES || !lengths_agree || self.arriving(token).is_some() {
            return Err(Refusal::Malformed);
        }
        let on_disk = |name: &SlotName| self.tenant(*name).is_some_and(|word| is_on_disk(word.state));
        let index = match names.iter().any(on_disk) && self.disk.sectors() > 0 {
            true => Some(self.operations.idle().ok_or(Refusal::Busy)?),
            false => None,
        };
        if let Some(index) = index {
            let purpose = Purpose::PageIn { token, abandoned: false };
            self.operations.get(index).begin(purpose, names.len());
        }
        for (page, name) in names.iter().enumerate() {
            results[page] = self.bring(index, page, *name, pages[page]);
        }
        self.pump();
        Ok(if index.is_some() { Progress::UnderWay } else { Progress::Done })
    }

    /// Brings a page, or asks the disk for it.
    fn bring(
        &mut self,
        index: Option<usize>,
        page: usize,
        name: SlotName,
        bytes: &mut Page,
    ) -> Option<PageIn> {
        let slot = name.slot();
        let Some(word) = self.tenant(name) else {
            self.counters.stale += 1;
            return Some(Err(PageInError::Stale));
        };
        let whole = match word.state {
            State::Disk { .. } => {
                let Some(index) = index else { return Some(Err(PageInError::Unreadable)) };
                let operation = self.operations.get(index);
                (operation.slots[page], operation.counts[page]) = (slot, word.count);
                operation.todo |= 1 << page;
                return None;
            }
            State::Compressed(object) | State::Stuck(object) => {
                self.counters.in_from_tier += 1;
                self.restore(slot, word, object, false, bytes)
            }
            State::StoredFill(object) => {
                self.counters.in_from_word += 1;
                self.restore(slot, word, object, true, bytes)
            }
            State::Fill(value) => {
                self.counters.in_from_word += 1;
                codec::fill(bytes, value);
                true
            }
            State::Lost | State::Free { .. } | State::Bad => false,
        };
        self.counters.corrupt += u64::from(!whole);
        Some(if whole { Ok(()) } else { Err(PageInError::Corrupt) })
    }

    /// Takes the pages that the disk has brought: those that had no result get theirs now. `pages` and `results`
    /// are those of the page-in, or others of the same number.
    pub fn collect(
        &mut self,
        token: u64,
        pages: &mut [&mut Page],
        results: &mut [Option<PageIn>],
    ) -> Result<(), Refusal> {
        let index = self.arriving(token).ok_or(Refusal::Unknown)?;
        let operation = self.operations.get(index);
        if !operation.is_settled() {
            return Err(Refusal::UnderWay);
        }
        if pages.len() != operation.pages || results.len() != operation.pages {
            return Err(Refusal::Malformed);
        }
        for page in crate::operation::indices(operation.done | operation.failed) {
            results[page] = Some(self.receive(index, page, pages[page]));
        }
        self.operations.get(index).purpose = Purpose::Idle;
        self.balance();
        Ok(())
    }

    /// Takes a page out of the buffer; spoilt, it is all zeros.
    fn receive(&mut self, index: usize, page: usize, bytes: &mut Page) -> PageIn {
        let operation = self.operations.get(index);
        let (slot, count) = (operation.slots[page], operation.counts[page]);
        if operation.failed >> page & 1 == 1 {
            self.counters.unreadable += 1;
            return Err(PageInError::Unreadable);
        }
        let word = self.ledger.word(slot);
        let State::Disk { tag } = word.state else { return Err(PageInError::Stale) };
        if word.count != count {
            return Err(PageInError::Stale);
        }
        bytes.copy_from_slice(Self::buffer_page(&mut self.disk, index, page));
        self.seal.crypt(slot, count, bytes);
        if self.seal.tag(slot, count, bytes, DISK_TAG_BITS) != tag {
            bytes.fill(0);
            self.counters.corrupt += 1;
            return Err(PageInError::Corrupt);
        }
        self.counters.in_from_disk += 1;
        Ok(())
    }

    /// Nobody wants the pages of a page-in any more. Its buffer is free when the disk is done with it.
    pub fn abandon(&mut self, token: u64) -> Result<(), Refusal> {
        let index = self.arriving(token).ok_or(Refusal::Unknown)?;
        self.operations.get(index).purpose = Purpose::PageIn { token, abandoned: true };
        self.settle(index);
        self.balance();
        Ok(())
    }

    /// A page-in that can be collected, and was not yet told of.
    pub(crate) fn next_arrival(&mut self) -> Option<u64> {
        let ready = self.operations.iter().find_map(|(index, one)| match one.purpose {
            Purpose::PageIn { token, abandoned: false } if one.is_settled() && !one.told => {
                Some((index, token))
            }
            _ => None,
        });
        let (index, token) = ready?;
        self.operations.get(index).told = true;
        Some(token)
    }

    fn arriving(&self, token: u64) -> Option<usize> {
        let wanted = Purpose::PageIn { token, abandoned: false };
        self.operations.iter().find(|(_, one)| one.purpose == wanted).map(|(index, _)| index)
    }
}

fn is_on_disk(state: State) -> bool {
    matches!(state, State::Disk { .. })
}
