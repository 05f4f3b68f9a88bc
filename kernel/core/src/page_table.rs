//! Page-table entries and walks (Intel SDM vol. 3, 4.5: four levels, 4 KiB and 2 MiB pages).
//!
//! The map count of a page-table frame, which is never mapped, counts its present entries, so that an empty table is
//! found without looking. Entries in the kernel's half of a top table are not counted.

use crate::machine::Machine;
use kernel_abi::pmap::Protection;

/// The entry is in use.
pub const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
/// The processor has used the entry.
pub const ACCESSED: u64 = 1 << 5;
/// The processor has written through the entry.
pub const DIRTY: u64 = 1 << 6;
/// The entry maps 2 MiB.
pub const LARGE: u64 = 1 << 7;
/// Ignored by the processor: the frame is device memory, which is not counted.
pub const DEVICE: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PROTECTION: u64 = WRITE | NO_EXECUTE;

/// Pages that one entry of a table at this level spans; level 1 holds pages, level 4 is the top.
pub const fn span_pages(level: u32) -> u64 {
    1 << (9 * (level - 1))
}

/// Index of an address in a table of this level.
pub const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1))) as usize & 511
}

/// The frame that an entry names.
pub const fn frame_of(entry: u64) -> u32 {
    ((entry & ADDRESS) >> 12) as u32
}

/// An entry for a table below.
pub const fn table_entry(frame: u32) -> u64 {
    (frame as u64) << 12 | PRESENT | WRITE | USER
}

/// An entry for a page.
pub fn page_entry(frame: u64, protection: Protection) -> u64 {
    let mut entry = frame << 12 | PRESENT | USER | protection_bits(protection);
    if protection.contains(Protection::SUPERPAGE) {
        entry |= LARGE;
    }
    if protection.contains(Protection::DEVICE) {
        entry |= DEVICE | CACHE_DISABLE | WRITE_THROUGH;
    }
    entry
}

/// An entry with another protection; kind of page and cache mode stay.
pub fn with_protection(entry: u64, protection: Protection) -> u64 {
    entry & !PROTECTION | protection_bits(protection)
}

fn protection_bits(protection: Protection) -> u64 {
    let write = if protection.contains(Protection::WRITE) { WRITE } else { 0 };
    let execute = if protection.contains(Protection::EXECUTE) { 0 } else { NO_EXECUTE };
    write | execute
}

/// Where a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The table.
    pub table: u32,
    /// Its level.
    pub level: u32,
    /// The entry in it.
    pub index: usize,
    /// The entry's value.
    pub entry: u64,
}

/// Walks from a top table towards `level` (1, or 2 for 2 MiB pages); ends early at an absent entry or a large page.
pub fn walk(machine: &mut impl Machine, root: u32, address: u64, level: u32) -> Place {
    let (mut table, mut at) = (root, 4);
    loop {
        let index = index(address, at);
        let entry = machine.table(table)[index];
        if at == level || entry & PRESENT == 0 || entry & LARGE != 0 {
            return Place { table, level: at, index, entry };
        }
        table = frame_of(entry);
        at -= 1;
    }
}

/// Changes a present entry that processors may be using, and loses none of the accessed and dirty bits that they set meanwhile.
/// Returns what it was and what it is.
pub fn update(machine: &mut impl Machine, place: Place, change: impl Fn(u64) -> u64) -> (u64, u64) {
    let mut entry = place.entry;
    loop {
        let new = change(entry);
        match machine.exchange_entry(place.table, place.index, entry, new) {
            Ok(()) => return (entry, new),
            Err(present) => entry = present,
        }
    }
}
