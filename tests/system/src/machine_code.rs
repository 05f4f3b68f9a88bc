//! Programs of a few instructions, for what no compiler would write.

/// Address at which the file is loaded, and its code runs.
const BASE: u64 = 0x40_0000;
const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;

/// A static program (ELF-64 Object File Format, 1.5) of one read-only, executable segment that is the whole file; it begins
/// with the first byte of the code.
pub fn program(code: &[u8]) -> Vec<u8> {
    let start = HEADER_BYTES + PROGRAM_HEADER_BYTES;
    let size = start + code.len() as u64;
    let mut file = Vec::new();
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // Executable, x86-64, version 1.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for wide in [BASE + start, HEADER_BYTES, 0] {
        file.extend(wide.to_le_bytes());
    }
    // No flags; sizes and numbers of headers.
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // One segment to load, readable and executable.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for wide in [0, BASE, BASE, size, size, 4096] {
        file.extend(wide.to_le_bytes());
    }
    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_lies_at_the_entry() {
        let file = program(&[0xeb, 0xfe]);
        let entry = u64::from_le_bytes(file[24..32].try_into().unwrap());
        assert_eq!(entry - BASE, 120);
        assert_eq!((file.len(), &file[120..]), (122, &[0xeb, 0xfe][..]));
    }
}
