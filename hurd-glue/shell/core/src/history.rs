//! Lines that were entered, newest last, and the walk through them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Lines that are remembered.
pub const LINES_MAX: usize = 200;

/// Remembered lines. While walking, the line that was being written waits at the end.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<Vec<u8>>,
    /// Place of the line shown, while walking.
    at: Option<usize>,
    unfinished: Vec<u8>,
}

impl History {
    /// Remembers a line, unless it is empty or the same as the one before, and ends the walk.
    pub fn add(&mut self, line: &[u8]) {
        self.at = None;
        self.unfinished.clear();
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        if is_blank || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_vec());
    }

    /// Ends the walk.
    pub fn rest(&mut self) {
        self.at = None;
        self.unfinished.clear();
    }

    /// The line before the one shown; `current` is what is shown now.
    pub fn previous(&mut self, current: &[u8]) -> Option<&[u8]> {
        let at = self.at.unwrap_or(self.lines.len()).checked_sub(1)?;
        if self.at.is_none() {
            self.unfinished = current.to_vec();
        }
        self.at = Some(at);
        self.lines.get(at).map(Vec::as_slice)
    }

    /// The line after the one shown, at last the one that was being written.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let at = self.at? + 1;
        if at == self.lines.len() {
            self.at = None;
            return Some(&self.unfinished);
        }
        self.at = Some(at);
        self.lines.get(at).map(Vec::as_slice)
    }

    /// All lines, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_back_and_forth_keeps_the_unfinished_line() {
        let mut history = History::default();
        assert_eq!(history.previous(b"x"), None);
        history.add(b"one");
        history.add(b"two");
        assert_eq!(history.next_line(), None);
        assert_eq!(history.previous(b"unfin"), Some(&b"two"[..]));
        assert_eq!(history.previous(b"two"), Some(&b"one"[..]));
        assert_eq!(history.previous(b"one"), None);
        assert_eq!(history.next_line(), Some(&b"two"[..]));
        assert_eq!(history.next_line(), Some(&b"unfin"[..]));
        assert_eq!(history.next_line(), None);
    }

    #[test]
    fn blanks_and_repetitions_are_not_kept_and_old_lines_go() {
        let mut history = History::default();
        for line in [&b""[..], b"  ", b"a", b"a", b"b", b"a"] {
            history.add(line);
        }
        assert!(history.iter().eq([&b"a"[..], b"b", b"a"]));
        for number in 0..=LINES_MAX {
            history.add(std::format!("{number}").as_bytes());
        }
        assert_eq!((history.iter().count(), history.iter().next()), (LINES_MAX, Some(&b"1"[..])));
    }
}
