//! Bytes from a terminal as keys: control characters and the escape sequences of cursor keys (ECMA-48, xterm).

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// Part of a text.
    Byte(u8),
    /// End of the line.
    Enter,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D: end of input, or delete the character at the cursor.
    EndOrDelete,
    /// Delete the character at the cursor.
    Delete,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the word before the cursor.
    DeleteWord,
    /// Delete everything before the cursor.
    DeleteBefore,
    /// Delete everything from the cursor on.
    DeleteAfter,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// The line before in the history.
    Previous,
    /// The line after in the history.
    Next,
    /// Clear the screen.
    Clear,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After a carriage return: a line feed belongs to it.
    Returned,
    /// After ESC.
    Escape,
    /// After ESC `O`: one more byte.
    Single,
    /// After ESC `[`, with the number so far.
    Control(u8),
}

/// Puts bytes together to keys. Sequences that mean nothing are swallowed.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    state: State,
}

impl Keys {
    /// The key that this byte completes, if it does.
    pub fn input(&mut self, byte: u8) -> Option<Key> {
        let state = core::mem::take(&mut self.state);
        match (state, byte) {
            (State::Returned, b'\n') => None,
            (State::Ground | State::Returned, 0x1b) => {
                self.state = State::Escape;
                None
            }
            (State::Ground | State::Returned, byte) => {
                if byte == b'\r' {
                    self.state = State::Returned;
                }
                control(byte)
            }
            (State::Escape, b'[') => {
                self.state = State::Control(0);
                None
            }
            (State::Escape, b'O') => {
                self.state = State::Single;
                None
            }
            (State::Escape, _) => None,
            (State::Single, byte) => cursor(byte),
            (State::Control(number), b'0'..=b'9') => {
                self.state = State::Control(number.saturating_mul(10).saturating_add(byte - b'0'));
                None
            }
            // Parameters and intermediate bytes that we have no use for.
            (State::Control(_), b' '..=b'?') => {
                self.state = State::Control(0);
                None
            }
            (State::Control(number), b'~') => match number {
                1 | 7 => Some(Key::Home),
                3 => Some(Key::Delete),
                4 | 8 => Some(Key::End),
                _ => None,
            },
            (State::Control(_), byte) => cursor(byte),
        }
    }
}

fn control(byte: u8) -> Option<Key> {
    Some(match byte {
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::EndOrDelete,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x08 | 0x7f => Key::Backspace,
        b'\n' | b'\r' => Key::Enter,
        0x0b => Key::DeleteAfter,
        0x0c => Key::Clear,
        0x0e => Key::Next,
        0x10 => Key::Previous,
        0x15 => Key::DeleteBefore,
        0x17 => Key::DeleteWord,
        0x00..=0x1f => return None,
        byte => Key::Byte(byte),
    })
}

fn cursor(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Previous,
        b'B' => Key::Next,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|&byte| keys.input(byte)).collect()
    }

    #[test]
    fn cursor_keys_come_in_several_shapes() {
        assert_eq!(keys(b"\x1b[A\x1bOA\x10"), [Key::Previous; 3]);
        assert_eq!(keys(b"\x1b[H\x1bOH\x1b[1~\x1b[7~\x01"), [Key::Home; 5]);
        assert_eq!(keys(b"\x1b[F\x1b[4~\x1b[8~\x05"), [Key::End; 4]);
        assert_eq!(keys(b"\x1b[1;5C\x06"), [Key::Right; 2]);
        assert_eq!(keys(b"\x1b[3~\x04"), [Key::Delete, Key::EndOrDelete]);
    }

    #[test]
    fn unknown_sequences_are_swallowed_whole() {
        assert_eq!(keys(b"\x1b[200~a\x1b[?25hb\x1bxc\x1bOPd\x1b[999999~e"), b"abcde".map(Key::Byte));
        assert_eq!(keys(b"\x00\x07\t\x1f"), []);
    }

    #[test]
    fn a_return_and_its_line_feed_are_one_key() {
        assert_eq!(keys(b"\r\n\n\r\rx"), [Key::Enter, Key::Enter, Key::Enter, Key::Enter, Key::Byte(b'x')]);
        assert_eq!(keys("é".as_bytes()), [Key::Byte(0xc3), Key::Byte(0xa9)]);
    }
}
