//! The file that the readers read: each word of 8 bytes is a function of its number, so that any part of it can be checked
//! by itself. The runner writes it (`tests/runner/src/stress/disk.rs`).

pub use tests_stress_core::numbered::{WORD_BYTES, word};

/// Where the file is.
pub const PATH: &[u8] = b"/numbered";

/// The first word of a part of the file that is not what it must be: its number. `offset` is a multiple of 8.
pub fn first_wrong_word(bytes: &[u8], offset: u64) -> Option<u64> {
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    let first = offset / WORD_BYTES as u64;
    let wrong = |&(index, found): &(usize, &[u8; WORD_BYTES])| {
        u64::from_le_bytes(*found) != word(first + index as u64)
    };
    words.iter().enumerate().find(wrong).map(|(index, _)| first + index as u64)
}
