//! The scenarios that boot the system, each a test of `cargo test`.
//!
//! To add one, write a function in a module of this folder and name it in the module's list.
#![forbid(unsafe_code)]

mod archive;
mod bench;
mod concurrency;
mod deaths;
mod devices;
mod disks;
mod files;
mod hogs;
mod laws;
mod linux;
mod memory;
mod paging;
mod processors;
mod restart;
mod shell;
mod stacking;
mod stress;
mod swap;
mod tmpfs;
mod top;
mod trace;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::time::Instant;
use tests_system::world;

/// A scenario: its name, and the function that panics when the system does not do what it must.
pub type Scenario = (&'static str, fn());

/// All scenarios, module by module.
const SCENARIOS: &[(&str, &[Scenario])] = &[
    ("archive", archive::SCENARIOS),
    ("bench", bench::SCENARIOS),
    ("concurrency", concurrency::SCENARIOS),
    ("deaths", deaths::SCENARIOS),
    ("devices", devices::SCENARIOS),
    ("disks", disks::SCENARIOS),
    ("files", files::SCENARIOS),
    ("hogs", hogs::SCENARIOS),
    ("laws", laws::SCENARIOS),
    ("linux", linux::SCENARIOS),
    ("memory", memory::SCENARIOS),
    ("paging", paging::SCENARIOS),
    ("processors", processors::SCENARIOS),
    ("restart", restart::SCENARIOS),
    ("shell", shell::SCENARIOS),
    ("stacking", stacking::SCENARIOS),
    ("stress", stress::SCENARIOS),
    ("swap", swap::SCENARIOS),
    ("tmpfs", tmpfs::SCENARIOS),
    ("top", top::SCENARIOS),
    ("trace", trace::SCENARIOS),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let threads = arguments.test_threads.unwrap_or(world::QEMUS);
    arguments.test_threads = Some(threads.min(world::QEMUS));
    if !arguments.list
        && let Err(failure) = world::prepare()
    {
        eprintln!("{failure}");
        return ExitCode::FAILURE;
    }
    let trial = |(name, run): &Scenario, module: &str| {
        let run = *run;
        let name = format!("{module}::{name}");
        Trial::test(name.clone(), move || {
            let begin = Instant::now();
            run();
            println!("{name} took {:.1} s", begin.elapsed().as_secs_f64());
            Ok(())
        })
    };
    let trials =
        SCENARIOS.iter().flat_map(|(module, scenarios)| scenarios.iter().map(move |one| trial(one, module)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
