//! The first page of a swap disk. It says that the disk is for swap, so that no other disk is ever written, whoever mixes them up.
//!
//! A disk is taken if the page is all zeros, as in a new file, or says so already. What follows is only good for the boot that wrote it.

use crate::limits::{PAGE_BYTES, SECTORS_PER_PAGE};
use crate::name::Page;

/// Sectors before the first slot.
pub const HEADER_SECTORS: u64 = SECTORS_PER_PAGE;

/// What the page begins with; the rest is zeros.
pub const MAGIC: [u8; 16] = *b"TENURE SWAP 1\n\0\0";

/// What the first page of a disk says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// Nothing: the page can be written.
    New,
    /// The disk is for swap.
    Swap,
    /// It holds something else.
    Foreign,
}

impl Header {
    /// Reads the page.
    pub fn of(page: &Page) -> Header {
        if page.starts_with(&MAGIC) {
            Header::Swap
        } else if page.iter().all(|byte| *byte == 0) {
            Header::New
        } else {
            Header::Foreign
        }
    }
}

/// Makes the page.
pub fn write(page: &mut Page) {
    *page = [0; PAGE_BYTES];
    page[..MAGIC.len()].copy_from_slice(&MAGIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_or_a_marked_disk_is_taken() {
        let mut page = [0; PAGE_BYTES];
        assert_eq!(Header::of(&page), Header::New);
        page[PAGE_BYTES - 1] = 1;
        assert_eq!(Header::of(&page), Header::Foreign);
        write(&mut page);
        assert_eq!(Header::of(&page), Header::Swap);
        page[15] = 1;
        assert_eq!(Header::of(&page), Header::Foreign);
    }
}
