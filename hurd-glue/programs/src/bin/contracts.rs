//! Lists who holds how many frames under which contract.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
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
usage: contracts
Lists the contracts, children below their parents: frames guaranteed (without what was handed on), allowed beyond that
(EXTRA MAX), and held: pages of containers, physmem's records, kernel objects and page tables; how many of them
are pinned, and how many are beyond the guarantee.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let contracts = match lists::contracts(control) {
            Ok(contracts) => contracts,
            Err(error) => return context.complain(b"physmem", error),
        };
        let mut table = Table::new(&[
            ("PRINCIPAL", Align::Right),
            ("NAME", Align::Left),
            ("GUARANTEED", Align::Right),
            ("EXTRA MAX", Align::Right),
            ("HELD", Align::Right),
            ("MEMORY", Align::Right),
            ("PAGES", Align::Right),
            ("RECORDS", Align::Right),
            ("KERNEL", Align::Right),
            ("PINNED", Align::Right),
            ("EXTRA", Align::Right),
        ]);
        let mut total = 0_u64;
        let ids: alloc::vec::Vec<_> = contracts.iter().map(|one| (one.principal, one.parent)).collect();
        for (index, depth) in in_tree_order(&ids) {
            let one = &contracts[index];
            let held = one.pages.saturating_add(one.records).saturating_add(one.kernel);
            total = total.saturating_add(held);
            table.row([
                one.principal.to_string(),
                alloc::format!("{:indent$}{}", "", one.name, indent = 2 * depth),
                one.guaranteed.to_string(),
                one.extra_limit.to_string(),
                held.to_string(),
                units::frames(held),
                one.pages.to_string(),
                one.records.to_string(),
                one.kernel.to_string(),
                one.pinned.to_string(),
                one.extra.to_string(),
            ]);
        }
        context.print(&table.text());
        context.print(&alloc::format!(
            "{} contracts hold {} frames, {}\n",
            contracts.len(),
            total,
            units::frames(total)
        ));
    })
}
