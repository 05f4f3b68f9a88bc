//! The memory that physmem's records lie in.

use crate::law;
use containers_core::record::RecordFrame;
use kernel_abi::KernelError;
use physmem_core::pmap::RecordMemory;

/// Record frames.
pub struct HostRecords<'a> {
    frames: &'a mut [RecordFrame],
    open: Vec<bool>,
}

impl<'a> HostRecords<'a> {
    /// None is open.
    pub fn new(frames: &'a mut [RecordFrame]) -> HostRecords<'a> {
        let open = vec![false; frames.len()];
        HostRecords { frames, open }
    }
}

impl RecordMemory for HostRecords<'_> {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        let open = &mut self.open[frame as usize];
        law!("kernel", !*open, "record frame {frame} is opened twice");
        *open = true;
        self.frames[frame as usize].fill(0);
        Ok(())
    }

    fn close(&mut self, frame: u32) {
        let open = &mut self.open[frame as usize];
        law!("kernel", *open, "record frame {frame} is closed twice");
        *open = false;
    }

    #[inline]
    fn words(&self, frame: u32) -> &RecordFrame {
        law!("kernel", self.open[frame as usize], "record frame {frame} is read and not open");
        &self.frames[frame as usize]
    }

    #[inline]
    fn words_mut(&mut self, frame: u32) -> &mut RecordFrame {
        law!("kernel", self.open[frame as usize], "record frame {frame} is written and not open");
        &mut self.frames[frame as usize]
    }
}
