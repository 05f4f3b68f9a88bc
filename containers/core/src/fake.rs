//! A store of records for the tests of this crate: frames on the heap, one payer, a number of frames at most.

use crate::record::{Contract, FRAME_WORDS, Name, Record, RecordFrame, Records, Size, UNIT_WORDS, header};
use containers_api::MemoryError;
use std::boxed::Box;
use std::vec::Vec;

/// The store. Frame numbers are indexes plus one.
pub struct FakeRecords {
    frames: Vec<(Size, Box<RecordFrame>)>,
    used: Vec<u64>,
    generation: u32,
    most: usize,
}

impl FakeRecords {
    /// The only payer.
    pub const PAYER: Name<Contract> = Name::claimed(1);

    /// A store of at most `most` frames.
    pub fn new(most: usize) -> FakeRecords {
        FakeRecords { frames: Vec::new(), used: Vec::new(), generation: 0, most }
    }

    /// Records that live.
    pub fn live(&self) -> u32 {
        self.used.iter().map(|used| used.count_ones()).sum()
    }

    fn allocate(&mut self, size: Size) -> Result<(u32, u32), MemoryError> {
        let has_room = |index: &usize| {
            self.frames[*index].0 == size && self.used[*index].count_ones() < size.per_frame()
        };
        let index = match (0..self.frames.len()).find(has_room) {
            Some(index) => index,
            None if self.frames.len() == self.most => return Err(MemoryError::NoRecord),
            None => {
                self.frames.push((size, Box::new([0; FRAME_WORDS])));
                self.used.push(0);
                self.frames.len() - 1
            }
        };
        let place = (!self.used[index]).trailing_zeros();
        self.used[index] |= 1 << place;
        let slot = place * size.units();
        let first = slot as usize * UNIT_WORDS;
        self.frames[index].1[first..first + size.words()].fill(0);
        Ok((index as u32 + 1, slot))
    }

    fn free(&mut self, frame: u32, slot: u32) {
        let size = self.frames[frame as usize - 1].0;
        self.used[frame as usize - 1] &= !(1 << (slot / size.units()));
    }
}

impl Records for FakeRecords {
    fn words(&self, frame: u32) -> &RecordFrame {
        &self.frames[frame as usize - 1].1
    }

    fn words_mut(&mut self, frame: u32) -> &mut RecordFrame {
        &mut self.frames[frame as usize - 1].1
    }

    fn holds_records(&self, frame: u32, size: Size) -> bool {
        self.frames.get((frame as usize).wrapping_sub(1)).is_some_and(|frame| frame.0 == size)
    }

    fn create<R: Record>(&mut self, _payer: Name<Contract>) -> Result<Name<R>, MemoryError> {
        let (frame, slot) = self.allocate(R::SIZE)?;
        self.generation += 1;
        let name = Name::new(frame, slot, self.generation);
        self.words_mut(frame)[name.offset()] = header(R::KIND, self.generation);
        Ok(name)
    }

    fn delete<R: Record>(&mut self, _payer: Name<Contract>, name: Name<R>) {
        self.words_mut(name.frame())[name.offset()] = 0;
        self.free(name.frame(), name.slot());
    }

    fn create_node(&mut self, _payer: Name<Contract>) -> Result<(u32, u32), MemoryError> {
        self.allocate(Size::Node)
    }

    fn delete_node(&mut self, _payer: Name<Contract>, frame: u32, slot: u32) {
        self.free(frame, slot);
    }
}
