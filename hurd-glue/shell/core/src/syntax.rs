//! Words and operators as commands.
//!
//! ```text
//! list    = { item ( `;` | `&` | new line ) }
//! item    = [ `!` ] command, joined to the one before by `&&` or `||`
//! command = { NAME=word } { word } [ ( `>` | `>>` ) word ], the output's place among the words
//!         | if list then list { elif list then list } [ else list ] fi
//!         | ( while | until ) list do list done
//!         | for NAME in { word } ( `;` | new line ) do list done
//! ```
//! `&&` and `||` bind alike, from left to right, as in every Unix shell. A compound command is one line or several.
//! Nothing is run before all of it makes sense.

use crate::words::{Keyword, Operator, SyntaxError, Token, Tokens, Word};
use alloc::vec::Vec;
use core::iter::Peekable;

/// Compound commands in each other at most.
pub const NESTING_MAX: usize = 16;

/// Words and operators of one script at most: bounds the memory that its commands take.
pub const TOKENS_MAX: usize = 8192;

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

/// Commands that run one after the other.
pub type List = Vec<Item>;

/// A command and when it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// When it runs.
    pub condition: Condition,
    /// Its status is 0 if it fails, and 1 if it does not.
    pub negated: bool,
    /// What it does.
    pub command: Command,
    /// The shell does not wait for it. Only of a [`Command::Simple`] that is neither negated nor joined to another one.
    pub background: bool,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Assignments, or a name with arguments, or both: never neither.
    Simple {
        /// Names and values.
        assignments: Vec<(Vec<u8>, Word)>,
        /// The command's name and arguments.
        words: Vec<Word>,
        /// Where its output goes, if not where the shell's goes. There is a name then.
        output: Option<OutputTo>,
    },
    /// `if`: the first list whose condition holds.
    If {
        /// Conditions and what they are for.
        branches: Vec<(List, List)>,
        /// Where none holds; may be empty.
        otherwise: List,
    },
    /// `while`, or `until`.
    While {
        /// Its status is asked before each round.
        condition: List,
        /// It goes on as long as the condition fails.
        until: bool,
        /// A round.
        body: List,
    },
    /// `for`: a round for each word.
    For {
        /// The variable that holds it.
        name: Vec<u8>,
        /// The words.
        words: Vec<Word>,
        /// A round.
        body: List,
    },
}

/// Where a command's output goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputTo {
    /// The file.
    pub name: Word,
    /// After what is there, and not in place of it.
    pub append: bool,
}

/// The commands of a line, or of several.
pub fn commands(lines: &[u8]) -> Result<List, SyntaxError> {
    let mut parser = Parser { tokens: Tokens::new(lines).peekable(), left: TOKENS_MAX, depth: 0 };
    let list = parser.list()?;
    // A list ends at the end of the input or before a keyword that ends something: here, nothing that began.
    match parser.peek_keyword()? {
        Some(keyword) => Err(SyntaxError::Unexpected(keyword)),
        None => Ok(list),
    }
}

struct Parser<'a> {
    tokens: Peekable<Tokens<'a>>,
    /// Tokens that may still come.
    left: usize,
    /// Compound commands that are open.
    depth: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Result<Option<&Token>, SyntaxError> {
        self.tokens.peek().map(|token| token.as_ref().map_err(|&error| error)).transpose()
    }

    fn peek_keyword(&mut self) -> Result<Option<Keyword>, SyntaxError> {
        Ok(match self.peek()? {
            Some(Token::Word(word)) => word.keyword(),
            _ => None,
        })
    }

    fn peek_operator(&mut self) -> Result<Option<Operator>, SyntaxError> {
        Ok(match self.peek()? {
            Some(&Token::Operator(operator)) => Some(operator),
            _ => None,
        })
    }

    fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.left = self.left.checked_sub(1).ok_or(SyntaxError::TooLong)?;
        self.tokens.next().transpose()
    }

    /// Items up to the end or to a keyword that ends the list.
    fn list(&mut self) -> Result<List, SyntaxError> {
        let mut items = List::new();
        let (mut condition, mut open) = (Condition::Always, None);
        // An operator stands after a command, once.
        let mut is_after_command = false;
        loop {
            if let Some(operator) = self.peek_operator()? {
                match operator {
                    Operator::NewLine => {}
                    Operator::Then if open.is_none() => {}
                    _ if !is_after_command => {
                        return Err(SyntaxError::MissingCommand(open.unwrap_or(operator)));
                    }
                    Operator::Background => Self::mark_background(&mut items)?,
                    _ => {}
                }
                self.next()?;
                match operator {
                    Operator::And => (condition, open) = (Condition::Success, Some(operator)),
                    Operator::Or => (condition, open) = (Condition::Failure, Some(operator)),
                    Operator::NewLine if open.is_some() => {}
                    _ => condition = Condition::Always,
                }
                is_after_command = false;
                continue;
            }
            let is_over = match self.peek_keyword()? {
                Some(Keyword::If | Keyword::While | Keyword::Until | Keyword::For | Keyword::Not) => false,
                Some(Keyword::In) => false,
                Some(_) => true,
                None => self.peek()?.is_none(),
            };
            if is_over {
                return open.map_or(Ok(items), |operator| Err(SyntaxError::MissingCommand(operator)));
            }
            if is_after_command {
                return Err(SyntaxError::MissingOperator);
            }
            items.push(self.item(condition)?);
            (open, is_after_command) = (None, true);
        }
    }

    fn mark_background(items: &mut List) -> Result<(), SyntaxError> {
        match items.last_mut() {
            Some(Item {
                condition: Condition::Always,
                negated: false,
                command: Command::Simple { words, .. },
                background,
            }) if !words.is_empty() => {
                *background = true;
                Ok(())
            }
            _ => Err(SyntaxError::Background),
        }
    }

    fn item(&mut self, condition: Condition) -> Result<Item, SyntaxError> {
        let mut negated = false;
        while self.peek_keyword()? == Some(Keyword::Not) {
            self.next()?;
            negated = !negated;
            if !matches!(self.peek()?, Some(Token::Word(_))) {
                return Err(SyntaxError::MissingAfter(Keyword::Not));
            }
        }
        let command = match self.peek_keyword()? {
            Some(keyword @ (Keyword::If | Keyword::While | Keyword::Until | Keyword::For)) => {
                self.depth += 1;
                if self.depth > NESTING_MAX {
                    return Err(SyntaxError::TooDeep);
                }
                self.next()?;
                let command = match keyword {
                    Keyword::If => self.branches()?,
                    Keyword::For => self.for_each()?,
                    _ => self.rounds(keyword)?,
                };
                self.depth -= 1;
                command
            }
            None | Some(Keyword::In) => self.simple()?,
            Some(keyword) => return Err(SyntaxError::Unexpected(keyword)),
        };
        Ok(Item { condition, negated, command, background: false })
    }

    fn simple(&mut self) -> Result<Command, SyntaxError> {
        let (mut assignments, mut words, mut output) = (Vec::new(), Vec::new(), None);
        while matches!(self.peek()?, Some(Token::Word(_) | Token::Output { .. })) {
            match self.next()? {
                Some(Token::Output { append }) => {
                    let Some(Token::Word(name)) = self.next()? else { return Err(SyntaxError::Redirection) };
                    if output.replace(OutputTo { name, append }).is_some() {
                        return Err(SyntaxError::Redirection);
                    }
                }
                Some(Token::Word(word)) => match word.assignment() {
                    Some(assignment) if words.is_empty() => assignments.push(assignment),
                    _ => words.push(word),
                },
                _ => {}
            }
        }
        if words.is_empty() && output.is_some() {
            return Err(SyntaxError::Redirection);
        }
        Ok(Command::Simple { assignments, words, output })
    }

    /// A list that is not empty, and the keyword after it, which is one of these.
    fn part(&mut self, of: Keyword, ends: &[Keyword]) -> Result<(List, Keyword), SyntaxError> {
        let list = self.list()?;
        let keyword = self.peek_keyword()?.ok_or(SyntaxError::Open(of))?;
        if !ends.contains(&keyword) {
            return Err(SyntaxError::Unexpected(keyword));
        }
        if list.is_empty() {
            return Err(SyntaxError::EmptyPart(keyword));
        }
        self.next()?;
        Ok((list, keyword))
    }

    fn branches(&mut self) -> Result<Command, SyntaxError> {
        let mut branches = Vec::new();
        loop {
            let (condition, _) = self.part(Keyword::If, &[Keyword::Then])?;
            let (body, end) = self.part(Keyword::If, &[Keyword::Elif, Keyword::Else, Keyword::Fi])?;
            branches.push((condition, body));
            let otherwise = match end {
                Keyword::Elif => continue,
                Keyword::Else => self.part(Keyword::If, &[Keyword::Fi])?.0,
                _ => List::new(),
            };
            return Ok(Command::If { branches, otherwise });
        }
    }

    fn rounds(&mut self, keyword: Keyword) -> Result<Command, SyntaxError> {
        let (condition, _) = self.part(keyword, &[Keyword::Do])?;
        let (body, _) = self.part(keyword, &[Keyword::Done])?;
        Ok(Command::While { condition, until: keyword == Keyword::Until, body })
    }

    fn for_each(&mut self) -> Result<Command, SyntaxError> {
        let name = match self.next()? {
            Some(Token::Word(word)) => word.name().ok_or(SyntaxError::BadName)?.to_vec(),
            _ => return Err(SyntaxError::BadName),
        };
        if self.peek_keyword()? != Some(Keyword::In) {
            return Err(SyntaxError::Open(Keyword::For));
        }
        self.next()?;
        let mut words = Vec::new();
        while matches!(self.peek()?, Some(Token::Word(_))) {
            if let Some(Token::Word(word)) = self.next()? {
                words.push(word);
            }
        }
        while matches!(self.peek_operator()?, Some(Operator::Then | Operator::NewLine)) {
            self.next()?;
        }
        match self.peek_keyword()? {
            Some(Keyword::Do) => self.next()?,
            Some(keyword) => return Err(SyntaxError::Unexpected(keyword)),
            None => return Err(SyntaxError::Open(Keyword::For)),
        };
        let (body, _) = self.part(Keyword::For, &[Keyword::Done])?;
        Ok(Command::For { name, words, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(lines: &str) -> SyntaxError {
        commands(lines.as_bytes()).unwrap_err()
    }

    #[test]
    fn missing_commands_are_named_by_their_operator() {
        assert_eq!(error("&& a"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(error("a ||"), SyntaxError::MissingCommand(Operator::Or));
        assert_eq!(error("a && ; b"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(error("a && || b"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(error("a & && b"), SyntaxError::MissingCommand(Operator::And));
        assert_eq!(error("&"), SyntaxError::MissingCommand(Operator::Background));
        assert_eq!(error("!"), SyntaxError::MissingAfter(Keyword::Not));
        assert_eq!(error("! ; a"), SyntaxError::MissingAfter(Keyword::Not));
    }

    #[test]
    fn empty_commands_are_harmless_where_nothing_is_missing() {
        for lines in ["", " ;; # nothing\n\n", "\n"] {
            assert_eq!(commands(lines.as_bytes()), Ok(List::new()));
        }
        assert_eq!(commands(b"a;;b;").unwrap().len(), 2);
        assert_eq!(commands(b"a &&\n\n b").unwrap()[1].condition, Condition::Success);
    }

    #[test]
    fn compound_commands_that_make_no_sense_are_refused() {
        assert_eq!(error("if a; then b"), SyntaxError::Open(Keyword::If));
        assert_eq!(error("if a; b; fi"), SyntaxError::Unexpected(Keyword::Fi));
        assert_eq!(error("if ; then b; fi"), SyntaxError::EmptyPart(Keyword::Then));
        assert_eq!(error("if a; then b; else; fi"), SyntaxError::EmptyPart(Keyword::Fi));
        assert_eq!(error("while a; do done"), SyntaxError::EmptyPart(Keyword::Done));
        assert_eq!(error("a; fi"), SyntaxError::Unexpected(Keyword::Fi));
        assert_eq!(error("for 1 in a; do b; done"), SyntaxError::BadName);
        assert_eq!(error("for x do b; done"), SyntaxError::Open(Keyword::For));
        assert_eq!(error("for x in a; b; done"), SyntaxError::Open(Keyword::For));
        assert_eq!(error("for"), SyntaxError::BadName);
        assert_eq!(error("if a; then b; fi c"), SyntaxError::MissingOperator);
        assert_eq!(error("a && then"), SyntaxError::MissingCommand(Operator::And));
    }

    #[test]
    fn only_single_commands_run_in_the_background() {
        assert!(commands(b"a & b &").unwrap().iter().all(|item| item.background));
        for lines in ["a && b &", "! a &", "if a; then b; fi &", "x=1 &"] {
            assert_eq!(error(lines), SyntaxError::Background, "{lines}");
        }
    }

    #[test]
    fn output_goes_to_one_place() {
        let lines = ["a > b c", "a b >>c", "a b2>c"];
        for (lines, appends) in lines.into_iter().zip([false, true, false]) {
            let Command::Simple { words, output: Some(output), .. } =
                commands(lines.as_bytes()).unwrap().remove(0).command
            else {
                panic!("{lines}");
            };
            assert_eq!((output.append, words.len()), (appends, 2));
        }
        for lines in ["a >", "a > ; b", "a > b > c", "> a", "x=1 > a", "a 2> b", "2>b", "a >> > b"] {
            assert_eq!(error(lines), SyntaxError::Redirection, "{lines}");
        }
        assert_eq!(error("if a; then b; fi > c"), SyntaxError::MissingOperator);
    }

    #[test]
    fn the_limits_are_reached() {
        let nested = |depth: usize| "if a; then ".repeat(depth) + "b" + &"; fi".repeat(depth);
        assert!(commands(nested(NESTING_MAX).as_bytes()).is_ok());
        assert_eq!(error(&nested(NESTING_MAX + 1)), SyntaxError::TooDeep);
        let beside = "if a; then b; fi\n".repeat(2 * NESTING_MAX);
        assert!(commands(beside.as_bytes()).is_ok(), "those that have ended do not count");
        assert!(commands("a ".repeat(TOKENS_MAX).as_bytes()).is_ok());
        assert_eq!(error(&"a ".repeat(TOKENS_MAX + 1)), SyntaxError::TooLong);
    }

    /// What holds of every list that comes out.
    fn check(list: &List, depth: usize) {
        assert!(depth <= NESTING_MAX);
        for item in list {
            match &item.command {
                Command::Simple { assignments, words, output } => {
                    assert!(!assignments.is_empty() || !words.is_empty());
                    assert!(output.is_none() || !words.is_empty());
                }
                Command::If { branches, otherwise } => {
                    assert!(!branches.is_empty());
                    for (condition, body) in branches {
                        assert!(!condition.is_empty() && !body.is_empty());
                        check(condition, depth + 1);
                        check(body, depth + 1);
                    }
                    check(otherwise, depth + 1);
                }
                Command::While { condition, body, .. } => {
                    check(condition, depth + 1);
                    check(body, depth + 1);
                }
                Command::For { body, .. } => check(body, depth + 1),
            }
            assert!(!item.background || matches!(item.command, Command::Simple { .. }));
        }
    }

    #[test]
    fn any_bytes_are_commands_or_an_error() {
        const PIECES: [&[u8]; 25] = [
            b" > ",
            b"a",
            b";",
            b"&",
            b"|",
            b"'",
            b"\"",
            b"\\",
            b"#",
            b"$",
            b"?",
            b" ",
            b"\n",
            b"\xff",
            b"x=",
            b"{",
            b"}",
            b" if ",
            b" then ",
            b" fi ",
            b" while ",
            b" do ",
            b" done ",
            b" for x in ",
            b" ! ",
        ];
        let (mut random, mut good) = (3_u32, 0);
        let mut below = |limit: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % limit
        };
        for _ in 0..100_000 {
            let lines: Vec<u8> = (0..below(14)).flat_map(|_| PIECES[below(25) as usize]).copied().collect();
            if let Ok(list) = commands(&lines) {
                check(&list, 0);
                good += 1;
            }
        }
        assert!(good > 5_000, "{good}");
    }
}
