//! A virtio disk made of bytes: it walks the queue as a device does, and misbehaves on demand.

use filesystems_block_core::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const SECTORS: u64 = 4096;
pub const COMMON: u64 = 0x1000_0000;
pub const NOTIFY: u64 = 0x1000_1000;
pub const ISR: u64 = 0x1000_2000;
pub const CONFIG: u64 = 0x1000_3000;
/// Frames of the queue memory: every second one, so that nothing relies on their being neighbours.
pub const QUEUE_FRAME: u64 = 1000;

/// What the device does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// Errors at this sector.
    IoAt(u64),
    Unsupported,
    /// Says it is done without writing all.
    Short,
    /// Takes requests and never answers.
    Silent,
    /// Answers with a head that was never given.
    WrongHead,
    HugeHead,
    /// The used index jumps.
    IndexJump,
    /// Answers everything twice.
    Twice,
    /// Says it is done and leaves the status as it was.
    NoStatus,
    /// A status that means nothing.
    OddStatus,
    /// Never leaves reset.
    NoReset,
}

pub struct Device {
    pub memory: BTreeMap<u64, [u8; 4096]>,
    /// Sectors that were written.
    pub written: BTreeMap<u64, [u8; 512]>,
    pub read_only: bool,
    pub registers: BTreeMap<u64, u32>,
    pub status: u8,
    pub indirect: bool,
    pub segments: u32,
    pub queue_size: u16,
    pub available: u16,
    pub used: u16,
    pub fault: Fault,
    pub operations: u32,
    pub largest: usize,
}

impl Device {
    fn byte(&mut self, address: u64) -> &mut u8 {
        let frame = self.memory.get_mut(&(address >> 12)).expect("a frame that the device was given");
        &mut frame[(address & 0xfff) as usize]
    }

    fn load(&mut self, address: u64, bytes: u64) -> u64 {
        (0..bytes).rev().fold(0, |value, index| value << 8 | u64::from(*self.byte(address + index)))
    }

    fn store(&mut self, address: u64, bytes: u64, value: u64) {
        (0..bytes).for_each(|index| *self.byte(address + index) = (value >> (8 * index)) as u8);
    }

    fn queue(&self, register: u64) -> u64 {
        let half = |offset| u64::from(*self.registers.get(&(COMMON + register + offset)).unwrap_or(&0));
        half(4) << 32 | half(0)
    }

    /// The chain at a head as (address, bytes, is written).
    fn chain(&mut self, head: u64) -> Vec<(u64, u64, bool)> {
        let (mut table, mut index, mut size) = (self.queue(32), head, u64::from(self.queue_size));
        let mut chain = Vec::new();
        loop {
            assert!(index < size, "next beyond the table");
            let place = table + 16 * index;
            let (address, bytes) = (self.load(place, 8), self.load(place + 8, 4));
            let (flags, next) = (self.load(place + 12, 2), self.load(place + 14, 2));
            if flags & 4 != 0 {
                assert!(self.indirect && chain.is_empty() && flags & 1 == 0);
                (table, index, size) = (address, 0, bytes / 16);
                continue;
            }
            chain.push((address, bytes, flags & 2 != 0));
            if flags & 1 == 0 {
                return chain;
            }
            index = next;
        }
    }

    pub fn run(&mut self) {
        if self.fault == Fault::Silent {
            return;
        }
        let (driver, device) = (self.queue(40), self.queue(48));
        let index = self.load(driver + 2, 2) as u16;
        while self.available != index {
            let place = driver + 4 + 2 * u64::from(self.available % self.queue_size);
            let head = self.load(place, 2);
            self.available = self.available.wrapping_add(1);
            let written = self.operation(head);
            let repeats = if self.fault == Fault::Twice { 2 } else { 1 };
            for _ in 0..repeats {
                let head = match self.fault {
                    Fault::WrongHead => head + 9,
                    Fault::HugeHead => 0xffff_ffff,
                    _ => head,
                };
                let entry = device + 4 + 8 * u64::from(self.used % self.queue_size);
                self.store(entry, 4, head);
                self.store(entry + 4, 4, written);
                self.used = self.used.wrapping_add(1);
            }
        }
        let used = if self.fault == Fault::IndexJump { self.used.wrapping_add(500) } else { self.used };
        self.store(device + 2, 2, u64::from(used));
        self.registers.insert(ISR, 1);
    }

    fn operation(&mut self, head: u64) -> u64 {
        self.operations += 1;
        let chain = self.chain(head);
        let (header, rest) = chain.split_first().unwrap();
        let (status, data) = rest.split_last().unwrap();
        assert!(header.1 == 16 && !header.2 && status.1 == 1 && status.2);
        let is_read = self.load(header.0, 4) == 0;
        assert!(data.len() <= self.segments as usize && data.iter().all(|part| part.2 == is_read));
        self.largest = self.largest.max(data.len());
        assert!(is_read || self.load(header.0, 4) == 1 && !self.read_only, "a read or write");
        let sector = self.load(header.0 + 8, 8);
        let total: u64 = data.iter().map(|part| part.1).sum();
        assert!(total.is_multiple_of(512) && total > 0 && sector + total / 512 <= SECTORS);
        let failing = matches!(self.fault, Fault::IoAt(at) if (sector..sector + total / 512).contains(&at));
        let answer = match self.fault {
            Fault::Unsupported => 2,
            Fault::OddStatus => 77,
            _ if failing => 1,
            _ => 0,
        };
        if answer == 0 {
            let mut position = sector * 512;
            for &(address, bytes, _) in data {
                for offset in 0..bytes {
                    let (place, at) = (address + offset, position + offset);
                    if is_read {
                        *self.byte(place) = self.on_disk(at);
                    } else {
                        let byte = *self.byte(place);
                        let whole = std::array::from_fn(|index| contents(at / 512 * 512 + index as u64));
                        self.written.entry(at / 512).or_insert(whole)[at as usize % 512] = byte;
                    }
                }
                position += bytes;
            }
        }
        if self.fault != Fault::NoStatus {
            self.store(status.0, 1, answer);
        }
        let written = if is_read { total } else { 0 };
        if self.fault == Fault::Short { written.saturating_sub(1) } else { written + 1 }
    }

    /// A byte of the disk.
    pub fn on_disk(&self, byte: u64) -> u8 {
        self.written.get(&(byte / 512)).map_or(contents(byte), |sector| sector[byte as usize % 512])
    }
}

/// What is on the disk at the beginning.
pub fn contents(byte: u64) -> u8 {
    (byte / 512 * 7 + byte % 251) as u8
}

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<Device>>);

impl Registers for Shared {
    fn read8(&mut self, address: u64) -> u8 {
        let mut device = self.0.borrow_mut();
        match address - COMMON {
            20 => device.status,
            _ if address == ISR => device.registers.insert(ISR, 0).unwrap_or(0) as u8,
            _ => panic!("{address:#x}"),
        }
    }

    fn read16(&mut self, address: u64) -> u16 {
        match address - COMMON {
            24 => self.0.borrow().queue_size,
            30 => 3,
            _ => panic!("{address:#x}"),
        }
    }

    fn read32(&mut self, address: u64) -> u32 {
        let device = self.0.borrow();
        match address {
            CONFIG => SECTORS as u32,
            a if a == CONFIG + 4 || a == CONFIG + 8 => 0,
            a if a == CONFIG + 12 => device.segments,
            a if a == COMMON + 4 => match device.registers.get(&COMMON) {
                Some(0) => {
                    1 << 2 | u32::from(device.indirect) << 28 | u32::from(device.read_only) << 5 | 1 << 9
                }
                _ => 1,
            },
            _ => panic!("{address:#x}"),
        }
    }

    fn write8(&mut self, address: u64, value: u8) {
        assert_eq!(address, COMMON + 20);
        let mut device = self.0.borrow_mut();
        if value == 0 && device.fault != Fault::NoReset {
            (device.available, device.used) = (0, 0);
        }
        if device.fault != Fault::NoReset || value != 0 {
            device.status = value;
        }
    }

    fn write16(&mut self, address: u64, value: u16) {
        let mut device = self.0.borrow_mut();
        match address {
            a if a == NOTIFY + 3 * 4 => device.run(),
            a if a == COMMON + 24 => assert!(value <= device.queue_size && value.is_power_of_two()),
            a => drop(device.registers.insert(a, value.into())),
        }
    }

    fn write32(&mut self, address: u64, value: u32) {
        self.0.borrow_mut().registers.insert(address, value);
    }
}

impl QueueMemory for Shared {
    fn load8(&self, offset: usize) -> u8 {
        self.0.borrow_mut().load(self.at(offset), 1) as u8
    }
    fn load16(&self, offset: usize) -> u16 {
        self.0.borrow_mut().load(self.at(offset), 2) as u16
    }
    fn load32(&self, offset: usize) -> u32 {
        self.0.borrow_mut().load(self.at(offset), 4) as u32
    }
    fn store8(&mut self, offset: usize, value: u8) {
        self.0.borrow_mut().store(self.at(offset), 1, value.into());
    }
    fn store16(&mut self, offset: usize, value: u16) {
        self.0.borrow_mut().store(self.at(offset), 2, value.into());
    }
    fn store32(&mut self, offset: usize, value: u32) {
        self.0.borrow_mut().store(self.at(offset), 4, value.into());
    }
    fn store64(&mut self, offset: usize, value: u64) {
        self.0.borrow_mut().store(self.at(offset), 8, value);
    }
    fn page_address(&self, page: usize) -> u64 {
        (QUEUE_FRAME + 2 * page as u64) << 12
    }
}

impl Shared {
    fn at(&self, offset: usize) -> u64 {
        assert!(offset < QUEUE_MEMORY_PAGES * 4096);
        self.page_address(offset / 4096) + offset as u64 % 4096
    }
}

pub fn device(indirect: bool, segments: u32) -> Shared {
    let mut memory = BTreeMap::new();
    memory.extend((0..QUEUE_MEMORY_PAGES as u64).map(|page| (QUEUE_FRAME + 2 * page, [0xaa; 4096])));
    Shared(Rc::new(RefCell::new(Device {
        memory,
        written: BTreeMap::new(),
        read_only: false,
        registers: BTreeMap::new(),
        status: 7,
        indirect,
        segments,
        queue_size: 64,
        available: 0,
        used: 0,
        fault: Fault::None,
        operations: 0,
        largest: 0,
    })))
}

pub fn start(device: &Shared) -> Result<Disk<Shared, Shared>, TransportError> {
    let window = |address| Window { address, bytes: 0x1000 };
    let places = Places {
        common: window(COMMON),
        notify: window(NOTIFY),
        isr: window(ISR),
        device: window(CONFIG),
        notify_multiplier: 4,
    };
    Disk::start(Transport::new(device.clone(), places)?, device.clone())
}
