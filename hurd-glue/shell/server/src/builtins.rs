//! Commands that the shell itself runs, because they change it or time what it does.

use crate::programs::Share;
use crate::shell::Shell;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::control::ContractKill;
use core::fmt::Write;
use filesystems_api::file::{FileError, NodeKind};
use kernel_runtime::files::path;
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::{Deadline, clock};

/// Status of a command that is used wrongly.
pub const USAGE: u8 = 2;
/// Status of a command that failed.
pub const FAILED: u8 = 1;
/// Highest status that the machine can end with.
const STATUS_MAX: u8 = 99;

/// A command of the shell's own.
pub struct Builtin {
    name: &'static str,
    usage: &'static str,
    what: &'static str,
    /// Runs it with its arguments; its status.
    pub run: fn(&mut Shell, &[&[u8]]) -> u8,
}

const BUILTINS: &[Builtin] = &[
    Builtin { name: "help", usage: "help", what: "this list", run: help },
    Builtin { name: "cd", usage: "cd [DIRECTORY]", what: "changes the directory", run: cd },
    Builtin { name: "pwd", usage: "pwd", what: "shows the directory", run: pwd },
    Builtin { name: "echo", usage: "echo [WORD]...", what: "writes words; $? is the last status", run: echo },
    Builtin { name: "true", usage: "true", what: "status 0", run: |_, _| 0 },
    Builtin { name: "false", usage: "false", what: "status 1", run: |_, _| 1 },
    Builtin { name: "time", usage: "time COMMAND", what: "says how long a command takes", run: time },
    Builtin {
        name: "with",
        usage: "with FRAMES|all COMMAND",
        what: "gives a program more memory than usual",
        run: with,
    },
    Builtin { name: "history", usage: "history", what: "lists the lines entered so far", run: history },
    Builtin {
        name: "kill",
        usage: "kill PRINCIPAL",
        what: "ends a task of `ps`, with its contract",
        run: kill,
    },
    Builtin {
        name: "policy",
        usage: "policy [NAME]",
        what: "whose extra frames go first",
        run: crate::policy::run,
    },
    Builtin { name: "exit", usage: "exit [STATUS]", what: "ends the shell, and so the machine", run: exit },
    Builtin { name: "poweroff", usage: "poweroff", what: "switches the machine off", run: poweroff },
];

/// What programs there are, for `help`.
const PROGRAMS: &[(&str, &str)] = &[
    ("ls [-l] [-a] [NAME]...", "lists directories"),
    ("cat NAME...", "writes files"),
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
pub fn find(name: &[u8]) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name.as_bytes() == name)
}

pub(crate) fn usage(shell: &mut Shell, name: &str) -> u8 {
    let usage = find(name.as_bytes()).map_or("", |builtin| builtin.usage);
    shell.complain(b"usage", usage, USAGE)
}

fn help(shell: &mut Shell, _: &[&[u8]]) -> u8 {
    let out = shell.out();
    let _ = out.write_str("Commands of the shell:\n");
    for builtin in BUILTINS {
        let _ = writeln!(out, "  {:<30} {}", builtin.usage, builtin.what);
    }
    let _ = out.write_str("Programs (each has --help):\n");
    for (usage, what) in PROGRAMS {
        let _ = writeln!(out, "  {usage:<30} {what}");
    }
    let _ = out.write_str(
        "Between commands: `;` `&&` `||` `&` (in the background).\n\
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

fn time(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    if arguments.is_empty() {
        return usage(shell, "time");
    }
    let (start, start_ticks) = (clock::now(), clock::ticks());
    let status = shell.run_words(arguments, false);
    let (nanoseconds, ticks) = (clock::now() - start, clock::ticks() - start_ticks);
    let milliseconds = nanoseconds / 1_000_000;
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let _ = writeln!(shell.out(), "real {seconds}.{rest:03} s, {ticks} ticks");
    status
}

fn with(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    let [frames, command @ ..] = arguments else {
        return usage(shell, "with");
    };
    let number = || core::str::from_utf8(frames).ok().and_then(|text| text.parse().ok());
    let share = if *frames == b"all" { Some(Share::All) } else { number().map(Share::Frames) };
    match share {
        Some(share) if !command.is_empty() => shell.run_with(command, false, share),
        _ => usage(shell, "with"),
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

fn exit(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    let status = match arguments {
        [] => Some(shell.status()),
        [text] => core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    match status {
        Some(status) => {
            shell.end(status.min(STATUS_MAX));
            status
        }
        None => usage(shell, "exit"),
    }
}

fn poweroff(shell: &mut Shell, _: &[&[u8]]) -> u8 {
    shell.end(0);
    0
}
