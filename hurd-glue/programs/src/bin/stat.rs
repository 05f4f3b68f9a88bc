//! Says everything that a file system knows of a file.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use filesystems_api::file::NodeKind;
use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::date::date;
use hurd_glue_programs_core::node::{mode, words};
use kernel_runtime::files::FileCallError;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "stat",
    help: "\
usage: stat [-L] NAME...
Says what a file system knows of files: kind, size, owner, permissions, times (UTC).
  -L  of what a symbolic link leads to, not of the link
",
    accepts: Accepts { letters: "L", least: 1, most: usize::MAX },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        for operand in context.take_operands() {
            if let Err(error) = show(context, operand) {
                context.complain(operand, error);
            }
        }
    })
}

fn show(context: &mut Context<'_>, name: &[u8]) -> Result<(), FileCallError> {
    let node = context.names.lookup(name, context.arguments.has(b'L'))?;
    let status = node.status()?;
    let target = if status.kind == NodeKind::Link { Some(node.read_link()?) } else { None };
    context.print("  File: ");
    context.out.write(name);
    if let Some(target) = target {
        context.print(" -> ");
        context.out.write(&target);
    }
    context.print(&format!(
        "\n  Kind: {}\n  Size: {} bytes, {} blocks of 512\n Inode: {}, {} {}\n  Mode: {:04o} {}\n Owner: user {}, group {}\n",
        words(status.kind),
        status.size,
        status.blocks,
        status.inode,
        status.links,
        if status.links == 1 { "link" } else { "links" },
        status.mode & 0o7777,
        mode(status.kind, status.mode),
        status.user,
        status.group,
    ));
    context.print(&format!(
        "Access: {}\nModify: {}\nChange: {}\n",
        date(status.accessed),
        date(status.modified),
        date(status.changed),
    ));
    Ok(())
}
