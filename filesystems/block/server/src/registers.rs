//! The disk's register blocks, mapped.

use core::fmt;
use filesystems_block_core::{Places, Registers, Window};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::Handle;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::memory::{DeviceMapping, Register};

/// Bytes of a block that are mapped at most: far more than the registers of one queue need.
const BLOCK_BYTES_MAX: u32 = 16 << 12;

/// Device memory that the driver was given.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMemory {
    /// The capability.
    pub handle: Handle,
    /// First frame that it covers.
    pub first_frame: u64,
    /// Number of frames.
    pub frames: u64,
}

/// Why the registers cannot be reached.
#[derive(Debug)]
pub enum RegistersError {
    /// They lie outside the device memory that the driver was given.
    Outside(Window),
    /// physmem refused to map them.
    Memory(MemoryCallError),
}

impl fmt::Display for RegistersError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistersError::Outside(Window { address, bytes }) => {
                write!(formatter, "{bytes} bytes at {address:#x} lie outside the device memory given")
            }
            RegistersError::Memory(error) => error.fmt(formatter),
        }
    }
}

/// The blocks, each in a mapping of its own.
pub struct MappedRegisters([(Window, DeviceMapping); 4]);

impl MappedRegisters {
    /// Maps the blocks; the places come back cut to what is mapped.
    pub fn map(memory: DeviceMemory, places: Places) -> Result<(MappedRegisters, Places), RegistersError> {
        let cut = |window: Window| Window { bytes: window.bytes.min(BLOCK_BYTES_MAX), ..window };
        let places = Places {
            common: cut(places.common),
            notify: cut(places.notify),
            isr: cut(places.isr),
            device: cut(places.device),
            ..places
        };
        let mapped = |window| map(memory, window).map(|mapping| (window, mapping));
        let blocks =
            [mapped(places.common)?, mapped(places.notify)?, mapped(places.isr)?, mapped(places.device)?];
        Ok((MappedRegisters(blocks), places))
    }

    /// The mapping and the offset in it. The core only asks for what lies within the places.
    fn find(&self, address: u64) -> (&DeviceMapping, u64) {
        let covers =
            |window: &Window| (window.address..window.address + u64::from(window.bytes)).contains(&address);
        let (window, mapping) =
            self.0.iter().find(|(window, _)| covers(window)).expect("a register of the disk");
        (mapping, address - window.address / FRAME_BYTES * FRAME_BYTES)
    }

    fn read<T: Register>(&self, address: u64) -> T {
        let (mapping, offset) = self.find(address);
        mapping.read(offset)
    }

    fn write<T: Register>(&self, address: u64, value: T) {
        let (mapping, offset) = self.find(address);
        mapping.write(offset, value);
    }
}

fn map(memory: DeviceMemory, window: Window) -> Result<DeviceMapping, RegistersError> {
    let outside = RegistersError::Outside(window);
    let Some(end) = window.address.checked_add(u64::from(window.bytes)) else { return Err(outside) };
    let (first, last) = (window.address / FRAME_BYTES, end.div_ceil(FRAME_BYTES));
    if window.bytes == 0 || first < memory.first_frame || last > memory.first_frame + memory.frames {
        return Err(outside);
    }
    DeviceMapping::new(memory.handle, first - memory.first_frame, last - first)
        .map_err(RegistersError::Memory)
}

impl Registers for MappedRegisters {
    fn read8(&mut self, address: u64) -> u8 {
        self.read(address)
    }

    fn read16(&mut self, address: u64) -> u16 {
        self.read(address)
    }

    fn read32(&mut self, address: u64) -> u32 {
        self.read(address)
    }

    fn write8(&mut self, address: u64, value: u8) {
        self.write(address, value);
    }

    fn write16(&mut self, address: u64, value: u16) {
        self.write(address, value);
    }

    fn write32(&mut self, address: u64, value: u32) {
        self.write(address, value);
    }
}
