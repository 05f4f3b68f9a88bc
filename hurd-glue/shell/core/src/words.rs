//! A line as words and operators: quotes, escapes, comments, and `$?`.
//!
//! `'…'` keeps everything, `"…"` everything but `$?` and backslash before `"`, `\` and `$`; a backslash outside
//! keeps the next byte. `#` at the start of a word begins a comment. Other meanings that a Unix shell gives to
//! `|`, `<`, `>`, `(`, `)`, `` ` `` and `$` are not here; these characters are refused rather than taken literally.

use alloc::vec::Vec;
use core::fmt;

/// Why a line cannot be taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyntaxError {
    /// A quote has no partner.
    OpenQuote,
    /// The line ends in a backslash.
    OpenEscape,
    /// A character that would mean something in other shells.
    Unsupported(u8),
    /// An operator with no command before it or, for `&&` and `||`, after it.
    MissingCommand(Operator),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::OpenQuote => formatter.write_str("syntax error: a quote is not closed"),
            SyntaxError::OpenEscape => formatter.write_str("syntax error: nothing after a backslash"),
            SyntaxError::Unsupported(byte) => {
                write!(formatter, "syntax error: `{}` is not supported (quote it)", *byte as char)
            }
            SyntaxError::MissingCommand(operator) => {
                write!(formatter, "syntax error: a command is missing at `{}`", operator.as_str())
            }
        }
    }
}

/// What stands between commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `;` or the end of a line.
    Then,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `&`
    Background,
}

impl Operator {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Then => ";",
            Operator::And => "&&",
            Operator::Or => "||",
            Operator::Background => "&",
        }
    }
}

/// Part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// The last status.
    Status,
}

/// A word: a name, an option, an argument. It may be empty, if it was quoted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Word(Vec<Part>);

impl Word {
    /// With the last status put in.
    pub fn expand(&self, status: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => bytes.extend_from_slice(literal),
                Part::Status => bytes.extend_from_slice(alloc::format!("{status}").as_bytes()),
            }
        }
        bytes
    }

    fn push(&mut self, byte: u8) {
        match self.0.last_mut() {
            Some(Part::Literal(literal)) => literal.push(byte),
            _ => self.0.push(Part::Literal(Vec::from([byte]))),
        }
    }

    fn quoted(&mut self) {
        // An empty pair of quotes makes a word too.
        if self.0.is_empty() {
            self.0.push(Part::Literal(Vec::new()));
        }
    }
}

/// Word or operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A word.
    Word(Word),
    /// An operator.
    Operator(Operator),
}

/// Takes a line, or several, apart.
pub fn tokens(line: &[u8]) -> Result<Vec<Token>, SyntaxError> {
    let mut scanner = Scanner { rest: line, tokens: Vec::new(), word: None };
    while let Some(byte) = scanner.next() {
        scanner.take(byte)?;
    }
    scanner.finish_word();
    Ok(scanner.tokens)
}

struct Scanner<'a> {
    rest: &'a [u8],
    tokens: Vec<Token>,
    word: Option<Word>,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Takes the next byte if it is this one.
    fn next_is(&mut self, wanted: u8) -> bool {
        let is = self.rest.first() == Some(&wanted);
        if is {
            self.rest = &self.rest[1..];
        }
        is
    }

    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn finish_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.tokens.push(Token::Word(word));
        }
    }

    fn operator(&mut self, operator: Operator) {
        self.finish_word();
        self.tokens.push(Token::Operator(operator));
    }

    fn take(&mut self, byte: u8) -> Result<(), SyntaxError> {
        match byte {
            b' ' | b'\t' | b'\r' => self.finish_word(),
            b'\n' | b';' => self.operator(Operator::Then),
            b'&' if self.next_is(b'&') => self.operator(Operator::And),
            b'&' => self.operator(Operator::Background),
            b'|' if self.next_is(b'|') => self.operator(Operator::Or),
            b'#' if self.word.is_none() => {
                while self.rest.first().is_some_and(|&byte| byte != b'\n') {
                    self.next();
                }
            }
            b'\'' => self.single_quoted()?,
            b'"' => self.double_quoted()?,
            b'\\' => {
                let byte = self.next().ok_or(SyntaxError::OpenEscape)?;
                self.word().push(byte);
            }
            b'$' => self.dollar()?,
            b'|' | b'<' | b'>' | b'(' | b')' | b'`' => return Err(SyntaxError::Unsupported(byte)),
            byte => self.word().push(byte),
        }
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), SyntaxError> {
        self.word().quoted();
        loop {
            match self.next().ok_or(SyntaxError::OpenQuote)? {
                b'\'' => return Ok(()),
                byte => self.word().push(byte),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), SyntaxError> {
        self.word().quoted();
        loop {
            match self.next().ok_or(SyntaxError::OpenQuote)? {
                b'"' => return Ok(()),
                b'$' => self.dollar()?,
                b'\\' => match self.next().ok_or(SyntaxError::OpenQuote)? {
                    byte @ (b'"' | b'\\' | b'$') => self.word().push(byte),
                    byte => {
                        self.word().push(b'\\');
                        self.word().push(byte);
                    }
                },
                byte => self.word().push(byte),
            }
        }
    }

    fn dollar(&mut self) -> Result<(), SyntaxError> {
        if !self.next_is(b'?') {
            return Err(SyntaxError::Unsupported(b'$'));
        }
        self.word().0.push(Part::Status);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// Words in brackets, operators as they are.
    fn shape(line: &str) -> String {
        let mut shape = String::new();
        for token in tokens(line.as_bytes()).unwrap() {
            match token {
                Token::Word(word) => {
                    shape += &std::format!("[{}]", String::from_utf8(word.expand(7)).unwrap());
                }
                Token::Operator(operator) => shape += operator.as_str(),
            }
        }
        shape
    }

    #[test]
    fn words_are_separated_by_blanks_and_operators() {
        assert_eq!(shape("  ls  -l\t/x\r"), "[ls][-l][/x]");
        assert_eq!(shape("a;b&&c||d&e\nf"), "[a];[b]&&[c]||[d]&[e];[f]");
        assert_eq!(shape(""), "");
    }

    #[test]
    fn quotes_and_escapes_keep_what_they_hold() {
        assert_eq!(shape(r#"'a b;c$?#' "d \"e\" \x" f\ g"#), r#"[a b;c$?#][d "e" \x][f g]"#);
        assert_eq!(shape("''\"\" x''y"), "[][xy]");
        assert_eq!(shape("\\;\\#"), "[;#]");
        assert_eq!(shape("größe"), "[größe]");
    }

    #[test]
    fn comments_start_at_a_word_and_end_with_the_line() {
        assert_eq!(shape("a # b ; c\nd#e"), "[a];[d#e]");
        assert_eq!(shape("#"), "");
    }

    #[test]
    fn the_status_is_put_in() {
        assert_eq!(shape("echo $? \"$?x\" '$?' \\$"), "[echo][7][7x][$?][$]");
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = |line: &str| tokens(line.as_bytes()).unwrap_err();
        assert_eq!(error("a | b"), SyntaxError::Unsupported(b'|'));
        assert_eq!(error("a > b"), SyntaxError::Unsupported(b'>'));
        assert_eq!(error("$HOME"), SyntaxError::Unsupported(b'$'));
        assert_eq!(error("'a"), SyntaxError::OpenQuote);
        assert_eq!(error("\"a\\\""), SyntaxError::OpenQuote);
        assert_eq!(error("\"a\\"), SyntaxError::OpenQuote);
        assert_eq!(error("a\\"), SyntaxError::OpenEscape);
    }
}
