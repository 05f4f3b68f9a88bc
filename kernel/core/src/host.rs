//! A machine in a test process: frames are boxes, user memory is reached by walking the very page tables that the kernel
//! builds, devices are maps. Simple and slow; every misuse of a frame panics.
//!
//! Like real processors, each of its own sets accessed and dirty bits and remembers translations until it is told to forget
//! them or leaves the address space: [`HostMachine::check_translations`] finds what the kernel forgot to shoot down.

use crate::frame_table::{FrameEntry, FrameKind};
use crate::machine::{Machine, UserFault};
use crate::name::Link;
use crate::objects::Object;
use crate::page_table::{self, ACCESSED, DEVICE, DIRTY, LARGE, PRESENT};
use crate::processor::{PROCESSORS_MAX, ProcessorSet};
use core::any::Any;
use kernel_abi::FRAME_BYTES;
use kernel_abi::fault::Access;
use kernel_abi::task::TaskStatus;
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

/// The bit of an entry that allows writing (Intel SDM vol. 3, 4.5).
const WRITABLE: u64 = 1 << 1;

/// What is each processor's own.
#[derive(Clone)]
struct HostProcessor {
    root: u32,
    translations: BTreeMap<u64, u64>,
    timer: u64,
    called: bool,
}

/// See the module.
pub struct HostMachine {
    entries: Vec<FrameEntry>,
    objects: Vec<Option<Box<dyn Any>>>,
    tables: Vec<Option<Box<[u64; 512]>>>,
    contents: BTreeMap<u32, Box<[u8; 4096]>>,
    processors: Vec<HostProcessor>,
    here: usize,
    /// Present time in nanoseconds.
    pub time: u64,
    /// Lines that are not masked.
    pub unmasked: BTreeSet<u32>,
    /// What [`Machine::interrupt_pending`] answers next, from the end; then false.
    pub pending: Vec<bool>,
    /// Shootdowns: root, address, pages.
    pub shootdowns: Vec<(u32, u64, u64)>,
    /// A deliberate bug: processors that never forget a translation when they are told to.
    pub deaf: ProcessorSet,
    /// Values written to ports.
    pub ports: BTreeMap<u16, u32>,
    /// How the first task ended.
    pub ended: Option<TaskStatus>,
    /// Bytes logged.
    pub logged: Vec<u8>,
}

impl HostMachine {
    /// A machine with this many frames, all plain but frame 0.
    pub fn new(frames: u32) -> HostMachine {
        let mut entries = vec![FrameEntry::new(FrameKind::Plain); frames as usize];
        entries[0] = FrameEntry::new(FrameKind::Reserved);
        let idle = HostProcessor { root: 0, translations: BTreeMap::new(), timer: u64::MAX, called: false };
        HostMachine {
            entries,
            objects: (0..frames).map(|_| None).collect(),
            tables: (0..frames).map(|_| None).collect(),
            contents: BTreeMap::new(),
            processors: vec![idle; PROCESSORS_MAX],
            here: 0,
            time: 0,
            unmasked: BTreeSet::new(),
            pending: Vec::new(),
            shootdowns: Vec::new(),
            deaf: ProcessorSet::EMPTY,
            ports: BTreeMap::new(),
            ended: None,
            logged: Vec::new(),
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The bytes of a plain frame.
    pub fn contents(&mut self, frame: u32) -> &mut [u8; 4096] {
        self.contents.entry(frame).or_insert_with(|| Box::new([0; 4096]))
    }

    /// Time at which the timer of the processor that has entered is to fire.
    pub fn timer(&self) -> u64 {
        self.processors[self.here].timer
    }

    /// The timer of the processor that has entered fires, if it is time. Whether it does.
    pub fn timer_fires(&mut self) -> bool {
        let fires = self.processors[self.here].timer <= self.time;
        if fires {
            self.processors[self.here].timer = u64::MAX;
        }
        fires
    }

    /// Whether a processor has been called since this was asked last.
    pub fn take_call(&mut self, processor: usize) -> bool {
        core::mem::take(&mut self.processors[processor].called)
    }

    /// Whether a processor has been called and has not come.
    pub fn is_called(&self, processor: usize) -> bool {
        self.processors[processor].called
    }

    /// Top table of the address space that is active on a processor; 0: the kernel's own.
    pub fn active_root(&self, processor: usize) -> u32 {
        self.processors[processor].root
    }

    /// An access of user code in the active address space, one byte.
    pub fn touch(&mut self, address: u64, write: bool) -> Result<(), UserFault> {
        self.translate(address, write).map(drop)
    }

    fn translate(&mut self, address: u64, write: bool) -> Result<(u32, usize), UserFault> {
        let denied = Access::WRITE.bits() * u64::from(write);
        let root = self.processors[self.here].root;
        if root == 0 {
            return Err(UserFault { address, access: denied });
        }
        let place = page_table::walk(self, root, address, 1);
        let readable = place.entry & PRESENT != 0;
        if !readable || write && place.entry & WRITABLE == 0 {
            return Err(UserFault { address, access: denied | u64::from(readable) });
        }
        let entry = place.entry | ACCESSED | if write { DIRTY } else { 0 };
        self.table(place.table)[place.index] = entry;
        let translations = &mut self.processors[self.here].translations;
        let known = translations.entry(address / FRAME_BYTES).or_insert(entry);
        *known = entry | *known & (ACCESSED | DIRTY);
        let beyond = if entry & LARGE != 0 { (address >> 12 & 511) as u32 } else { 0 };
        let frame = page_table::frame_of(entry) + beyond;
        if entry & DEVICE == 0 {
            let kind = self.entries[frame as usize].kind();
            assert_eq!(kind, FrameKind::Plain, "user code can reach frame {frame:#x}");
        }
        Ok((frame, (address % FRAME_BYTES) as usize))
    }

    /// Checks that every translation that a processor may still use is one that the page tables give.
    pub fn check_translations(&mut self) {
        for processor in 0..self.processors.len() {
            let HostProcessor { root, translations, .. } = self.processors[processor].clone();
            for (page, known) in translations {
                let entry = page_table::walk(self, root, page * FRAME_BYTES, 1).entry;
                let same = (page_table::frame_of(known), known & LARGE)
                    == (page_table::frame_of(entry), entry & LARGE);
                let lost = known & !entry & (PRESENT | WRITABLE | ACCESSED | DIRTY);
                assert!(
                    same && lost == 0,
                    "page {page:#x}: processor {processor} remembers {known:#x}, the tables say {entry:#x}"
                );
            }
        }
    }
}

impl Machine for HostMachine {
    fn object<T: Object>(&mut self, link: Link) -> &mut T {
        let kind = self.entries[link.frame() as usize].kind();
        assert_eq!(kind, T::KIND, "frame {:#x} holds other objects", link.frame());
        let slots = self.objects[link.frame() as usize].as_mut().expect("the frame was formatted");
        let slots = slots.downcast_mut::<Vec<T>>().expect("the frame was formatted for this kind");
        &mut slots[link.slot::<T>() as usize]
    }

    fn entered(&mut self, processor: usize) {
        self.here = processor;
    }

    fn format<T: Object>(&mut self, frame: u32) {
        self.objects[frame as usize] = Some(Box::new(vec![T::EMPTY; T::PER_FRAME as usize]));
    }

    fn frame(&mut self, frame: u32) -> Option<&mut FrameEntry> {
        self.entries.get_mut(frame as usize)
    }

    fn table(&mut self, frame: u32) -> &mut [u64; 512] {
        let kind = self.entries[frame as usize].kind();
        assert_eq!(kind, FrameKind::PageTable, "frame {frame:#x} is no page table");
        self.tables[frame as usize].get_or_insert_with(|| Box::new([0; 512]))
    }

    fn exchange_entry(&mut self, table: u32, index: usize, expected: u64, new: u64) -> Result<(), u64> {
        let entry = &mut self.table(table)[index];
        if *entry != expected {
            return Err(*entry);
        }
        *entry = new;
        Ok(())
    }

    fn format_root(&mut self, _frame: u32) {}

    fn zero(&mut self, frame: u32, offset: usize, bytes: usize) {
        match self.entries[frame as usize].kind() {
            FrameKind::PageTable => self.tables[frame as usize] = Some(Box::new([0; 512])),
            FrameKind::Plain => self.contents(frame)[offset..offset + bytes].fill(0),
            kind => panic!("zero on a frame of kind {kind:?}"),
        }
    }

    fn copy(&mut self, source: (u32, usize), destination: (u32, usize), bytes: usize) {
        for frame in [source.0, destination.0] {
            assert_eq!(self.entries[frame as usize].kind(), FrameKind::Plain, "copy with frame {frame:#x}");
        }
        let from = *self.contents(source.0);
        self.contents(destination.0)[destination.1..][..bytes].copy_from_slice(&from[source.1..][..bytes]);
    }

    fn read_user(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), UserFault> {
        let mut done = 0;
        while done < bytes.len() {
            let (frame, at) = self.translate(address + done as u64, false)?;
            let part = (FRAME_BYTES as usize - at).min(bytes.len() - done);
            bytes[done..done + part].copy_from_slice(&self.contents(frame)[at..at + part]);
            done += part;
        }
        Ok(())
    }

    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), UserFault> {
        let mut done = 0;
        while done < bytes.len() {
            let (frame, at) = self.translate(address + done as u64, true)?;
            let part = (FRAME_BYTES as usize - at).min(bytes.len() - done);
            self.contents(frame)[at..at + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
        Ok(())
    }

    fn read_user_words(&mut self, address: u64, words: &mut [u64]) -> Result<(), UserFault> {
        let mut bytes = vec![0; words.len() * 8];
        self.read_user(address, &mut bytes)?;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn write_user_words(&mut self, address: u64, words: &[u64]) -> Result<(), UserFault> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_user(address, &bytes)
    }

    fn activate(&mut self, root: u32) {
        let processor = &mut self.processors[self.here];
        processor.root = root;
        processor.translations.clear();
    }

    fn shoot_down(&mut self, processors: ProcessorSet, root: u32, address: u64, pages: u64) {
        self.shootdowns.push((root, address, pages));
        for number in processors.iter().filter(|&number| !self.deaf.contains(number)) {
            let processor = &mut self.processors[number];
            assert_eq!(processor.root, root, "processor {number} is in another address space");
            let first = address / FRAME_BYTES;
            processor.translations.retain(|&page, _| page < first || page - first >= pages);
        }
    }

    fn call_processor(&mut self, processor: usize) {
        assert_ne!(processor, self.here, "a processor calls itself");
        self.processors[processor].called = true;
    }

    fn stop_processor(&mut self, processor: usize) {
        assert_ne!(processor, self.here, "a processor stops itself");
        let HostProcessor { root, translations, called, .. } = &mut self.processors[processor];
        translations.clear();
        (*root, *called) = (0, true);
    }

    fn set_local_base(&mut self, _address: u64) {}

    fn now(&mut self) -> u64 {
        self.time
    }

    fn ticks(&mut self) -> u64 {
        self.time
    }

    fn set_timer(&mut self, time: u64) {
        self.processors[self.here].timer = time;
    }

    fn interrupt_pending(&mut self) -> bool {
        self.pending.pop().unwrap_or(false)
    }

    fn mask_interrupt(&mut self, line: u32, masked: bool) {
        if masked {
            self.unmasked.remove(&line);
        } else {
            self.unmasked.insert(line);
        }
    }

    fn is_device_memory(&self, frame: u64, _frames: u64) -> bool {
        frame >= self.entries.len() as u64
    }

    fn port_read(&mut self, port: u16, _width: u32) -> u32 {
        self.ports.get(&port).copied().unwrap_or(u32::MAX)
    }

    fn port_write(&mut self, port: u16, _width: u32, value: u32) {
        self.ports.insert(port, value);
    }

    fn log(&mut self, line: &[u8]) {
        self.logged.extend_from_slice(line);
    }

    fn first_task_ended(&mut self, status: TaskStatus) {
        self.ended = Some(status);
    }
}
