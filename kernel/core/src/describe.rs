//! What the kernel is doing, said to a person who looks at a machine that hangs.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::objects::{Task, Thread};
use core::fmt::Write;

/// Return addresses of user code that a description gives at most.
const BACKTRACE_DEPTH: usize = 32;

impl<M: Machine> Kernel<M> {
    /// Writes what every processor does and has done for others; of the user code that the entered one runs the return
    /// addresses too, as far as its frame pointers lead.
    pub fn describe(&mut self, out: &mut impl Write) {
        for processor in 0..self.processor_count {
            let current = self.processors[processor].scheduler.current;
            let counters = self.processors[processor].counters;
            let _ = writeln!(out, "kernel: processor {processor}: {counters:?}");
            if current.is_none() {
                let _ = writeln!(out, "kernel: processor {processor} idles");
                continue;
            }
            let thread = self.machine.object::<Thread>(current);
            let (task, context) = (thread.task.link, thread.context);
            let bytes = self.machine.object::<Task>(task).name;
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            let name = core::str::from_utf8(&bytes[..end]).unwrap_or("?");
            let _ =
                writeln!(out, "kernel: processor {processor}: thread {current:?} of task {task:?} ({name})");
            if processor == self.here {
                let _ = writeln!(out, "backtrace: {name} {:#x} fault", context.rip);
                self.describe_callers(out, name, context.rbp);
            }
        }
    }

    fn describe_callers(&mut self, out: &mut impl Write, name: &str, mut base: u64) {
        for _ in 0..BACKTRACE_DEPTH {
            let mut words = [0; 2];
            let readable = base.is_multiple_of(8) && self.check_user(base, 16).is_ok();
            if !readable || self.machine.read_user_words(base, &mut words).is_err() || words[1] == 0 {
                return;
            }
            let _ = writeln!(out, "backtrace: {name} {:#x}", words[1]);
            base = words[0];
        }
    }
}
