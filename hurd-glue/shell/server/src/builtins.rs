//! Commands that the shell itself runs, because they change it or tell of it. Those that change how commands run are in
//! [`hurd_glue_shell_core::run`].

use crate::job_control::{fg, jobs, wait};
use crate::programs::Share;
use crate::shell::Shell;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::control::ContractKill;
use core::fmt::Write;
use filesystems_api::file::{FileError, NodeKind};
use hurd_glue_shell_core::conditions::{self, Found};
pub use hurd_glue_shell_core::run::{FAILED, USAGE};
use hurd_glue_shell_core::run::{Ran, SPECIAL};
use kernel_runtime::Deadline;
use kernel_runtime::files::path;
use kernel_runtime::ipc::{CallError, call};

/// Why a builtin does not run in the background.
pub const BACKGROUND: &str = "runs in the shell itself, not in the background";

/// What a builtin does with its arguments.
#[derive(Clone, Copy)]
pub enum Action {
    /// It gives a status.
    Status(fn(&mut Shell, &[&[u8]]) -> u8),
    /// It may be ended by Ctrl-C, or end the shell.
    Ran(fn(&mut Shell, &[&[u8]]) -> Ran),
}

/// A command of the shell's own.
struct Builtin {
    name: &'static str,
    usage: &'static str,
    what: &'static str,
    action: Action,
}

const fn builtin(
    name: &'static str,
    usage: &'static str,
    what: &'static str,
    run: fn(&mut Shell, &[&[u8]]) -> u8,
) -> Builtin {
    Builtin { name, usage, what, action: Action::Status(run) }
}

const fn running(
    name: &'static str,
    usage: &'static str,
    what: &'static str,
    run: fn(&mut Shell, &[&[u8]]) -> Ran,
) -> Builtin {
    Builtin { name, usage, what, action: Action::Ran(run) }
}

const BUILTINS: &[Builtin] = &[
    builtin("help", "help", "this list", help),
    builtin("cd", "cd [DIRECTORY]", "changes the directory", cd),
    builtin("pwd", "pwd", "shows the directory", pwd),
    builtin("echo", "echo [WORD]...", "writes words", echo),
    builtin("true", "true", "status 0", |_, _| 0),
    builtin("false", "false", "status 1", |_, _| 1),
    builtin("test", "test CONDITION", "compares words and numbers, looks for files", test),
    builtin("[", "[ CONDITION ]", "the same", bracket),
    builtin("jobs", "jobs", "lists programs in the background", jobs),
    running("wait", "wait [NUMBER]...", "waits for programs in the background", wait),
    running("fg", "fg [NUMBER]", "waits for one that Ctrl-C ends", fg),
    running("with", "with FRAMES|all COMMAND", "gives a program more memory than usual", with),
    builtin("history", "history", "lists the lines entered so far", history),
    builtin("kill", "kill PRINCIPAL", "ends a task of `ps`, with its contract", kill),
    builtin("policy", "policy [NAME]", "whose extra frames go first", crate::policy::run),
    running("poweroff", "poweroff", "switches the machine off", |_, _| Ran::Ended(0)),
];

/// What programs there are, for `help`.
const PROGRAMS: &[(&str, &str)] = &[
    ("ls [-l] [-a] [NAME]...", "lists directories"),
    ("cat NAME...", "writes files"),
    ("rm NAME...", "takes files away"),
    ("stat NAME...", "says what is known of files"),
    ("sha256sum NAME...", "checksums of files"),
    ("hexdump NAME [OFFSET [COUNT]]", "a file in hexadecimal"),
    ("mounts", "file systems"),
    ("ps", "tasks"),
    ("contracts", "who holds how many frames"),
    ("containers", "containers of memory"),
    ("free", "frames by state, and counters"),
    ("swap", "pages that do not fit in memory"),
    ("vmstat [COUNT]", "memory once a second"),
];

/// The builtin of this name.
pub fn find(name: &[u8]) -> Option<Action> {
    BUILTINS.iter().find(|builtin| builtin.name.as_bytes() == name).map(|builtin| builtin.action)
}

pub(crate) fn usage(shell: &mut Shell, name: &str) -> u8 {
    let usage = BUILTINS.iter().find(|builtin| builtin.name == name).map_or("", |builtin| builtin.usage);
    shell.complain(b"usage", usage, USAGE)
}

fn help(shell: &mut Shell, _: &[&[u8]]) -> u8 {
    let out = shell.out();
    let _ = out.write_str("Commands of the shell:\n");
    let special = SPECIAL.iter().map(|&(_, usage, what)| (usage, what));
    for (usage, what) in BUILTINS.iter().map(|builtin| (builtin.usage, builtin.what)).chain(special) {
        let _ = writeln!(out, "  {usage:<30} {what}");
    }
    let _ = out.write_str("Programs (each has --help):\n");
    for (usage, what) in PROGRAMS {
        let _ = writeln!(out, "  {usage:<30} {what}");
    }
    let _ = out.write_str(
        "Between commands: `;` `&&` `||` `&` (in the background).\n\
         if, while, until, for and ! as in a Unix shell.\n\
         NAME=value, $NAME, $? (last status), $! (last job).\n\
         Quotes, backslash and # as usual.\n\
         Keys: cursor keys, Ctrl-A E U K W L; Ctrl-C ends a program.\n\
         Leave with `poweroff`, or Ctrl-A X in QEMU.\n",
    );
    0
}

fn cd(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    let name: &[u8] = match arguments {
        [] => b"/",
        [name] => name,
        _ => return usage(shell, "cd"),
    };
    let directory = path::tidy(&path::absolute(shell.names().directory(), name));
    match shell.names().lookup_described(&directory, true) {
        Ok((_, NodeKind::Directory, _)) => {
            shell.names_mut().set_directory(&directory);
            0
        }
        Ok(_) => shell.complain(name, FileError::NotDirectory, FAILED),
        Err(error) => shell.complain(name, error, FAILED),
    }
}

fn pwd(shell: &mut Shell, _: &[&[u8]]) -> u8 {
    let directory = shell.names().directory().to_vec();
    shell.out().write(&directory);
    shell.out().write(b"\n");
    0
}

fn echo(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    shell.out().write(&arguments.join(&b' '));
    shell.out().write(b"\n");
    0
}

fn test(shell: &mut Shell, words: &[&[u8]]) -> u8 {
    let mut look = |name: &[u8]| match shell.names().lookup_described(name, true) {
        Ok((_, NodeKind::File, _)) => Found::File,
        Ok((_, NodeKind::Directory, _)) => Found::Directory,
        Ok(_) => Found::Other,
        Err(_) => Found::Nothing,
    };
    match conditions::holds(words, &mut look) {
        Ok(holds) => u8::from(!holds),
        Err(error) => shell.complain(b"test", error, USAGE),
    }
}

fn bracket(shell: &mut Shell, words: &[&[u8]]) -> u8 {
    match conditions::without_bracket(words) {
        Ok(words) => test(shell, words),
        Err(error) => shell.complain(b"[", error, USAGE),
    }
}

fn with(shell: &mut Shell, arguments: &[&[u8]]) -> Ran {
    let [frames, command @ ..] = arguments else {
        return Ran::Status(usage(shell, "with"));
    };
    let number = || core::str::from_utf8(frames).ok().and_then(|text| text.parse().ok());
    let share = if *frames == b"all" { Some(Share::All) } else { number().map(Share::Frames) };
    match share {
        Some(share) if !command.is_empty() => shell.run_with(command, false, share),
        _ => Ran::Status(usage(shell, "with")),
    }
}

fn history(shell: &mut Shell, _: &[&[u8]]) -> u8 {
    let lines: Vec<Vec<u8>> = shell.history().map(<[u8]>::to_vec).collect();
    for (index, line) in lines.iter().enumerate() {
        let _ = write!(shell.out(), "{:5}  ", index + 1);
        shell.out().write(line);
        shell.out().write(b"\n");
    }
    0
}

fn kill(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    let [text] = arguments else {
        return usage(shell, "kill");
    };
    let number = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let Some(principal) = number else {
        return shell.complain(text, "not a number; `ps` shows the principals", USAGE);
    };
    let Some(control) = shell.control() else {
        return shell.complain(b"kill", "no authority over contracts", FAILED);
    };
    match call(control, &ContractKill { principal }, &[], Deadline::NEVER) {
        Ok(_) => 0,
        Err(CallError::Refused(refusal)) if refusal.error == MemoryError::OutOfRange => {
            shell.complain(text, "no such principal", FAILED)
        }
        Err(error) => shell.complain(text, error, FAILED),
    }
}
