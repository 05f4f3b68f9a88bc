//! The device's registers: negotiation, one queue, notification, reset (virtio 1.2, 3.1 and 4.1.4).

/// Successive physical bytes that hold registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// First byte.
    pub address: u64,
    /// Number of bytes.
    pub bytes: u32,
}

/// The register blocks of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// Common configuration.
    pub common: Window,
    /// Queue notification.
    pub notify: Window,
    /// Interrupt status.
    pub isr: Window,
    /// The disk's own configuration.
    pub device: Window,
    /// Bytes between the notification places of two queues.
    pub notify_multiplier: u32,
}

/// Access to registers by physical address. Addresses are aligned to their width and lie within [`Places`].
pub trait Registers {
    /// Reads a register of one byte.
    fn read8(&mut self, address: u64) -> u8;
    /// Reads a register of two bytes.
    fn read16(&mut self, address: u64) -> u16;
    /// Reads a register of four bytes.
    fn read32(&mut self, address: u64) -> u32;
    /// Writes a register of one byte.
    fn write8(&mut self, address: u64, value: u8);
    /// Writes a register of two bytes.
    fn write16(&mut self, address: u64, value: u16);
    /// Writes a register of four bytes.
    fn write32(&mut self, address: u64, value: u32);
}

/// Why a device is not driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportError {
    /// Its register blocks are too small.
    Places,
    /// It does not come out of reset.
    Reset,
    /// It does not offer or accept what every modern device must.
    Features,
    /// It has no queue, or one too small.
    Queue,
}

/// Reads of the status register until a reset counts as failed.
const RESET_READS: u32 = 100_000;

/// Fewest entries a queue may have: one operation without indirect descriptors needs three.
const QUEUE_ENTRIES_MIN: u16 = 16;

mod common {
    pub const DEVICE_FEATURE_SELECT: u64 = 0;
    pub const DEVICE_FEATURE: u64 = 4;
    pub const DRIVER_FEATURE_SELECT: u64 = 8;
    pub const DRIVER_FEATURE: u64 = 12;
    pub const CONFIG_MSIX_VECTOR: u64 = 16;
    pub const DEVICE_STATUS: u64 = 20;
    pub const QUEUE_SELECT: u64 = 22;
    pub const QUEUE_SIZE: u64 = 24;
    pub const QUEUE_MSIX_VECTOR: u64 = 26;
    pub const QUEUE_ENABLE: u64 = 28;
    pub const QUEUE_NOTIFY_OFF: u64 = 30;
    pub const QUEUE_DESC: u64 = 32;
    pub const QUEUE_DRIVER: u64 = 40;
    pub const QUEUE_DEVICE: u64 = 48;
    pub const BYTES: u32 = 56;
}

/// The disk's own configuration (5.2.4).
mod device {
    pub const CAPACITY: u64 = 0;
    pub const SIZE_MAX: u64 = 8;
    pub const SEG_MAX: u64 = 12;
    pub const BYTES: u32 = 16;
}

mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
}

mod feature {
    pub const SIZE_MAX: u64 = 1 << 1;
    pub const SEG_MAX: u64 = 1 << 2;
    pub const READ_ONLY: u64 = 1 << 5;
    pub const INDIRECT: u64 = 1 << 28;
    pub const VERSION_1: u64 = 1 << 32;
}

/// No message-signalled interrupt.
const NO_VECTOR: u16 = 0xffff;

/// Where the queue's three parts lie, as the device is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: u64,
    /// Available ring.
    pub available: u64,
    /// Used ring.
    pub used: u64,
}

/// What was negotiated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Size in sectors.
    pub sectors: u64,
    /// It cannot be written.
    pub read_only: bool,
    /// A descriptor may point to a table of descriptors.
    pub indirect: bool,
    /// Entries of the queue.
    pub queue_entries: u16,
    /// Data segments of one operation at most.
    pub segments: u32,
    /// Bytes of a data segment at most.
    pub segment_bytes: u32,
}

/// A device behind its registers.
pub struct Transport<R> {
    registers: R,
    places: Places,
    notify_address: u64,
}

impl<R: Registers> Transport<R> {
    /// Checks the places.
    pub fn new(registers: R, places: Places) -> Result<Transport<R>, TransportError> {
        let fits = places.common.bytes >= common::BYTES
            && places.device.bytes >= device::BYTES
            && places.isr.bytes >= 1
            && places.notify.bytes >= 2
            && places.common.address.is_multiple_of(4)
            && places.device.address.is_multiple_of(4)
            && places.notify.address.is_multiple_of(2);
        if !fits {
            return Err(TransportError::Places);
        }
        Ok(Transport { registers, places, notify_address: places.notify.address })
    }

    /// Resets the device. When it answers, it has let go of all memory (4.1.4.3.1).
    pub fn reset(&mut self) -> Result<(), TransportError> {
        self.set_status(0);
        for _ in 0..RESET_READS {
            if self.status() == 0 {
                return Ok(());
            }
        }
        Err(TransportError::Reset)
    }

    /// Brings the device up, from reset to running, with one queue of at most `entries_max`.
    pub fn start(&mut self, entries_max: u16, queue: QueueAddresses) -> Result<Negotiated, TransportError> {
        self.reset()?;
        self.set_status(status::ACKNOWLEDGE | status::DRIVER);
        let features = self.negotiate()?;
        let queue_entries = self.set_queue(entries_max, queue)?;
        self.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK);
        let config = self.places.device.address;
        let read = |transport: &mut Self, offset| transport.registers.read32(config + offset);
        let low = read(self, device::CAPACITY);
        let high = read(self, device::CAPACITY + 4);
        let limit = |feature, value: u32| if features & feature != 0 && value > 0 { value } else { u32::MAX };
        let segment_bytes = read(self, device::SIZE_MAX);
        let segments = read(self, device::SEG_MAX);
        Ok(Negotiated {
            sectors: u64::from(high) << 32 | u64::from(low),
            read_only: features & feature::READ_ONLY != 0,
            indirect: features & feature::INDIRECT != 0,
            queue_entries,
            segments: limit(feature::SEG_MAX, segments),
            segment_bytes: limit(feature::SIZE_MAX, segment_bytes),
        })
    }

    fn negotiate(&mut self) -> Result<u64, TransportError> {
        let known = feature::SIZE_MAX
            | feature::SEG_MAX
            | feature::READ_ONLY
            | feature::INDIRECT
            | feature::VERSION_1;
        let mut offered = 0;
        for half in 0..2 {
            self.write32(common::DEVICE_FEATURE_SELECT, half);
            offered |= u64::from(self.read32(common::DEVICE_FEATURE)) << (32 * half);
        }
        let features = offered & known;
        for half in 0..2 {
            self.write32(common::DRIVER_FEATURE_SELECT, half);
            self.write32(common::DRIVER_FEATURE, (features >> (32 * half)) as u32);
        }
        self.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
        if features & feature::VERSION_1 == 0 || self.status() & status::FEATURES_OK == 0 {
            return Err(TransportError::Features);
        }
        Ok(features)
    }

    fn set_queue(&mut self, entries_max: u16, queue: QueueAddresses) -> Result<u16, TransportError> {
        self.write16(common::CONFIG_MSIX_VECTOR, NO_VECTOR);
        self.write16(common::QUEUE_SELECT, 0);
        let offered = self.read16(common::QUEUE_SIZE);
        let entries = offered.min(entries_max);
        if entries < QUEUE_ENTRIES_MIN || !entries.is_power_of_two() {
            return Err(TransportError::Queue);
        }
        self.write16(common::QUEUE_SIZE, entries);
        self.write16(common::QUEUE_MSIX_VECTOR, NO_VECTOR);
        for (register, address) in [
            (common::QUEUE_DESC, queue.descriptors),
            (common::QUEUE_DRIVER, queue.available),
            (common::QUEUE_DEVICE, queue.used),
        ] {
            self.write32(register, address as u32);
            self.write32(register + 4, (address >> 32) as u32);
        }
        let offset =
            u64::from(self.read16(common::QUEUE_NOTIFY_OFF)) * u64::from(self.places.notify_multiplier);
        if offset + 2 > u64::from(self.places.notify.bytes) || !offset.is_multiple_of(2) {
            return Err(TransportError::Places);
        }
        self.notify_address = self.places.notify.address + offset;
        self.write16(common::QUEUE_ENABLE, 1);
        Ok(entries)
    }

    /// Tells the device that there is something new in the queue.
    pub fn notify(&mut self) {
        self.registers.write16(self.notify_address, 0);
    }

    /// Takes the interrupt back and tells whether it was this device's.
    pub fn take_interrupt(&mut self) -> bool {
        self.registers.read8(self.places.isr.address) & 1 != 0
    }

    fn status(&mut self) -> u8 {
        self.registers.read8(self.places.common.address + common::DEVICE_STATUS)
    }

    fn set_status(&mut self, status: u8) {
        self.registers.write8(self.places.common.address + common::DEVICE_STATUS, status);
    }

    fn read16(&mut self, register: u64) -> u16 {
        self.registers.read16(self.places.common.address + register)
    }

    fn read32(&mut self, register: u64) -> u32 {
        self.registers.read32(self.places.common.address + register)
    }

    fn write16(&mut self, register: u64, value: u16) {
        self.registers.write16(self.places.common.address + register, value);
    }

    fn write32(&mut self, register: u64, value: u32) {
        self.registers.write32(self.places.common.address + register, value);
    }
}
