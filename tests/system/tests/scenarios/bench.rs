//! What operations cost is what it was when the figures in the tree were written; what processors do for each other.

use crate::Scenario;
use tests_runner::bench::kept::{FILE, Kept, Versions};
use tests_runner::bench::{Bench, BenchOptions, disk, measure, revocation};
use tests_system::world::{self, Permit};

pub const SCENARIOS: &[Scenario] = &[("figures", figures), ("shootdowns", shootdowns)];

/// Compares every row with its figure in the tree. With another compiler or emulator it only says what is different.
fn figures() {
    let (kept, versions, figures) =
        with(|bench| Ok((Kept::read(bench.places)?, Versions::find()?, measure(bench)?)));
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

/// Taking pages away interrupts the other processor once, however many they are, and it does little for that.
fn shootdowns() {
    let lines = with(|bench| revocation::counted(bench, 2));
    let shootdowns: Vec<_> = lines.iter().filter(|line| line.name == "shootdown").collect();
    assert_eq!(shootdowns.len(), 3, "{lines:?}");
    for line in shootdowns {
        let [own, other] = line.processors[..] else { panic!("{line:?}") };
        assert_eq!(line.sent[0], line.count, "{line:?}");
        assert!(other.kernel > 0 && other.kernel < own.kernel, "{line:?}");
    }
}

fn with<T>(work: impl FnOnce(&Bench<'_>) -> tests_runner::Result<T>) -> T {
    let world = world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let _permit = Permit::take();
    let options = BenchOptions { no_time: true, ..BenchOptions::default() };
    let result = disk::image(&world.places).and_then(|image| {
        work(&Bench { options: &options, guest: &world.guest, places: &world.places, image })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"))
}
