//! Finding devices on the PCI bus that decide which servers there are: the one through which events leave the machine, and the
//! disk for swap.
//!
//! The firmware has given the base address registers their addresses (PCI Local Bus Specification 3.0, 6.2.5).

/// Devices of bus 0 that are looked at.
const DEVICES: u32 = 32;
/// The enable bit of the address register.
const ENABLE: u32 = 1 << 31;
/// Register of base address 2.
const BASE_ADDRESS_2: u32 = 0x18;
/// Type bits of a base address: memory of 64 bits.
const MEMORY_64: u32 = 0b100;
/// Bits that say something of the address, and are none of it.
const ATTRIBUTES: u32 = 0b1111;

/// Vendor and device number of QEMU's shared memory (QEMU, "Inter-VM Shared Memory device").
pub const SHARED_MEMORY: u32 = 0x1110_1af4;

/// The physical address of base address register 2 of the first device with this identity. `read` reads the register that a
/// word for port 0xcf8 selects.
pub fn second_window(identity: u32, mut read: impl FnMut(u32) -> u32) -> Option<u64> {
    let register = |device: u32, register: u32| ENABLE | device << 11 | register;
    let device = (0..DEVICES).find(|&device| read(register(device, 0)) == identity)?;
    let low = read(register(device, BASE_ADDRESS_2));
    let high = if low & ATTRIBUTES & MEMORY_64 != 0 { read(register(device, BASE_ADDRESS_2 + 4)) } else { 0 };
    let address = u64::from(high) << 32 | u64::from(low & !ATTRIBUTES);
    (low & 1 == 0 && address != 0).then_some(address)
}

/// Device number of the disk for swap, as its driver knows it (`filesystems_block_core::SWAP_DEVICE`).
pub const SWAP_DEVICE: u32 = 16;
/// Vendor and device numbers of virtio disks: transitional, and modern only (virtio 1.2, 4.1.2.1).
const DISKS: [u32; 2] = [0x1001_1af4, 0x1042_1af4];

/// Whether there is a disk for swap. `read` as above.
pub fn has_swap_disk(mut read: impl FnMut(u32) -> u32) -> bool {
    DISKS.contains(&read(ENABLE | SWAP_DEVICE << 11))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(low: u32, high: u32) -> impl FnMut(u32) -> u32 {
        move |address| match (address >> 11 & 0x1f, address & 0xff) {
            (3, 0) => 0x1001_1af4,
            (5, 0) => SHARED_MEMORY,
            (5, 0x18) => low,
            (5, 0x1c) => high,
            _ => u32::MAX,
        }
    }

    #[test]
    fn the_window_is_found() {
        assert_eq!(second_window(SHARED_MEMORY, bus(0xfe00_000c, 2)), Some(0x2_fe00_0000));
        assert_eq!(second_window(SHARED_MEMORY, bus(0xfd00_0000, 9)), Some(0xfd00_0000));
    }

    #[test]
    fn no_device_and_no_memory_is_nothing() {
        assert_eq!(second_window(SHARED_MEMORY + 1, bus(0xfe00_000c, 2)), None);
        assert_eq!(second_window(SHARED_MEMORY, bus(0xc001, 0)), None, "ports");
        assert_eq!(second_window(SHARED_MEMORY, bus(0, 0)), None, "the firmware has given it none");
        assert_eq!(second_window(SHARED_MEMORY, |_| u32::MAX), None);
    }

    #[test]
    fn the_disk_for_swap_is_one_of_its_number() {
        assert!(!has_swap_disk(bus(0, 0)), "a disk of another number");
        let at = |wanted, identity| {
            move |address: u32| if address >> 11 & 0x1f == wanted { identity } else { u32::MAX }
        };
        assert!(DISKS.iter().all(|identity| has_swap_disk(at(SWAP_DEVICE, *identity))));
        assert!(!has_swap_disk(at(SWAP_DEVICE, SHARED_MEMORY)) && !has_swap_disk(|_| u32::MAX));
    }
}
