//! Lists who holds how many frames under which contract.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::control::ContractEntry;
use hurd_glue_programs::{Program, lists, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use hurd_glue_programs_core::tree::in_tree_order;
use hurd_glue_programs_core::units;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "contracts",
    help: "\
usage: contracts [-l]
Lists the contracts, each with the number of its principal, children below
their parents: frames GUARANTEED, without what was handed on; frames HELD, and
how many of these are EXTRA, beyond the guarantee; how many calls for extra
frames it may still ignore before it is no longer asked (STANDING); CALLS made
to it, calls MET in time, and frames SEIZED.
With -l what is held instead: PAGES of containers, physmem's RECORDS, KERNEL
objects and page tables, and how many frames are PINNED.
",
    accepts: Accepts { letters: "l", least: 0, most: 0 },
};

/// A column: its heading, where its text stands, and the number in it.
type Column = (&'static str, Align, fn(&ContractEntry) -> u64);

/// Before the others: who it is. The names are put in with their indentation.
const FIRST: [Column; 2] = [("ID", Align::Right, |one| one.principal), ("NAME", Align::Left, |_| 0)];

const COLUMNS: [Column; 7] = [
    ("GUARANTEED", Align::Right, |one| one.guaranteed),
    ("HELD", Align::Right, held),
    ("EXTRA", Align::Right, |one| one.extra),
    ("STANDING", Align::Right, |one| one.standing),
    ("CALLS", Align::Right, |one| one.calls),
    ("MET", Align::Right, |one| one.met),
    ("SEIZED", Align::Right, |one| one.seized),
];

const COLUMNS_LONG: [Column; 7] = [
    ("GUARANTEED", Align::Right, |one| one.guaranteed),
    ("EXTRA MAX", Align::Right, |one| one.extra_limit),
    ("HELD", Align::Right, held),
    ("PAGES", Align::Right, |one| one.pages),
    ("RECORDS", Align::Right, |one| one.records),
    ("KERNEL", Align::Right, |one| one.kernel),
    ("PINNED", Align::Right, |one| one.pinned),
];

fn held(one: &ContractEntry) -> u64 {
    one.pages.saturating_add(one.records).saturating_add(one.kernel)
}

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let contracts = match lists::contracts(control) {
            Ok(contracts) => contracts,
            Err(error) => return context.complain(b"physmem", error),
        };
        let columns = if context.arguments.has(b'l') { &COLUMNS_LONG } else { &COLUMNS };
        let heading: Vec<_> = FIRST.iter().chain(columns).map(|&(name, align, _)| (name, align)).collect();
        let mut table = Table::new(&heading);
        let mut total = 0_u64;
        let ids: Vec<_> = contracts.iter().map(|one| (one.principal, one.parent)).collect();
        for (index, depth) in in_tree_order(&ids) {
            let one = &contracts[index];
            total = total.saturating_add(held(one));
            let name = format!("{:indent$}{}", "", one.name, indent = 2 * depth);
            let numbers = columns.iter().map(|(_, _, number)| number(one).to_string());
            table.row([one.principal.to_string(), name].into_iter().chain(numbers));
        }
        context.print(&table.text());
        context.print(&format!(
            "{} contracts hold {} frames, {}\n",
            contracts.len(),
            total,
            units::frames(total)
        ));
    })
}
