//! `cargo run -- bench`: what operations cost, in guest instructions.
//!
//! [`rows`] says what is measured; [`boots`] boots the guests that measure it, once with instructions counted and once for
//! the time; [`figure`] joins what they print with what the counter saw; [`table`] prints it.
//! [`linux`] does the same work on Linux, and [`compare`] prints both.

pub mod boots;
pub mod compare;
pub mod disk;
pub mod figure;
pub mod linux;
pub mod options;
pub mod rows;
pub mod table;

pub use boots::{Bench, Boot};
pub use options::{Against, BenchOptions};

use crate::places::{Places, write_whole};
use crate::start::prepare;
use crate::{Result, interrupt};
use figure::Figure;
use serde_json::{Value, json};

/// Measures and prints. The exit status.
pub fn run(options: &BenchOptions) -> Result<u8> {
    let places = Places::find()?;
    interrupt::catch();
    let guest = prepare(&places)?;
    let bench = Bench { options, guest: &guest, places: &places, image: disk::image(&places)? };
    let against = options
        .against
        .and_then(|Against::Linux| available(linux::kernel(&places)).transpose())
        .transpose()?;
    let figures = measure(&bench)?;
    print!("{}", table::table(&figures));
    if let Some(kernel) = against
        && let Some(column) = available(linux::measure(&places, &kernel, &bench.image))?
    {
        print!("\n{}", compare::table(&kernel.name, &figures, options, &column));
    }
    if let Some(file) = &options.json {
        write_whole(file, format!("{:#}\n", to_json(&figures)).as_bytes())?;
    }
    Ok(0)
}

/// What the other column needs, or `None` after a word about why it is not to be had. An interrupt stays a failure.
fn available<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if interrupt::requested() => Err(failure),
        Err(failure) => {
            eprintln!("{failure}\nTenure's column stands alone");
            Ok(None)
        }
    }
}

/// The figures of all rows that are wanted, in the order of the table.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut clock = None;
    for boot in [Boot::System, Boot::FirstTask, Boot::Prompt] {
        let wanted: Vec<_> = bench.options.rows().filter(|row| Boot::of(row) == boot).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut counted = bench.count(boot)?;
        counted.retain(|figure| wanted.contains(&figure.row));
        if !bench.options.no_time {
            bench.time(boot, &mut counted, &mut clock)?;
        }
        for row in wanted {
            match counted.iter().find(|figure| figure.row == row) {
                Some(figure) => figures.push(figure.clone()),
                None => eprintln!("`{}` was not measured", row.name),
            }
        }
    }
    figures.sort_by_key(|figure| rows::ROWS.iter().position(|row| row == figure.row));
    Ok(figures)
}

fn to_json(figures: &[Figure]) -> Value {
    let one = |figure: &Figure| {
        json!({
            "name": figure.row.name,
            "median": figure.median,
            "least": figure.least,
            "most": figure.most,
            "count": figure.count,
            "repeated": figure.repeated,
            "nanoseconds": figure.nanoseconds,
            "target": figure.row.target,
        })
    };
    figures.iter().map(one).collect()
}
