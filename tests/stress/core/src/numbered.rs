//! The file whose every word is known by its number: what the runner writes and the readers check.

/// Bytes of a word.
pub const WORD_BYTES: usize = 8;

/// Bytes of the file: more than the file server can cache on a machine of 64 MiB while the tasks run.
pub const FILE_BYTES: u64 = 24 << 20;

/// The word of this number.
pub const fn word(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_from_their_neighbours_and_from_zero() {
        let words: std::collections::HashSet<u64> = (0..10_000).map(word).collect();
        assert_eq!((words.len(), words.contains(&0)), (10_000, false));
    }
}
