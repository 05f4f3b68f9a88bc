//! `cargo run -- bench`: what operations cost, in guest instructions.
//!
//! [`rows`] says what is measured; [`boots`] boots the guests that measure it, once with instructions counted and once for
//! the time; [`figure`] joins what they print with what the counter saw; [`table`] prints it,
//! [`kept`] compares it with what it was. [`revocation`] is a table of its own. [`against`] does the same work on another
//! system and prints both columns.

pub mod against;
pub mod boots;
pub mod compare;
pub mod disk;
pub mod document;
pub mod figure;
pub mod kept;
pub mod linux;
pub mod options;
pub mod revocation;
pub mod rows;
pub mod table;

pub use boots::{Bench, Boot};
pub use options::{Against, BenchOptions};

use crate::places::{Places, write_whole};
use crate::start::prepare;
use crate::{Failure, Result, interrupt};
use figure::Figure;
use kept::{Kept, Versions};
use serde_json::{Value, json};
use std::path::Path;

/// Measures and prints. The exit status.
pub fn run(options: &BenchOptions) -> Result<u8> {
    let places = Places::find()?;
    options.json.as_deref().map(check_place).transpose()?;
    interrupt::catch();
    let guest = prepare(&places)?;
    let bench = Bench { options, guest: &guest, places: &places, image: disk::image(&places)? };
    let other = against::prepare(options, &places)?;
    let figures = measure(&bench)?;
    if !figures.is_empty() {
        print!("{}", table::table(&figures));
        let versions = Versions::find()?;
        if options.update {
            Kept::write(&places, &versions, &figures)?;
            document::update(&places, &Kept::read(&places)?)?;
        } else {
            print!("{}", compared(&Kept::read(&places)?, &versions, &figures, options));
        }
    }
    let taken = if options.wants_revocation() { revocation::measure(&bench)? } else { Vec::new() };
    if !taken.is_empty() {
        print!("\n{}", revocation::table(&taken));
    }
    if let Some(file) = &options.json {
        let all = json!({"rows": to_json(&figures), "revocation": revocation::to_json(&taken)});
        write_whole(file, format!("{all:#}\n").as_bytes())?;
    }
    if let Some(kernel) = other
        && !figures.is_empty()
    {
        against::compare(&bench, &kernel, &figures)?;
    }
    Ok(0)
}

/// Whether a file can be written, before minutes are spent on what is to be in it. What it holds stays.
fn check_place(file: &Path) -> Result<()> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(|error| Failure::file("write to", file, &error))
}

/// How the figures differ from those that are kept, for people.
fn compared(kept: &Kept, versions: &Versions, figures: &[Figure], options: &BenchOptions) -> String {
    let comparison = kept.compare(versions, figures, options.only.is_empty());
    let mut text = match (comparison.differences.len(), comparison.is_meant) {
        (0, _) => format!("as in {}\n", kept::FILE),
        (count, true) => format!("{count} rows differ from {}:\n", kept::FILE),
        (count, false) => format!(
            "{count} rows differ from {}, which is of another compiler or emulator ({}; {}):\n",
            kept::FILE,
            kept.versions.compiler,
            kept.versions.emulator
        ),
    };
    comparison.differences.iter().for_each(|line| text += &format!("  {line}\n"));
    text
}

/// The figures of all rows that are wanted, in the order of the table.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut clock = None;
    for boot in Boot::OF_ROWS {
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

/// For programs.
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
