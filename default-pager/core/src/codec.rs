//! How a page is made smaller: one repeated word, or LZ4.
//!
//! What the compressed tier keeps of a page is an *object*: a header of four bytes (length of what follows, account
//! of the owner), then the repeated word or the LZ4 block. The tag covers all of it.

use crate::limits::{OBJECT_BYTES_MAX, PAGE_BYTES};
use crate::name::Page;
use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

/// Bytes in front of an object.
pub const HEADER_BYTES: usize = 4;

/// The codec with its working memory.
pub struct Codec {
    table: CompressTable,
    object: [u8; HEADER_BYTES + get_maximum_output_size(PAGE_BYTES)],
}

impl Codec {
    /// A codec.
    pub fn new() -> Codec {
        Codec {
            table: CompressTable::small(),
            object: [0; HEADER_BYTES + get_maximum_output_size(PAGE_BYTES)],
        }
    }

    /// The object of a page, unless it would not be much smaller than the page.
    pub fn compress(&mut self, account: u16, page: &Page) -> Option<&[u8]> {
        let bytes = compress_into_with_table(page, &mut self.object[HEADER_BYTES..], &mut self.table).ok()?;
        (HEADER_BYTES + bytes <= OBJECT_BYTES_MAX).then(|| self.with_header(account, bytes))
    }

    /// The object of a page that repeats a word.
    pub fn repeat(&mut self, account: u16, word: u64) -> &[u8] {
        self.object[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&word.to_le_bytes());
        self.with_header(account, 8)
    }

    fn with_header(&mut self, account: u16, bytes: usize) -> &[u8] {
        self.object[..2].copy_from_slice(&(bytes as u16).to_le_bytes());
        self.object[2..4].copy_from_slice(&account.to_le_bytes());
        &self.object[..HEADER_BYTES + bytes]
    }
}

impl Default for Codec {
    fn default() -> Codec {
        Codec::new()
    }
}

/// Bytes of an object, header included, and the account of its owner.
pub fn header(bytes: [u8; HEADER_BYTES]) -> (usize, u16) {
    let length = u16::from_le_bytes([bytes[0], bytes[1]]);
    (HEADER_BYTES + usize::from(length), u16::from_le_bytes([bytes[2], bytes[3]]))
}

/// The word that a page repeats, if it does nothing else.
pub fn repeated(page: &Page) -> Option<u64> {
    let (words, _) = page.as_chunks::<8>();
    let first = words[0];
    words.iter().all(|word| *word == first).then_some(u64::from_le_bytes(first))
}

/// Fills a page with a word.
pub fn fill(page: &mut Page, word: u64) {
    for place in page.as_chunks_mut::<8>().0 {
        *place = word.to_le_bytes();
    }
}

/// Makes the page of an object that holds a repeated word.
pub fn restore_fill(object: &[u8], page: &mut Page) -> bool {
    let word = object.get(HEADER_BYTES..).and_then(|bytes| bytes.try_into().ok());
    word.map(|word| fill(page, u64::from_le_bytes(word))).is_some()
}

/// Makes the page of a compressed object.
pub fn restore(object: &[u8], page: &mut Page) -> bool {
    let bytes = object.get(HEADER_BYTES..).unwrap_or_default();
    decompress_into(bytes, page).is_ok_and(|bytes| bytes == PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_from_its_object() {
        let page: Page = core::array::from_fn(|index| (index / 24) as u8);
        let mut codec = Codec::new();
        let object = codec.compress(9, &page).unwrap();
        assert_eq!(header([object[0], object[1], object[2], object[3]]), (object.len(), 9));
        let mut back = [0; PAGE_BYTES];
        assert!(restore(object, &mut back));
        assert_eq!(back, page);
    }

    #[test]
    fn what_does_not_get_smaller_has_no_object() {
        let mut state = 1_u64;
        let page: Page = core::array::from_fn(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        });
        assert!(Codec::new().compress(0, &page).is_none());
    }

    #[test]
    fn only_a_page_of_one_word_repeats_it() {
        let mut page = [0; PAGE_BYTES];
        fill(&mut page, 0x0123_4567_89ab_cdef);
        assert_eq!(repeated(&page), Some(0x0123_4567_89ab_cdef));
        page[PAGE_BYTES - 1] ^= 1;
        assert_eq!(repeated(&page), None);
    }

    #[test]
    fn a_broken_object_is_refused() {
        let mut page = [0; PAGE_BYTES];
        assert!(!restore(&[], &mut page));
        assert!(!restore(&[9, 0, 0, 0, 0xff, 0xff, 0xff], &mut page));
        assert!(!restore_fill(&[8, 0, 0, 0, 1], &mut page));
    }
}
