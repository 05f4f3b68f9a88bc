//! From the options to the exit status: set up, build, boot, explain.

use crate::archive::{Archive, Member};
use crate::build::{self, Guest};
use crate::counter::{Counter, Profile, Record};
use crate::ending::Ending;
use crate::host::ThisMachine;
use crate::logfile::Log;
use crate::machine::{Accelerator, Disk, Machine, Serial};
use crate::options::Options;
use crate::places::{Places, write_whole};
use crate::session::{Event, Session};
use crate::terminal::SavedTerminal;
use crate::trace::{Recording, Told};
use crate::{Result, disk, interrupt, profile, report, setup, swap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the archive member with the commands of `--exec`.
pub const EXEC_MEMBER: &str = "exec";

/// Does the set-up that is missing and builds the guest.
pub fn prepare(places: &Places) -> Result<Guest> {
    let toolchain = setup::set_up(&mut ThisMachine)?;
    build::build(places, toolchain)
}

/// Does what the options say. The exit status of the runner.
pub fn start(options: &Options) -> Result<u8> {
    let image = options.disk.as_deref().map(disk::check_image).transpose()?;
    let places = Places::find()?;
    interrupt::catch();
    let mut guest = prepare(&places)?;
    let image = match image {
        None if !options.no_disk => Some(disk::demonstration(&places)?),
        image => image,
    };
    let swap = swap::choose(options.swap.as_deref(), &places)?;
    if let Some(commands) = &options.exec {
        guest.archive.put(Member::plain(EXEC_MEMBER, commands.as_str()));
    }
    let log = Log::create(&places)?;
    let archive = ArchiveFile::write(&places, &guest.archive)?;
    let recording = options.trace.as_deref().map(|file| Recording::start(&places, file)).transpose()?;
    let mut machine = machine(options, &guest, image, archive.path(), &log, recording.as_ref());
    let counted = options.profile.as_ref().map(|_| Counted::new(&places, options.region)).transpose()?;
    machine.swap = swap.as_ref().map(|swap| swap.disk.clone());
    machine.counter = counted.as_ref().map(|counted| counted.counter.clone());
    let started = Session::start(machine)?;
    if options.gdb {
        let kernel = guest.kernel.display();
        eprintln!(
            "waiting for a debugger; in another terminal run:\n  gdb {kernel} -ex 'target remote :1234'"
        );
    }
    let ending = if options.exec.is_some() {
        run_commands(started, options, log, &guest, &places)?
    } else {
        run_shell(started, options, log, &guest, &places)?
    };
    if let (Some(counted), Some(file)) = (counted, &options.profile) {
        counted.write(&guest, file)?;
    }
    if let Some(recording) = recording {
        say_what_was_recorded(recording.finish()?, options);
    }
    Ok(ending)
}

/// The counter of one run, and what it writes until the run has ended.
struct Counted {
    counter: Counter,
    profile: tempfile::TempPath,
    record: tempfile::TempPath,
}

impl Counted {
    fn new(places: &Places, region: Option<u16>) -> Result<Counted> {
        let folder = places.own("counts")?;
        let file = || match tempfile::Builder::new().tempfile_in(&folder) {
            Ok(file) => Ok(file.into_temp_path()),
            Err(error) => Err(crate::Failure::file("write to", &folder, &error)),
        };
        let (profile, record) = (file()?, file()?);
        let mut counter = Counter::build(places, record.to_path_buf())?;
        counter.profile = Some(Profile { file: profile.to_path_buf(), region });
        Ok(Counted { counter, profile, record })
    }

    /// Writes what the regions counted, and the profile by function.
    fn write(&self, guest: &Guest, file: &Path) -> Result<()> {
        let counts = std::fs::read_to_string(&self.profile)
            .map_err(|error| crate::Failure::file("read", &self.profile, &error))?;
        let regions = Record::read(&self.record)?.table();
        write_whole(file, format!("{regions}\n{}", profile::fold(&counts, guest).table()).as_bytes())
    }
}

fn say_what_was_recorded(told: Told, options: &Options) {
    let file = options.trace.as_deref().unwrap_or(Path::new("")).display();
    eprintln!(
        "{file}: {} events, {} lost; open it in https://ui.perfetto.dev, or make a page of it: cargo run -- report {file} FILE.html",
        told.events, told.lost
    );
}

fn machine(
    options: &Options,
    guest: &Guest,
    image: Option<PathBuf>,
    archive: &Path,
    log: &Log,
    events: Option<&Recording>,
) -> Machine {
    Machine {
        kernel: guest.kernel.clone(),
        archive: archive.to_owned(),
        memory_bytes: options.memory,
        cpus: options.processors(),
        disk: image.map(Disk::new),
        swap: None,
        serial: if options.exec.is_some() { Serial::Pipes } else { Serial::Terminal },
        log: log.path().to_owned(),
        qmp: PathBuf::new(),
        command_line: String::new(),
        events: events.map(|recording| recording.channel().to_owned()),
        accelerator: match (options.kvm, options.icount) {
            (true, _) => Accelerator::Kvm,
            (false, true) => Accelerator::CountedEmulation,
            (false, false) => Accelerator::Emulation,
        },
        replay: None,
        counter: None,
        gdb: options.gdb,
    }
}

/// The boot archive as a file, for as long as QEMU needs it.
pub struct ArchiveFile(tempfile::TempPath);

impl ArchiveFile {
    /// Writes it under the target folder.
    pub fn write(places: &Places, archive: &Archive) -> Result<ArchiveFile> {
        ArchiveFile::write_bytes(places, &archive.bytes()?)
    }

    /// Writes any bytes in its stead, for tests of damaged archives.
    pub fn write_bytes(places: &Places, bytes: &[u8]) -> Result<ArchiveFile> {
        let folder = places.own("archives")?;
        let failed = |error| crate::Failure::file("write to", &folder, &error);
        let file =
            tempfile::Builder::new().prefix("boot-").suffix(".tar").tempfile_in(&folder).map_err(failed)?;
        let path = file.into_temp_path();
        write_whole(&path, bytes)?;
        Ok(ArchiveFile(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Takes what the guest writes until the run ends or its time does.
///
/// `output` gets the bytes of the serial port, `news` those of the log; either may refuse with an error, which
/// ends the run.
pub fn drive(
    mut session: Session,
    log: &mut Log,
    limit: Option<Duration>,
    output: &mut dyn FnMut(&mut Session, &[u8]) -> Result<()>,
    news: &mut dyn FnMut(&[u8]),
) -> Result<Ending> {
    let begin = Instant::now();
    loop {
        let event = session.event()?;
        news(&log.read_news());
        match event {
            Event::Output(bytes) => output(&mut session, &bytes)?,
            Event::Silence => {}
            Event::Ended => {
                let ending = session.finish(log);
                news(&log.read_news());
                return ending;
            }
        }
        if limit.is_some_and(|limit| begin.elapsed() > limit) {
            let ending = session.interrogate();
            news(&log.read_news());
            return Ok(ending);
        }
    }
}

fn show_log(verbose: bool) -> impl FnMut(&[u8]) {
    move |bytes| {
        if verbose {
            let _ = std::io::stderr().write_all(bytes);
        }
    }
}

fn run_commands(
    session: Session,
    options: &Options,
    mut log: Log,
    guest: &Guest,
    places: &Places,
) -> Result<u8> {
    let mut print = |_: &mut Session, bytes: &[u8]| {
        let mut output = std::io::stdout();
        // Nobody is left to read, as with `| head`: as good as Ctrl-C.
        output.write_all(bytes).and_then(|()| output.flush()).map_err(|_| interrupt::failure())
    };
    let limit = options.time_limit();
    let ending = drive(session, &mut log, limit, &mut print, &mut show_log(options.verbose))?;
    match report::explain(&ending, &log.text(), log.path(), guest, places) {
        Some(explanation) => eprint!("{explanation}"),
        None => log.discard(),
    }
    Ok(ending.exec_status())
}

fn run_shell(
    session: Session,
    options: &Options,
    mut log: Log,
    guest: &Guest,
    places: &Places,
) -> Result<u8> {
    let terminal = SavedTerminal::save();
    eprintln!("booting; Ctrl-A X leaves QEMU; log: {}", places.shown(log.path()));
    let mut nothing = |_: &mut Session, _: &[u8]| Ok(());
    let ending = drive(session, &mut log, None, &mut nothing, &mut show_log(options.verbose));
    drop(terminal);
    let ending = ending?;
    if let Ending::Quit = ending {
        return Ok(0);
    }
    match report::explain(&ending, &log.text(), log.path(), guest, places) {
        Some(explanation) => eprint!("\n{explanation}"),
        None => log.discard(),
    }
    Ok(ending.exec_status())
}
