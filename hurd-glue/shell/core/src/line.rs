//! A line of text with a cursor. The cursor stands between characters; a character is a byte that does not
//! continue another one in UTF-8, with those that do.

use alloc::vec::Vec;

/// Bytes of a line at most; more are ignored.
pub const LINE_BYTES_MAX: usize = 2048;

/// A line that is edited.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    cursor: usize,
}

fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Columns that bytes take on a terminal, each character being one wide.
pub fn columns(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| !continues(byte)).count()
}

impl Line {
    /// A line with the cursor at its end.
    pub fn new(bytes: &[u8]) -> Line {
        let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
        Line { bytes: bytes.to_vec(), cursor: bytes.len() }
    }

    /// The text.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text before the cursor.
    pub fn before(&self) -> &[u8] {
        &self.bytes[..self.cursor]
    }

    /// Whether the cursor is at the end.
    pub fn is_at_end(&self) -> bool {
        self.cursor == self.bytes.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Puts a byte in at the cursor; false if the line is full.
    pub fn insert(&mut self, byte: u8) -> bool {
        if self.bytes.len() == LINE_BYTES_MAX {
            return false;
        }
        self.bytes.insert(self.cursor, byte);
        self.cursor += 1;
        true
    }

    /// Start of the character before the cursor.
    fn previous(&self) -> usize {
        let mut at = self.cursor.saturating_sub(1);
        while at > 0 && continues(self.bytes[at]) {
            at -= 1;
        }
        at
    }

    /// End of the character at the cursor.
    fn following(&self) -> usize {
        let mut at = (self.cursor + 1).min(self.bytes.len());
        while at < self.bytes.len() && continues(self.bytes[at]) {
            at += 1;
        }
        at
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.cursor = self.previous();
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.cursor = self.following();
    }

    /// To the start.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.bytes.len();
    }

    /// Deletes the character before the cursor.
    pub fn backspace(&mut self) {
        self.delete_back_to(self.previous());
    }

    /// Deletes the character at the cursor.
    pub fn delete(&mut self) {
        let end = self.following();
        self.bytes.drain(self.cursor..end);
    }

    /// Deletes spaces and then the word before the cursor.
    pub fn delete_word(&mut self) {
        let before = self.before();
        let word_end = before.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
        let start = before[..word_end].iter().rposition(|&byte| byte == b' ').map_or(0, |space| space + 1);
        self.delete_back_to(start);
    }

    /// Deletes everything before the cursor.
    pub fn delete_before(&mut self) {
        self.delete_back_to(0);
    }

    /// Deletes everything from the cursor on.
    pub fn delete_after(&mut self) {
        self.bytes.truncate(self.cursor);
    }

    fn delete_back_to(&mut self, start: usize) {
        self.bytes.drain(start..self.cursor);
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_moves_by_characters() {
        let mut line = Line::new("aé€b".as_bytes());
        line.left();
        line.left();
        assert_eq!(line.before(), "aé".as_bytes());
        line.backspace();
        assert_eq!(line.bytes(), "a€b".as_bytes());
        line.delete();
        assert_eq!((line.bytes(), line.before()), (&b"ab"[..], &b"a"[..]));
        line.right();
        line.right();
        assert!(line.is_at_end());
        line.home();
        line.left();
        line.backspace();
        assert_eq!(line.bytes(), b"ab");
        assert_eq!(columns("aé€b".as_bytes()), 4);
    }

    #[test]
    fn bytes_that_are_no_text_are_characters_too() {
        let mut line = Line::new(b"\x80\xff\x80");
        line.left();
        assert_eq!(line.before(), b"\x80");
        line.delete();
        line.backspace();
        assert!(line.is_empty());
        line.delete();
        assert!(line.is_empty());
    }

    #[test]
    fn words_and_halves_are_deleted() {
        let mut line = Line::new(b"one two  ");
        line.delete_word();
        assert_eq!(line.bytes(), b"one ");
        line.delete_word();
        line.delete_word();
        assert!(line.is_empty());
        let mut line = Line::new(b"abcd");
        line.left();
        line.left();
        line.delete_after();
        assert_eq!(line.bytes(), b"ab");
        line.left();
        line.delete_before();
        assert_eq!((line.bytes(), line.before()), (&b"b"[..], &b""[..]));
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut line = Line::new(&[b'x'; LINE_BYTES_MAX + 1]);
        assert_eq!(line.bytes().len(), LINE_BYTES_MAX);
        assert!(!line.insert(b'y'));
        line.backspace();
        assert!(line.insert(b'y'));
    }
}
