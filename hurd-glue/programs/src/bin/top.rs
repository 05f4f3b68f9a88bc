//! Shows the tasks live: what they hold, fault and are asked for, the busiest first.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use containers_api::control::{ContractEntry, RevocationStat, SystemStat};
use core::time::Duration;
use hurd_glue_programs::{Context, Program, lists, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::top::{Keys, SIZE, Screen, Size, Summary, Task, Typed};
use kernel_runtime::console::Console;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::ipc::call;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::sync::Mutex;
use kernel_runtime::{Capability, Deadline, Handle, KernelError, clock, syscall, threads};

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "top",
    help: "\
usage: top [-n COUNT]
Shows the tasks once a second, the busiest first, until `q` or Ctrl-C: the
principal that pays; frames held WITHIN the guarantee of its contract, EXTRA
beyond it, and pinned (PINS); pages swapped OUT; page faults a second and so far; CALLS
for frames, how many were MET, and how many it may still ignore (STANDING).
With -n prints COUNT tables, one a second, whatever their length, and ends.
",
    accepts: Accepts { letters: "n", least: 0, most: 1 },
};

/// Between two tables.
const INTERVAL: Duration = Duration::from_secs(1);
/// Tables that -n prints at most.
const COUNT_MAX: u64 = 100_000;
/// Bit of the notification: a key was typed.
const TYPED: u64 = 1;

/// To the top left corner; the rest of a line, and of the screen, is cleared as it is written.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K\r\n";
const REST_OF_SCREEN: &str = "\x1b[J";
/// Has the terminal say where its last corner is.
const ASK_SIZE: &str = "\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// A terminal without bounds.
const UNBOUNDED: Size = Size { rows: usize::MAX, columns: usize::MAX };

/// What the thread that reads the keys has found.
struct Keyboard {
    size: Size,
    quits: bool,
}

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        match count(context) {
            Ok(Some(count)) => batch(context, control, count),
            Ok(None) => live(context, control),
            Err(()) => {}
        }
    })
}

/// How many tables -n asks for. Without it: none.
fn count(context: &mut Context<'_>) -> Result<Option<u64>, ()> {
    let operands = context.take_operands();
    match (context.arguments.has(b'n'), operands.first()) {
        (false, None) => Ok(None),
        (true, Some(operand)) => {
            let number = core::str::from_utf8(operand).ok().and_then(|text| text.parse().ok());
            match number.filter(|number| (1..=COUNT_MAX).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => {
                    context.complain(operand, "not a number of tables");
                    Err(())
                }
            }
        }
        _ => {
            context.complain(b"-n", "needs a number");
            Err(())
        }
    }
}

/// Prints so many tables.
fn batch(context: &mut Context<'_>, control: Handle, count: u64) {
    let mut screen = Screen::default();
    let nobody = match Notification::new() {
        Ok(notification) => notification,
        Err(error) => return context.complain(b"notification", error),
    };
    for number in 0..count {
        if number != 0 {
            // Nobody signals it: this is how to let time pass.
            let _ = nobody.wait(Deadline::after(INTERVAL));
            context.print("\n");
        }
        match look(control) {
            Ok((summary, tasks)) => {
                let text = screen.show(clock::now(), &summary, tasks, UNBOUNDED);
                context.print(&text);
                context.out.flush();
            }
            Err(error) => return context.complain(b"physmem", error),
        }
    }
}

/// Shows one table over the other until a key says to end.
fn live(context: &mut Context<'_>, control: Handle) {
    let keyboard = Arc::new(Mutex::new(Keyboard { size: SIZE, quits: false }));
    let typed = match read_keys(context.console, &keyboard) {
        Ok(typed) => typed,
        Err(error) => return context.complain(b"keys", error),
    };
    let mut screen = Screen::default();
    context.print(REST_OF_SCREEN);
    while !keyboard.lock().quits {
        let (summary, tasks) = match look(control) {
            Ok(found) => found,
            Err(error) => return context.complain(b"physmem", error),
        };
        let size = keyboard.lock().size;
        let text = screen.show(clock::now(), &summary, tasks, size);
        context.print(HOME);
        for line in text.lines() {
            context.print(line);
            context.print(REST_OF_LINE);
        }
        context.print(REST_OF_SCREEN);
        context.print(ASK_SIZE);
        context.out.flush();
        let next = Deadline::after(INTERVAL);
        // Other keys than those that end, and answers of the terminal, change nothing before it is time.
        while !next.has_passed() && !keyboard.lock().quits {
            if !matches!(typed.wait(next), Ok(_) | Err(KernelError::TimedOut)) {
                return;
            }
        }
    }
}

/// Starts a thread that reads the keys; what is signalled when it has found something.
fn read_keys(
    console: Option<Console>,
    keyboard: &Arc<Mutex<Keyboard>>,
) -> Result<Notification, &'static str> {
    let console = console.ok_or("there is no console")?;
    let typed = Notification::new().map_err(|_| "there is no memory for a notification")?;
    let signaller: Capability = typed.signaller(TYPED).map_err(|_| "nobody can be told of them")?;
    let found = Arc::clone(keyboard);
    let read = move || {
        let mut keys = Keys::default();
        // Where nothing can be read, as when somebody else reads, there are no keys; Ctrl-C ends the program all the same.
        while let Ok(bytes) = console.read() {
            for typed in bytes.into_iter().filter_map(|byte| keys.byte(byte)) {
                match typed {
                    Typed::Quit => found.lock().quits = true,
                    Typed::Size(size) => found.lock().size = size,
                    Typed::Other => {}
                }
            }
            let _ = syscall::signal(signaller.handle());
        }
    };
    threads::spawn(threads::STACK_PAGES, read).map_err(|_| "there is no memory for a thread")?;
    Ok(typed)
}

/// How everything stands.
fn look(control: Handle) -> Result<(Summary, Vec<Task>), MemoryCallError> {
    let system = call(control, &SystemStat {}, &[], Deadline::NEVER)?;
    let revocation = call(control, &RevocationStat {}, &[], Deadline::NEVER)?;
    let contracts = lists::contracts(control)?;
    let contract = |principal: u64| contracts.iter().find(|one| one.principal == principal);
    let tasks = lists::spaces(control)?.into_iter().map(|space| {
        let of = |number: fn(&ContractEntry) -> u64| contract(space.principal).map_or(0, number);
        Task {
            number: space.number,
            principal: space.principal,
            name: space.name.to_string(),
            used_ns: space.used_ns,
            faults: space.faults,
            held: of(|one| one.pages + one.records + one.kernel),
            extra: of(|one| one.extra),
            pinned: of(|one| one.pinned),
            swapped: of(|one| one.swapped),
            calls: of(|one| one.calls),
            met: of(|one| one.met),
            standing: of(|one| one.standing),
        }
    });
    let tasks = tasks.collect();
    let free = system.free_zero + system.free_dirty;
    let summary =
        Summary { frames: system.frames, free, extra: revocation.extra, waiting: revocation.waiting };
    Ok((summary, tasks))
}
