//! Prints the books in lines that `tests/system` compares: all frames by state, and what each contract holds, the file cache
//! left out. One book is missing: this program's own contract.
//!
//! Argument: the status to end with, so that the one of the command before is not lost.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use kernel_runtime::startup::Startup;
use tests_guest::{Books, Failed, Report};

kernel_runtime::program!(main);

/// Name of this program's contract.
const OWN: &str = "books";

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    match Books::look(&startup) {
        Ok(books) => print(&books, &mut report),
        Err(Failed(reason)) => return report.finish("books", Err(Failed(reason))),
    }
    let status = startup.arguments.first().and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
    status.unwrap_or(0)
}

fn print(books: &Books, report: &mut Report) {
    let system = &books.system;
    report.line(format_args!(
        "books frames {} kernel {} free {} held {} quarantined {} cached {}",
        system.frames,
        system.kernel,
        system.free_zero + system.free_dirty,
        system.held,
        system.quarantined,
        books.cached_pages
    ));
    for contract in books.contracts.iter().filter(|contract| contract.name.as_str() != OWN) {
        let (pages, records, kernel) = books.held(contract);
        report.line(format_args!(
            "books contract {} pages {pages} records {records} kernel {kernel} {}",
            contract.principal,
            contract.name.as_str()
        ));
    }
    report.line(format_args!("books end"));
}
