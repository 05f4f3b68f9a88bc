//! Commands that change how commands run.

use super::{FAILED, Flow, Interpreter, SCRIPTS_MAX, Stop, USAGE, World};
use crate::syntax::commands;
use crate::variables::Variables;
use crate::words::is_name;
use alloc::vec::Vec;

/// Highest status that a script can end with; higher ones are the shell's own.
const STATUS_MAX: u8 = 99;

/// Names, how they are used, and what they do, for `help`.
pub const SPECIAL: &[(&str, &str, &str)] = &[
    ("sh", "sh FILE [WORD]...", "runs a script; it has $0, $1, $# and $@"),
    ("exit", "exit [STATUS]", "ends the script, or the shell and the machine"),
    ("set", "set", "lists variables; NAME=value sets one"),
    ("unset", "unset NAME...", "forgets variables"),
    ("shift", "shift", "drops the script's first argument"),
    ("break", "break", "leaves the rounds of `while`, `until` or `for`"),
    ("continue", "continue", "goes on with the next round"),
    ("time", "time COMMAND", "says how long a command takes"),
];

impl Interpreter {
    /// Runs one of these commands; none, if it is not one.
    pub(super) fn special(
        &mut self,
        world: &mut impl World,
        words: &[&[u8]],
        background: bool,
    ) -> Option<Flow> {
        let (name, arguments) = words.split_first()?;
        let usage = SPECIAL.iter().find(|(special, ..)| special.as_bytes() == *name)?.1;
        if background {
            world.complain(name, &"runs in the shell itself, not in the background");
            self.variables.status = USAGE;
            return Some(Ok(()));
        }
        let status = match (*name, arguments) {
            (b"sh", [file, ..]) => return Some(self.script(world, file, arguments)),
            (b"exit", []) => return Some(Err(Stop::Exit(self.variables.status))),
            (b"exit", [text]) => {
                match core::str::from_utf8(text).ok().and_then(|text| text.parse::<u8>().ok()) {
                    Some(status) => return Some(Err(Stop::Exit(status.min(STATUS_MAX)))),
                    None => None,
                }
            }
            (b"break", []) if self.rounds > 0 => return Some(Err(Stop::Break)),
            (b"continue", []) if self.rounds > 0 => return Some(Err(Stop::Continue)),
            (b"time", [_, ..]) => {
                let start = world.now();
                let flow = self.words(world, arguments, false);
                world.tell_time(start);
                return Some(flow);
            }
            (b"shift", []) => Some(if self.variables.shift() { 0 } else { FAILED }),
            (b"set", []) => {
                for (name, value) in self.variables.iter() {
                    world.write(&[name, b"=", value, b"\n"].concat());
                }
                Some(0)
            }
            (b"unset", names) if names.iter().all(|name| is_name(name)) => {
                names.iter().for_each(|name| self.variables.unset(name));
                Some(0)
            }
            (b"break" | b"continue", []) => {
                world.complain(name, &"there are no rounds here");
                Some(FAILED)
            }
            _ => None,
        };
        self.variables.status = status.unwrap_or_else(|| {
            world.complain(b"usage", &usage);
            USAGE
        });
        Some(Ok(()))
    }

    /// Runs a script to its end.
    fn script(&mut self, world: &mut impl World, file: &[u8], arguments: &[&[u8]]) -> Flow {
        // Scripts of nothing but scripts are ended here.
        if world.interrupted() {
            return Err(Stop::Interrupted);
        }
        let status = if self.depth + 1 == SCRIPTS_MAX {
            world.complain(file, &"too many scripts in each other");
            Err(FAILED)
        } else {
            world.script(file).and_then(|lines| {
                commands(&lines).map_err(|error| {
                    world.complain(file, &error);
                    USAGE
                })
            })
        };
        let commands = match status {
            Ok(commands) => commands,
            Err(status) => {
                self.variables.status = status;
                return Ok(());
            }
        };
        let arguments = arguments.iter().map(|argument| argument.to_vec()).collect::<Vec<_>>();
        let outer = (core::mem::replace(&mut self.variables, Variables::new(arguments)), self.rounds);
        let directory = world.directory();
        (self.depth, self.rounds) = (self.depth + 1, 0);
        let flow = self.list(world, &commands);
        let status = match flow {
            Err(Stop::Exit(status)) => status,
            _ => self.variables.status,
        };
        self.depth -= 1;
        let last_job = self.variables.last_job;
        (self.variables, self.rounds) = outer;
        self.variables.status = status;
        // Jobs are the shell's, whoever started them.
        self.variables.last_job = last_job.or(self.variables.last_job);
        world.set_directory(&directory);
        match flow {
            Err(stop @ (Stop::Interrupted | Stop::Ended(_))) => Err(stop),
            _ => Ok(()),
        }
    }
}
