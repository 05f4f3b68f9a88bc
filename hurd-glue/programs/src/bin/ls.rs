//! Lists directories and files.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use filesystems_api::file::NodeKind;
use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::node::{Listed, long_listing};
use kernel_runtime::files::{DirectoryEntry, FileCallError, Node};
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "ls",
    help: "\
usage: ls [-l] [-a] [NAME]...
Lists directories (the current one without a NAME) and files, sorted by name.
  -l  with kind, permissions, links, owner, group, size in bytes, time of change
  -a  also names that start with a dot
",
    accepts: Accepts { letters: "la", least: 0, most: usize::MAX },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let mut operands = context.take_operands();
        if operands.is_empty() {
            operands.push(b".");
        }
        let several = operands.len() > 1;
        // Files first, together, as ls does everywhere.
        let mut files = Vec::new();
        let mut directories = Vec::new();
        for operand in operands {
            // With -l a link is shown itself, not what it leads to.
            let follow = !context.arguments.has(b'l') || operand.ends_with(b"/");
            match context.names.lookup_described(operand, follow) {
                Ok((node, NodeKind::Directory, _)) => directories.push((operand, node)),
                Ok((node, ..)) => files.push((operand, node)),
                Err(error) => context.complain(operand, error),
            }
        }
        let any_files = !files.is_empty();
        let listed = files.iter().map(|(name, node)| describe(context, name, Ok(node))).collect();
        show(context, listed);
        for (index, (name, node)) in directories.into_iter().enumerate() {
            if index > 0 || any_files {
                context.print("\n");
            }
            if several {
                context.out.write(name);
                context.print(":\n");
            }
            list(context, name, &node);
        }
    })
}

fn list(context: &mut Context<'_>, name: &[u8], directory: &Node) {
    let mut entries = match directory.entries() {
        Ok(entries) => entries,
        Err(error) => return context.complain(name, error),
    };
    if !context.arguments.has(b'a') {
        entries.retain(|entry| !entry.name.starts_with(b"."));
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let listed = entries.iter().map(|entry| list_entry(context, directory, entry)).collect();
    show(context, listed);
}

fn list_entry(context: &mut Context<'_>, directory: &Node, entry: &DirectoryEntry) -> Listed {
    if !context.arguments.has(b'l') {
        return Listed { name: entry.name.clone(), status: None, target: None };
    }
    let node = directory.child(&entry.name);
    describe(context, &entry.name, node.as_ref().map_err(|error| *error))
}

fn describe(context: &mut Context<'_>, name: &[u8], node: Result<&Node, FileCallError>) -> Listed {
    let mut listed = Listed { name: name.to_vec(), status: None, target: None };
    if !context.arguments.has(b'l') {
        return listed;
    }
    let status = node.and_then(|node| node.status().map(|status| (node, status)));
    match status {
        Ok((node, status)) => {
            listed.status = Some(status);
            if status.kind == NodeKind::Link {
                match node.read_link() {
                    Ok(target) => listed.target = Some(target),
                    Err(error) => context.complain(name, error),
                }
            }
        }
        Err(error) => context.complain(name, error),
    }
    listed
}

fn show(context: &mut Context<'_>, listed: Vec<Listed>) {
    if context.arguments.has(b'l') {
        context.out.write(&long_listing(&listed));
        return;
    }
    for one in listed {
        context.out.write(&one.name);
        context.print("\n");
    }
}
