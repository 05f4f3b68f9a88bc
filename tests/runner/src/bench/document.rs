//! The table of targets in `docs/benchmarks.md`, written from the figures that are kept in the tree.

use super::kept::Kept;
use super::rows::{ROWS, Row, Unit};
use super::table::grouped;
use crate::places::{Places, write_whole};
use crate::{Failure, Result};
use std::fmt::Write;

/// The document, from the root of the tree.
pub const FILE: &str = "docs/benchmarks.md";

/// Lines between which the table stands.
const BEGIN: &str = "<!-- targets: written by `cargo run -- bench --update` -->\n";
const END: &str = "<!-- end of targets -->\n";

/// Writes the table anew.
pub fn update(places: &Places, kept: &Kept) -> Result<()> {
    let path = places.root.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let text = replaced(&text, kept)
        .ok_or_else(|| Failure::new(format!("{FILE} has no place for the table of targets")))?;
    write_whole(&path, text.as_bytes())
}

/// The document with the table of these figures; `None`: it has no place for it.
pub fn replaced(text: &str, kept: &Kept) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", table(kept)))
}

fn table(kept: &Kept) -> String {
    let mut text = format!(
        "With {} and {}:\n\n| row | what | at most | is | |\n|---|---|--:|--:|---|\n",
        kept.versions.compiler, kept.versions.emulator
    );
    for (row, target) in ROWS.iter().filter_map(|row| Some((row, row.target?))) {
        let found = kept.figures.iter().find(|(name, ..)| name == row.name);
        let (is, verdict) = match found {
            None => (String::from("-"), String::from("not measured")),
            Some(&(_, is, _)) if is <= target => (grouped(is), String::from("reached")),
            Some(&(_, is, _)) => (grouped(is), format!("missed, {:.2} times", is as f64 / target as f64)),
        };
        let _ =
            writeln!(text, "| `{}` | {} | {} | {is} | {verdict} |", row.name, title(row), grouped(target));
    }
    text
}

fn title(row: &Row) -> String {
    let unit = if row.unit == Unit::Page { ", a page" } else { "" };
    format!("{}{unit}", row.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept::parse("compiler c\nemulator e\nkernel/null-call 55 0\nmemory/first-touch 3200 0\n").unwrap()
    }

    #[test]
    fn the_table_stands_in_its_place() {
        let text = replaced(&format!("before\n{BEGIN}obsolete\n{END}after\n"), &kept()).unwrap();
        assert!(text.starts_with("before\n<!--") && text.ends_with("-->\nafter\n"), "{text}");
        assert!(text.contains("| 55 | 55 | reached |\n"), "{text}");
        assert!(text.contains("| 1 600 | 3 200 | missed, 2.00 times |\n"), "{text}");
        assert!(text.contains("| - | not measured |\n") && !text.contains("obsolete"), "{text}");
        assert_eq!(replaced("nothing", &kept()), None);
    }

    /// Whoever changes one of the two by hand changes the other.
    #[test]
    fn the_document_tells_the_figures_in_the_tree() {
        let places = Places::find().unwrap();
        let text = std::fs::read_to_string(places.root.join(FILE)).unwrap();
        let kept = Kept::read(&places).unwrap();
        assert_eq!(
            replaced(&text, &kept).as_deref(),
            Some(&text[..]),
            "`cargo run -- bench --update` writes it"
        );
    }
}
