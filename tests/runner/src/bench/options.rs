//! The command line of `cargo run -- bench`.

use super::revocation;
use super::rows::{GROUPS, ROWS, Row, find};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What is to be measured.
#[derive(Args, Clone, PartialEq, Eq, Default, Debug)]
#[command(after_help = help())]
pub struct BenchOptions {
    /// Only these groups and rows, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = known)]
    pub only: Vec<String>,

    /// Do the same work on another system, too, and print both columns
    #[arg(long, value_name = "SYSTEM")]
    pub against: Option<Against>,

    /// Write the figures to a file, too, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Leave the second run out, which measures the time that operations take
    #[arg(long)]
    pub no_time: bool,

    /// Make the figures the ones that later runs are compared with
    #[arg(long, conflicts_with = "only")]
    pub update: bool,

    /// Show the log of kernel and servers on standard error
    #[arg(long)]
    pub verbose: bool,
}

/// Another system.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    /// Debian's cloud kernel; its package is downloaded, not installed
    Linux,
}

impl BenchOptions {
    /// Whether a row is wanted.
    pub fn wants(&self, row: &Row) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row.name || name == row.group())
    }

    /// Whether the table of what it takes to get frames back is wanted.
    pub fn wants_revocation(&self) -> bool {
        self.only.is_empty() && !self.update || self.only.iter().any(|name| name == revocation::NAME)
    }

    /// Rows that are wanted, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + '_ {
        ROWS.iter().filter(|row| self.wants(row))
    }
}

fn known(text: &str) -> std::result::Result<String, String> {
    let is_group = GROUPS.iter().any(|(group, _)| *group == text);
    if is_group || text == revocation::NAME || find(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err(String::from("no such group or row: see --help"))
    }
}

fn help() -> String {
    let mut text = String::from("Groups and their rows:\n");
    for (group, title) in GROUPS {
        text += &format!("  {group:<8} {title}\n");
        for row in ROWS.iter().filter(|row| row.group() == *group) {
            text += &format!("    {:<34} {}\n", row.name, row.title);
        }
    }
    text += &format!(
        "  {:<8} a table of its own: taking frames back on 1, 2 and 4 processors\n",
        revocation::NAME
    );
    text + "\nWhat the figures mean is told in docs/benchmarks.md."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, Options};
    use clap::Parser;

    fn parse(arguments: &[&str]) -> std::result::Result<BenchOptions, clap::Error> {
        match Options::try_parse_from([&["tenure", "bench"], arguments].concat())?.command {
            Some(Command::Bench(options)) => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_everything_is_measured() {
        let options = parse(&[]).unwrap();
        assert_eq!(options, BenchOptions::default());
        assert_eq!(options.rows().count(), ROWS.len());
    }

    #[test]
    fn groups_and_rows_can_be_chosen() {
        let options = parse(&["--only", "ipc,kernel/zero", "--json", "x", "--no-time"]).unwrap();
        let names: Vec<_> = options.rows().map(|row| row.name).collect();
        assert_eq!((names[0], names[1]), ("kernel/zero", "ipc/round-trip-0"));
        assert!(!options.wants_revocation());
        assert!(parse(&["--only", "revocation"]).unwrap().wants_revocation());
        assert!(names[1..].iter().all(|name| name.starts_with("ipc/")));
        assert_eq!(
            (options.against, parse(&["--against", "linux"]).unwrap().against),
            (None, Some(Against::Linux))
        );
    }

    #[test]
    fn bad_arguments_end_with_status_2() {
        let cases: &[&[&str]] = &[
            &["--only", "ipcs"],
            &["--only", ""],
            &["--json"],
            &["--update", "--only", "ipc"],
            &["row"],
            &["--against"],
            &["--against", "hurd"],
        ];
        for case in cases {
            assert_eq!(parse(case).expect_err(&format!("{case:?}")).exit_code(), 2, "{case:?}");
        }
    }
}
