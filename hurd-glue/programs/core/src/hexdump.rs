//! Bytes in hexadecimal, sixteen a line, as `hexdump -C` shows them.

use alloc::string::String;
use core::fmt::Write;

/// Bytes of a line.
pub const LINE_BYTES: usize = 16;

/// A line: where, the bytes, and the bytes as text where they are ASCII.
pub fn line(offset: u64, bytes: &[u8]) -> String {
    let mut line = String::new();
    let bytes = &bytes[..bytes.len().min(LINE_BYTES)];
    // Writing to a string cannot fail.
    let _ = write!(line, "{offset:08x}");
    for index in 0..LINE_BYTES {
        line.push_str(if index % 8 == 0 { "  " } else { " " });
        let _ = match bytes.get(index) {
            Some(byte) => write!(line, "{byte:02x}"),
            None => write!(line, "  "),
        };
    }
    line.push_str("  |");
    line.extend(bytes.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { byte as char } else { '.' }));
    line.push_str("|\n");
    line
}

/// Turns bytes, as they come, into lines; equal lines after the first become one `*`.
#[derive(Clone, Debug, Default)]
pub struct Hexdump {
    offset: u64,
    partial: [u8; LINE_BYTES],
    used: usize,
    last: Option<[u8; LINE_BYTES]>,
    skipping: bool,
}

impl Hexdump {
    /// A dump whose first byte is at an offset.
    pub fn new(offset: u64) -> Hexdump {
        Hexdump { offset, ..Hexdump::default() }
    }

    /// Adds bytes; the lines they complete go to `show`.
    pub fn add(&mut self, mut bytes: &[u8], mut show: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let count = bytes.len().min(LINE_BYTES - self.used);
            let (now, later) = bytes.split_at(count);
            self.partial[self.used..self.used + count].copy_from_slice(now);
            self.used += count;
            bytes = later;
            if self.used == LINE_BYTES {
                self.full_line(&mut show);
            }
        }
    }

    fn full_line(&mut self, show: &mut impl FnMut(&str)) {
        if self.last == Some(self.partial) {
            if !self.skipping {
                show("*\n");
            }
            self.skipping = true;
        } else {
            show(&line(self.offset, &self.partial));
            self.skipping = false;
        }
        self.last = Some(self.partial);
        self.offset += LINE_BYTES as u64;
        self.used = 0;
    }

    /// The last line, and where the bytes end.
    pub fn finish(self, mut show: impl FnMut(&str)) {
        if self.used > 0 {
            show(&line(self.offset, &self.partial[..self.used]));
        }
        let end = self.offset + self.used as u64;
        if end > 0 {
            show(&alloc::format!("{end:08x}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(pieces: &[&[u8]]) -> String {
        let (mut text, mut dump) = (String::new(), Hexdump::default());
        for piece in pieces {
            dump.add(piece, |line| text.push_str(line));
        }
        dump.finish(|line| text.push_str(line));
        text
    }

    #[test]
    fn lines_look_as_hexdump_shows_them() {
        let expected = "\
00000000  48 65 6c 6c 6f 0a c3 a9  00 7f 20 7e 31 32 33 34  |Hello..... ~1234|
00000010  35                                                |5|
00000011
";
        assert_eq!(dump(&[b"Hello\n\xc3\xa9\0\x7f ~12345"]), expected);
        assert_eq!(dump(&[b"Hel", b"lo\n\xc3\xa9\0\x7f ~1234", b"", b"5"]), expected);
        assert_eq!(dump(&[]), "");
    }

    #[test]
    fn equal_lines_become_a_star() {
        let text = dump(&[&[0; 64], b"x"]);
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains("|\n*\n00000040  78"));
        let text = dump(&[&[0; 48], &[1; 48]]);
        assert_eq!(text.matches('*').count(), 2, "{text}");
    }
}
