//! Linux is booted and measured, where its package can be had.
#![forbid(unsafe_code)]

use tests_linux_core::{Clock, Row};
use tests_runner::bench::{BenchOptions, compare, disk, linux};
use tests_runner::host::ThisMachine;
use tests_runner::places::Places;
use tests_runner::setup;

#[test]
fn every_row_of_linux_is_measured() {
    setup::set_up(&mut ThisMachine).unwrap();
    let places = Places::find().unwrap();
    let kernel = match linux::kernel(&places) {
        Ok(kernel) => kernel,
        Err(failure) => {
            eprintln!("SKIPPED: the kernel's package cannot be had\n{failure}");
            return;
        }
    };
    let column = linux::measure(&places, &kernel, &disk::image(&places).unwrap())
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{}", compare::table(&kernel.name, &[], &BenchOptions::default(), &column));
    assert!(column.failed.is_empty(), "{:?}", column.failed);
    let median = |row: Row| column.rows[&row].figure.median;
    // What holds of any Linux: a message costs more than two calls, a copy of 1 MiB more than one of 64 KiB, and so on.
    for (less, more) in [
        (Row::Getppid, Row::FutexProcesses),
        (Row::Stat, Row::OpenClose),
        (Row::ReadTouch, Row::FirstTouch),
        (Row::Read4k, Row::Read64k),
        (Row::Read64k, Row::Read1m),
        (Row::Direct1m, Row::ColdRead1m),
        (Row::FirstTouch, Row::Swap),
        (Row::Spawn, Row::Boot),
    ] {
        assert!(median(less) < median(more), "{less:?} {} and {more:?} {}", median(less), median(more));
    }
    assert!(median(Row::Read1m) > 256 * 512, "a copy of a page is at least its 512 words");
    for (row, measured) in &column.rows {
        let one = measured.figure;
        assert!(one.least > 0 && one.count > 0, "{row:?}: {one:?}");
        assert!(row.about().clock == Clock::Stamps || one.count <= 10, "{row:?}: {one:?}");
    }
}
