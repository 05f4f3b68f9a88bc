//! `cargo run -- stress`: boots the supervisor of `tests/stress` with its tasks, shows how far it is, and prints what came
//! of it. A run can be recorded by QEMU, with all that it depends on, and replayed instruction by instruction.

mod disk;
mod findings;
mod options;
mod recording;
mod table;

pub use disk::image;
pub use findings::{Findings, Verdict};
pub use options::StressOptions;

use crate::archive::Member;
use crate::build::Guest;
use crate::ending::Ending;
use crate::logfile::Log;
use crate::machine::{Accelerator, Disk, Machine, Serial};
use crate::places::Places;
use crate::session::Session;
use crate::start::{ArchiveFile, EXEC_MEMBER, drive, prepare};
use crate::{Result, interrupt, report};
use recording::Recording;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Exit status when a law was broken.
const BROKEN: u8 = 1;
/// Exit status when the run could not be made, or did not come to its end though the machine did.
const UNFINISHED: u8 = 3;

/// Seconds of the host beyond those of the guest: building up, the last look at the books.
const SPARE_SECONDS: u64 = 120;
/// Seconds of the host for one of the guest where its clock counts instructions.
const COUNTED_FACTOR: u64 = 40;

/// Makes a run and prints what came of it. The exit status.
pub fn run(options: &StressOptions) -> Result<u8> {
    let places = Places::find()?;
    interrupt::catch();
    let guest = prepare(&places)?;
    let mut log = Log::create(&places)?;
    let (ending, findings) = make(options, &guest, &places, &mut log)?;
    print!("{}", table::table(&findings));
    Ok(conclude(&ending, &findings, options, log, &guest, &places))
}

/// Makes a run: how the machine ended, and what the supervisor told.
pub fn make(
    options: &StressOptions,
    guest: &Guest,
    places: &Places,
    log: &mut Log,
) -> Result<(Ending, Findings)> {
    let files = Files::find(options, guest, places)?;
    let machine = files.machine(options, log);
    let mut findings = Findings::default();
    let mut live = Live::new(options);
    let mut take = |_: &mut Session, bytes: &[u8]| {
        findings.take(bytes);
        live.show(&findings);
        Ok(())
    };
    let mut news = |bytes: &[u8]| {
        if options.verbose {
            let _ = std::io::stderr().write_all(bytes);
        }
    };
    let limit = Some(time_limit(options));
    let ending = drive(Session::start(machine)?, log, limit, &mut take, &mut news)?;
    live.finish();
    Ok((ending, findings))
}

/// What a machine is made of: files of this tree, or of a recording.
enum Files {
    New { kernel: PathBuf, archive: ArchiveFile, disk: PathBuf },
    Recorded(Recording),
}

impl Files {
    fn find(options: &StressOptions, guest: &Guest, places: &Places) -> Result<Files> {
        if let Some(folder) = &options.replay {
            return Recording::open(folder).map(Files::Recorded);
        }
        let mut archive = guest.archive.clone();
        archive.put(Member::plain(EXEC_MEMBER, options.commands()));
        let archive = ArchiveFile::write(places, &archive)?;
        let disk = disk::image(places)?;
        match &options.record {
            None => Ok(Files::New { kernel: guest.kernel.clone(), archive, disk }),
            Some(folder) => {
                let files = [guest.kernel.as_path(), archive.path(), &disk];
                Recording::create(folder, files, options.memory).map(Files::Recorded)
            }
        }
    }

    fn machine(&self, options: &StressOptions, log: &Log) -> Machine {
        let (kernel, archive, disk, memory_bytes, replay) = match self {
            Files::New { kernel, archive, disk } => {
                (kernel.clone(), archive.path().to_owned(), disk.clone(), options.memory, None)
            }
            Files::Recorded(recording) => {
                let [kernel, archive, disk] = recording.files();
                (kernel, archive, disk, recording.memory_bytes, Some(recording.replay.clone()))
            }
        };
        Machine {
            kernel,
            archive,
            memory_bytes,
            cpus: options.processors(),
            disk: Some(Disk::new(disk)),
            swap: None,
            serial: Serial::Pipes,
            log: log.path().to_owned(),
            qmp: PathBuf::new(),
            command_line: String::new(),
            events: None,
            accelerator: if options.is_counted() {
                Accelerator::CountedEmulation
            } else {
                Accelerator::Emulation
            },
            replay,
            counter: None,
            gdb: false,
        }
    }
}

fn time_limit(options: &StressOptions) -> Duration {
    let factor = if options.is_counted() { COUNTED_FACTOR } else { 1 };
    // Of a replay it is not known how long it is.
    let seconds = if options.replay.is_some() { 3600 } else { options.seconds };
    Duration::from_secs(seconds * factor + SPARE_SECONDS)
}

/// The exit status, and on standard error why it is not 0.
fn conclude(
    ending: &Ending,
    findings: &Findings,
    options: &StressOptions,
    log: Log,
    guest: &Guest,
    places: &Places,
) -> u8 {
    if !findings.other.is_empty() {
        eprint!("{}", findings.other);
    }
    if let Some(reason) = &findings.failed {
        eprintln!("error: the run could not be made: {reason}");
    }
    if let Some(explanation) = report::explain(ending, &log.text(), log.path(), guest, places) {
        eprint!("{explanation}");
        return ending.exec_status();
    }
    let status = match (findings.verdict(), ending) {
        (Verdict::Kept, Ending::Status(0)) => {
            log.discard();
            return 0;
        }
        (Verdict::Broken(_), _) => BROKEN,
        _ => UNFINISHED,
    };
    eprintln!("log: {}", places.shown(log.path()));
    if let (None, None) = (&options.record, &options.replay) {
        eprintln!("hint: `--record FOLDER` has such a run recorded, for `--replay FOLDER`");
    }
    status
}

/// Seconds between two lines where there is no terminal.
const LINE_SECONDS: u64 = 10;

/// The line that is rewritten while the run lasts; where there is no terminal, one now and then.
struct Live {
    seconds: u64,
    is_terminal: bool,
    shown: bool,
    /// Breaches that were told.
    told: usize,
    /// Of the guest's clock.
    next_line: u64,
}

impl Live {
    fn new(options: &StressOptions) -> Live {
        let is_terminal = std::io::stderr().is_terminal();
        Live { seconds: options.seconds, is_terminal, shown: false, told: 0, next_line: LINE_SECONDS }
    }

    fn show(&mut self, findings: &Findings) {
        // At once: a long run may be ended before it has its table.
        for breach in &findings.breaches[self.told..] {
            self.finish();
            self.shown = false;
            eprintln!("{}", table::breach_line(breach));
        }
        self.told = findings.breaches.len();
        let Some(line) = findings.progress_line(self.seconds) else { return };
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
            self.shown = true;
        } else if findings.seconds() >= self.next_line {
            eprintln!("{line}");
            self.next_line = findings.seconds() + LINE_SECONDS;
        }
    }

    fn finish(&self) {
        if self.shown {
            eprintln!();
        }
    }
}
