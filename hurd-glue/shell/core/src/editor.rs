//! The line editor: keys change a line, and the terminal is told what to show.
//!
//! The line is shown in one row; one that is longer than the row scrolls sideways. Where a key only adds a
//! character at the end, only that character is sent.

use crate::history::History;
use crate::keys::{Key, Keys};
use crate::line::{Line, columns};
use alloc::format;
use alloc::vec::Vec;

/// Columns of a terminal that says nothing of its size.
pub const TERMINAL_COLUMNS: usize = 80;

/// What became of a byte of input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The line is not finished.
    Going,
    /// The line is finished.
    Entered(Vec<u8>),
    /// Ctrl-C: the line is given up.
    Interrupted,
    /// Ctrl-D in an empty line.
    EndOfInput,
}

/// Editor and history.
#[derive(Debug, Default)]
pub struct Editor {
    keys: Keys,
    line: Line,
    history: History,
    prompt: Vec<u8>,
}

impl Editor {
    /// Shows a prompt and starts an empty line.
    pub fn start(&mut self, prompt: &[u8], out: &mut Vec<u8>) {
        self.prompt = prompt.to_vec();
        self.line = Line::default();
        self.history.rest();
        out.extend_from_slice(prompt);
    }

    /// The lines entered so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes a byte of input; what the terminal shows for it is added to `out`.
    pub fn input(&mut self, byte: u8, out: &mut Vec<u8>) -> Outcome {
        let Some(key) = self.keys.input(byte) else {
            return Outcome::Going;
        };
        match key {
            Key::Byte(byte) => return self.insert(byte, out),
            Key::Enter => return self.enter(out),
            Key::Interrupt => {
                out.extend_from_slice(b"^C\r\n");
                return Outcome::Interrupted;
            }
            Key::EndOrDelete if self.line.is_empty() => {
                out.extend_from_slice(b"\r\n");
                return Outcome::EndOfInput;
            }
            Key::EndOrDelete | Key::Delete => self.line.delete(),
            Key::Backspace => self.line.backspace(),
            Key::DeleteWord => self.line.delete_word(),
            Key::DeleteBefore => self.line.delete_before(),
            Key::DeleteAfter => self.line.delete_after(),
            Key::Left => self.line.left(),
            Key::Right => self.line.right(),
            Key::Home => self.line.home(),
            Key::End => self.line.end(),
            Key::Previous => {
                if let Some(line) = self.history.previous(self.line.bytes()) {
                    self.line = Line::new(line);
                }
            }
            Key::Next => {
                if let Some(line) = self.history.next_line() {
                    self.line = Line::new(line);
                }
            }
            Key::Clear => out.extend_from_slice(b"\x1b[H\x1b[2J"),
        }
        self.show(out);
        Outcome::Going
    }

    fn insert(&mut self, byte: u8, out: &mut Vec<u8>) -> Outcome {
        let was_at_end = self.line.is_at_end();
        if !self.line.insert(byte) {
            out.push(b'\x07');
        } else if was_at_end && columns(&self.prompt) + columns(self.line.bytes()) < TERMINAL_COLUMNS {
            out.push(byte);
        } else {
            self.show(out);
        }
        Outcome::Going
    }

    fn enter(&mut self, out: &mut Vec<u8>) -> Outcome {
        out.extend_from_slice(b"\r\n");
        let line = core::mem::take(&mut self.line);
        self.history.add(line.bytes());
        Outcome::Entered(line.bytes().to_vec())
    }

    /// Shows the row anew: prompt, the part of the line around the cursor, the cursor.
    fn show(&self, out: &mut Vec<u8>) {
        let prompt = columns(&self.prompt);
        let room = TERMINAL_COLUMNS.saturating_sub(prompt + 1).max(1);
        let cursor = columns(self.line.before());
        let first = (cursor + 1).saturating_sub(room);
        out.push(b'\r');
        out.extend_from_slice(&self.prompt);
        out.extend_from_slice(part(self.line.bytes(), first, room));
        out.extend_from_slice(b"\x1b[K\r");
        let column = prompt + cursor - first;
        if column > 0 {
            out.extend_from_slice(format!("\x1b[{column}C").as_bytes());
        }
    }
}

/// The bytes of `count` characters from the `first` one on.
fn part(bytes: &[u8], first: usize, count: usize) -> &[u8] {
    let place = |wanted: usize| {
        let mut seen = 0;
        let reached = |&byte: &u8| {
            let starts = columns(&[byte]) == 1;
            seen += usize::from(starts);
            starts && seen > wanted
        };
        bytes.iter().position(reached).unwrap_or(bytes.len())
    };
    &bytes[place(first)..place(first + count)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// What a terminal of one row shows: its text and the cursor's column.
    fn screen(out: &[u8]) -> (String, usize) {
        let mut row: Vec<char> = Vec::new();
        let (mut column, mut chars) = (0, core::str::from_utf8(out).unwrap().chars());
        while let Some(one) = chars.next() {
            match one {
                '\r' => column = 0,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    match chars.find(|&one| {
                        if one.is_ascii_digit() {
                            number.push(one);
                        }
                        one.is_alphabetic()
                    }) {
                        Some('K') => row.truncate(column),
                        Some('C') => column += number.parse::<usize>().unwrap(),
                        Some('H') => column = 0,
                        Some('J') => row.clear(),
                        other => panic!("{other:?}"),
                    }
                }
                one => {
                    row.resize(row.len().max(column + 1), ' ');
                    row[column] = one;
                    column += 1;
                }
            }
        }
        (row.into_iter().collect(), column)
    }

    fn typed(editor: &mut Editor, input: &[u8]) -> (Vec<u8>, Outcome) {
        let mut out = Vec::new();
        editor.start(b"> ", &mut out);
        let mut outcome = Outcome::Going;
        for &byte in input {
            assert_eq!(outcome, Outcome::Going, "no input after the end");
            outcome = editor.input(byte, &mut out);
        }
        (out, outcome)
    }

    fn shown(input: &[u8]) -> (String, usize) {
        screen(&typed(&mut Editor::default(), input).0)
    }

    #[test]
    fn typing_and_editing_show_what_is_entered() {
        assert_eq!(shown(b"ls"), ("> ls".into(), 4));
        assert_eq!(shown(b"lx\x7fs"), ("> ls".into(), 4));
        assert_eq!(shown("é€\x1b[D\x1b[Dx".as_bytes()), ("> xé€".into(), 3));
        assert_eq!(shown(b"one two\x17"), ("> one ".into(), 6));
        assert_eq!(shown(b"abc\x1b[D\x0b\x01"), ("> ab".into(), 2));
        assert_eq!(shown(b"abc\x0c"), ("> abc".into(), 5));
        let (_, outcome) = typed(&mut Editor::default(), b"lx\x02\x04s\x05 /\r");
        assert_eq!(outcome, Outcome::Entered(b"ls /".to_vec()));
    }

    #[test]
    fn ends_of_lines_and_of_input() {
        assert_eq!(typed(&mut Editor::default(), b"\x04").1, Outcome::EndOfInput);
        assert_eq!(typed(&mut Editor::default(), b"a\x04").1, Outcome::Going);
        assert_eq!(typed(&mut Editor::default(), b"abc\x03").1, Outcome::Interrupted);
        assert_eq!(typed(&mut Editor::default(), b"\n").1, Outcome::Entered(Vec::new()));
    }

    #[test]
    fn the_history_is_walked_with_cursor_keys() {
        let mut editor = Editor::default();
        typed(&mut editor, b"first\r");
        typed(&mut editor, b"second\r");
        assert_eq!(screen(&typed(&mut editor, b"x\x1b[A\x1b[A").0).0, "> first");
        assert_eq!(screen(&typed(&mut editor, b"x\x1b[A\x1b[A\x1b[B\x1b[B").0).0, "> x");
        assert_eq!(typed(&mut editor, b"\x1b[A!\r").1, Outcome::Entered(b"second!".to_vec()));
    }

    #[test]
    fn a_long_line_scrolls_sideways() {
        let long: Vec<u8> = (0..200).map(|number| b'a' + number % 26).collect();
        let (text, column) = shown(&long);
        assert_eq!(column, TERMINAL_COLUMNS - 2);
        assert!(text.starts_with("> ") && text.ends_with(long[199] as char), "{text}");
        let (text, column) = shown(&[&long[..], b"\x01"].concat());
        assert_eq!((column, text.len()), (2, TERMINAL_COLUMNS - 1));
        assert!(text.starts_with("> abcdef"));
    }

    #[test]
    fn any_input_keeps_the_cursor_within_the_row() {
        let mut random = 7_u32;
        for _ in 0..200 {
            let mut editor = Editor::default();
            let mut out = Vec::new();
            editor.start(b"$ ", &mut out);
            for _ in 0..300 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let byte = (random >> 24) as u8;
                // Keys more often than letters, letters more often than the rest.
                let byte = [byte, 0x02, 0x06, b'x', 0x7f, 0x17][(random >> 8) as usize % 6] & 0x7f;
                out.clear();
                if editor.input(byte, &mut out) != Outcome::Going {
                    editor.start(b"$ ", &mut out);
                }
                assert!(screen(&out).1 < TERMINAL_COLUMNS);
            }
        }
    }
}
