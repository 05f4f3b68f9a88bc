//! A line that the supervisor prints and the host reads: a mark, a kind, fields `name=value`, and free text.
//!
//! ```text
//! #stress task name=hogs starts=3 tried=77 :text to the end of the line
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// How such a line begins.
const MARK: &str = "#stress ";
/// What stands before the text.
const TEXT: &str = " :";

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// What it is about.
    pub kind: String,
    fields: Vec<(String, String)>,
    /// Text for people; empty where there is none.
    pub text: String,
}

impl Line {
    /// A line without fields.
    pub fn new(kind: &str) -> Line {
        Line { kind: kind.to_string(), ..Line::default() }
    }

    /// Adds a field. Blanks in names and values become `_`.
    pub fn with(mut self, name: &str, value: impl ToString) -> Line {
        let tidy = |text: &str| text.replace(|letter: char| letter.is_whitespace() || letter == '=', "_");
        self.fields.push((tidy(name), tidy(&value.to_string())));
        self
    }

    /// Sets the text. Line feeds become blanks.
    pub fn with_text(mut self, text: &str) -> Line {
        self.text = text.replace(['\n', '\r'], " ");
        self
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field that is a number; 0 where it is none.
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// All fields that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, u64)> {
        self.fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.parse().ok()?)))
    }

    /// Reads a line; `None` if it is not one of these.
    pub fn parse(line: &str) -> Option<Line> {
        let line = line.trim_end_matches(['\r', '\n']).strip_prefix(MARK)?;
        let (head, text) = line.split_once(TEXT).unwrap_or((line, ""));
        let mut words = head.split(' ').filter(|word| !word.is_empty());
        let kind = words.next()?.to_string();
        let field =
            |word: &str| word.split_once('=').map(|(name, value)| (name.to_string(), value.to_string()));
        let fields = words.map(field).collect::<Option<Vec<_>>>()?;
        Some(Line { kind, fields, text: text.to_string() })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{MARK}{}", self.kind)?;
        for (name, value) in &self.fields {
            write!(formatter, " {name}={value}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(formatter, "{TEXT}{}", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed() {
        let line = Line::new("task").with("name", "two words").with("tried", 7).with_text("a = b :c\nd");
        let read = Line::parse(&line.to_string()).unwrap();
        assert_eq!(read, line);
        assert_eq!((read.get("name"), read.number("tried")), (Some("two_words"), 7));
        assert_eq!(read.text, "a = b :c d");
        assert_eq!(read.numbers().collect::<Vec<_>>(), [("tried", 7)]);
    }

    #[test]
    fn other_lines_are_none() {
        for other in ["", "hello", "#stress", "#stress ", "#stress kind word", "x #stress kind"] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
        assert_eq!(Line::parse("#stress end\r\n"), Some(Line::new("end")));
        assert_eq!(Line::new("end").number("missing"), 0);
    }
}
