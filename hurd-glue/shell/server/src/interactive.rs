//! Talking to a person: prompt, editor, line after line.

use crate::shell::Shell;
use crate::{BROKEN, log_boot_time};
use alloc::vec::Vec;
use hurd_glue_shell_core::editor::Outcome;

const BANNER: &[u8] = b"\nTenure. Memory here is held under contract.\n\
    `help` lists the commands. To leave: `poweroff`, or Ctrl-A X in QEMU.\n\n";

/// Runs lines until the shell ends; its status.
pub fn run(shell: &mut Shell) -> i32 {
    shell.out().write(BANNER);
    log_boot_time();
    let mut typed: Vec<u8> = Vec::new();
    let mut next = 0;
    while !shell.has_ended() {
        shell.take_keyboard();
        shell.report_jobs();
        let prompt = [b"tenure:", shell.names().directory(), b"$ "].concat();
        let mut shown = Vec::new();
        shell.editor().start(&prompt, &mut shown);
        let line = loop {
            // Input that came with the last line is part of this one.
            while next == typed.len() {
                shell.out().write(&shown);
                shell.out().flush();
                shown.clear();
                match shell.console().read() {
                    Ok(bytes) => (typed, next) = (bytes, 0),
                    Err(error) => {
                        log::error!("no input: {error}");
                        return BROKEN;
                    }
                }
            }
            let outcome = shell.editor().input(typed[next], &mut shown);
            next += 1;
            match outcome {
                Outcome::Going => {}
                Outcome::Entered(line) => break Some(line),
                Outcome::Interrupted => break None,
                Outcome::EndOfInput => {
                    let status = shell.status();
                    shell.end(status);
                    break None;
                }
            }
        };
        shell.out().write(&shown);
        shell.out().flush();
        if let Some(line) = line {
            shell.run_lines(&line);
        }
    }
    shell.finish()
}
