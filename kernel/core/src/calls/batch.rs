//! Reading the items of a batch: all of them, once, before anything is done. So a page fault finds nothing half done, and
//! nobody changes an item between its check and its use.

use crate::kernel::{Kernel, Stop};
use crate::machine::Machine;
use kernel_abi::pmap::BATCH_ITEMS;

/// Items of a batch that is read without clearing room for the largest: most resolve one fault.
const FEW: usize = 16;

impl<M: Machine> Kernel<M> {
    /// Reads the items, a word each, and acts on them.
    pub(super) fn with_words<R>(
        &mut self,
        array: u64,
        count: u64,
        act: impl FnOnce(&mut Self, &[u64]) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.check_array(array, count, 8, BATCH_ITEMS as u64)?;
        let count = count as usize;
        if count == 1 {
            let mut words = [0];
            self.machine.read_user_words(array, &mut words)?;
            act(self, &words)
        } else if count <= FEW {
            let mut words = [0; FEW];
            self.machine.read_user_words(array, &mut words[..count])?;
            act(self, &words[..count])
        } else {
            self.with_many_words(array, count, act)
        }
    }

    /// Apart, so that a few items need no room for many on the stack.
    #[inline(never)]
    fn with_many_words<R>(
        &mut self,
        array: u64,
        count: usize,
        act: impl FnOnce(&mut Self, &[u64]) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let mut words = [0; BATCH_ITEMS];
        self.machine.read_user_words(array, &mut words[..count])?;
        act(self, &words[..count])
    }

    /// Reads the items, two words each, and acts on them.
    pub(super) fn with_items<R>(
        &mut self,
        array: u64,
        count: u64,
        act: impl FnOnce(&mut Self, &[[u64; 2]]) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.check_array(array, count, 16, BATCH_ITEMS as u64)?;
        let count = count as usize;
        if count == 1 {
            let mut words = [0; 2];
            self.machine.read_user_words(array, &mut words)?;
            act(self, &[words])
        } else if count <= FEW {
            let mut words = [[0; 2]; FEW];
            self.machine.read_user_words(array, words[..count].as_flattened_mut())?;
            act(self, &words[..count])
        } else {
            self.with_many_items(array, count, act)
        }
    }

    #[inline(never)]
    fn with_many_items<R>(
        &mut self,
        array: u64,
        count: usize,
        act: impl FnOnce(&mut Self, &[[u64; 2]]) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let mut words = [[0; 2]; BATCH_ITEMS];
        self.machine.read_user_words(array, words[..count].as_flattened_mut())?;
        act(self, &words[..count])
    }
}
