//! The disk's hardware: a virtio device with one queue, that takes its time, finishes out of order, fails, loses
//! interrupts, hangs, and goes on writing after its driver has died, until it is reset.
//!
//! It walks the queue as the specification says (virtio 1.2, 2.7 and 5.2); the driver's logic is the one that boots.

use crate::contents::{Cell, Frame, SECTOR};
use crate::image::DISK_SECTORS;
use crate::law;
use crate::random::Random;
use filesystems_block_core::{
    Disk, Places, QUEUE_MEMORY_PAGES, QueueMemory, Registers, Transport, TransportError, Window,
};
use kernel_abi::FRAME_BYTES;
use std::cell::RefCell;
use std::rc::Rc;

const COMMON: u64 = 0x1000_0000;
const NOTIFY: u64 = 0x1000_1000;
const ISR: u64 = 0x1000_2000;
const CONFIG: u64 = 0x1000_3000;
/// Where the queue's memory lies: beyond all frames.
const QUEUE_ADDRESS: u64 = 1 << 40;
const QUEUE_SIZE: u16 = 64;
/// Registers of the common configuration that are kept.
const REGISTERS: usize = 64;

/// What may go wrong, as one in so many operations; 0: never.
#[derive(Clone, Copy, Default, Debug)]
pub struct Troubles {
    /// Fails.
    pub io_errors: u64,
    /// Takes longer than anybody waits.
    pub hangs: u64,
    /// Its interrupt is lost.
    pub lost_interrupts: u64,
}

/// An operation that the device is at.
struct Operation {
    head: u64,
    sector: u64,
    /// Physical address and bytes.
    segments: Vec<(u64, u64)>,
    status: u64,
    /// When it is done.
    due: u64,
    fails: bool,
    /// Segments written so far.
    written: usize,
}

/// The device.
pub struct Device {
    queue: Vec<u8>,
    registers: [u32; REGISTERS],
    status: u8,
    isr: u8,
    feature_page: u32,
    available: u16,
    used: u16,
    operations: Vec<Operation>,
    notified: bool,
    /// The interrupt line.
    pub interrupt: bool,
    /// What goes wrong.
    pub troubles: Troubles,
    /// It does not come out of reset.
    pub stuck: bool,
    /// Operations done, failed, interrupts lost, resets in the middle of something.
    pub counts: [u64; 4],
}

impl Device {
    /// One that has done nothing yet.
    pub fn switched_on() -> SharedDevice {
        SharedDevice(Rc::new(RefCell::new(Device {
            queue: vec![0; QUEUE_MEMORY_PAGES * FRAME_BYTES as usize],
            registers: [0; REGISTERS],
            status: 0,
            isr: 0,
            feature_page: 0,
            available: 0,
            used: 0,
            operations: Vec::new(),
            notified: false,
            interrupt: false,
            troubles: Troubles::default(),
            stuck: false,
            counts: [0; 4],
        })))
    }

    fn place(&self, address: u64, bytes: u64) -> usize {
        let offset = address.wrapping_sub(QUEUE_ADDRESS);
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= self.queue.len() as u64);
        law!("dma-stays-in-lent-frames", fits, "the queue has a part at {address:#x}");
        offset as usize
    }

    fn load(&self, address: u64, bytes: u64) -> u64 {
        let at = self.place(address, bytes);
        (0..bytes as usize).rev().fold(0, |value, index| value << 8 | u64::from(self.queue[at + index]))
    }

    fn store(&mut self, address: u64, bytes: u64, value: u64) {
        let at = self.place(address, bytes);
        let bytes = bytes as usize;
        self.queue[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }

    fn queue_part(&self, register: usize) -> u64 {
        u64::from(self.registers[register + 4]) << 32 | u64::from(self.registers[register])
    }

    /// The chain at a head as (address, bytes, is written).
    fn chain(&self, head: u64) -> Vec<(u64, u64, bool)> {
        let (mut table, mut index, mut size) = (self.queue_part(32), head, u64::from(QUEUE_SIZE));
        let mut chain = Vec::new();
        loop {
            law!("queue", index < size, "next descriptor beyond the table");
            let place = table + 16 * index;
            let (address, bytes) = (self.load(place, 8), self.load(place + 8, 4));
            let (flags, next) = (self.load(place + 12, 2), self.load(place + 14, 2));
            if flags & 4 != 0 {
                law!("queue", chain.is_empty() && flags & 1 == 0, "a table within a chain");
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

    /// Looks at the queue if it was told to. Deciding how long things take is part of the step that lets it.
    pub fn take_work(&mut self, now: u64, random: &mut Random) {
        if !std::mem::take(&mut self.notified) || self.status & 4 == 0 {
            return;
        }
        let driver = self.queue_part(40);
        let index = self.load(driver + 2, 2) as u16;
        while self.available != index {
            let head = self.load(driver + 4 + 2 * u64::from(self.available % QUEUE_SIZE), 2);
            self.available = self.available.wrapping_add(1);
            let chain = self.chain(head);
            let sector = self.load(chain[0].0 + 8, 8);
            let (status, data) = (chain[chain.len() - 1].0, &chain[1..chain.len() - 1]);
            let segments: Vec<(u64, u64)> = data.iter().map(|part| (part.0, part.1)).collect();
            let total: u64 = segments.iter().map(|part| part.1).sum();
            law!(
                "queue",
                sector + total / 512 <= DISK_SECTORS && total.is_multiple_of(512),
                "beyond the disk"
            );
            let Troubles { io_errors, hangs, .. } = self.troubles;
            let fails = io_errors != 0 && random.once_in(io_errors);
            let hangs = hangs != 0 && random.once_in(hangs);
            let takes = if hangs { 90_000_000_000 } else { random.between(20_000, 800_000) };
            let due = now + takes;
            self.operations.push(Operation { head, sector, segments, status, due, fails, written: 0 });
        }
    }

    /// When something is done next.
    pub fn next_due(&self) -> Option<u64> {
        self.operations.iter().map(|operation| operation.due).min()
    }

    /// Whether it may still write to memory.
    pub fn is_busy(&self) -> bool {
        !self.operations.is_empty()
    }

    /// Is at some operation: writes a segment of it, or the rest where it is due, which ends it. What is written.
    pub fn work(&mut self, now: u64, random: &mut Random) -> Vec<Write> {
        let mut writes = Vec::new();
        if self.operations.is_empty() {
            return writes;
        }
        let index = random.below(self.operations.len() as u64) as usize;
        let operation = &mut self.operations[index];
        let is_due = operation.due <= now;
        let parts = if is_due { usize::MAX } else { 1 };
        while writes.len() < parts && operation.written < operation.segments.len() && !operation.fails {
            let done: u64 = operation.segments[..operation.written].iter().map(|part| part.1).sum();
            let (address, bytes) = operation.segments[operation.written];
            writes.push(Write { sector: operation.sector + done / SECTOR as u64, address, bytes });
            operation.written += 1;
        }
        if is_due {
            let operation = self.operations.swap_remove(index);
            self.finish(&operation, random);
        }
        writes
    }

    fn finish(&mut self, operation: &Operation, random: &mut Random) {
        let total: u64 = operation.segments.iter().map(|part| part.1).sum();
        self.counts[usize::from(operation.fails)] += 1;
        self.store(operation.status, 1, u64::from(operation.fails));
        let entry = self.queue_part(48) + 4 + 8 * u64::from(self.used % QUEUE_SIZE);
        self.store(entry, 4, operation.head);
        self.store(entry + 4, 4, if operation.fails { 1 } else { total + 1 });
        self.used = self.used.wrapping_add(1);
        self.store(self.queue_part(48) + 2, 2, u64::from(self.used));
        self.isr = 1;
        let lost = self.troubles.lost_interrupts;
        if lost != 0 && random.once_in(lost) {
            self.counts[2] += 1;
        } else {
            self.interrupt = true;
        }
    }

    fn reset(&mut self) {
        self.counts[3] += u64::from(!self.operations.is_empty());
        self.operations.clear();
        (self.available, self.used, self.status) = (0, 0, 0);
        self.interrupt = false;
    }
}

/// Successive sectors that the device writes to successive physical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    sector: u64,
    address: u64,
    bytes: u64,
}

impl Write {
    /// The frames that it reaches.
    pub fn frames(&self) -> impl Iterator<Item = u32> + use<> {
        let last = (self.address + self.bytes - 1) / FRAME_BYTES;
        (self.address / FRAME_BYTES..=last).map(|frame| frame as u32)
    }

    /// Writes.
    pub fn carry_out(&self, frames: &mut [Frame]) {
        let mut data = [0; SECTOR];
        for offset in (0..self.bytes).step_by(SECTOR) {
            Cell::disk(self.sector + offset / SECTOR as u64).put(&mut data);
            let address = self.address + offset;
            let within = (address % FRAME_BYTES) as usize;
            let frame = &mut frames[(address / FRAME_BYTES) as usize];
            frame[within..within + SECTOR].copy_from_slice(&data);
        }
    }
}

/// The device as its driver and the run share it.
#[derive(Clone)]
pub struct SharedDevice(pub Rc<RefCell<Device>>);

/// The driver's logic on this device.
pub type DriverDisk = Disk<SharedDevice, SharedDevice>;

impl SharedDevice {
    /// The registers, before the device is brought up.
    pub fn transport(&self) -> Result<Transport<SharedDevice>, TransportError> {
        let window = |address| Window { address, bytes: 0x1000 };
        let places = Places {
            common: window(COMMON),
            notify: window(NOTIFY),
            isr: window(ISR),
            device: window(CONFIG),
            notify_multiplier: 4,
        };
        Transport::new(self.clone(), places)
    }
}

impl Registers for SharedDevice {
    fn read8(&mut self, address: u64) -> u8 {
        let mut device = self.0.borrow_mut();
        if address == ISR {
            device.interrupt = false;
            return std::mem::take(&mut device.isr);
        }
        device.status
    }

    fn read16(&mut self, address: u64) -> u16 {
        if address == COMMON + 24 { QUEUE_SIZE } else { 0 }
    }

    fn read32(&mut self, address: u64) -> u32 {
        match address {
            CONFIG => DISK_SECTORS as u32,
            a if a == CONFIG + 12 => 100,
            a if a == COMMON + 4 => match self.0.borrow().feature_page {
                0 => 1 << 2 | 1 << 28 | 1 << 9,
                _ => 1,
            },
            _ => 0,
        }
    }

    fn write8(&mut self, _address: u64, value: u8) {
        let mut device = self.0.borrow_mut();
        match value {
            0 if device.stuck => device.status |= 0x40,
            0 => device.reset(),
            value => device.status = value,
        }
    }

    fn write16(&mut self, address: u64, _value: u16) {
        if address == NOTIFY {
            self.0.borrow_mut().notified = true;
        }
    }

    fn write32(&mut self, address: u64, value: u32) {
        let mut device = self.0.borrow_mut();
        match (address - COMMON) as usize {
            0 => device.feature_page = value,
            register => device.registers[register] = value,
        }
    }
}

impl QueueMemory for SharedDevice {
    fn load8(&self, offset: usize) -> u8 {
        self.0.borrow().queue[offset]
    }

    fn load16(&self, offset: usize) -> u16 {
        self.0.borrow().load(QUEUE_ADDRESS + offset as u64, 2) as u16
    }

    fn load32(&self, offset: usize) -> u32 {
        self.0.borrow().load(QUEUE_ADDRESS + offset as u64, 4) as u32
    }

    fn store8(&mut self, offset: usize, value: u8) {
        self.0.borrow_mut().queue[offset] = value;
    }

    fn store16(&mut self, offset: usize, value: u16) {
        self.0.borrow_mut().store(QUEUE_ADDRESS + offset as u64, 2, value.into());
    }

    fn store32(&mut self, offset: usize, value: u32) {
        self.0.borrow_mut().store(QUEUE_ADDRESS + offset as u64, 4, value.into());
    }

    fn store64(&mut self, offset: usize, value: u64) {
        self.0.borrow_mut().store(QUEUE_ADDRESS + offset as u64, 8, value);
    }

    fn page_address(&self, page: usize) -> u64 {
        QUEUE_ADDRESS + page as u64 * FRAME_BYTES
    }
}
