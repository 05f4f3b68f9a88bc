//! The boot archive: an uncompressed ustar file (POSIX.1-2017, pax, "ustar Interchange Format"), read before
//! there is a file server for it. The archive may be damaged: every number is checked against its bounds, and
//! what lies before the damage can be read.

use core::fmt;

const BLOCK: usize = 512;
const NAME_BYTES: usize = 100;

/// Members at most, so that a damaged archive ends.
pub const MEMBERS_MAX: usize = 1024;

/// Why the archive cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArchiveError {
    /// A header that is no ustar header, or whose checksum is wrong; where.
    BadHeader(u64),
    /// A member reaches beyond the end of the archive; where its header is.
    Truncated(u64),
    /// More members than [`MEMBERS_MAX`].
    TooManyMembers,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::BadHeader(at) => write!(formatter, "the boot archive is damaged at byte {at}"),
            ArchiveError::Truncated(at) => {
                write!(formatter, "the boot archive is truncated: the member at byte {at} is incomplete")
            }
            ArchiveError::TooManyMembers => formatter.write_str("the boot archive has too many members"),
        }
    }
}

/// A file in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its path, without a leading slash.
    pub name: &'a [u8],
    /// Where its contents start.
    pub offset: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Members in order, up to the end or the first damage.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    archive: &'a [u8],
    next: usize,
    count: usize,
    ended: bool,
}

/// The members of an archive.
pub fn members(archive: &[u8]) -> Members<'_> {
    Members { archive, next: 0, count: 0, ended: false }
}

/// The last member of a name, as an archive that was appended to means it; `None` if there is none. An error only if the
/// name was not found before the damage.
pub fn find<'a>(archive: &'a [u8], name: &str) -> Result<Option<Member<'a>>, ArchiveError> {
    let mut found = None;
    for member in members(archive) {
        match member {
            Ok(member) if member.name == name.as_bytes() => found = Some(member),
            Ok(_) => {}
            Err(_) if found.is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let member = self.read().transpose();
        self.ended = !matches!(member, Some(Ok(_)));
        member
    }
}

impl<'a> Members<'a> {
    fn read(&mut self) -> Result<Option<Member<'a>>, ArchiveError> {
        let at = self.next;
        let Some(header) = self.archive.get(at..at.saturating_add(BLOCK)) else {
            // An archive that ends without its two empty blocks has lost them, and maybe more.
            return Err(ArchiveError::Truncated(at as u64));
        };
        if header.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if self.count == MEMBERS_MAX {
            return Err(ArchiveError::TooManyMembers);
        }
        let bad = ArchiveError::BadHeader(at as u64);
        if &header[257..262] != b"ustar" || octal(&header[148..156]) != Some(checksum(header)) {
            return Err(bad);
        }
        let bytes = octal(&header[124..136]).ok_or(bad)?;
        let start = at + BLOCK;
        let end = usize::try_from(bytes).ok().and_then(|bytes| start.checked_add(bytes));
        let end = end.filter(|&end| end <= self.archive.len()).ok_or(ArchiveError::Truncated(at as u64))?;
        self.next = end.next_multiple_of(BLOCK);
        self.count += 1;
        let name = &header[..NAME_BYTES];
        let name = name.split(|&byte| byte == 0).next().unwrap_or(name);
        Ok(Some(Member { name, offset: start as u64, bytes }))
    }
}

/// A number in octal digits, ended by a space, a zero byte or the field's end.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.iter().skip_while(|&&byte| byte == b' ');
    let digits = digits.take_while(|&&byte| byte != b' ' && byte != 0);
    let mut number = None;
    for &digit in digits {
        let value = digit.checked_sub(b'0').filter(|&value| value < 8)?;
        number = Some(number.unwrap_or(0u64).checked_mul(8)? + u64::from(value));
    }
    number
}

/// Sum of the header's bytes, with the checksum's own taken as spaces.
fn checksum(header: &[u8]) -> u64 {
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = header[148..156].iter().map(|&byte| u64::from(byte)).sum();
    sum - own + 8 * u64::from(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn append(archive: &mut Vec<u8>, name: &str, contents: &[u8]) {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(std::format!("{:011o}\0", contents.len()).as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum = checksum(&header);
        header[148..156].copy_from_slice(std::format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(contents);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }

    fn sample() -> Vec<u8> {
        let mut archive = Vec::new();
        append(&mut archive, "physmem", &[1; 600]);
        append(&mut archive, "empty", &[]);
        append(&mut archive, "bin/ls", &[2; 512]);
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }

    #[test]
    fn members_are_found_by_name() {
        let archive = sample();
        let names: Vec<_> = members(&archive).map(|member| member.unwrap().name).collect();
        assert_eq!(names, [&b"physmem"[..], b"empty", b"bin/ls"]);
        let ls = find(&archive, "bin/ls").unwrap().unwrap();
        assert_eq!((ls.offset, ls.bytes), (1536 + 512 + 512, 512));
        assert_eq!(archive[ls.offset as usize], 2);
        assert_eq!(find(&archive, "cat"), Ok(None));
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let mut archive = Vec::new();
        append(&mut archive, "exec", b"old");
        append(&mut archive, "exec", b"newer");
        archive.resize(archive.len() + 2 * BLOCK, 0);
        assert_eq!(find(&archive, "exec").unwrap().unwrap().bytes, 5);
    }

    #[test]
    fn what_lies_before_the_damage_is_found() {
        let mut archive = sample();
        archive[1536 + 300] ^= 0x10;
        assert!(find(&archive, "physmem").unwrap().is_some());
        assert_eq!(find(&archive, "bin/ls"), Err(ArchiveError::BadHeader(1536)));
        let archive = sample();
        assert_eq!(find(&archive[..1000], "bin/ls"), Err(ArchiveError::Truncated(0)));
        assert_eq!(members(&[]).next(), Some(Err(ArchiveError::Truncated(0))));
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        for size in ["77777777777\0", "18446744073\0", "           \0", "\u{7f}00000000000"] {
            let mut archive = sample();
            archive[124..136].copy_from_slice(&size.as_bytes()[..12]);
            let sum = checksum(&archive[..BLOCK]);
            archive[148..156].copy_from_slice(std::format!("{sum:06o}\0 ").as_bytes());
            assert!(matches!(members(&archive).next(), Some(Err(_))), "{size:?}");
        }
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let mut one = Vec::new();
        append(&mut one, "x", &[]);
        let archive = one.repeat(MEMBERS_MAX + 1);
        assert_eq!(members(&archive).filter(Result::is_ok).count(), MEMBERS_MAX);
        assert_eq!(members(&archive).last(), Some(Err(ArchiveError::TooManyMembers)));
    }

    #[test]
    fn flipped_bits_never_panic_and_members_stay_inside() {
        let sound = sample();
        for offset in 0..sound.len() {
            for bit in 0..8 {
                let mut archive = sound.clone();
                archive[offset] ^= 1 << bit;
                for member in members(&archive).flatten() {
                    assert!(member.offset + member.bytes <= archive.len() as u64);
                }
            }
        }
        let noise: Vec<u8> =
            (0..4096u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(members(&noise).all(|member| member.is_err()));
        assert!(members(&vec![0; 4096]).next().is_none());
    }
}
