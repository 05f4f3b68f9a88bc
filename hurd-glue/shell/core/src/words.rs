//! Lines as words and operators: quotes, escapes, comments, and the places where values are put in.
//!
//! `'…'` keeps everything, `"…"` everything but `$` and backslash before `"`, `\` and `$`; a backslash outside
//! keeps the next byte. `#` at the start of a word begins a comment. `$NAME`, `${NAME}`, `$1`, `$#`, `$@`, `$?` and `$!` are
//! [`Parameter`]s. Other meanings that a Unix shell gives to `|`, `<`, `(`, `)`, `` ` `` and `$` are not here; these
//! characters are refused rather than taken literally.

use alloc::vec::Vec;
use core::fmt;

/// Bytes of a variable's name at most.
pub const NAME_BYTES_MAX: usize = 64;

/// Why lines cannot be taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyntaxError {
    /// A quote has no partner.
    OpenQuote,
    /// The line ends in a backslash.
    OpenEscape,
    /// A character that would mean something in other shells.
    Unsupported(u8),
    /// `${` without a name and `}`, or a name that is too long, or none after `for`.
    BadName,
    /// An operator with no command before it or, for `&&` and `||`, after it.
    MissingCommand(Operator),
    /// A part of a compound command is empty: no command before this word.
    EmptyPart(Keyword),
    /// A compound command that began with this word does not end.
    Open(Keyword),
    /// A word that does not belong there.
    Unexpected(Keyword),
    /// No command after this word.
    MissingAfter(Keyword),
    /// After a compound command there is neither an operator nor the end of the line.
    MissingOperator,
    /// Only a single command runs in the background.
    Background,
    /// `>` without a name after it, for a second time, or with a number before it.
    Redirection,
    /// More compound commands in each other than [`crate::syntax::NESTING_MAX`].
    TooDeep,
    /// More words and operators than [`crate::syntax::TOKENS_MAX`].
    TooLong,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("syntax error: ")?;
        match self {
            SyntaxError::OpenQuote => formatter.write_str("a quote is not closed"),
            SyntaxError::OpenEscape => formatter.write_str("nothing after a backslash"),
            SyntaxError::Unsupported(byte) => {
                write!(formatter, "`{}` is not supported (quote it)", *byte as char)
            }
            SyntaxError::BadName => formatter.write_str("not the name of a variable"),
            SyntaxError::MissingCommand(operator) => {
                write!(formatter, "a command is missing at `{}`", operator.as_str())
            }
            SyntaxError::EmptyPart(keyword) => {
                write!(formatter, "a command is missing before `{}`", keyword.as_str())
            }
            SyntaxError::MissingAfter(keyword) => {
                write!(formatter, "a command is missing after `{}`", keyword.as_str())
            }
            SyntaxError::Open(keyword) => write!(formatter, "`{}` does not end", keyword.as_str()),
            SyntaxError::Unexpected(keyword) => {
                write!(formatter, "`{}` does not belong here", keyword.as_str())
            }
            SyntaxError::MissingOperator => formatter.write_str("`;` or a new line is missing"),
            SyntaxError::Background => formatter.write_str("only a single command runs in the background"),
            SyntaxError::Redirection => formatter.write_str("one `> NAME` or `>> NAME` for a command"),
            SyntaxError::TooDeep => formatter.write_str("too many commands in each other"),
            SyntaxError::TooLong => formatter.write_str("too many words"),
        }
    }
}

/// What stands between commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `;`
    Then,
    /// The end of a line.
    NewLine,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `&`
    Background,
}

impl Operator {
    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Then => ";",
            Operator::NewLine => "new line",
            Operator::And => "&&",
            Operator::Or => "||",
            Operator::Background => "&",
        }
    }
}

/// A word that means something where a command may stand, unless any of it is quoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keyword {
    /// `if`
    If,
    /// `then`
    Then,
    /// `elif`
    Elif,
    /// `else`
    Else,
    /// `fi`
    Fi,
    /// `while`
    While,
    /// `until`
    Until,
    /// `for`
    For,
    /// `in`, after `for NAME`
    In,
    /// `do`
    Do,
    /// `done`
    Done,
    /// `!`
    Not,
}

impl Keyword {
    const ALL: [Keyword; 12] = [
        Keyword::If,
        Keyword::Then,
        Keyword::Elif,
        Keyword::Else,
        Keyword::Fi,
        Keyword::While,
        Keyword::Until,
        Keyword::For,
        Keyword::In,
        Keyword::Do,
        Keyword::Done,
        Keyword::Not,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Keyword::If => "if",
            Keyword::Then => "then",
            Keyword::Elif => "elif",
            Keyword::Else => "else",
            Keyword::Fi => "fi",
            Keyword::While => "while",
            Keyword::Until => "until",
            Keyword::For => "for",
            Keyword::In => "in",
            Keyword::Do => "do",
            Keyword::Done => "done",
            Keyword::Not => "!",
        }
    }
}

/// What is put in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// `$?`: the last status.
    Status,
    /// `$!`: the number of the last command that was started in the background.
    LastJob,
    /// `$#`: how many arguments the script has.
    Count,
    /// `$@`: all arguments, each for itself.
    All,
    /// `$0` to `$9`: the script's name and its arguments.
    Argument(u8),
    /// `$NAME` or `${NAME}`.
    Variable(Vec<u8>),
}

/// Part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// A value. Outside of quotes its blanks separate words.
    Value {
        /// Which.
        parameter: Parameter,
        /// Inside `"…"`.
        quoted: bool,
    },
}

/// A word: a name, an option, an argument. It may be empty, if it was quoted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Word {
    parts: Vec<Part>,
    /// So many bytes at its start were neither quoted nor escaped.
    plain: usize,
    /// No more of those follow.
    is_plain_over: bool,
}

impl Word {
    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its first bytes, as far as they were neither quoted nor escaped.
    fn plain(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Literal(literal)) => &literal[..self.plain],
            _ => &[],
        }
    }

    /// The keyword that it is.
    pub fn keyword(&self) -> Option<Keyword> {
        let [Part::Literal(literal)] = self.parts.as_slice() else { return None };
        let is = |keyword: &Keyword| keyword.as_str().as_bytes() == literal;
        Keyword::ALL.into_iter().find(is).filter(|_| self.plain == literal.len())
    }

    /// The name that it is, and nothing else.
    pub fn name(&self) -> Option<&[u8]> {
        let [Part::Literal(literal)] = self.parts.as_slice() else { return None };
        (self.plain == literal.len() && is_name(literal)).then_some(literal.as_slice())
    }

    /// Whether it is a number, and nothing else.
    fn is_number(&self) -> bool {
        !self.plain().is_empty() && self.parts.len() == 1 && self.plain().iter().all(u8::is_ascii_digit)
    }

    /// Name and value, if it is `NAME=value`.
    pub fn assignment(&self) -> Option<(Vec<u8>, Word)> {
        let place = self.plain().iter().position(|&byte| byte == b'=')?;
        let name = &self.plain()[..place];
        if !is_name(name) {
            return None;
        }
        let mut value = self.clone();
        if let Some(Part::Literal(literal)) = value.parts.first_mut() {
            literal.drain(..=place);
        }
        value.plain -= place + 1;
        Some((name.to_vec(), value))
    }

    fn push(&mut self, byte: u8) {
        match self.parts.last_mut() {
            Some(Part::Literal(literal)) => literal.push(byte),
            _ => self.parts.push(Part::Literal(Vec::from([byte]))),
        }
    }

    fn push_plain(&mut self, byte: u8) {
        self.push(byte);
        self.plain += usize::from(!self.is_plain_over);
    }

    fn push_value(&mut self, parameter: Parameter, quoted: bool) {
        self.is_plain_over = true;
        self.parts.push(Part::Value { parameter, quoted });
    }

    /// Parts, and bytes of the last one: grows with all that is pushed.
    fn extent(&self) -> (usize, usize) {
        let last = self.parts.last();
        (
            self.parts.len(),
            last.map_or(0, |part| if let Part::Literal(bytes) = part { bytes.len() } else { 0 }),
        )
    }
}

/// Whether bytes can name a variable: letters, digits and `_`, no digit first.
pub fn is_name(bytes: &[u8]) -> bool {
    bytes.len() <= NAME_BYTES_MAX
        && bytes.first().is_some_and(|byte| !byte.is_ascii_digit())
        && bytes.iter().all(|&byte| is_of_name(byte))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Word or operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A word.
    Word(Word),
    /// An operator.
    Operator(Operator),
    /// `>`, or `>>`: the next word says where output goes.
    Output {
        /// `>>`: after what is there.
        append: bool,
    },
}

/// Takes lines apart, one token after the other.
pub struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// Of one line, or several.
    pub const fn new(lines: &'a [u8]) -> Tokens<'a> {
        Tokens { rest: lines }
    }

    fn next_byte(&mut self) -> Option<u8> {
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

    /// Leaves blanks and comments behind.
    fn skip(&mut self) {
        while let Some(&byte) = self.rest.first() {
            match byte {
                b' ' | b'\t' | b'\r' => self.rest = &self.rest[1..],
                b'#' => {
                    let end = self.rest.iter().position(|&byte| byte == b'\n');
                    self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
                }
                _ => return,
            }
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        let (operator, bytes) = match self.rest {
            [b'\n', ..] => (Operator::NewLine, 1),
            [b';', ..] => (Operator::Then, 1),
            [b'&', b'&', ..] => (Operator::And, 2),
            [b'&', ..] => (Operator::Background, 1),
            [b'|', b'|', ..] => (Operator::Or, 2),
            _ => return None,
        };
        self.rest = &self.rest[bytes..];
        Some(operator)
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut word = Word::default();
        while let Some(&byte) = self.rest.first() {
            if matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'>')
                || self.rest.starts_with(b"||")
            {
                break;
            }
            self.rest = &self.rest[1..];
            match byte {
                b'\'' | b'"' => self.quoted(&mut word, byte)?,
                b'\\' => {
                    word.is_plain_over = true;
                    word.push(self.next_byte().ok_or(SyntaxError::OpenEscape)?);
                }
                b'$' => self.dollar(&mut word, false)?,
                b'|' | b'<' | b'(' | b')' | b'`' => return Err(SyntaxError::Unsupported(byte)),
                byte => word.push_plain(byte),
            }
        }
        // `2>` is about another output than this one in other shells.
        if self.rest.first() == Some(&b'>') && word.is_number() {
            return Err(SyntaxError::Redirection);
        }
        Ok(word)
    }

    fn quoted(&mut self, word: &mut Word, quote: u8) -> Result<(), SyntaxError> {
        word.is_plain_over = true;
        let before = word.extent();
        loop {
            match self.next_byte().ok_or(SyntaxError::OpenQuote)? {
                byte if byte == quote => break,
                b'$' if quote == b'"' => self.dollar(word, true)?,
                b'\\' if quote == b'"' => match self.next_byte().ok_or(SyntaxError::OpenQuote)? {
                    byte @ (b'"' | b'\\' | b'$') => word.push(byte),
                    byte => {
                        word.push(b'\\');
                        word.push(byte);
                    }
                },
                byte => word.push(byte),
            }
        }
        if word.extent() == before {
            // An empty pair of quotes makes a word, too.
            word.parts.push(Part::Literal(Vec::new()));
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<(), SyntaxError> {
        let parameter = match self.rest.first() {
            Some(b'?') => Parameter::Status,
            Some(b'!') => Parameter::LastJob,
            Some(b'#') => Parameter::Count,
            Some(b'@') => Parameter::All,
            Some(digit @ b'0'..=b'9') => Parameter::Argument(digit - b'0'),
            _ => {
                let is_braced = self.next_is(b'{');
                let end = self.rest.iter().position(|&byte| !is_of_name(byte)).unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(end);
                self.rest = rest;
                if name.is_empty() && !is_braced {
                    return Err(SyntaxError::Unsupported(b'$'));
                }
                if !is_name(name) || (is_braced && !self.next_is(b'}')) {
                    return Err(SyntaxError::BadName);
                }
                word.push_value(Parameter::Variable(name.to_vec()), quoted);
                return Ok(());
            }
        };
        self.rest = &self.rest[1..];
        word.push_value(parameter, quoted);
        Ok(())
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip();
        if self.rest.is_empty() {
            return None;
        }
        if self.next_is(b'>') {
            return Some(Ok(Token::Output { append: self.next_is(b'>') }));
        }
        let token = self.operator().map(Token::Operator);
        Some(token.map_or_else(|| self.word().map(Token::Word), Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    /// Words in brackets, values in braces, quoted ones with a quote, operators as they are.
    fn shape(line: &str) -> String {
        let mut shape = String::new();
        for token in Tokens::new(line.as_bytes()) {
            match token.unwrap() {
                Token::Operator(operator) => shape += operator.as_str(),
                Token::Output { append } => shape += if append { ">>" } else { ">" },
                Token::Word(word) => {
                    shape += "[";
                    for part in word.parts() {
                        match part {
                            Part::Literal(bytes) => shape += core::str::from_utf8(bytes).unwrap(),
                            Part::Value { parameter: Parameter::Variable(name), quoted } => {
                                let name = core::str::from_utf8(name).unwrap();
                                shape += &format!("{{{}{name}}}", if *quoted { "\"" } else { "" });
                            }
                            Part::Value { parameter, .. } => shape += &format!("{{{parameter:?}}}"),
                        }
                    }
                    shape += "]";
                }
            }
        }
        shape
    }

    fn word(text: &str) -> Word {
        match Tokens::new(text.as_bytes()).next() {
            Some(Ok(Token::Word(word))) => word,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_separated_by_blanks_and_operators() {
        assert_eq!(shape("  ls  -l\t/x\r"), "[ls][-l][/x]");
        assert_eq!(shape("a;b&&c||d&e\nf"), "[a];[b]&&[c]||[d]&[e]new line[f]");
        assert_eq!(shape("a>b >>c> d>>>e"), "[a]>[b]>>[c]>[d]>>>[e]");
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
        assert_eq!(shape("a # b ; c\nd#e"), "[a]new line[d#e]");
        assert_eq!(shape("#"), "");
    }

    #[test]
    fn places_of_values_are_found() {
        assert_eq!(shape("$? $!$# \"$@\" $12"), "[{Status}][{LastJob}{Count}][{All}][{Argument(1)}2]");
        assert_eq!(shape("$a-$B_1 \"x${c}d\" '$e' \\$f"), "[{a}-{B_1}][x{\"c}d][$e][$f]");
    }

    #[test]
    fn keywords_names_and_assignments_are_plain() {
        assert_eq!(word("if").keyword(), Some(Keyword::If));
        for text in ["'if'", "\\if", "i'f'", "if$x", "iff", "''if"] {
            assert_eq!(word(text).keyword(), None, "{text}");
        }
        assert_eq!(
            (word("a_1").name(), word("1a").name(), word("a'b'").name()),
            (Some(&b"a_1"[..]), None, None)
        );
        let (name, value) = word("a=b'c'=$d").assignment().unwrap();
        assert_eq!((name.as_slice(), value.parts().len()), (&b"a"[..], 2));
        assert_eq!(value.parts()[0], Part::Literal(b"bc=".to_vec()));
        assert_eq!(word("a=").assignment().unwrap().1.parts(), [Part::Literal(Vec::new())]);
        for text in ["=a", "'a'=b", "a\\=b", "$a=b", "1=2", "a-b=c"] {
            assert_eq!(word(text).assignment(), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let error = |line: &str| Tokens::new(line.as_bytes()).find_map(Result::err).unwrap();
        assert_eq!(error("a | b"), SyntaxError::Unsupported(b'|'));
        assert_eq!(error("a < b"), SyntaxError::Unsupported(b'<'));
        assert_eq!(error("a$(b)"), SyntaxError::Unsupported(b'$'));
        assert_eq!(error("$"), SyntaxError::Unsupported(b'$'));
        for name in ["${", "${}", "${a", "${1}", "${a-b}", &format!("${}", "a".repeat(NAME_BYTES_MAX + 1))] {
            assert_eq!(error(name), SyntaxError::BadName, "{name}");
        }
        assert_eq!(error("'a"), SyntaxError::OpenQuote);
        assert_eq!(error("\"a\\\""), SyntaxError::OpenQuote);
        assert_eq!(error("\"a\\"), SyntaxError::OpenQuote);
        assert_eq!(error("a\\"), SyntaxError::OpenEscape);
    }
}
