//! The shell's state, and running the commands of a line.

use crate::builtins;
use crate::jobs::{Jobs, Notice};
use crate::programs::{Launcher, Share};
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use core::time::Duration;
use hurd_glue_shell_core::editor::Editor;
use hurd_glue_shell_core::script::{Command, commands};
use kernel_runtime::console::{Console, Output};
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::files::Names;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, KernelError};

/// How long the last output may take.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Status of a line that makes no sense.
const SYNTAX: u8 = 2;

/// Everything that the shell knows.
pub struct Shell {
    console: Console,
    control: Option<Handle>,
    names: Names,
    out: Output,
    jobs: Jobs,
    launcher: Launcher,
    editor: Editor,
    status: u8,
    /// The shell ends with this status.
    ended: Option<u8>,
}

/// Why there is no shell.
pub enum StartError {
    /// A capability was not given.
    NotGiven(&'static str),
    /// physmem refused.
    Memory(MemoryCallError),
    /// The kernel refused.
    Kernel(KernelError),
}

impl From<MemoryCallError> for StartError {
    fn from(error: MemoryCallError) -> Self {
        StartError::Memory(error)
    }
}

impl From<KernelError> for StartError {
    fn from(error: KernelError) -> Self {
        StartError::Kernel(error)
    }
}

impl Display for StartError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::NotGiven(name) => write!(formatter, "no capability `{name}`"),
            StartError::Memory(error) => error.fmt(formatter),
            StartError::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
        }
    }
}

impl Shell {
    /// A shell with what init gave it.
    pub fn new(startup: &Startup<'static>) -> Result<Shell, StartError> {
        let console = startup.capability("console").ok_or(StartError::NotGiven("console"))?;
        let console = Console::new(console);
        Ok(Shell {
            console,
            control: startup.capability("control"),
            names: Names::from_startup(startup),
            out: Output::new(Some(console)),
            jobs: Jobs::new(console)?,
            launcher: Launcher::new(startup),
            editor: Editor::default(),
            status: 0,
            ended: None,
        })
    }

    /// The console.
    pub fn console(&self) -> Console {
        self.console
    }

    /// Where names lead.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The same, to change the directory.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Authority over contracts.
    pub fn control(&self) -> Option<Handle> {
        self.control
    }

    /// Where the shell itself writes.
    pub fn out(&mut self) -> &mut Output {
        &mut self.out
    }

    /// The line editor.
    pub fn editor(&mut self) -> &mut Editor {
        &mut self.editor
    }

    /// Lines entered so far, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &[u8]> {
        self.editor.history().iter()
    }

    /// The last status.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Ends the shell after the current command.
    pub fn end(&mut self, status: u8) {
        self.ended = Some(status);
    }

    /// Whether the shell has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Sees the last output off. The status for init.
    pub fn finish(&mut self) -> i32 {
        self.out.flush();
        // Whoever has stopped looking at the output must not keep the machine from ending.
        let _ = self.console.drain(Deadline::after(DRAIN_TIME));
        i32::from(self.ended.unwrap_or(self.status))
    }

    /// Background programs that ended since the last time, as lines for the person.
    pub fn report_jobs(&mut self) {
        for ended in self.jobs.take_ended() {
            let _ = writeln!(self.out, "[{}] {}: {}", ended.number, ended.name, ended.status);
        }
    }

    /// Ctrl-C is input again.
    pub fn take_keyboard(&mut self) {
        self.jobs.disarm();
    }

    /// Says what is wrong with something; the status for it.
    pub fn complain(&mut self, subject: &[u8], error: impl Display, status: u8) -> u8 {
        self.out.write(subject);
        let _ = writeln!(self.out, ": {error}");
        status
    }

    /// Runs the commands of one or several lines.
    pub fn run_lines(&mut self, lines: &[u8]) {
        let commands = match commands(lines) {
            Ok(commands) => commands,
            Err(error) => {
                self.status = self.complain(b"shell", error, SYNTAX);
                self.out.flush();
                return;
            }
        };
        for command in commands {
            if command.condition.holds(self.status) {
                self.status = self.run_command(&command);
                self.out.flush();
            }
            if self.has_ended() {
                return;
            }
        }
    }

    fn run_command(&mut self, command: &Command) -> u8 {
        let words: Vec<Vec<u8>> = command.words.iter().map(|word| word.expand(self.status)).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.run_words(&words, command.background)
    }

    /// Runs a builtin or a program.
    pub fn run_words(&mut self, words: &[&[u8]], background: bool) -> u8 {
        self.run_with(words, background, Share::Usual)
    }

    /// The same, the program under such a share of the shell's memory.
    pub fn run_with(&mut self, words: &[&[u8]], background: bool, share: Share) -> u8 {
        let Some((name, arguments)) = words.split_first() else {
            return 0;
        };
        if let Some(builtin) = builtins::find(name) {
            return (builtin.run)(self, arguments);
        }
        // What the shell has written comes before what the program writes.
        self.out.flush();
        let program = match self.launcher.find(&self.names, name) {
            Ok(program) => program,
            Err(error) => return self.complain(name, &error, error.status()),
        };
        let launch =
            |notice: Notice<'_>| self.launcher.start(&self.names, &program, arguments, share, notice);
        if background {
            return match self.jobs.start_background(name, launch) {
                Ok(number) => {
                    let _ = writeln!(self.out, "[{number}] started");
                    0
                }
                Err(error) => self.complain(name, &error, error.status()),
            };
        }
        match self.jobs.run_foreground(launch) {
            Ok(end) => {
                if end.interrupted {
                    self.out.write(b"^C\n");
                }
                if let Some(words) = end.in_words() {
                    self.complain(name, words, 0);
                }
                end.status.code()
            }
            Err(error) => self.complain(name, &error, error.status()),
        }
    }
}
