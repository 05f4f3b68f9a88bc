//! Which processors a machine has, out of the firmware's tables (ACPI specification 6.5, 5.2: root pointer, root table, and the
//! multiple APIC description table, "MADT").
//!
//! The tables are input like any other: every table is read within its length and its checksum must be right. Nothing
//! else of ACPI is looked at, so there is no interpreter here.

/// Bytes of a table at most.
const TABLE_BYTES_MAX: usize = 1 << 16;
/// Bytes of the header that all tables share.
const HEADER_BYTES: usize = 36;
/// Where the entries of the MADT begin.
const ENTRIES: usize = 44;
/// Entry: a local APIC, and its length.
const LOCAL_APIC: (u8, usize) = (0, 8);
/// Flag of such an entry: the processor can be used.
const ENABLED: u32 = 1;

/// Why the tables say nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcpiError {
    /// There is no root pointer, or what is there is none.
    NoRoot,
    /// A table lies where no memory is, or its length or checksum is wrong.
    Damaged,
    /// No table describes the processors.
    NoProcessors,
}

/// Tells the APIC identifiers of all processors that can be used. `memory` gives bytes at a physical address, if they are memory
/// that can be read.
pub fn processors<'a>(
    root: u64,
    memory: impl Fn(u64, usize) -> Option<&'a [u8]>,
    mut found: impl FnMut(u8),
) -> Result<(), AcpiError> {
    let pointer = memory(root, 20).ok_or(AcpiError::NoRoot)?;
    if &pointer[..8] != b"RSD PTR " || !is_whole(pointer) {
        return Err(AcpiError::NoRoot);
    }
    // Revision 2 and later: a second part with 64-bit addresses.
    let (table, width) = match memory(root, 36).filter(|_| pointer[15] >= 2) {
        Some(long) if word(&long[24..]) != 0 => (word(&long[24..]), 8),
        _ => (half(&pointer[16..]), 4),
    };
    let list = read_table(table, &memory)?;
    for entry in list[HEADER_BYTES..].chunks_exact(width) {
        let address = if width == 8 { word(entry) } else { half(entry) };
        let header = memory(address, HEADER_BYTES).ok_or(AcpiError::Damaged)?;
        if &header[..4] == b"APIC" {
            return read_entries(read_table(address, &memory)?, &mut found);
        }
    }
    Err(AcpiError::NoProcessors)
}

fn read_entries(table: &[u8], found: &mut impl FnMut(u8)) -> Result<(), AcpiError> {
    let mut rest = table.get(ENTRIES..).ok_or(AcpiError::Damaged)?;
    while let &[kind, bytes, ..] = rest {
        let bytes = usize::from(bytes);
        if bytes < 2 || bytes > rest.len() {
            return Err(AcpiError::Damaged);
        }
        let (entry, more) = rest.split_at(bytes);
        if (kind, bytes) == LOCAL_APIC && half(&entry[4..]) as u32 & ENABLED != 0 {
            found(entry[3]);
        }
        rest = more;
    }
    Ok(())
}

fn read_table<'a>(
    address: u64,
    memory: &impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<&'a [u8], AcpiError> {
    let header = memory(address, HEADER_BYTES).ok_or(AcpiError::Damaged)?;
    let bytes = half(&header[4..]) as usize;
    if !(HEADER_BYTES..=TABLE_BYTES_MAX).contains(&bytes) {
        return Err(AcpiError::Damaged);
    }
    memory(address, bytes).filter(|table| is_whole(table)).ok_or(AcpiError::Damaged)
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0
}

/// Four bytes, little end first.
fn half(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Eight bytes, little end first.
fn word(bytes: &[u8]) -> u64 {
    half(bytes) | half(&bytes[4..]) << 32
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec;
    use std::vec::Vec;

    const ROOT: u64 = 0x100;
    const LIST: u64 = 0x200;
    const MADT: u64 = 0x300;

    fn seal(memory: &mut [u8], start: u64, bytes: usize, checksum: usize) {
        let table = &mut memory[start as usize..][..bytes];
        table[checksum] = 0;
        let sum = table.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        table[checksum] = sum.wrapping_neg();
    }

    fn table(memory: &mut [u8], start: u64, name: &[u8], body: &[u8]) {
        let bytes = HEADER_BYTES + body.len();
        let at = start as usize;
        memory[at..at + 4].copy_from_slice(name);
        memory[at + 4..at + 8].copy_from_slice(&(bytes as u32).to_le_bytes());
        memory[at + HEADER_BYTES..at + bytes].copy_from_slice(body);
        seal(memory, start, bytes, 9);
    }

    /// A machine with processors 0, 2 and 4; 2 cannot be used.
    fn firmware() -> Vec<u8> {
        let mut memory = vec![0; 0x1000];
        memory[0x100..0x108].copy_from_slice(b"RSD PTR ");
        memory[0x110..0x114].copy_from_slice(&(LIST as u32).to_le_bytes());
        seal(&mut memory, ROOT, 20, 8);
        table(&mut memory, LIST, b"RSDT", &(MADT as u32).to_le_bytes());
        let mut body = vec![0; 8];
        body.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        body.extend([1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([0, 8, 1, 2, 0, 0, 0, 0]);
        body.extend([0, 8, 2, 4, 1, 0, 0, 0]);
        table(&mut memory, MADT, b"APIC", &body);
        memory
    }

    fn look(memory: &[u8], root: u64) -> Result<Vec<u8>, AcpiError> {
        let mut identifiers = Vec::new();
        let read = |address: u64, bytes| memory.get(usize::try_from(address).ok()?..)?.get(..bytes);
        processors(root, read, |identifier| identifiers.push(identifier)).map(|()| identifiers)
    }

    #[test]
    fn processors_that_can_be_used_are_told() {
        assert_eq!(look(&firmware(), ROOT), Ok(vec![0, 4]));
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let intact = firmware();
        assert_eq!(look(&intact, 0x180), Err(AcpiError::NoRoot));
        assert_eq!(look(&intact, u64::MAX), Err(AcpiError::NoRoot));
        for place in (0x100..0x114).chain(0x200..0x228).chain(0x300..0x34c) {
            let mut damaged = intact.clone();
            damaged[place] ^= 0x55;
            assert!(look(&damaged, ROOT).is_err(), "byte {place:#x}");
        }
    }

    #[test]
    fn an_entry_beyond_the_end_is_refused() {
        let mut memory = firmware();
        memory[0x300 + 44 + 8 + 1] = 200;
        seal(&mut memory, MADT, 80, 9);
        assert_eq!(look(&memory, ROOT), Err(AcpiError::Damaged));
        memory[0x300 + 44 + 8 + 1] = 0;
        seal(&mut memory, MADT, 80, 9);
        assert_eq!(look(&memory, ROOT), Err(AcpiError::Damaged));
    }

    #[test]
    fn random_bytes_break_nothing() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let mut memory = firmware();
            for _ in 0..4 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = 0x200 + (seed >> 33) as usize % 0x180;
                memory[place] = (seed >> 24) as u8;
            }
            seal(&mut memory, LIST, 40, 9);
            seal(&mut memory, MADT, 80, 9);
            let _ = look(&memory, ROOT);
        }
    }
}
