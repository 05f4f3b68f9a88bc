//! Variables, arguments and statuses, and words with these put in.
//!
//! A value outside of quotes is split at blanks, tabs and line feeds, as in every Unix shell; where nothing is left of a
//! word, there is no word. Names are not patterns: `*` is an asterisk. A name without a value stands for nothing.

use crate::words::{Parameter, Part, Word};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// Variables at most.
pub const VARIABLES_MAX: usize = 256;
/// Bytes of a variable's value at most.
pub const VALUE_BYTES_MAX: usize = 4096;
/// Bytes of a command's words at most, values put in, and a byte for each word's end.
pub const COMMAND_BYTES_MAX: usize = 64 << 10;

/// Why there is no such value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueError {
    /// More than [`VARIABLES_MAX`] names.
    TooMany,
    /// A value of more than [`VALUE_BYTES_MAX`], or words of more than [`COMMAND_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ValueError::TooMany => "too many variables",
            ValueError::TooLong => "too long with its values",
        })
    }
}

/// What `$` leads to.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The script's name and arguments; the first is `$0`.
    arguments: Vec<Vec<u8>>,
    /// The last status.
    pub status: u8,
    /// Number of the last command that was started in the background.
    pub last_job: Option<usize>,
}

impl Variables {
    /// None but a script's name and arguments.
    pub fn new(arguments: Vec<Vec<u8>>) -> Variables {
        Variables { arguments, ..Variables::default() }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &[u8], value: Vec<u8>) -> Result<(), ValueError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        if !self.values.contains_key(name) && self.values.len() == VARIABLES_MAX {
            return Err(ValueError::TooMany);
        }
        self.values.insert(name.to_vec(), value);
        Ok(())
    }

    /// Forgets a variable.
    pub fn unset(&mut self, name: &[u8]) {
        self.values.remove(name);
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Drops the first argument; false if there is none.
    pub fn shift(&mut self) -> bool {
        let is_there = self.arguments.len() > 1;
        if is_there {
            self.arguments.remove(1);
        }
        is_there
    }

    fn value(&self, parameter: &Parameter) -> Vec<u8> {
        match parameter {
            Parameter::Status => format!("{}", self.status).into_bytes(),
            Parameter::LastJob => {
                self.last_job.map_or_else(Vec::new, |number| format!("{number}").into_bytes())
            }
            Parameter::Count => format!("{}", self.arguments.len().saturating_sub(1)).into_bytes(),
            Parameter::All => self.arguments.get(1..).unwrap_or_default().join(&b' '),
            Parameter::Argument(place) => {
                self.arguments.get(usize::from(*place)).cloned().unwrap_or_default()
            }
            Parameter::Variable(name) => self.values.get(name).cloned().unwrap_or_default(),
        }
    }

    /// A word as one value, whatever blanks are in it: what an assignment takes.
    pub fn join(&self, word: &Word) -> Result<Vec<u8>, ValueError> {
        let mut bytes = Vec::new();
        for part in word.parts() {
            match part {
                Part::Literal(literal) => bytes.extend_from_slice(literal),
                Part::Value { parameter, .. } => bytes.extend(self.value(parameter)),
            }
            if bytes.len() > VALUE_BYTES_MAX {
                return Err(ValueError::TooLong);
            }
        }
        Ok(bytes)
    }

    /// Words with values put in. There may be fewer of them, or more.
    pub fn expand(&self, words: &[Word]) -> Result<Vec<Vec<u8>>, ValueError> {
        let mut fields = Fields { done: Vec::new(), current: None, bytes: 0 };
        for part in words.iter().flat_map(|word| word.parts().iter().map(Some).chain([None])) {
            match part {
                None => fields.end(),
                Some(Part::Literal(literal)) => fields.add(literal)?,
                Some(Part::Value { parameter: Parameter::All, quoted: true }) => {
                    for (place, argument) in self.arguments.iter().skip(1).enumerate() {
                        if place > 0 {
                            fields.end();
                        }
                        fields.add(argument)?;
                    }
                }
                Some(Part::Value { parameter, quoted: true }) => fields.add(&self.value(parameter))?,
                Some(Part::Value { parameter, quoted: false }) => {
                    let value = self.value(parameter);
                    for (place, piece) in value.split(|byte| b" \t\n".contains(byte)).enumerate() {
                        if place > 0 {
                            fields.end();
                        }
                        if !piece.is_empty() {
                            fields.add(piece)?;
                        }
                    }
                }
            }
        }
        Ok(fields.done)
    }
}

/// Words as they are put together.
struct Fields {
    done: Vec<Vec<u8>>,
    current: Option<Vec<u8>>,
    bytes: usize,
}

impl Fields {
    fn add(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        self.bytes += bytes.len() + usize::from(self.current.is_none());
        if self.bytes > COMMAND_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        self.current.get_or_insert_default().extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) {
        self.done.extend(self.current.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Command, commands};
    use std::string::String;

    fn sample() -> Variables {
        let arguments = ["script", "one", "two words", ""];
        let mut variables = Variables::new(arguments.iter().map(|text| text.as_bytes().to_vec()).collect());
        variables.set(b"list", b" a  b\tc\n".to_vec()).unwrap();
        variables.set(b"empty", Vec::new()).unwrap();
        (variables.status, variables.last_job) = (7, Some(3));
        variables
    }

    fn words(line: &str) -> Vec<Word> {
        match commands(line.as_bytes()).unwrap().remove(0).command {
            Command::Simple { words, .. } => words,
            other => panic!("{other:?}"),
        }
    }

    /// Words in brackets.
    fn expand(line: &str) -> String {
        let fields = sample().expand(&words(line)).unwrap();
        fields.iter().map(|field| std::format!("[{}]", String::from_utf8_lossy(field))).collect()
    }

    #[test]
    fn values_are_put_in() {
        assert_eq!(expand("echo $?$! $#"), "[echo][73][3]");
        assert_eq!(expand("$0 $1 $2 $9"), "[script][one][two][words]");
        assert_eq!(expand("x${list}y"), "[x][a][b][c][y]");
        assert_eq!(expand("\"$list\""), "[ a  b\tc\n]");
    }

    #[test]
    fn what_is_quoted_is_a_word_and_what_is_not_may_be_none() {
        assert_eq!(expand("x $empty $nothing \"$empty\" '' $empty''"), "[x][][][]");
        assert_eq!(expand("x\"$empty\"y"), "[xy]");
    }

    #[test]
    fn arguments_stay_apart_in_quotes() {
        assert_eq!(expand("\"$@\""), "[one][two words][]");
        assert_eq!(expand("$@"), "[one][two][words]");
        assert_eq!(expand("a\"$@\"b"), "[aone][two words][b]");
        let none = Variables::new(Vec::new());
        assert!(none.expand(&words("\"$@\" $@ $0")).unwrap().is_empty());
    }

    #[test]
    fn arguments_are_shifted_and_variables_forgotten() {
        let mut variables = sample();
        assert!(variables.shift() && variables.shift() && variables.shift() && !variables.shift());
        assert_eq!(variables.value(&Parameter::Count), b"0");
        assert_eq!(variables.value(&Parameter::Argument(0)), b"script");
        variables.unset(b"list");
        assert_eq!(variables.iter().collect::<Vec<_>>(), [(&b"empty"[..], &b""[..])]);
    }

    #[test]
    fn the_limits_are_reached() {
        let mut variables = Variables::new(Vec::new());
        let long = std::vec![b'x'; VALUE_BYTES_MAX];
        assert_eq!(variables.set(b"a", long.clone()), Ok(()));
        assert_eq!(variables.set(b"a", [long, Vec::from(*b"x")].concat()), Err(ValueError::TooLong));
        for number in 1..VARIABLES_MAX {
            assert_eq!(variables.set(std::format!("v{number}").as_bytes(), Vec::new()), Ok(()));
        }
        assert_eq!(variables.set(b"one_more", Vec::new()), Err(ValueError::TooMany));
        assert_eq!(variables.set(b"v1", Vec::from(*b"again")), Ok(()));
        let command = words(&"$a".repeat(COMMAND_BYTES_MAX / VALUE_BYTES_MAX + 1));
        assert_eq!(variables.expand(&command), Err(ValueError::TooLong));
        assert_eq!(variables.join(&command[0]), Err(ValueError::TooLong));
        // One word less than that, since a word's end counts, too.
        let command = words(&"$a ".repeat(COMMAND_BYTES_MAX / VALUE_BYTES_MAX - 1));
        assert!(variables.expand(&command).is_ok());
    }
}
