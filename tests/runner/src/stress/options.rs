//! The command line of `cargo run -- stress`.

use crate::options::{CPUS, CPUS_MAX, memory_size};
use clap::Args;
use std::path::PathBuf;
use tests_stress_core::tasks::{self, Part, TASKS};

/// Memory of the guest unless another size is asked for.
const MEMORY: &str = "64M";

/// What is to be put under stress, and for how long.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(after_help = help_tasks())]
pub struct StressOptions {
    /// Decides who runs when, and every other choice of the tasks
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// How long, on the guest's clock
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,

    /// Memory of the guest, with suffix K, M or G
    #[arg(long, value_name = "SIZE", default_value = MEMORY, value_parser = memory_size)]
    pub memory: u64,

    /// Processors of the guest [default: 2, where instructions are counted 1]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=CPUS_MAX), conflicts_with_all = ["icount", "record", "replay"])]
    pub cpus: Option<u32>,

    /// Of the tasks that misbehave only these, separated by commas; the good ones run in any case
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = task_name)]
    pub only: Vec<String>,

    /// Count guest instructions: the guest's clock advances by one nanosecond for each
    #[arg(long)]
    pub icount: bool,

    /// Have QEMU record the run in a new folder, to be replayed from there; counts instructions
    #[arg(long, value_name = "FOLDER", conflicts_with = "replay")]
    pub record: Option<PathBuf>,

    /// Replay a recorded run, instruction by instruction
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["seed", "seconds", "memory", "only", "icount"])]
    pub replay: Option<PathBuf>,

    /// Show the log of kernel and servers on standard error
    #[arg(long)]
    pub verbose: bool,
}

impl StressOptions {
    /// What the shell is told to do.
    pub fn commands(&self) -> String {
        let only =
            if self.only.is_empty() { String::new() } else { format!(" only={}", self.only.join(",")) };
        format!("with all /.boot/stress/stress seed={} seconds={}{only}\n", self.seed, self.seconds)
    }

    /// Processors of the guest. Counted instructions repeat on one alone.
    pub fn processors(&self) -> u32 {
        self.cpus.unwrap_or(if self.is_counted() { 1 } else { CPUS })
    }

    /// Whether the guest's clock counts instructions.
    pub fn is_counted(&self) -> bool {
        self.icount || self.record.is_some() || self.replay.is_some()
    }
}

fn task_name(text: &str) -> std::result::Result<String, String> {
    match tasks::find(text) {
        Some(task) if task.part != Part::Good => Ok(text.to_owned()),
        Some(_) => Err(String::from("a good task, which runs in any case")),
        None => Err(String::from("no such task: see --help")),
    }
}

fn help_tasks() -> String {
    let rows = TASKS.iter().filter(|task| task.part != Part::Good);
    let rows = rows.map(|task| format!("  {:<18}{}\n", task.name, task.tries));
    let status = "Exit status: 0: no law was broken. 1: one was. 2: bad option. 3: the run could not be made.\n\
                  100 and above: as without `stress`.";
    format!("Tasks that misbehave:\n{}\n{status}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, Options};
    use clap::Parser;

    fn parse(arguments: &[&str]) -> std::result::Result<StressOptions, clap::Error> {
        let options = Options::try_parse_from([&["tenure", "stress"], arguments].concat())?;
        match options.command {
            Some(Command::Stress(stress)) => Ok(stress),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_it_is_ten_seconds_of_everything_on_a_small_machine() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.seed, options.seconds, options.memory), (1, 10, 64 << 20));
        assert_eq!(options.commands(), "with all /.boot/stress/stress seed=1 seconds=10\n");
        assert!(!options.is_counted());
        assert_eq!(options.processors(), CPUS);
    }

    #[test]
    fn every_option_is_understood() {
        let options =
            parse(&["--seed", "7", "--seconds", "3", "--memory", "512M", "--only", "hogs,lies"]).unwrap();
        assert_eq!(options.memory, 512 << 20);
        assert_eq!(options.commands(), "with all /.boot/stress/stress seed=7 seconds=3 only=hogs,lies\n");
        assert!(parse(&["--record", "x"]).unwrap().is_counted());
        assert!(parse(&["--replay", "x", "--verbose"]).unwrap().is_counted());
        assert!(parse(&["--icount"]).unwrap().is_counted());
        assert_eq!(parse(&["--icount"]).unwrap().processors(), 1);
        assert_eq!(parse(&["--cpus", "4"]).unwrap().processors(), 4);
    }

    #[test]
    fn bad_arguments_end_with_status_2() {
        let cases: &[&[&str]] = &[
            &["--only", "nobody"],
            &["--only", "witness"],
            &["--seconds", "0"],
            &["--replay", "x", "--seed", "2"],
            &["--replay", "x", "--record", "y"],
            &["--cpus", "0"],
            &["--cpus", "2", "--icount"],
            &["--exec", "ls"],
        ];
        for case in cases {
            assert_eq!(parse(case).expect_err(&format!("{case:?}")).exit_code(), 2, "{case:?}");
        }
    }
}
