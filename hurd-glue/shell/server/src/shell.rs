//! The shell's state, and its side of running commands: programs, builtins, scripts.

use crate::builtins;
use crate::builtins::{Action, BACKGROUND};
use crate::jobs::{Jobs, Notice};
use crate::outputs::Outputs;
use crate::programs::{LaunchError, Launcher, NOT_RUNNABLE, Share};
use crate::scripts;
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use core::time::Duration;
use hurd_glue_shell_core::editor::Editor;
use hurd_glue_shell_core::run::{FAILED, Interpreter, Ran, USAGE, World};
use hurd_glue_shell_core::syntax::commands;
use kernel_runtime::console::Console;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::files::Names;
use kernel_runtime::output::Output;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, KernelError, clock};

/// How long the last output may take.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Everything that the shell knows.
pub struct Shell {
    console: Console,
    control: Option<Handle>,
    names: Names,
    out: Output,
    /// Where output goes instead of the console; the last one is in force.
    outputs: Outputs,
    jobs: Jobs,
    launcher: Launcher,
    editor: Editor,
    /// What is kept from line to line; it is elsewhere while lines run.
    interpreter: Interpreter,
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
            outputs: Outputs::new(console),
            jobs: Jobs::new(console)?,
            launcher: Launcher::new(startup),
            editor: Editor::default(),
            interpreter: Interpreter::default(),
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
        self.interpreter.status()
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
        i32::from(self.ended.unwrap_or(self.status()))
    }

    /// Background programs that ended since the last time, as lines for the person.
    pub fn report_jobs(&mut self) {
        for ended in self.jobs.take_ended() {
            let _ = writeln!(self.out, "[{}] {}: {}", ended.number, ended.name, ended.status);
        }
    }

    /// Programs in the background.
    pub fn jobs(&mut self) -> &mut Jobs {
        &mut self.jobs
    }

    /// Ctrl-C is input again.
    pub fn take_keyboard(&mut self) {
        self.jobs.disarm();
    }

    /// Says what is wrong with something, on the console; the status for it.
    pub fn complain(&mut self, subject: &[u8], error: impl Display, status: u8) -> u8 {
        self.tell(subject, format_args!(": {error}"));
        status
    }

    /// Says something on the console, wherever output goes.
    fn tell(&mut self, subject: &[u8], what: core::fmt::Arguments<'_>) {
        let mut console = self.outputs.file().map(|_| Output::new(Some(self.console)));
        let out = console.as_mut().unwrap_or(&mut self.out);
        out.write(subject);
        let _ = writeln!(out, "{what}");
    }

    /// Runs the commands of one or several lines.
    pub fn run_lines(&mut self, lines: &[u8]) {
        match commands(lines) {
            Ok(commands) => {
                let mut interpreter = core::mem::take(&mut self.interpreter);
                self.ended = interpreter.run(self, &commands);
                self.interpreter = interpreter;
            }
            Err(error) => {
                let status = self.complain(b"shell", error, USAGE);
                self.interpreter.set_status(status);
            }
        }
        self.out.flush();
    }

    /// Runs a builtin or a program, which is under such a share of the shell's memory.
    pub fn run_with(&mut self, words: &[&[u8]], background: bool, share: Share) -> Ran {
        let Some((name, arguments)) = words.split_first() else {
            return Ran::Status(0);
        };
        match builtins::find(name) {
            Some(_) if background => Ran::Status(self.complain(name, BACKGROUND, USAGE)),
            Some(Action::Status(run)) => Ran::Status(run(self, arguments)),
            Some(Action::Ran(run)) => run(self, arguments),
            None => self
                .run_program(name, arguments, background, share)
                .unwrap_or_else(|error| Ran::Status(self.complain(name, &error, error.status()))),
        }
    }

    fn run_program(
        &mut self,
        name: &[u8],
        arguments: &[&[u8]],
        background: bool,
        share: Share,
    ) -> Result<Ran, LaunchError> {
        // What the shell has written comes before what the program writes.
        self.out.flush();
        let program = self.launcher.find(&self.names, name)?;
        let output = self.outputs.file();
        let launch =
            |notice: Notice<'_>| self.launcher.start(&self.names, &program, arguments, output, share, notice);
        if background {
            let number = self.jobs.start_background(name, launch)?;
            self.tell(b"", format_args!("[{number}] started"));
            return Ok(Ran::Started(number));
        }
        let end = self.jobs.run_foreground(launch)?;
        if end.interrupted {
            self.out.write(b"^C\n");
        }
        if let Some(words) = end.in_words() {
            self.complain(name, words, 0);
        }
        Ok(if end.interrupted { Ran::Interrupted } else { Ran::Status(end.status.code()) })
    }
}

impl World for Shell {
    /// Nanoseconds and ticks.
    type Moment = (u64, u64);

    fn run(&mut self, words: &[&[u8]], background: bool) -> Ran {
        self.run_with(words, background, Share::Usual)
    }

    fn complain(&mut self, subject: &[u8], what: &dyn Display) {
        Shell::complain(self, subject, what, 0);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.out.write(bytes);
    }

    fn script(&mut self, name: &[u8]) -> Result<Vec<u8>, u8> {
        scripts::read(&self.names, name, scripts::SCRIPT_BYTES_MAX)
            .map_err(|error| Shell::complain(self, name, error, NOT_RUNNABLE))
    }

    fn output_to(&mut self, name: &[u8], append: bool) -> Result<(), u8> {
        self.out.flush();
        match self.outputs.open(&self.names, name, append) {
            Ok(()) => {
                self.out = self.outputs.output();
                Ok(())
            }
            Err(error) => Err(Shell::complain(self, name, error, FAILED)),
        }
    }

    fn output_back(&mut self) -> Result<(), u8> {
        self.out.flush();
        let error = self.out.error();
        // Nothing of the old one is sent after its node is gone.
        self.outputs.close();
        self.out = self.outputs.output();
        error.map_or(Ok(()), |error| Err(Shell::complain(self, b"output", error, FAILED)))
    }

    fn directory(&self) -> Vec<u8> {
        self.names.directory().to_vec()
    }

    fn set_directory(&mut self, directory: &[u8]) {
        self.names.set_directory(directory);
    }

    fn interrupted(&mut self) -> bool {
        let was = self.jobs.take_interrupt();
        if was {
            self.out.write(b"^C\n");
        }
        was
    }

    fn now(&mut self) -> (u64, u64) {
        (clock::now(), clock::ticks())
    }

    fn tell_time(&mut self, (start, start_ticks): (u64, u64)) {
        let (nanoseconds, ticks) = (clock::now() - start, clock::ticks() - start_ticks);
        let milliseconds = nanoseconds / 1_000_000;
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let _ = writeln!(self.out, "real {seconds}.{rest:03} s, {ticks} ticks");
    }
}
