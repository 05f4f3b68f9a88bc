//! PCI configuration space: which function is the disk, where its register blocks lie, which line it interrupts on.
//!
//! The firmware has given the base address registers their addresses. Nothing here is taken on trust: lists of
//! capabilities are followed for a bounded number of steps, and places are checked against the window by whoever maps it.

use crate::transport::{Places, Window};
use core::fmt;

/// Functions of bus 0 are looked at; a disk behind a bridge is not found.
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// Capabilities that fit a configuration space of 256 bytes.
const CAPABILITIES_MAX: usize = 48;

const VIRTIO_VENDOR: u16 = 0x1af4;
/// Device numbers of a disk: transitional, and modern only (virtio 1.2, 4.1.2.1).
const DISK_DEVICES: [u16; 2] = [0x1001, 0x1042];

const COMMAND: u8 = 0x04;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_BUS_MASTER: u32 = 1 << 2;
const COMMAND_INTERRUPT_DISABLE: u32 = 1 << 10;
const STATUS_CAPABILITIES: u32 = 1 << 20;
const HEADER_TYPE: u8 = 0x0c;
const MULTIPLE_FUNCTIONS: u32 = 1 << 23;
const FIRST_BASE_ADDRESS: u8 = 0x10;
const BASE_ADDRESSES: u8 = 6;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT_LINE: u8 = 0x3c;
const VENDOR_CAPABILITY: u8 = 0x09;

/// A function of a device on bus 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    /// Device number, below 32.
    pub device: u8,
    /// Function number, below 8.
    pub function: u8,
}

impl Function {
    /// The word that selects a register through port 0xcf8.
    pub const fn address(self, register: u8) -> u32 {
        1 << 31 | (self.device as u32) << 11 | (self.function as u32) << 8 | (register & 0xfc) as u32
    }
}

/// Device number of the disk that the machine's memory may be written to. A disk there is that and nothing else, whichever
/// other disks there are; any other disk is never written by the default pager.
pub const SWAP_DEVICE: u8 = 16;

/// What a disk is for. A client's capability to the driver carries the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DiskUse {
    /// Files: the first virtio disk that is not for swap.
    Files = 0,
    /// Pages that do not fit in memory: the virtio disk with the number [`SWAP_DEVICE`].
    Swap = 1,
}

impl DiskUse {
    /// All, in the order of their numbers.
    pub const ALL: [DiskUse; 2] = [DiskUse::Files, DiskUse::Swap];

    const fn takes(self, device: u8) -> bool {
        (device == SWAP_DEVICE) == matches!(self, DiskUse::Swap)
    }
}

impl fmt::Display for DiskUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DiskUse::Files => "disk",
            DiskUse::Swap => "swap disk",
        })
    }
}

/// Access to configuration space.
pub trait ConfigurationSpace {
    /// Reads a register; all ones where there is no such function.
    fn read(&mut self, function: Function, register: u8) -> u32;
    /// Writes a register.
    fn write(&mut self, function: Function, register: u8, value: u32);
}

/// A disk on the bus, ready to be brought up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciDisk {
    /// Where it is.
    pub function: Function,
    /// The interrupt line that the firmware wired it to.
    pub interrupt_line: u8,
    /// Its register blocks.
    pub places: Places,
}

/// Why there is no disk to drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PciError {
    /// No virtio disk for this use.
    NotFound,
    /// It lacks a register block that a modern device has, or has it where no memory is.
    NotModern,
}

/// Finds the virtio disk for a use, and switches memory access and bus mastering on.
pub fn find_disk(space: &mut impl ConfigurationSpace, used_for: DiskUse) -> Result<PciDisk, PciError> {
    let function = first_disk(space, used_for).ok_or(PciError::NotFound)?;
    let places = places(space, function).ok_or(PciError::NotModern)?;
    let command = space.read(function, COMMAND) & 0xffff & !COMMAND_INTERRUPT_DISABLE;
    space.write(function, COMMAND, command | COMMAND_MEMORY | COMMAND_BUS_MASTER);
    let interrupt_line = space.read(function, INTERRUPT_LINE) as u8;
    Ok(PciDisk { function, interrupt_line, places })
}

fn first_disk(space: &mut impl ConfigurationSpace, used_for: DiskUse) -> Option<Function> {
    for device in (0..DEVICES).filter(|device| used_for.takes(*device)) {
        let multiple = space.read(Function { device, function: 0 }, HEADER_TYPE) & MULTIPLE_FUNCTIONS != 0;
        for function in 0..if multiple { FUNCTIONS } else { 1 } {
            let function = Function { device, function };
            let identity = space.read(function, 0);
            if identity as u16 == VIRTIO_VENDOR && DISK_DEVICES.contains(&((identity >> 16) as u16)) {
                return Some(function);
            }
        }
    }
    None
}

/// The register blocks that the vendor capabilities describe (virtio 1.2, 4.1.4).
fn places(space: &mut impl ConfigurationSpace, function: Function) -> Option<Places> {
    let [mut common, mut notify, mut isr, mut device] = [None; 4];
    let mut notify_multiplier = 0;
    if space.read(function, COMMAND) & STATUS_CAPABILITIES == 0 {
        return None;
    }
    let mut offset = space.read(function, CAPABILITIES) as u8 & 0xfc;
    for _ in 0..CAPABILITIES_MAX {
        if offset < 0x40 {
            break;
        }
        let head = space.read(function, offset);
        let [id, next, length, kind] = head.to_le_bytes();
        // The first of each kind counts (4.1.4.1).
        if id == VENDOR_CAPABILITY && length >= 16 {
            let slot = match kind {
                1 => Some(&mut common),
                2 => Some(&mut notify),
                3 => Some(&mut isr),
                4 => Some(&mut device),
                _ => None,
            };
            if let Some(slot @ None) = slot {
                *slot = window(space, function, offset);
                if kind == 2 && length >= 20 {
                    notify_multiplier = space.read(function, offset.checked_add(16)?);
                }
            }
        }
        offset = next & 0xfc;
    }
    Some(Places { common: common?, notify: notify?, isr: isr?, device: device?, notify_multiplier })
}

/// A register block: which base address register, offset and length.
fn window(space: &mut impl ConfigurationSpace, function: Function, capability: u8) -> Option<Window> {
    let bar = space.read(function, capability.checked_add(4)?) as u8;
    let offset = space.read(function, capability.checked_add(8)?);
    let bytes = space.read(function, capability.checked_add(12)?);
    let address = memory_address(space, function, bar)?.checked_add(u64::from(offset))?;
    Some(Window { address, bytes })
}

/// The address in a base address register, if it is one of memory.
fn memory_address(space: &mut impl ConfigurationSpace, function: Function, bar: u8) -> Option<u64> {
    let register = |bar: u8| FIRST_BASE_ADDRESS + 4 * bar;
    if bar >= BASE_ADDRESSES {
        return None;
    }
    let low = space.read(function, register(bar));
    let is_wide = low & 0b110 == 0b100;
    if low & 1 != 0 || (is_wide && bar + 1 >= BASE_ADDRESSES) {
        return None;
    }
    let high = if is_wide { space.read(function, register(bar + 1)) } else { 0 };
    let address = u64::from(high) << 32 | u64::from(low & !0xf);
    (address != 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bus 0 with one function after another, each a configuration space.
    struct Bus<'a>(&'a mut [(u8, [u32; 64])]);

    impl ConfigurationSpace for Bus<'_> {
        fn read(&mut self, function: Function, register: u8) -> u32 {
            let found =
                self.0.iter().find(|(device, _)| *device == function.device && function.function == 0);
            found.map_or(u32::MAX, |(_, words)| words[usize::from(register / 4)])
        }

        fn write(&mut self, function: Function, register: u8, value: u32) {
            let found = self.0.iter_mut().find(|(device, _)| *device == function.device);
            found.unwrap().1[usize::from(register / 4)] = value;
        }
    }

    /// What QEMU's virtio-blk-pci shows: capabilities 0x84, 0x70, 0x60, 0x50, 0x40, all in a wide BAR 4.
    fn disk() -> [u32; 64] {
        let mut words = [0; 64];
        words[0] = 0x1001_1af4;
        words[1] = STATUS_CAPABILITIES | COMMAND_INTERRUPT_DISABLE;
        words[8] = 0xfebf_400c;
        words[9] = 0;
        words[13] = 0x84;
        words[15] = 0x010b;
        let mut capability = |at: usize, next: u32, kind: u32, length: u32, offset: u32| {
            words[at / 4] = 0x09 | next << 8 | length << 16 | kind << 24;
            words[at / 4 + 1] = 4;
            words[at / 4 + 2] = offset;
            words[at / 4 + 3] = 0x1000;
        };
        capability(0x84, 0x70, 5, 20, 0);
        capability(0x70, 0x60, 2, 20, 0x3000);
        capability(0x60, 0x50, 4, 16, 0x2000);
        capability(0x50, 0x40, 3, 16, 0x1000);
        capability(0x40, 0, 1, 16, 0);
        words[0x80 / 4] = 4;
        words
    }

    #[test]
    fn a_disk_is_found_and_switched_on() {
        let mut functions = [(1, [0x7000_8086; 64]), (4, disk())];
        let found = find_disk(&mut Bus(&mut functions), DiskUse::Files).unwrap();
        assert_eq!(found.function, Function { device: 4, function: 0 });
        assert_eq!(found.interrupt_line, 11);
        assert_eq!(found.places.common, Window { address: 0xfebf_4000, bytes: 0x1000 });
        assert_eq!(found.places.notify.address, 0xfebf_7000);
        assert_eq!(found.places.notify_multiplier, 4);
        assert_eq!(functions[1].1[1], COMMAND_MEMORY | COMMAND_BUS_MASTER);
        assert_eq!(find_disk(&mut Bus(&mut functions), DiskUse::Swap), Err(PciError::NotFound));
        assert_eq!(Function { device: 4, function: 1 }.address(0x3d), 0x8000_213c);
    }

    #[test]
    fn the_swap_disk_is_known_by_its_place_and_never_taken_for_another() {
        let mut functions = [(SWAP_DEVICE, disk()), (SWAP_DEVICE + 1, disk())];
        let mut found =
            |used_for| find_disk(&mut Bus(&mut functions), used_for).map(|disk| disk.function.device);
        assert_eq!(DiskUse::ALL.map(&mut found), [Ok(SWAP_DEVICE + 1), Ok(SWAP_DEVICE)]);
        let mut alone = [(SWAP_DEVICE, disk())];
        assert_eq!(find_disk(&mut Bus(&mut alone), DiskUse::Files), Err(PciError::NotFound));
        assert!(DiskUse::ALL.iter().enumerate().all(|(number, one)| *one as usize == number));
    }

    #[test]
    fn an_endless_or_crooked_list_of_capabilities_is_refused() {
        let mut endless = disk();
        endless[0x84 / 4] = 0x09 | 0x84 << 8;
        let mut bus = [(3, endless)];
        assert_eq!(find_disk(&mut Bus(&mut bus), DiskUse::Files), Err(PciError::NotModern));
        for register in 0..64 {
            for value in [0, 1, 0xffff_ffff, 0xfc09_00fc, 0x0110_fc09] {
                let mut words = disk();
                words[register] = value;
                let mut bus = [(3, words)];
                let _ = find_disk(&mut Bus(&mut bus), DiskUse::Files);
            }
        }
    }
}
