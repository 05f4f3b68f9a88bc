//! Words and operators as commands with the conditions under which they run.

use crate::words::{Operator, SyntaxError, Token, Word, tokens};
use alloc::vec::Vec;

/// When a command runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Always.
    Always,
    /// If the last status is 0.
    Success,
    /// If the last status is not 0.
    Failure,
}

impl Condition {
    /// Whether it holds after a status.
    pub const fn holds(self, status: u8) -> bool {
        match self {
            Condition::Always => true,
            Condition::Success => status == 0,
            Condition::Failure => status != 0,
        }
    }
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// When it runs.
    pub condition: Condition,
    /// Its name and arguments; never empty.
    pub words: Vec<Word>,
    /// The shell does not wait for it.
    pub background: bool,
}

/// The commands of a line, or of several.
pub fn commands(line: &[u8]) -> Result<Vec<Command>, SyntaxError> {
    let mut commands = Vec::new();
    let mut condition = Condition::Always;
    let mut words = Vec::new();
    let mut open = None;
    for token in tokens(line)? {
        let operator = match token {
            Token::Word(word) => {
                words.push(word);
                continue;
            }
            Token::Operator(operator) => operator,
        };
        if !words.is_empty() {
            let background = operator == Operator::Background;
            commands.push(Command { condition, words: core::mem::take(&mut words), background });
        } else if operator != Operator::Then || open.is_some() {
            // Empty lines and stray semicolons are harmless, unless a command must follow.
            return Err(SyntaxError::MissingCommand(open.unwrap_or(operator)));
        }
        (condition, open) = match operator {
            Operator::And => (Condition::Success, Some(operator)),
            Operator::Or => (Condition::Failure, Some(operator)),
            Operator::Then | Operator::Background => (Condition::Always, None),
        };
    }
    match (words.is_empty(), open) {
        (false, _) => commands.push(Command { condition, words, background: false }),
        (true, Some(operator)) => return Err(SyntaxError::MissingCommand(operator)),
        (true, None) => {}
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// Runs a line of `true`, `false` and other names; the names that ran, and the last status.
    fn run(line: &str) -> (String, u8) {
        let (mut ran, mut status) = (String::new(), 0);
        for command in commands(line.as_bytes()).unwrap() {
            if !command.condition.holds(status) {
                continue;
            }
            let name = String::from_utf8(command.words[0].expand(status)).unwrap();
            status = u8::from(name == "false");
            ran += &name;
            ran.push(if command.background { '&' } else { ' ' });
        }
        (ran, status)
    }

    #[test]
    fn conditions_follow_the_last_status() {
        assert_eq!(run("true && a || b"), ("true a ".into(), 0));
        assert_eq!(run("false && a || b"), ("false b ".into(), 0));
        assert_eq!(run("false && a ; b"), ("false b ".into(), 0));
        assert_eq!(run("true || a && false"), ("true false ".into(), 1));
        assert_eq!(run("a & b"), ("a&b ".into(), 0));
    }

    #[test]
    fn empty_commands_are_harmless_where_nothing_is_missing() {
        assert_eq!(commands(b""), Ok(Vec::new()));
        assert_eq!(commands(b" ;; # nothing\n\n"), Ok(Vec::new()));
        assert_eq!(run("a;;b;"), ("a b ".into(), 0));
    }

    #[test]
    fn missing_commands_are_named_by_their_operator() {
        let missing = |line: &[u8]| commands(line).unwrap_err();
        assert_eq!(missing(b"&& a"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(missing(b"a ||"), SyntaxError::MissingCommand(Operator::Or));
        assert_eq!(missing(b"a && ; b"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(missing(b"a && || b"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(missing(b"&"), SyntaxError::MissingCommand(Operator::Background));
    }

    #[test]
    fn any_bytes_are_commands_or_an_error() {
        let mut random = 3_u32;
        for _ in 0..20_000 {
            let line: Vec<u8> = (0..random % 12)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"a;&|'\"\\#$? \n\xff"[(random >> 16) as usize % 13]
                })
                .collect();
            random = random.wrapping_add(1).wrapping_mul(1_664_525);
            if let Ok(commands) = commands(&line) {
                assert!(commands.iter().all(|command| !command.words.is_empty()), "{line:?}");
            }
        }
    }
}
