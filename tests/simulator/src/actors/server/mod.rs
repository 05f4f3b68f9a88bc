//! The file server: the plan, the cache and the shares that boot (`filesystems-ext-core`), and the steps of a read as
//! `filesystems/ext/server` carries them out, one request to physmem at a time.

mod calls;
mod disk;

use crate::env::{Env, ReadAnswer, ReadCall};
use crate::image::Metadata;
use crate::law;
use crate::world::{Refused, Wait};
use containers_api::container as api;
use containers_api::contract::{ContainerCreate, Examine, ObjectKind};
use containers_api::{ContainerRights, MemoryError};
use filesystems_api::block::{BlockError, Extents};
use filesystems_api::file::{FileError, NodeKind, ReadDone};
use filesystems_ext_core::cache::{CachedRun, FileKey, PageIndex, Reservation};
use filesystems_ext_core::plan::{COPY_PAGES, Read, STEP_PAGES, Step};
use filesystems_ext_core::{PAGE_BYTES, Shares, Volume};
use kernel_protocol::{ErrorCode, Refusal};

/// Threads of the server.
const WORKERS: usize = 4;
/// As in the server that boots.
const LOCK_TERM_NS: u64 = 40_000_000_000;
const PASS_TERM_NS: u64 = 30_000_000_000;
const CALL_NS: u64 = 25_000_000_000;
/// Fewer than in the server that boots, so that giving up happens.
const BUSY_ATTEMPTS: u32 = 6;
const MEMORY_ATTEMPTS: u32 = 4;

type Error = Refusal<FileError>;

/// A lock on a range that the disk is to fill.
#[derive(Clone, Copy)]
struct Locked {
    container: u64,
    lock: u64,
    attempts: u32,
}

/// For whom the disk fills a range.
enum Purpose {
    /// The client's own pages: first page, pages, valid bytes, page of the file.
    Direct(u64, u64, u64, u64),
    /// The cache's: where, valid bytes, page of the file.
    Fill(Option<Reservation>, u64, u64),
}

/// How far a worker is.
enum Stage {
    Begin,
    Plan,
    Copy { run: Option<CachedRun>, source: u64, destination: u64, bytes: u64, valid: u64 },
    Lock { purpose: Purpose, extents: Extents },
    Pass { purpose: Purpose, extents: Extents, locked: Locked },
    Disk { purpose: Purpose, extents: Extents, locked: Locked, call: u64, deadline: u64 },
    Change { purpose: Purpose, locked: Locked },
    CopyIn { purpose: Purpose, locked: Locked, version: u64, cached: Vec<(Reservation, u64)>, copied: u64 },
    Unlock { purpose: Purpose, locked: Locked, valid: u64, error: Option<Error>, kept: Option<Kept> },
}

/// What is in the cache if the range did not change until now.
struct Kept {
    version: u64,
    cached: Vec<(Reservation, u64)>,
}

/// A read in progress.
struct Job {
    asked: ReadCall,
    stage: Stage,
    read: Option<Read>,
    key: FileKey,
    done: ReadDone,
    principal: u64,
    copy_out: bool,
    careful_until: u64,
    memory_attempts: u32,
    /// What it waits for before it makes its last request again.
    waiting: Option<Wait>,
}

/// See the module.
pub struct Server {
    /// Its contract.
    pub contract: u64,
    volume: Volume<Metadata>,
    index: PageIndex,
    shares: Shares<WORKERS>,
    cache: u64,
    zeros: u64,
    workers: [Option<Box<Job>>; WORKERS],
    /// What it is charged beside pages, once it is set up.
    bookkeeping: u64,
    /// It answers no calls.
    is_deaf: bool,
}

impl Server {
    /// Starts under a new contract, with so many places in its cache.
    pub fn new(env: &mut Env<'_>, parent: u64, allowance: (u64, u64, u64), places: u64) -> Option<Server> {
        let contract = env.world.split(parent, allowance, 0)?;
        let volume = match Volume::mount(Metadata(env.image.clone())) {
            Ok(volume) => volume,
            Err(error) => crate::violation::broken("reads", format!("the volume is not mounted: {error}")),
        };
        let create = ContainerCreate { pages: places + COPY_PAGES + 1 };
        let cache = env.world.ask_badge(contract, &create, &[]);
        if let Some(wait) = cache.as_ref().err().and_then(Wait::of) {
            env.world.forget(wait);
        }
        let Ok(cache) = cache else {
            let result = env.world.ask(contract, &containers_api::contract::ContractDestroy {}, &[]);
            super::require_destroyed(env, result);
            return None;
        };
        env.world.watch(contract);
        calls::set_discardable(env, cache);
        Some(Server {
            contract,
            volume,
            index: PageIndex::with_floor(places as u32, calls::floor(allowance.0)),
            shares: Shares::new(),
            cache,
            zeros: places * PAGE_BYTES,
            workers: [None, None, None, None],
            bookkeeping: 16,
            is_deaf: env.random.once_in(3),
        })
    }

    /// Ends: its calls fail, its locks stay until somebody ends them.
    pub fn destroy(self, env: &mut Env<'_>) {
        let result = env.world.ask(self.contract, &containers_api::contract::ContractDestroy {}, &[]);
        super::require_destroyed(env, result);
        for job in self.workers.into_iter().flatten() {
            answer(env, &job.asked, None);
        }
        env.to_workers.clear();
    }

    /// The law that a server holds nothing on a client's behalf: what it is charged is its cache and a few records.
    pub fn require_nothing_held(&self, env: &mut Env<'_>) {
        let status = env.world.ask(self.contract, &containers_api::contract::ContractStat {}, &[]);
        let Ok(status) = status else { return };
        let places = self.zeros / PAGE_BYTES;
        law!("server-holds-nothing", status.pages <= places, "{} pages, {places} places", status.pages);
        let books = status.records + status.kernel;
        law!("server-holds-nothing", books <= self.bookkeeping, "{books} frames of bookkeeping");
    }

    /// Takes a step of some thread.
    pub fn step(&mut self, env: &mut Env<'_>) {
        if env.random.once_in(6) && self.answer_call(env) {
            return;
        }
        self.index.set_growth(calls::may_grow(env));
        let Some(index) = self.next_worker(env) else { return };
        match self.workers[index].take() {
            Some(mut job) => match self.work(env, &mut job) {
                Ok(false) => self.workers[index] = Some(job),
                Ok(true) => self.finish(env, &job, Ok(())),
                Err(refusal) => self.failed(env, index, job, refusal),
            },
            None => {
                if let Some(asked) = env.to_server.pop_front() {
                    env.record.note(asked.call, || format!("takes on the read of client {}", asked.client));
                    self.workers[index] = Some(Box::new(Job {
                        asked,
                        stage: Stage::Begin,
                        read: None,
                        key: FileKey { inode: asked.inode, generation: 0 },
                        done: ReadDone { bytes: 0, error: 0, moved_bytes: 0, dma_bytes: 0 },
                        principal: 0,
                        copy_out: false,
                        careful_until: 0,
                        memory_attempts: MEMORY_ATTEMPTS,
                        waiting: None,
                    }));
                }
            }
        }
    }

    /// A thread with something to do, from some thread on.
    fn next_worker(&self, env: &mut Env<'_>) -> Option<usize> {
        let first = env.random.below(WORKERS as u64) as usize;
        let has_work = |index: &usize| match &self.workers[*index] {
            None => !env.to_server.is_empty(),
            Some(job) => match job.stage {
                Stage::Disk { call, deadline, .. } => {
                    env.now() >= deadline || env.to_workers.iter().any(|answer| answer.call == call)
                }
                _ => true,
            },
        };
        (0..WORKERS).map(|offset| (first + offset) % WORKERS).find(has_work)
    }

    /// After an error the disk is asked page by page, to find out how far it can be read.
    fn failed(&mut self, env: &mut Env<'_>, index: usize, mut job: Box<Job>, refusal: Error) {
        job.stage = Stage::Plan;
        if let Some(read) = &mut job.read
            && refusal.error == FileError::Io
            && read.disk_pages > 1
        {
            read.disk_pages = 1;
            job.careful_until = job.done.bytes + STEP_PAGES * PAGE_BYTES;
            self.workers[index] = Some(job);
            return;
        }
        self.finish(env, &job, Err(refusal));
    }

    fn finish(&mut self, env: &mut Env<'_>, job: &Job, result: Result<(), Error>) {
        if job.read.is_some() {
            self.shares.give(job.principal);
        }
        let done = match result {
            Ok(()) => Ok(job.done),
            Err(refusal) if job.done.bytes == 0 => Err(refusal),
            Err(refusal) => Ok(ReadDone { error: refusal.error.code(), ..job.done }),
        };
        env.record.note(job.asked.call, || format!("answers client {}", job.asked.client));
        answer(env, &job.asked, Some(done));
    }

    /// One step of a read; true: it is done.
    fn work(&mut self, env: &mut Env<'_>, job: &mut Job) -> Result<bool, Error> {
        if let Some(wait) = job.waiting {
            if env.world.is_over(wait).is_none() {
                return Ok(false);
            }
            job.waiting = None;
        }
        let stage = std::mem::replace(&mut job.stage, Stage::Plan);
        job.stage = match stage {
            Stage::Begin => self.begin(env, job)?,
            Stage::Plan => match self.plan(job)? {
                Some(stage) => stage,
                None => return Ok(true),
            },
            Stage::Copy { run, source, destination, bytes, valid } => {
                let request = api::Copy { source_offset: source, destination_offset: destination, bytes };
                let copied = env.world.ask(self.cache, &request, &[job.asked.container]);
                if comes_later(job, &copied) {
                    job.stage = Stage::Copy { run, source, destination, bytes, valid };
                    return Ok(false);
                }
                let lost = copied.as_ref().is_err_and(|refused| refused.error == MemoryError::Lost);
                if let Some(run) = run {
                    let forgotten = if lost { self.forget_lost(env, &run) } else { 0 };
                    self.index.release(run);
                    if forgotten != 0 {
                        return Ok(false);
                    }
                }
                env.record.note(bytes, || {
                    format!("copies {bytes} bytes from its cache to client {}", job.asked.client)
                });
                job.done.moved_bytes += copied.map_err(memory_refusal)?.moved_bytes;
                job.done.bytes += valid;
                Stage::Plan
            }
            Stage::Lock { purpose, extents } => self.lock(env, job, purpose, extents)?,
            Stage::Pass { purpose, extents, locked } => self.pass(env, job, purpose, extents, locked),
            Stage::Disk { purpose, extents, locked, call, deadline } => {
                self.wait_for_disk(env, job, (purpose, extents, locked), call, deadline)
            }
            Stage::Change { purpose, locked } => self.change(env, purpose, locked)?,
            Stage::CopyIn { purpose, locked, version, cached, copied } => {
                self.copy_in(env, job, (purpose, locked), Kept { version, cached }, copied)
            }
            Stage::Unlock { purpose, locked, valid, error, kept } => {
                self.unlock(env, job, (purpose, locked), (valid, error), kept)?
            }
        };
        Ok(false)
    }

    /// Makes sure of the container, of the file, and of the client's share.
    fn begin(&mut self, env: &mut Env<'_>, job: &mut Job) -> Result<Stage, Error> {
        let inode =
            self.volume.inode(job.asked.inode).map_err(|error| Refusal::from(error.file_error().0))?;
        if inode.kind != NodeKind::File {
            return Err(FileError::IsDirectory.into());
        }
        let examined =
            env.world.ask(self.contract, &Examine {}, &[job.asked.container]).map_err(memory_refusal)?;
        if examined.kind != ObjectKind::Container {
            return Err(Refusal::with_detail(
                FileError::Container,
                u64::from(MemoryError::WrongObject.code()),
            ));
        }
        let ReadCall { offset, bytes, container_offset, .. } = job.asked;
        let fits = |start: u64| start.checked_add(bytes).is_some();
        if !fits(offset) || !fits(container_offset) {
            return Err(FileError::OutOfRange.into());
        }
        if !self.shares.take(examined.principal) {
            return Err(FileError::Busy.into());
        }
        job.principal = examined.principal;
        job.copy_out = examined.rights.contains(ContainerRights::COPY_OUT);
        job.key.generation = inode.generation;
        let direct = examined.rights.contains(ContainerRights::LOCK | ContainerRights::FILL);
        job.read = Some(Read { inode, offset, bytes, container_offset, direct, disk_pages: STEP_PAGES });
        Ok(Stage::Plan)
    }

    /// What comes next; none: nothing.
    fn plan(&mut self, job: &mut Job) -> Result<Option<Stage>, Error> {
        let Some(read) = &mut job.read else { return Ok(None) };
        if job.done.bytes >= job.careful_until {
            read.disk_pages = STEP_PAGES;
        }
        let step = read.next(&mut self.volume, &mut self.index, job.done.bytes);
        Ok(Some(match step.map_err(|error| Refusal::from(error.file_error().0))? {
            Step::Done => return Ok(None),
            Step::NoPlace => return Err(FileError::Busy.into()),
            Step::Copy { run, source_offset, destination_offset, bytes, valid } => {
                let (source, destination) = (source_offset, destination_offset);
                Stage::Copy { run: Some(run), source, destination, bytes, valid }
            }
            Step::Zero { destination_offset, bytes, valid } => {
                let source = self.zeros + destination_offset % PAGE_BYTES;
                Stage::Copy { run: None, source, destination: destination_offset, bytes, valid }
            }
            Step::Direct { first_page, pages, extents, valid, file_page } => {
                Stage::Lock { purpose: Purpose::Direct(first_page, pages, valid, file_page), extents }
            }
            Step::Fill { reservation, extents, filled, file_page } => {
                Stage::Lock { purpose: Purpose::Fill(Some(reservation), filled, file_page), extents }
            }
            // Blocks are as large as pages here, so no page is partly a hole.
            Step::Assemble { reservation, .. } => {
                self.index.cancel(reservation);
                return Err(FileError::Unsupported.into());
            }
        }))
    }
}

/// Whether a request was not done because frames are on their way; then it is made again.
fn comes_later<R>(job: &mut Job, result: &Result<R, Refused>) -> bool {
    let Err(refused) = result else { return false };
    job.waiting = Wait::of(refused);
    refused.error == MemoryError::Again
}

fn answer(env: &mut Env<'_>, asked: &ReadCall, result: Option<Result<ReadDone, Error>>) {
    env.to_clients[asked.client].push(ReadAnswer { call: asked.call, result });
}

fn memory_refusal(refused: Refused) -> Error {
    match refused.error {
        MemoryError::OutOfRange => FileError::OutOfRange.into(),
        error => Refusal::with_detail(FileError::Container, u64::from(error.code())),
    }
}

fn disk_refusal(refusal: Refusal<BlockError>) -> Error {
    match refusal.error {
        BlockError::Io | BlockError::Unsupported => Refusal::with_detail(FileError::Io, refusal.detail),
        BlockError::TimedOut => FileError::TimedOut.into(),
        BlockError::Busy => FileError::Busy.into(),
        BlockError::NoDisk => FileError::NoDisk.into(),
        BlockError::BadLock => Refusal::with_detail(FileError::Container, refusal.detail),
        _ => FileError::Damaged.into(),
    }
}
