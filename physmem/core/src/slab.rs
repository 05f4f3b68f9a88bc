//! The store of records: slots in frames that are charged to one contract, one ring of frames for each size.
//!
//! Frames with a free slot come first in their ring. A frame that has become empty goes back, but for the last one
//! of its ring, so that a contract that makes and ends one record at a time does not ask for a frame each time.
//!
//! A slot's header keeps the generation for its next record while it is empty; the frame database keeps the
//! highest one when the frame goes back. A slot or frame whose generations are used up holds no record again.

use crate::contract::Charge;
use crate::database::{NO_FRAME, NOBODY, State};
use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::record::{
    Contract, Field, GENERATION_MAX, Name, Record, RecordFrame, Records, Size, UNIT_WORDS, header,
};

/// Kind in the header of an empty slot.
const EMPTY: u8 = 0;
/// Kind in the header of a slot whose generations are used up.
const RETIRED: u8 = 0xff;

fn ring_of(size: Size) -> Field<Contract, u32> {
    match size {
        Size::Small => contract::SMALL_RING,
        Size::Large => contract::LARGE_RING,
        Size::Node => contract::NODE_RING,
        Size::Huge => contract::HUGE_RING,
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Prepares an open frame for records of a size.
    pub(crate) fn format_records(&mut self, frame: u32, size: Size) {
        self.database.set_record_size(frame, size);
        if size != Size::Node {
            let generation = self.database.generation(frame).max(1);
            let words = self.memory.words_mut(frame);
            words.iter_mut().step_by(size.words()).for_each(|word| *word = header(EMPTY, generation));
        }
    }

    /// A free slot of a frame, by its index.
    fn free_index(&self, frame: u32, size: Size) -> Option<u32> {
        let used = self.database.used(frame);
        if size == Size::Node {
            return Some((!used).trailing_zeros()).filter(|&index| index < size.per_frame());
        }
        if used == size.per_frame() {
            return None;
        }
        let words = self.memory.words(frame);
        let is_free = |index: &u32| words[*index as usize * size.words()] as u8 == EMPTY;
        (0..size.per_frame()).find(is_free)
    }

    fn is_full(&self, frame: u32, size: Size) -> bool {
        let used = self.database.used(frame);
        let most = size.per_frame();
        if size == Size::Node { used == (1 << most) - 1 } else { used == most }
    }

    /// A frame of the ring with a free slot, at its head, and the slot's index.
    fn frame_with_room(&mut self, payer: Name<Contract>, size: Size) -> Result<(u32, u32), MemoryError> {
        let head = self.get(payer, ring_of(size));
        if head != NO_FRAME {
            if let Some(index) = self.free_index(head, size) {
                return Ok((head, index));
            }
            // Only retired slots are left, or the frame is full: another one may be first.
            let next = self.database.ring_next(head);
            if let Some(index) = self.free_index(next, size) {
                self.set(payer, ring_of(size), next);
                return Ok((next, index));
            }
        }
        self.charge(payer, Charge::Record, 1).map_err(|_| MemoryError::NoRecord)?;
        let Some(frame) = self.open_record_frame() else {
            self.discharge(payer, Charge::Record, 1);
            return Err(MemoryError::NoRecord);
        };
        self.format_records(frame, size);
        let head = self.database.ring_push(head, frame);
        self.set(payer, ring_of(size), head);
        Ok((frame, 0))
    }

    pub(crate) fn open_record_frame(&mut self) -> Option<u32> {
        self.flush();
        let frame = self.database.take_for_records()?;
        if self.memory.open(frame).is_err() {
            self.database.free(frame, State::Record, false, NOBODY);
            return None;
        }
        Some(frame)
    }

    fn count_used(&mut self, payer: Name<Contract>, frame: u32, index: u32, size: Size) {
        let used = self.database.used(frame);
        let used = if size == Size::Node { used | 1 << index } else { used + 1 };
        self.database.set_used(frame, used);
        if self.is_full(frame, size) {
            let next = self.database.ring_next(frame);
            self.set(payer, ring_of(size), next);
        }
    }

    /// Makes an empty slot a record, all fields zero.
    pub(crate) fn occupy<R: Record>(&mut self, frame: u32, index: u32) -> Name<R> {
        let first = index as usize * R::SIZE.words();
        let words = &mut self.memory.words_mut(frame)[first..first + R::SIZE.words()];
        let generation = (words[0] >> 8) as u32;
        words.fill(0);
        words[0] = header(R::KIND, generation);
        Name::new(frame, index * R::SIZE.units(), generation)
    }

    /// A slot is free again: its frame moves to the front of the ring, or goes back.
    fn count_unused(&mut self, payer: Name<Contract>, frame: u32, index: u32, size: Size) {
        let ring = ring_of(size);
        let was_full = self.is_full(frame, size);
        let used = self.database.used(frame);
        let used = if size == Size::Node { used & !(1 << index) } else { used - 1 };
        self.database.set_used(frame, used);
        let head = self.get(payer, ring);
        if used == 0 && self.database.ring_next(frame) != frame {
            let head = self.database.ring_remove(head, frame);
            self.set(payer, ring, head);
            self.return_record_frame(payer, frame, size);
        } else if was_full && head != frame {
            let head = self.database.ring_remove(head, frame);
            let head = self.database.ring_push(head, frame);
            self.set(payer, ring, head);
        }
    }

    fn return_record_frame(&mut self, payer: Name<Contract>, frame: u32, size: Size) {
        if size != Size::Node {
            let headers = self.memory.words(frame).iter().step_by(size.words());
            let generation = headers.map(|word| (word >> 8) as u32).max().unwrap_or(0);
            self.database.set_generation(frame, generation.max(self.database.generation(frame)));
        }
        self.memory.close(frame);
        self.database.free(frame, State::Record, false, NOBODY);
        self.discharge(payer, Charge::Record, 1);
    }

    /// Makes a contract's ring part of another's: frames with room at the front, full ones behind; empty ones go back.
    pub(crate) fn pass_record_ring_on(&mut self, to: Name<Contract>, from: Name<Contract>, size: Size) {
        let ring = ring_of(size);
        let mut theirs = self.get(from, ring);
        self.set(from, ring, NO_FRAME);
        while theirs != NO_FRAME {
            let frame = theirs;
            theirs = self.database.ring_remove(theirs, frame);
            if self.database.used(frame) == 0 {
                self.return_record_frame(from, frame, size);
                continue;
            }
            let ours = self.get(to, ring);
            let head = self.database.ring_push(ours, frame);
            if ours == NO_FRAME || !self.is_full(frame, size) {
                self.set(to, ring, head);
            }
        }
    }

    /// Gives the last, empty frames of a contract back.
    pub(crate) fn return_rings(&mut self, payer: Name<Contract>) {
        for size in Size::ALL {
            let head = self.get(payer, ring_of(size));
            if head != NO_FRAME {
                assert!(self.database.used(head) == 0, "a contract ends with records");
                assert!(
                    self.database.ring_next(head) == head,
                    "a contract ends with two empty frames of a size"
                );
                self.set(payer, ring_of(size), NO_FRAME);
                self.return_record_frame(payer, head, size);
            }
        }
    }
}

impl<P: Pmap, M: RecordMemory> Records for Physmem<'_, P, M> {
    #[inline]
    fn words(&self, frame: u32) -> &RecordFrame {
        self.memory.words(frame)
    }

    #[inline]
    fn words_mut(&mut self, frame: u32) -> &mut RecordFrame {
        self.memory.words_mut(frame)
    }

    fn holds_records(&self, frame: u32, size: Size) -> bool {
        self.database.record_size(frame) == Some(size)
    }

    fn create<R: Record>(&mut self, payer: Name<Contract>) -> Result<Name<R>, MemoryError> {
        let (frame, index) = self.frame_with_room(payer, R::SIZE)?;
        let name = self.occupy::<R>(frame, index);
        self.count_used(payer, frame, index, R::SIZE);
        Ok(name)
    }

    fn delete<R: Record>(&mut self, payer: Name<Contract>, name: Name<R>) {
        let first = name.offset();
        let words = self.memory.words_mut(name.frame());
        assert!(words[first] == header(R::KIND, name.generation()), "stale record {name:?}");
        words[first] = if name.generation() < GENERATION_MAX {
            header(EMPTY, name.generation() + 1)
        } else {
            header(RETIRED, GENERATION_MAX)
        };
        self.count_unused(payer, name.frame(), name.slot() / R::SIZE.units(), R::SIZE);
    }

    fn create_node(&mut self, payer: Name<Contract>) -> Result<(u32, u32), MemoryError> {
        let (frame, index) = self.frame_with_room(payer, Size::Node)?;
        let first = index as usize * Size::Node.words();
        self.memory.words_mut(frame)[first..first + Size::Node.words()].fill(0);
        self.count_used(payer, frame, index, Size::Node);
        Ok((frame, index * Size::Node.units()))
    }

    fn delete_node(&mut self, payer: Name<Contract>, frame: u32, slot: u32) {
        debug_assert!(slot as usize * UNIT_WORDS < containers_core::record::FRAME_WORDS);
        self.count_unused(payer, frame, slot / Size::Node.units(), Size::Node);
    }
}
