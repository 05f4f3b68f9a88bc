//! The Linux that Tenure is compared with is booted and measured, where its package can be had.

use crate::Scenario;
use tests_linux_core::{Clock, Row};
use tests_runner::bench::{BenchOptions, compare, disk, linux};
use tests_system::world::{self, Permit};

pub const SCENARIOS: &[Scenario] = &[("every_row_is_measured", every_row_is_measured)];

/// Which of two rows costs less on any Linux.
const ORDER: [(Row, Row); 8] = [
    (Row::Getppid, Row::FutexProcesses),
    (Row::Stat, Row::OpenClose),
    (Row::ReadTouch, Row::FirstTouch),
    (Row::Read4k, Row::Read64k),
    (Row::Read64k, Row::Read1m),
    (Row::Direct1m, Row::ColdRead1m),
    (Row::FirstTouch, Row::Swap),
    (Row::Spawn, Row::Boot),
];

fn every_row_is_measured() {
    let world = world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let kernel = match linux::kernel(&world.places) {
        Ok(kernel) => kernel,
        Err(failure) => {
            println!("SKIPPED, Linux is not measured: {failure}");
            return;
        }
    };
    let _permit = Permit::take();
    let column =
        disk::image(&world.places).and_then(|image| linux::measure(&world.places, &kernel, &image, false));
    let column = column.unwrap_or_else(|failure| panic!("{failure}"));
    let table = compare::table(&kernel.name, &[], &BenchOptions::default(), &column);
    assert!(column.failed.is_empty(), "{table}");
    let median = |row: Row| column.rows[&row].figure.median;
    for (less, more) in ORDER {
        assert!(median(less) < median(more), "{} and {}:\n{table}", less.about().name, more.about().name);
    }
    for (row, measured) in &column.rows {
        let (one, name) = (measured.figure, row.about().name);
        assert!(one.least > 0 && one.least <= one.median && one.median <= one.most, "{name}: {one:?}");
        let is_counted = row.about().clock == Clock::Counter || measured.repeated.is_some();
        assert!(is_counted, "the counter has not seen {name}:\n{table}");
    }
    // A page is copied by 512 iterations, and the counter sees them.
    let copied = column.rows[&Row::Read1m].repeated;
    assert!(copied.is_some_and(|repeated| repeated >= 256 * 512), "{copied:?}");
}
