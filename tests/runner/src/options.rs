//! The command line of `cargo run`.

use crate::bench::BenchOptions;
use crate::stress::StressOptions;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Least memory that the guest is offered.
pub const MEMORY_MIN: u64 = 16 << 20;

/// Most memory that the guest is offered.
pub const MEMORY_MAX: u64 = 64 << 30;

/// Most processors that the guest is offered: as many as the kernel uses.
pub const CPUS_MAX: i64 = 16;

/// Processors of the guest if `--cpus` does not say otherwise and instructions are not counted.
pub const CPUS: u32 = 2;

/// Seconds that `--exec` may take if `--timeout` does not say otherwise.
pub const TIMEOUT_SECONDS: u64 = 120;

const AFTER_HELP: &str = "\
Exit status: with --exec that of the last command (0 to 99). 2: bad option. 100: the kernel panicked or
did not answer. 101: the first task ended. 102: the system did not come up. 124: the time ran out.
125: anything else went wrong. 130: interrupted.";

/// What the runner does other than boot.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Run the logic of physmem, file server and driver in a simulator, from seeds (`simulate --help`)
    #[command(disable_help_flag = true)]
    Simulate {
        /// Handed on to the simulator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<OsString>,
    },
    /// Make a page with pictures of what a trace tells
    Report {
        /// A file that --trace has written, or what is left of one
        trace: PathBuf,
        /// The page, in HTML
        page: PathBuf,
    },
    /// Boot tasks that misbehave and tasks that check that the laws are kept, and say what came of it
    Stress(StressOptions),
    /// Measure what operations cost, in guest instructions, and print a table
    Bench(BenchOptions),
}

/// Builds Tenure and boots it under QEMU to a shell on this terminal.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(name = "tenure", bin_name = "cargo run --", version, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Something else than booting
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Run shell commands: their output alone is printed, the last one's status returned
    #[arg(long, value_name = "COMMANDS")]
    pub exec: Option<String>,

    /// An ext2, ext3 or ext4 image, opened read-only [default: files of this repository]
    #[arg(long, value_name = "IMAGE", conflicts_with = "no_disk")]
    pub disk: Option<PathBuf>,

    /// Show the guest no disk
    #[arg(long)]
    pub no_disk: bool,

    /// A file for pages that do not fit in memory, overwritten; `none` for none [default: one of 512 MiB for this run]
    #[arg(long, value_name = "IMAGE")]
    pub swap: Option<PathBuf>,

    /// Memory of the guest, with suffix K, M or G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = memory_size)]
    pub memory: u64,

    /// Processors of the guest [default: 2; under --icount always 1]
    #[arg(long, value_name = "NUMBER", conflicts_with = "icount", value_parser = clap::value_parser!(u32).range(1..=CPUS_MAX))]
    pub cpus: Option<u32>,

    /// Wait for a debugger before the first instruction, and print how to start it
    #[arg(long)]
    pub gdb: bool,

    /// Count guest instructions: the guest's clock advances by one for each
    #[arg(long, conflicts_with = "kvm")]
    pub icount: bool,

    /// Write to FILE how many instructions each function of kernel and programs executed
    #[arg(long, value_name = "FILE", requires = "icount")]
    pub profile: Option<PathBuf>,

    /// Leave out of --profile what is not within the region of this number (kernel_runtime::region)
    #[arg(long, value_name = "NUMBER", requires = "profile")]
    pub region: Option<u16>,

    /// Run on the processor instead of in software emulation
    #[arg(long)]
    pub kvm: bool,

    /// Show the log of kernel and servers on standard error
    #[arg(long)]
    pub verbose: bool,

    /// Have the guest tell events while it runs, and write them to a file for Perfetto, Chrome's tracing page or `report`
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// Seconds that --exec may take [default: 120, without limit under --gdb]
    #[arg(long, value_name = "SECONDS", requires = "exec", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}

impl Options {
    /// Processors of the guest. Under `--icount` QEMU would run them in turns, and who waits for another would wait for its
    /// turn to end: one.
    pub fn processors(&self) -> u32 {
        self.cpus.unwrap_or(if self.icount { 1 } else { CPUS })
    }

    /// How long the guest may run; `None` is for ever.
    pub fn time_limit(&self) -> Option<Duration> {
        match (&self.exec, self.timeout) {
            (None, _) => None,
            (Some(_), Some(seconds)) => Some(Duration::from_secs(seconds)),
            (Some(_), None) if self.gdb => None,
            (Some(_), None) => Some(Duration::from_secs(TIMEOUT_SECONDS)),
        }
    }
}

/// A size in bytes from `64M`, `1G`, `65536K` or a plain number of bytes; whole pages, within the limits.
pub fn memory_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        suffix => return Err(format!("unknown suffix `{suffix}`: use K, M or G, as in 64M")),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(String::from("not a size: write a number with a suffix, as in 64M"));
    }
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match bytes {
        Some(bytes) if bytes < MEMORY_MIN => Err(String::from("too little: at least 16M")),
        Some(bytes) if bytes <= MEMORY_MAX && bytes % 4096 == 0 => Ok(bytes),
        Some(bytes) if bytes <= MEMORY_MAX => Err(String::from("not a whole number of 4K pages")),
        _ => Err(String::from("too much: at most 64G")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> std::result::Result<Options, clap::Error> {
        Options::try_parse_from([&["tenure"], arguments].concat())
    }

    #[test]
    fn without_options_it_is_a_shell_with_the_demonstration_disk() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.memory, 256 << 20);
        assert_eq!((options.exec.as_deref(), options.disk.as_deref(), options.no_disk), (None, None, false));
        assert_eq!((options.time_limit(), options.processors()), (None, CPUS));
        assert!(!options.gdb && !options.icount && !options.kvm && !options.verbose);
    }

    #[test]
    fn every_option_is_understood() {
        let options =
            parse(&["--exec", "ls /; ps", "--disk", "a,b.img", "--memory", "64M", "--icount"]).unwrap();
        assert_eq!(options.exec.as_deref(), Some("ls /; ps"));
        assert_eq!(options.disk, Some(PathBuf::from("a,b.img")));
        assert_eq!((options.memory, options.processors()), (64 << 20, 1));
        let profiled = parse(&["--icount", "--profile", "p", "--region", "7"]).unwrap();
        assert_eq!((profiled.profile, profiled.region), (Some(PathBuf::from("p")), Some(7)));
        assert_eq!(parse(&["--cpus", "4"]).unwrap().processors(), 4);
        assert_eq!(options.time_limit(), Some(Duration::from_secs(TIMEOUT_SECONDS)));
        let options =
            parse(&["--exec", "ps", "--timeout", "7", "--gdb", "--kvm", "--verbose", "--no-disk"]).unwrap();
        assert_eq!(options.time_limit(), Some(Duration::from_secs(7)));
        assert!(options.gdb && options.kvm && options.verbose && options.no_disk);
        assert_eq!(parse(&["--exec", "ps", "--gdb"]).unwrap().time_limit(), None);
    }

    #[test]
    fn arguments_of_the_simulator_are_its_own() {
        let simulate = |arguments: &[&str]| {
            let arguments = arguments.iter().map(OsString::from).collect();
            Some(Command::Simulate { arguments })
        };
        assert_eq!(parse(&["simulate"]).unwrap().command, simulate(&[]));
        let given = ["--seeds", "0..5", "--help"];
        assert_eq!(parse(&[&["simulate"], &given[..]].concat()).unwrap().command, simulate(&given));
        assert!(parse(&["--icount", "simulate"]).is_err(), "nothing is booted");
    }

    #[test]
    fn a_trace_is_written_and_reported() {
        assert_eq!(parse(&["--trace", "t.json"]).unwrap().trace, Some(PathBuf::from("t.json")));
        let report = Command::Report { trace: "t.json".into(), page: "p.html".into() };
        assert_eq!(parse(&["report", "t.json", "p.html"]).unwrap().command, Some(report));
    }

    #[test]
    fn bad_arguments_end_with_status_2() {
        let cases: &[&[&str]] = &[
            &["--no-such-option"],
            &["stray"],
            &["--memory", "lots"],
            &["--memory"],
            &["--cpus", "0"],
            &["--cpus", "2", "--icount"],
            &["--cpus", "17"],
            &["--profile", "p"],
            &["--icount", "--region", "7"],
            &["--timeout", "0", "--exec", "ls"],
            &["--timeout", "5"],
            &["--disk", "x", "--no-disk"],
            &["--kvm", "--icount"],
            &["--exec", "a", "--exec", "b"],
            &["--exec", "a", "stress"],
            &["report"],
            &["report", "trace"],
        ];
        for case in cases {
            assert_eq!(parse(case).expect_err(&format!("{case:?}")).exit_code(), 2, "{case:?}");
        }
        assert_eq!(parse(&["--help"]).unwrap_err().exit_code(), 0);
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(memory_size("64M"), Ok(64 << 20));
        assert_eq!(memory_size("1G"), Ok(1 << 30));
        assert_eq!(memory_size("65536k"), Ok(64 << 20));
        assert_eq!(memory_size("67108864"), Ok(64 << 20));
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for text in
            ["", "M", "64T", "64MB", "-64M", "6 4M", "1M", "0", "99999999999999999999G", "128G", "16385K"]
        {
            assert!(memory_size(text).is_err(), "{text}");
        }
    }
}
