//! What to boot, said step by step, and the boot itself. Failures panic: this is for tests.

use crate::books;
use crate::conversation::Conversation;
use crate::image::Image;
use crate::outcome::Outcome;
use crate::world::{self, Permit, World};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;
use tests_runner::archive::{Archive, Member};
use tests_runner::logfile::Log;
use tests_runner::machine::{Accelerator, Disk, Fault, Machine, Serial};
use tests_runner::options::memory_size;
use tests_runner::session::Session;
use tests_runner::start::{ArchiveFile, EXEC_MEMBER, drive};
use tests_runner::trace::Recording;

/// Time that a scenario may take if it does not say otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// A boot to be. Without further words: 128 MiB, one processor, no disk, software emulation.
pub struct Boot {
    memory_bytes: u64,
    cpus: u32,
    disk: Option<Disk>,
    swap: Option<Disk>,
    archive: Archive,
    archive_bytes: Option<Vec<u8>>,
    accelerator: Accelerator,
    limit: Duration,
    is_traced: bool,
}

/// A boot that is under way.
pub(crate) struct Started {
    pub session: Session,
    pub log: Log,
    pub world: &'static World,
    pub limit: Duration,
    pub permit: Permit,
    pub archive: ArchiveFile,
    /// Events on their way into a file.
    pub trace: Option<(Recording, NamedTempFile)>,
}

impl Default for Boot {
    fn default() -> Boot {
        Boot::new()
    }
}

impl Boot {
    /// The whole system, and no disk.
    pub fn new() -> Boot {
        let world = world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
        Boot {
            memory_bytes: 128 << 20,
            cpus: 1,
            disk: None,
            swap: None,
            archive: world.guest.archive.clone(),
            archive_bytes: None,
            accelerator: Accelerator::Emulation,
            limit: LIMIT,
            is_traced: false,
        }
    }

    /// With so much memory, as in `64M`.
    pub fn memory(mut self, size: &str) -> Boot {
        self.memory_bytes = memory_size(size).unwrap_or_else(|complaint| panic!("{size}: {complaint}"));
        self
    }

    /// With so many processors.
    pub fn cpus(mut self, cpus: u32) -> Boot {
        self.cpus = cpus;
        self
    }

    /// With this disk.
    pub fn disk(self, image: &Image) -> Boot {
        self.disk_file(image.path())
    }

    /// With this file as a disk, whatever it holds.
    pub fn disk_file(mut self, path: &Path) -> Boot {
        self.disk = Some(Disk::new(path));
        self
    }

    /// With this file as a disk for swap.
    pub fn swap(mut self, disk: Disk) -> Boot {
        self.swap = Some(disk);
        self
    }

    /// The disk answers some reads with an I/O error.
    pub fn fault(mut self, fault: Fault) -> Boot {
        self.disk.as_mut().expect("a fault needs a disk").faults.push(fault);
        self
    }

    /// The disk brings so many bytes a second and no more.
    pub fn disk_speed(mut self, bytes_per_second: u64) -> Boot {
        self.disk.as_mut().expect("a speed needs a disk").bytes_per_second = Some(bytes_per_second);
        self
    }

    /// With one more archive member, or another one in its place.
    pub fn member(mut self, member: Member) -> Boot {
        self.archive.put(member);
        self
    }

    /// With an archive that was taken out of shape.
    pub fn change_archive(mut self, change: impl FnOnce(&mut Archive)) -> Boot {
        change(&mut self.archive);
        self
    }

    /// With these bytes in place of the archive.
    pub fn archive_bytes(mut self, bytes: Vec<u8>) -> Boot {
        self.archive_bytes = Some(bytes);
        self
    }

    /// The bytes of the archive as it would be booted, to be damaged for [`Boot::archive_bytes`].
    pub fn intact_archive_bytes(&self) -> Vec<u8> {
        self.archive.bytes().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Counts instructions: the guest's clock advances by one for each, and runs repeat.
    pub fn counted(mut self) -> Boot {
        self.accelerator = Accelerator::CountedEmulation;
        self
    }

    /// On a processor without random numbers.
    pub fn without_entropy(mut self) -> Boot {
        self.accelerator = Accelerator::EmulationWithoutEntropy;
        self
    }

    /// Has the guest tell events; [`Outcome::trace`] is what came of it.
    pub fn traced(mut self) -> Boot {
        self.is_traced = true;
        self
    }

    /// May take so long.
    pub fn limit(mut self, limit: Duration) -> Boot {
        self.limit = limit;
        self
    }

    /// Boots, runs shell commands, and waits for the end. The books before and after are part of the outcome and do not show
    /// in its output; if the shell ended in order, nothing may have leaked.
    #[track_caller]
    pub fn exec(self, commands: &str) -> Outcome {
        let look = books::PROGRAM;
        // With several processors the shell does not wait for the file server to come up, unless it asks something of it.
        let first = if self.cpus > 1 && self.disk.is_some() { "cd /\n" } else { "" };
        self.exec_alone(&format!("{first}{look}\n{commands}\n{look} $?\n")).keep_books()
    }

    /// The same without the books, for commands that end the shell and for archives without the program for it.
    pub fn exec_alone(self, commands: &str) -> Outcome {
        self.member(Member::plain(EXEC_MEMBER, commands)).run()
    }

    /// Boots and waits for the end.
    pub fn run(self) -> Outcome {
        let mut started = self.start();
        let mut output = Vec::new();
        let mut take = |_: &mut Session, bytes: &[u8]| {
            output.extend_from_slice(bytes);
            Ok(())
        };
        let limit = Some(started.limit);
        let ending = drive(started.session, &mut started.log, limit, &mut take, &mut |_| ())
            .unwrap_or_else(|failure| panic!("{failure}"));
        drop(started.permit);
        let trace = started.trace.map(|(recording, file)| {
            let told = recording.finish().unwrap_or_else(|failure| panic!("{failure}"));
            let bytes = std::fs::read(file.path()).unwrap_or_else(|error| panic!("the trace: {error}"));
            (told, bytes)
        });
        let mut outcome = Outcome::new(ending, output, started.log, started.world);
        outcome.trace = trace;
        outcome
    }

    /// Boots to a shell for the scenario to type at, and waits for its prompt.
    #[track_caller]
    pub fn talk(self) -> Conversation {
        Conversation::new(self.start())
    }

    fn start(self) -> Started {
        let world = world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
        let permit = Permit::take();
        let begin = || {
            let archive = match &self.archive_bytes {
                Some(bytes) => ArchiveFile::write_bytes(&world.places, bytes)?,
                None => ArchiveFile::write(&world.places, &self.archive)?,
            };
            let log = Log::create(&world.places)?;
            let trace = self.is_traced.then(|| {
                let file =
                    NamedTempFile::new().unwrap_or_else(|error| panic!("a file for the trace: {error}"));
                Recording::start(&world.places, file.path()).map(|recording| (recording, file))
            });
            let trace = trace.transpose()?;
            let machine = Machine {
                kernel: world.guest.kernel.clone(),
                archive: archive.path().to_owned(),
                memory_bytes: self.memory_bytes,
                cpus: self.cpus,
                disk: self.disk.clone(),
                swap: self.swap.clone(),
                serial: Serial::Pipes,
                log: log.path().to_owned(),
                qmp: PathBuf::new(),
                command_line: String::new(),
                events: trace.as_ref().map(|(recording, _)| recording.channel().to_owned()),
                accelerator: self.accelerator,
                replay: None,
                counter: None,
                gdb: false,
            };
            Ok((Session::start(machine)?, log, archive, trace))
        };
        let started: tests_runner::Result<_> = begin();
        let (session, log, archive, trace) = started.unwrap_or_else(|failure| panic!("{failure}"));
        Started { session, log, world, limit: self.limit, permit, archive, trace }
    }
}
