//! What bytes mean, so that a glance at a page tells whose they are.
//!
//! | top bits of a byte | whose |
//! |---|---|
//! | 00 | zero, or a hostile client's own number |
//! | 01 | a witness's: nobody else may ever see it |
//! | 10 | left over from the kernel, from records, from before the start: nobody may ever see it |
//! | 11 | the disk's: public |
//!
//! A witness writes whole sectors of 512 bytes, which its model knows as a tag and a length; the model of a page is
//! eight of those. Frames hold real bytes, so whatever else is done to them, at whatever offset, shows.

use crate::random::mix;

/// Bytes of a frame.
pub const FRAME: usize = 4096;
/// Bytes of a sector, the unit of the models.
pub const SECTOR: usize = 512;
/// Sectors of a page.
pub const SECTORS: usize = FRAME / SECTOR;

/// A frame's bytes.
pub type Frame = [u8; FRAME];

/// What frames hold that nobody may see.
pub const GARBAGE: u8 = 0b10 << 6 | 0x1b;

/// Mask of the bits that tell whose a byte is.
const CLASS: u64 = 0xc0c0_c0c0_c0c0_c0c0;
const SECRET: u64 = 0x4040_4040_4040_4040;
const PUBLIC: u64 = CLASS;

/// What a sector holds: the first bytes of what a tag stands for, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    tag: u64,
    bytes: u16,
}

const DISK: u64 = 1 << 63;
/// Stands for the length of a cell that is known by its hash alone.
const HASHED: u16 = u16::MAX;

impl Cell {
    /// Zeros.
    pub const ZERO: Cell = Cell { tag: 0, bytes: 0 };

    /// What a witness writes; the number tells it from everything it wrote before.
    pub const fn secret(number: u64) -> Cell {
        Cell { tag: number & !DISK, bytes: SECTOR as u16 }
    }

    /// What lies on the disk.
    pub const fn disk(sector: u64) -> Cell {
        Cell { tag: sector | DISK, bytes: SECTOR as u16 }
    }

    /// The first bytes of it.
    pub const fn first(self, bytes: usize) -> Cell {
        if bytes == 0 { Cell::ZERO } else { Cell { tag: self.tag, bytes: bytes as u16 } }
    }

    /// Bytes that are none of these, known by their hash from now on.
    pub fn hashed(bytes: &[u8]) -> Cell {
        let words = bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes));
        Cell { tag: words.fold(1, |hash, word| mix(hash.rotate_left(5) ^ word)), bytes: HASHED }
    }

    /// Whether only the hash is known, so that it cannot be written.
    pub const fn is_hashed(self) -> bool {
        self.bytes == HASHED
    }

    /// The first bytes of one that can be written, over this one, which can be written too.
    pub fn under(self, other: Cell, bytes: usize) -> [u8; SECTOR] {
        let (mut below, mut above) = ([0; SECTOR], [0; SECTOR]);
        self.put(&mut below);
        other.put(&mut above);
        below[..bytes].copy_from_slice(&above[..bytes]);
        below
    }

    /// Writes it.
    pub fn put(self, into: &mut [u8; SECTOR]) {
        let (class, base) = if self.tag & DISK != 0 { (PUBLIC, self.tag) } else { (SECRET, self.tag) };
        let mut word = mix(base);
        for chunk in into.chunks_exact_mut(8) {
            word = word.rotate_left(7).wrapping_add(base);
            chunk.copy_from_slice(&(word & !CLASS | class).to_le_bytes());
        }
        into[usize::from(self.bytes)..].fill(0);
    }

    /// Whether these bytes are it.
    pub fn is(self, bytes: &[u8]) -> bool {
        if self.is_hashed() {
            return Cell::hashed(bytes) == self;
        }
        let mut expected = [0; SECTOR];
        if self.bytes != 0 {
            self.put(&mut expected);
        }
        bytes == expected
    }
}

/// What a page holds.
pub type Page = [Cell; SECTORS];

/// A page that was never written.
pub const ZEROS: Page = [Cell::ZERO; SECTORS];

/// The first sector of a frame that is not what it should be.
pub fn difference(frame: &Frame, page: &Page) -> Option<usize> {
    (0..SECTORS).find(|&index| !page[index].is(&frame[index * SECTOR..(index + 1) * SECTOR]))
}

/// Says in a word what bytes are.
pub fn describe(bytes: &[u8]) -> String {
    let kinds = bytes.iter().map(|&byte| match byte {
        0 => 'z',
        1..0x40 => 'h',
        0x40..0x80 => 'S',
        0x80..0xc0 => 'G',
        _ => 'd',
    });
    let mut runs: Vec<(char, usize)> = Vec::new();
    for kind in kinds {
        match runs.last_mut() {
            Some((last, count)) if *last == kind => *count += 1,
            _ => runs.push((kind, 1)),
        }
    }
    let told = runs.iter().take(6).map(|(kind, count)| {
        let name = match kind {
            'z' => "zero",
            'h' => "hostile",
            'S' => "secret",
            'G' => "left over",
            _ => "disk",
        };
        format!("{count} {name}")
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Whether a hostile client may see these bytes: zeros, its own, the disk's.
pub fn may_be_seen(bytes: &[u8], own: u8) -> bool {
    // Counted without a branch, so that the loop is fast.
    let bad = |&byte: &u8| byte != 0 && byte != own && byte < 0xc0;
    bytes.chunks(256).all(|chunk| chunk.iter().map(|byte| u32::from(bad(byte))).sum::<u32>() == 0)
}
