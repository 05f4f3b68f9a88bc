//! The command `test`, also written `[ … ]`: whether a condition holds.
//!
//! ```text
//! test TEXT                       it is not empty            test -n TEXT    the same
//! test -z TEXT                    it is empty                test -e NAME    there is such a file
//! test TEXT = TEXT, test TEXT != TEXT                        test -f NAME    it is a regular file
//! test NUMBER -eq NUMBER          -ne -lt -le -gt -ge        test -d NAME    it is a directory
//! test ! CONDITION
//! ```
//! As POSIX has it, the number of words decides what they mean: `test =` asks whether `=` is empty.

use core::fmt;

/// What there is by a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nothing that could be looked up.
    Nothing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a link that leads nowhere, or another thing.
    Other,
}

/// Why a condition cannot be judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConditionError {
    /// The words are none of the forms.
    Form,
    /// A comparison of what is no number of 64 bits.
    Number,
    /// `[` without a last word `]`.
    Bracket,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ConditionError::Form => "no condition that can be judged",
            ConditionError::Number => "not a number",
            ConditionError::Bracket => "`]` is missing",
        })
    }
}

/// The words between the brackets.
pub fn without_bracket<'a, 'b>(words: &'a [&'b [u8]]) -> Result<&'a [&'b [u8]], ConditionError> {
    match words.split_last() {
        Some((last, words)) if *last == b"]" => Ok(words),
        _ => Err(ConditionError::Bracket),
    }
}

/// Whether a condition holds. `look` says what there is by a name.
pub fn holds(words: &[&[u8]], look: &mut dyn FnMut(&[u8]) -> Found) -> Result<bool, ConditionError> {
    match words {
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        [b"!", text] => Ok(text.is_empty()),
        [b"-n", text] => Ok(!text.is_empty()),
        [b"-z", text] => Ok(text.is_empty()),
        [b"-e", name] => Ok(look(name) != Found::Nothing),
        [b"-f", name] => Ok(look(name) == Found::File),
        [b"-d", name] => Ok(look(name) == Found::Directory),
        [one, b"=", other] => Ok(one == other),
        [one, b"!=", other] => Ok(one != other),
        [b"!", rest @ ..] if rest.len() <= 3 => Ok(!holds(rest, look)?),
        [one, comparison, other] => {
            let compare: fn(&i64, &i64) -> bool = match *comparison {
                b"-eq" => i64::eq,
                b"-ne" => i64::ne,
                b"-lt" => i64::lt,
                b"-le" => i64::le,
                b"-gt" => i64::gt,
                b"-ge" => i64::ge,
                _ => return Err(ConditionError::Form),
            };
            Ok(compare(&number(one)?, &number(other)?))
        }
        _ => Err(ConditionError::Form),
    }
}

fn number(text: &[u8]) -> Result<i64, ConditionError> {
    let text = core::str::from_utf8(text).map_err(|_| ConditionError::Number)?;
    text.parse().map_err(|_| ConditionError::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn judge(text: &str) -> Result<bool, ConditionError> {
        let words: Vec<&[u8]> = text.split(' ').map(|word| word.trim_matches('\'').as_bytes()).collect();
        holds(&words, &mut |name| match name {
            b"file" => Found::File,
            b"folder" => Found::Directory,
            b"null" => Found::Other,
            _ => Found::Nothing,
        })
    }

    #[test]
    fn conditions_hold_or_not() {
        for text in [
            "x",
            "=",
            "! ''",
            "-n x",
            "-z ''",
            "x = x",
            "x != y",
            "! x = y",
            "-e null",
            "-f file",
            "-d folder",
            "! -e none",
            "7 -eq 07",
            "-1 -lt 0",
            "1 -le 1",
            "2 -gt 1",
            "2 -ge 2",
            "1 -ne 2",
        ] {
            assert_eq!(judge(text), Ok(true), "{text}");
            if text.split(' ').count() < 4 {
                assert_eq!(judge(&std::format!("! {text}")), Ok(false), "! {text}");
            }
        }
        assert_eq!(holds(&[], &mut |_| Found::Nothing), Ok(false));
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for text in ["a b", "-x file", "a b c", "a = b c d", "! ! ! ! x"] {
            assert_eq!(judge(text), Err(ConditionError::Form), "{text}");
        }
        for text in ["a -eq 1", "1 -lt 9223372036854775808", "'' -eq 0"] {
            assert_eq!(judge(text), Err(ConditionError::Number), "{text}");
        }
        assert_eq!(without_bracket(&[b"x"]), Err(ConditionError::Bracket));
        assert_eq!(without_bracket(&[b"x", b"]"]), Ok(&[&b"x"[..]][..]));
    }
}
