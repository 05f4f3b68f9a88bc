//! Running commands: conditions, rounds, variables, and scripts in each other. Programs and the shell's other commands are
//! the [`World`]'s.
//!
//! What changes how commands run is done here: `exit`, `break`, `continue`, `shift`, `set`, `unset`, `sh` and `time`. A script that `sh`
//! runs has arguments, variables and a directory of its own, and `exit` ends it alone; it runs in the shell itself, so
//! that it costs no contract and no task. Ctrl-C ends everything that is running, up to the prompt.

mod special;

pub use special::SPECIAL;

use crate::syntax::{Command, Item, List, OutputTo};
use crate::variables::{ValueError, Variables};
use crate::words::Word;
use alloc::vec::Vec;
use core::fmt::Display;

/// Scripts in each other at most, the outermost included.
pub const SCRIPTS_MAX: usize = 8;

/// Status of a command that is used wrongly, or of lines that make no sense.
pub const USAGE: u8 = 2;
/// Status of a command that failed.
pub const FAILED: u8 = 1;
/// Status of what Ctrl-C ended: 128 and the number of the signal that Unix has for it.
pub const INTERRUPTED: u8 = 130;

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ran {
    /// It ended with this status, or could not be started, and that was said.
    Status(u8),
    /// It runs in the background under this number.
    Started(usize),
    /// Ctrl-C ended it.
    Interrupted,
    /// The machine is to be switched off with this status.
    Ended(u8),
}

/// What commands are run in.
pub trait World {
    /// A moment, to tell how long something took.
    type Moment;

    /// Runs a program or a command of the world's own; never without a name.
    fn run(&mut self, words: &[&[u8]], background: bool) -> Ran;
    /// Says what is wrong with something.
    fn complain(&mut self, subject: &[u8], what: &dyn Display);
    /// Writes what a command has to say.
    fn write(&mut self, bytes: &[u8]);
    /// The contents of a script; why not has been said, and the status for it.
    fn script(&mut self, name: &[u8]) -> Result<Vec<u8>, u8>;
    /// Has all output go to a file, until [`World::output_back`]; why not has been said, and the status for it.
    fn output_to(&mut self, name: &[u8], append: bool) -> Result<(), u8>;
    /// Ends the last such change. What was lost of the output has been said, and the status for it.
    fn output_back(&mut self) -> Result<(), u8>;
    /// The directory at which relative names start.
    fn directory(&self) -> Vec<u8>;
    /// Changes it to one that it was.
    fn set_directory(&mut self, directory: &[u8]);
    /// Whether there was a Ctrl-C since the last command.
    fn interrupted(&mut self) -> bool;
    /// The moment that it is.
    fn now(&mut self) -> Self::Moment;
    /// Says how long it is since then.
    fn tell_time(&mut self, since: Self::Moment);
}

/// Why commands do not go on after one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// `break`: the innermost rounds are over.
    Break,
    /// `continue`: this round is over.
    Continue,
    /// `exit`: the script is over, with this status.
    Exit(u8),
    /// Ctrl-C.
    Interrupted,
    /// The shell is to end with this status.
    Ended(u8),
}

/// Going on, or not.
type Flow = Result<(), Stop>;

/// Everything that is kept from line to line.
#[derive(Default)]
pub struct Interpreter {
    /// Of the innermost script.
    variables: Variables,
    /// Scripts in the outermost one.
    depth: usize,
    /// Rounds that `break` may leave.
    rounds: usize,
}

impl Interpreter {
    /// The last status.
    pub fn status(&self) -> u8 {
        self.variables.status
    }

    /// Sets the last status.
    pub fn set_status(&mut self, status: u8) {
        self.variables.status = status;
    }

    /// Runs commands. The status with which the shell is to end, if it is.
    pub fn run(&mut self, world: &mut impl World, commands: &List) -> Option<u8> {
        self.rounds = 0;
        match self.list(world, commands) {
            Err(Stop::Exit(status) | Stop::Ended(status)) => Some(status),
            Err(Stop::Interrupted) => {
                self.variables.status = INTERRUPTED;
                None
            }
            // There are no rounds to leave out here.
            Ok(()) | Err(Stop::Break | Stop::Continue) => None,
        }
    }

    fn list(&mut self, world: &mut impl World, list: &List) -> Flow {
        for item in list {
            if item.condition.holds(self.variables.status) {
                self.item(world, item)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, world: &mut impl World, item: &Item) -> Flow {
        match &item.command {
            Command::Simple { assignments, words, output } => {
                self.simple(world, assignments, words, output.as_ref(), item.background)?;
            }
            Command::If { branches, otherwise } => self.branches(world, branches, otherwise)?,
            Command::While { condition, until, body } => self.rounds_while(world, condition, *until, body)?,
            Command::For { name, words, body } => match self.variables.expand(words) {
                Ok(values) => self.rounds_for(world, name, values, body)?,
                Err(error) => self.refuse(world, b"for", &error),
            },
        }
        if item.negated {
            self.variables.status = u8::from(self.variables.status == 0);
        }
        Ok(())
    }

    fn refuse(&mut self, world: &mut impl World, subject: &[u8], error: &ValueError) {
        world.complain(subject, error);
        self.variables.status = USAGE;
    }

    fn branches(&mut self, world: &mut impl World, branches: &[(List, List)], otherwise: &List) -> Flow {
        for (condition, body) in branches {
            self.list(world, condition)?;
            if self.variables.status == 0 {
                return self.list(world, body);
            }
        }
        // Where nothing ran, nothing failed.
        self.variables.status = 0;
        self.list(world, otherwise)
    }

    fn rounds_while(&mut self, world: &mut impl World, condition: &List, until: bool, body: &List) -> Flow {
        let mut status = 0;
        loop {
            let judged = self.round(world, |one, world| one.list(world, condition))?;
            if !judged
                || (self.variables.status == 0) == until
                || !self.round(world, |one, world| one.list(world, body))?
            {
                self.variables.status = status;
                return Ok(());
            }
            status = self.variables.status;
        }
    }

    fn rounds_for(&mut self, world: &mut impl World, name: &[u8], values: Vec<Vec<u8>>, body: &List) -> Flow {
        self.variables.status = 0;
        for value in values {
            if let Err(error) = self.variables.set(name, value) {
                self.refuse(world, name, &error);
                return Ok(());
            }
            if !self.round(world, |one, world| one.list(world, body))? {
                break;
            }
        }
        Ok(())
    }

    /// Runs what belongs to a round: false if there are no more.
    fn round<W: World>(
        &mut self,
        world: &mut W,
        run: impl FnOnce(&mut Interpreter, &mut W) -> Flow,
    ) -> Result<bool, Stop> {
        // Rounds of nothing but the shell's own commands are ended here.
        if world.interrupted() {
            return Err(Stop::Interrupted);
        }
        self.rounds += 1;
        let flow = run(self, world);
        self.rounds -= 1;
        match flow {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn simple(
        &mut self,
        world: &mut impl World,
        assignments: &[(Vec<u8>, Word)],
        words: &[Word],
        output: Option<&OutputTo>,
        background: bool,
    ) -> Flow {
        let words = match self.variables.expand(words) {
            Ok(words) => words,
            Err(error) => {
                self.refuse(world, b"shell", &error);
                return Ok(());
            }
        };
        if !words.is_empty() && !assignments.is_empty() {
            // There is no environment that a program could find them in.
            world.complain(&words[0], &"variables are not passed to commands");
            self.variables.status = USAGE;
            return Ok(());
        }
        for (name, word) in assignments {
            if let Err(error) = self.variables.join(word).and_then(|value| self.variables.set(name, value)) {
                self.refuse(world, name, &error);
                return Ok(());
            }
            self.variables.status = 0;
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match output {
            None => self.words(world, &words, background),
            Some(output) => self.with_output(world, output, &words, background),
        }
    }

    fn with_output(
        &mut self,
        world: &mut impl World,
        output: &OutputTo,
        words: &[&[u8]],
        background: bool,
    ) -> Flow {
        let name = match self.variables.join(&output.name) {
            Ok(name) => name,
            Err(error) => {
                self.refuse(world, b"shell", &error);
                return Ok(());
            }
        };
        if let Err(status) = world.output_to(&name, output.append) {
            self.variables.status = status;
            return Ok(());
        }
        let flow = self.words(world, words, background);
        if let Err(status) = world.output_back() {
            self.variables.status = status;
        }
        flow
    }

    /// Runs a command whose words are known. Where nothing is left of them, nothing is done.
    fn words(&mut self, world: &mut impl World, words: &[&[u8]], background: bool) -> Flow {
        if words.is_empty() {
            return Ok(());
        }
        if let Some(flow) = self.special(world, words, background) {
            return flow;
        }
        match world.run(words, background) {
            Ran::Status(status) => self.variables.status = status,
            Ran::Started(number) => {
                (self.variables.status, self.variables.last_job) = (0, Some(number));
            }
            Ran::Interrupted => return Err(Stop::Interrupted),
            Ran::Ended(status) => return Err(Stop::Ended(status)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
