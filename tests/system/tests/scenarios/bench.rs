//! What operations cost is what it was when the figures in the tree were written.

use crate::Scenario;
use tests_runner::bench::kept::{FILE, Kept, Versions};
use tests_runner::bench::{Bench, BenchOptions, disk, measure};
use tests_system::world::{self, Permit};

pub const SCENARIOS: &[Scenario] = &[("figures", figures)];

/// Compares every row with its figure in the tree. With another compiler or emulator it only says what is different.
fn figures() {
    let world = world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let _permit = Permit::take();
    let options = BenchOptions { no_time: true, ..BenchOptions::default() };
    let result = disk::image(&world.places).and_then(|image| {
        let bench = Bench { options: &options, guest: &world.guest, places: &world.places, image };
        Ok((Kept::read(&world.places)?, Versions::find()?, measure(&bench)?))
    });
    let (kept, versions, figures) = result.unwrap_or_else(|failure| panic!("{failure}"));
    let comparison = kept.compare(&versions, &figures, true);
    let differences = comparison.differences.join("\n");
    if !comparison.is_meant {
        println!("{FILE} is of {:?}, this is {versions:?}:\n{differences}", kept.versions);
        return;
    }
    assert!(
        comparison.differences.is_empty(),
        "what operations cost has changed; if it is meant, `cargo run -- bench --update` writes {FILE} anew:\n{differences}"
    );
}
