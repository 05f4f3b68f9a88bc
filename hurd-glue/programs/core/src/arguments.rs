//! Reading arguments: options of one letter (`-la`), `--help`, and everything else.

use alloc::vec::Vec;
use core::fmt;

/// What a program's arguments say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arguments<'a> {
    letters: Vec<u8>,
    /// What is no option, in order.
    pub operands: Vec<&'a [u8]>,
}

/// Why the arguments cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsageError<'a> {
    /// Not an error: the help is asked for.
    Help,
    /// An option that there is not.
    UnknownOption(&'a [u8]),
    /// Fewer operands than the program needs, or more than it takes.
    Operands,
}

impl fmt::Display for UsageError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Help => Ok(()),
            UsageError::UnknownOption(option) => {
                write!(formatter, "unknown option `{}`", option.escape_ascii())
            }
            UsageError::Operands => formatter.write_str("wrong number of arguments"),
        }
    }
}

/// What a program takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepts {
    /// Letters of its options.
    pub letters: &'static str,
    /// Operands at least.
    pub least: usize,
    /// Operands at most.
    pub most: usize,
}

impl<'a> Arguments<'a> {
    /// Reads arguments; `--` ends the options.
    pub fn parse(arguments: &[&'a [u8]], accepts: Accepts) -> Result<Arguments<'a>, UsageError<'a>> {
        let mut parsed = Arguments { letters: Vec::new(), operands: Vec::new() };
        let mut only_operands = false;
        for &argument in arguments {
            match argument {
                _ if only_operands => parsed.operands.push(argument),
                b"--" => only_operands = true,
                b"--help" => return Err(UsageError::Help),
                [b'-', letters @ ..] if !letters.is_empty() => {
                    let known = |letter: &u8| accepts.letters.as_bytes().contains(letter);
                    if !letters.iter().all(known) {
                        return Err(UsageError::UnknownOption(argument));
                    }
                    parsed.letters.extend_from_slice(letters);
                }
                operand => parsed.operands.push(operand),
            }
        }
        if (accepts.least..=accepts.most).contains(&parsed.operands.len()) {
            Ok(parsed)
        } else {
            Err(UsageError::Operands)
        }
    }

    /// Whether an option was given.
    pub fn has(&self, letter: u8) -> bool {
        self.letters.contains(&letter)
    }
}

/// A number in decimal digits.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.first() == Some(&b'+') {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTS: Accepts = Accepts { letters: "la", least: 0, most: 2 };

    #[test]
    fn options_and_operands_come_in_any_order() {
        let parsed = Arguments::parse(&[b"x", b"-l", b"-", b"-aa"], ACCEPTS).unwrap();
        assert!(parsed.has(b'l') && parsed.has(b'a') && !parsed.has(b'x'));
        assert_eq!(parsed.operands, [&b"x"[..], b"-"]);
        let parsed = Arguments::parse(&[b"--", b"-l", b"--help"], ACCEPTS).unwrap();
        assert!(!parsed.has(b'l') && parsed.operands.len() == 2);
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let error = |arguments: &[&'static [u8]]| Arguments::parse(arguments, ACCEPTS).unwrap_err();
        assert_eq!(error(&[b"-l", b"--help", b"-x"]), UsageError::Help);
        assert_eq!(error(&[b"-lx"]), UsageError::UnknownOption(b"-lx"));
        assert_eq!(error(&[b"--long"]), UsageError::UnknownOption(b"--long"));
        assert_eq!(error(&[b"a", b"b", b"c"]), UsageError::Operands);
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number(b"42"), Some(42));
        for bad in [&b""[..], b"+1", b"-1", b"1x", b"18446744073709551616", b"\xff"] {
            assert_eq!(number(bad), None);
        }
    }
}
