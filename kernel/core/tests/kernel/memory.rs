//! The harness's view of memory: what tasks hold, arrays for the boss's calls, and those calls on address spaces.

use crate::harness::{ARRAY, Process, System};
use kernel_abi::boot;
use kernel_abi::message::BUFFER_CAPABILITIES_OFFSET;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::{FRAME_BYTES, KernelError, SystemCall};
use kernel_core::frame_table::FrameKind;
use kernel_core::page_table::{PRESENT, frame_of, walk};
use kernel_core::{Link, Machine};

impl System {
    /// The frame behind a page of a task.
    pub fn frame_at(&mut self, task: Link, address: u64) -> u32 {
        let root = self.task(task).root;
        let place = walk(&mut self.kernel.machine, root, address, 1);
        assert!(place.entry & PRESENT != 0, "nothing is mapped at {address:#x}");
        frame_of(place.entry) + if place.level == 2 { (address >> 12 & 511) as u32 } else { 0 }
    }

    /// Writes a task's memory from outside.
    pub fn poke(&mut self, task: Link, address: u64, bytes: &[u8]) {
        for (index, &byte) in bytes.iter().enumerate() {
            let at = address + index as u64;
            let frame = self.frame_at(task, at);
            self.kernel.machine.contents(frame)[(at % FRAME_BYTES) as usize] = byte;
        }
    }

    pub fn poke_words(&mut self, task: Link, address: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.poke(task, address, &bytes);
    }

    /// Reads a word of a task's memory from outside.
    pub fn peek(&mut self, task: Link, address: u64) -> u64 {
        let frame = self.frame_at(task, address);
        let at = (address % FRAME_BYTES) as usize;
        u64::from_le_bytes(self.kernel.machine.contents(frame)[at..at + 8].try_into().expect("eight bytes"))
    }

    /// Puts handles where the current thread's message buffer names capabilities to send.
    pub fn put_handles(&mut self, handles: &[u32]) {
        let (link, buffer) = (self.current(), self.thread(self.kernel.current()).buffer);
        let task = self.thread(link).task.link;
        let bytes: Vec<u8> = handles.iter().flat_map(|handle| handle.to_le_bytes()).collect();
        self.poke(task, buffer + BUFFER_CAPABILITIES_OFFSET as u64, &bytes);
    }

    /// Puts an array of 32-bit numbers into the boss's memory.
    pub fn write_numbers(&mut self, address: u64, numbers: &[u32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.poke(self.boss_task.link, address, &bytes);
    }

    /// Puts mappings where the boss keeps arrays.
    pub fn write_mappings(&mut self, mappings: &[Mapping]) {
        let words: Vec<u64> = mappings
            .iter()
            .flat_map(|mapping| [mapping.address, u64::from(mapping.frame) | u64::from(mapping.frames) << 32])
            .collect();
        self.poke_words(self.boss_task.link, ARRAY, &words);
    }

    /// Has the boss, which runs, enter mappings in a task.
    pub fn enter(&mut self, process: Process, mappings: &[Mapping]) -> Result<u64, (KernelError, u64)> {
        self.write_mappings(mappings);
        let arguments = [boot::FRAMES.0.into(), process.handle, ARRAY, mappings.len() as u64];
        self.call_with_value(SystemCall::PmapEnter, &arguments)
    }

    /// Has the boss, which runs, make a call on ranges of a task's pages.
    pub fn ranges(
        &mut self,
        call: SystemCall,
        process: Process,
        ranges: &[(u64, u64)],
    ) -> Result<u64, (KernelError, u64)> {
        let words: Vec<u64> = ranges.iter().flat_map(|&(address, pages)| [address, pages]).collect();
        self.poke_words(self.boss_task.link, ARRAY, &words);
        self.call_with_value(call, &[boot::FRAMES.0.into(), process.handle, ARRAY, ranges.len() as u64])
    }

    /// Has the boss, which runs, fill a task's stock.
    pub fn stock(&mut self, process: Process, count: usize) {
        let stock: Vec<u32> = (0..count).map(|_| self.frame() as u32).collect();
        self.write_numbers(ARRAY, &stock);
        self.ok(SystemCall::PmapStock, &[boot::FRAMES.0.into(), process.handle, ARRAY, count as u64]);
    }

    /// Mappings of a frame.
    pub fn map_count(&mut self, frame: u32) -> u32 {
        self.kernel.machine.frame(frame).expect("below the end").map_count()
    }

    /// Kind of a frame.
    pub fn kind(&mut self, frame: u32) -> FrameKind {
        self.kernel.machine.frame(frame).expect("below the end").kind()
    }

    /// Has the boss take pages of a task away.
    pub fn unmap(&mut self, process: Process, address: u64, pages: u64) {
        self.as_boss(|system| {
            system.poke_words(system.boss_task.link, ARRAY, &[address, pages]);
            system.ok(SystemCall::PmapRemove, &[boot::FRAMES.0.into(), process.handle, ARRAY, 1]);
        });
    }

    /// Has the boss, which has received a fault, map a frame there and rest. Who runs next.
    pub fn resolve(&mut self, address: u64, frame: u64) -> Option<Link> {
        self.write_mappings(&[Mapping::new(address & !0xfff, Protection::WRITE, frame as u32, 1)]);
        let arguments = [boot::ENDPOINT.0.into(), boot::FRAMES.0.into(), ARRAY, 1];
        self.issue(SystemCall::ResolveReceive, &arguments)
    }
}
