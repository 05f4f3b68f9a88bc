//! How often each instruction was executed.
//!
//! QEMU translates code in blocks. One line is written for each block of which anything was executed:
//!
//! `block ADDRESS PAGE BYTES OFFSET:COUNT ...`
//!
//! ADDRESS is where it begins in the address space of whoever executes it; different programs lie at the same addresses,
//! so BYTES are its code, by which the reader finds the program. Blocks of the same PAGE (a page of the host's memory,
//! which is one of the guest's) belong to the same one. OFFSET is that of an instruction within the block. COUNT is
//! decimal, everything else hexadecimal.

use std::io::{Result, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// A block of code. It stays for ever: QEMU adds to the counters for as long as the translation is used.
pub struct Block {
    address: u64,
    page: u64,
    code: Vec<u8>,
    offsets: Vec<u16>,
    counters: &'static [AtomicU64],
    at_begin: Vec<u64>,
    within: Vec<u64>,
}

/// The blocks of a run.
#[derive(Default)]
pub struct Profile {
    blocks: Vec<Block>,
    /// Only this region is of interest.
    region: Option<u16>,
    is_within: bool,
}

impl Profile {
    /// Of one region, or of everything.
    pub fn new(region: Option<u16>) -> Profile {
        Profile { blocks: Vec::new(), region, is_within: false }
    }

    /// Adds a block of these instructions; one counter for each, in their order.
    pub fn add(&mut self, address: u64, page: u64, instructions: &[Vec<u8>]) -> &'static [AtomicU64] {
        let counters: Vec<AtomicU64> = instructions.iter().map(|_| AtomicU64::new(0)).collect();
        let counters: &'static [AtomicU64] = Vec::leak(counters);
        let mut code = Vec::new();
        let mut offsets = Vec::new();
        for bytes in instructions {
            offsets.push(u16::try_from(code.len()).unwrap_or(u16::MAX));
            code.extend_from_slice(bytes);
        }
        let zeros = vec![0; instructions.len()];
        let (at_begin, within) = (zeros.clone(), zeros);
        self.blocks.push(Block { address, page, code, offsets, counters, at_begin, within });
        counters
    }

    /// A region begins.
    pub fn begin(&mut self, region: u16) {
        if self.region == Some(region) {
            self.is_within = true;
            self.blocks.iter_mut().for_each(Block::begin);
        }
    }

    /// A region ends.
    pub fn end(&mut self, region: u16) {
        if self.region == Some(region) && self.is_within {
            self.is_within = false;
            self.blocks.iter_mut().for_each(Block::end);
        }
    }

    /// Writes what was executed.
    pub fn write(&mut self, out: &mut impl Write) -> Result<()> {
        if self.region.is_none() {
            self.blocks.iter_mut().for_each(Block::end);
        }
        for block in &self.blocks {
            if block.within.iter().any(|&count| count > 0) {
                block.write(out)?;
            }
        }
        out.flush()
    }
}

impl Block {
    fn begin(&mut self) {
        for (at_begin, counter) in self.at_begin.iter_mut().zip(self.counters) {
            *at_begin = counter.load(Ordering::Relaxed);
        }
    }

    fn end(&mut self) {
        // A block that was translated since the region began, began at zero.
        let counted = self.counters.iter().zip(&self.at_begin);
        for (within, (counter, at_begin)) in self.within.iter_mut().zip(counted) {
            *within += counter.load(Ordering::Relaxed) - at_begin;
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        write!(out, "block {:x} {:x} ", self.address, self.page)?;
        self.code.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        for (offset, count) in self.offsets.iter().zip(&self.within) {
            write!(out, " {offset:x}:{count}")?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(counters: &[AtomicU64], times: u64) {
        counters.iter().for_each(|counter| {
            counter.fetch_add(times, Ordering::Relaxed);
        });
    }

    fn written(profile: &mut Profile) -> String {
        let mut out = Vec::new();
        profile.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_executed_is_told_by_instruction() {
        let mut profile = Profile::new(None);
        let counters = profile.add(0x40_1000, 0x7000, &[vec![0x90], vec![0xf3, 0xa4], vec![0xc3]]);
        profile.add(0x40_2000, 0x8000, &[vec![0xc3]]);
        executed(counters, 2);
        executed(&counters[1..2], 5);
        assert_eq!(written(&mut profile), "block 401000 7000 90f3a4c3 0:2 1:7 3:2\n");
    }

    #[test]
    fn a_region_leaves_out_what_is_outside_of_it() {
        let mut profile = Profile::new(Some(7));
        let counters = profile.add(0x1000, 0, &[vec![0x90]]);
        executed(counters, 100);
        for _ in 0..2 {
            profile.begin(7);
            executed(counters, 3);
            profile.begin(8);
            executed(profile.add(0x2000, 0, &[vec![0xc3]]), 1);
            profile.end(8);
            profile.end(7);
            executed(counters, 100);
        }
        profile.end(7);
        assert_eq!(written(&mut profile), "block 1000 0 90 0:6\nblock 2000 0 c3 0:1\nblock 2000 0 c3 0:1\n");
    }
}
