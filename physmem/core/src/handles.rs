//! Which entries of physmem's own capability table are free: one a task, one a caller that waits.

use crate::limits::HANDLES_MAX;
use kernel_abi::Handle;
use kernel_abi::capability::CAPABILITIES_PER_FRAME;

/// A set of handles.
pub struct Handles {
    free: [u64; HANDLES_MAX as usize / 64],
    left: u32,
}

impl Handles {
    /// The handles from `first` on, before `end`.
    pub fn new(first: Handle, end: Handle) -> Handles {
        let mut handles = Handles { free: [0; HANDLES_MAX as usize / 64], left: 0 };
        // The first entry of each frame of a table is the kernel's.
        let usable = |handle: &u32| !handle.is_multiple_of(CAPABILITIES_PER_FRAME);
        (first.0..end.0.min(HANDLES_MAX)).filter(usable).for_each(|handle| handles.give(Handle(handle)));
        handles
    }

    /// A free handle.
    pub fn take(&mut self) -> Option<Handle> {
        let word = self.free.iter().position(|&word| word != 0)?;
        let bit = self.free[word].trailing_zeros();
        self.free[word] &= !(1 << bit);
        self.left -= 1;
        Some(Handle(word as u32 * 64 + bit))
    }

    /// Gives a handle back, whose entry is empty.
    pub fn give(&mut self, handle: Handle) {
        let (word, bit) = (handle.0 as usize / 64, handle.0 % 64);
        assert!(self.free[word] >> bit & 1 == 0, "a handle is given back twice");
        self.free[word] |= 1 << bit;
        self.left += 1;
    }

    /// Handles that are free.
    pub fn left(&self) -> u32 {
        self.left
    }
}
