//! What all actors share: physmem's world, the step's random numbers, the messages on their way, the record of the run.

use crate::contents::Frame;
use crate::image::Image;
use crate::random::{Random, mix};
use crate::scenario::Mix;
use crate::world::World;
use filesystems_api::block::{BlockDone, BlockError, Extents};
use filesystems_api::file::{FileError, ReadDone};
use kernel_protocol::Refusal;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A read that a client asks the file server for.
#[derive(Clone, Copy, Debug)]
pub struct ReadCall {
    /// Names it; never used again.
    pub call: u64,
    /// Whose mail the answer goes to.
    pub client: usize,
    /// The file.
    pub inode: u32,
    /// First byte of the file.
    pub offset: u64,
    /// Bytes wanted.
    pub bytes: u64,
    /// First byte in the container.
    pub container_offset: u64,
    /// The container or grant that came along.
    pub container: u64,
}

/// The file server's answer; none: it ended before it had one.
#[derive(Clone, Copy, Debug)]
pub struct ReadAnswer {
    /// To which call.
    pub call: u64,
    /// What it came to.
    pub result: Option<Result<ReadDone, Refusal<FileError>>>,
}

/// Sectors that the file server asks the driver for.
#[derive(Clone, Copy, Debug)]
pub struct BlockCall {
    /// Names it; never used again.
    pub call: u64,
    /// The lock that was passed on.
    pub lock: u64,
    /// What goes where.
    pub extents: Extents,
}

/// The driver's answer; none: it ended before it had one.
#[derive(Clone, Copy, Debug)]
pub struct BlockAnswer {
    /// To which call.
    pub call: u64,
    /// When it was given: an answer after the call's deadline reaches nobody.
    pub at: u64,
    /// What it came to.
    pub result: Option<Result<BlockDone, Refusal<BlockError>>>,
}

macro_rules! counters {
    ($($name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter { $(#[doc = $text] $name,)* }

        impl Counter {
            /// All of them, with what the report calls them.
            pub const ALL: &'static [(Counter, &'static str)] = &[$((Counter::$name, $text),)*];
        }
    };
}

counters! {
    Touches = "touches of memory",
    Waits = "faults that waited for a lock",
    Requests = "requests of witnesses",
    Refusals = "requests refused for lack of memory",
    Reads = "file reads asked for",
    ReadsDone = "file reads done",
    ReadsFailed = "file reads that ended with an error",
    ReadBytes = "file bytes checked",
    Calls = "calls given up at their deadline",
    Locks = "locks taken",
    Passes = "locks passed to the driver",
    Breaks = "locks broken by their owner",
    Revokes = "grants revoked",
    Quarantined = "frames that came out of quarantine",
    FrameWaits = "waits for frames within a guarantee",
    CallsAnswered = "calls answered by giving frames back",
    CallsIgnored = "calls heard and ignored",
    Seized = "pages found seized",
    Renewals = "renewals granted",
    HandedDown = "guarantees handed down or taken back",
    Recorded = "runs of pages found in the repossession record",
    Swaps = "policies swapped",
    ServerCalled = "calls answered by the file server",
    ServerLost = "pages of its cache that it found seized",
    Lent = "ranges lent to a liar",
    Lies = "steps of the liar",
    LiesFilled = "touches of lent pages by the liar",
    LiesRefused = "attempts of the liar beyond its locks and grants",
    Expired = "contracts whose term was over",
    PagesOut = "pages that went out to the pager",
    PagesIn = "pages that it brought back",
    PagesRefused = "pages that it did not take",
    PagesBad = "pages that it did not bring back",
    PagerWaits = "touches that waited for the pager",
    PagerFailures = "touches that it failed",
    PagerCrashes = "crashes of the pager",
    CleanDrops = "pages that went out without being written",
    Scribbles = "window pages that it wrote to unasked",
    Crashes = "crashes of clients",
    ServerCrashes = "crashes of the file server",
    DriverCrashes = "crashes of the driver",
    Splits = "contracts split off",
    Destroyed = "contract trees destroyed",
    Hostile = "requests of hostile clients",
    HostileDone = "of them not refused",
    Looked = "pages that hostile clients looked at",
    Walks = "full walks of the laws",
    Checks = "containers and contracts checked after a step",
    Pages = "pages of witnesses compared",
}

/// Number of counters.
pub const COUNTERS: usize = Counter::ALL.len();

/// The record of a run: counts, a hash of everything that happened, and its story where somebody wants to read it.
#[derive(Clone)]
pub struct Record {
    /// By [`Counter`].
    pub counts: [u64; COUNTERS],
    /// Changes with everything that happens.
    pub hash: u64,
    /// The story, one line a step, if it is told.
    pub story: Option<Vec<String>>,
}

impl Record {
    /// Counts something.
    pub fn count(&mut self, what: Counter) {
        self.add(what, 1);
    }

    /// Counts several.
    pub fn add(&mut self, what: Counter, number: u64) {
        self.counts[what as usize] += number;
    }

    /// Notes what happened: a number for the hash, words for the story.
    pub fn note(&mut self, number: u64, words: impl FnOnce() -> String) {
        self.hash = mix(self.hash ^ number).rotate_left(9);
        if let Some(story) = &mut self.story {
            story.push(words());
        }
    }
}

/// Answers that a client has not looked at.
const MAIL_KEPT: usize = 8;

/// See the module.
pub struct Env<'a> {
    /// physmem, machine, clock.
    pub world: World<'a>,
    /// This step's random numbers.
    pub random: Random,
    /// The disk's contents.
    pub image: Rc<Image>,
    /// What happens how often.
    pub mix: Mix,
    /// What has happened.
    pub record: Record,
    /// Messages to the file server.
    pub to_server: VecDeque<ReadCall>,
    /// Ranges lent to the liar.
    pub to_liar: VecDeque<ReadCall>,
    /// Messages to the driver.
    pub to_driver: VecDeque<BlockCall>,
    /// Answers to clients, by client.
    pub to_clients: Vec<Vec<ReadAnswer>>,
    /// Pages that the default pager keeps, by name.
    pub kept: BTreeMap<u64, Box<Frame>>,
    /// Answers to the file server.
    pub to_workers: Vec<BlockAnswer>,
    last_call: u64,
}

impl<'a> Env<'a> {
    /// Nothing has happened yet.
    pub fn new(world: World<'a>, image: Rc<Image>, mix: Mix, clients: usize, told: bool) -> Env<'a> {
        Env {
            world,
            random: Random::of(0, 0),
            image,
            mix,
            record: Record { counts: [0; COUNTERS], hash: 0, story: told.then(Vec::new) },
            to_server: VecDeque::new(),
            to_liar: VecDeque::new(),
            to_driver: VecDeque::new(),
            to_clients: vec![Vec::new(); clients],
            kept: BTreeMap::new(),
            to_workers: Vec::new(),
            last_call: 0,
        }
    }

    /// The moment.
    pub fn now(&self) -> u64 {
        self.world.now
    }

    /// A number for a call.
    pub fn next_call(&mut self) -> u64 {
        self.last_call += 1;
        self.last_call
    }

    /// Takes the answer to a call out of a client's mail. Of others, for calls that were given up, only the last are kept.
    pub fn take_mail(&mut self, client: usize, call: u64) -> Option<ReadAnswer> {
        let mail = &mut self.to_clients[client];
        let found = mail.iter().position(|answer| answer.call == call);
        let found = found.map(|index| mail.remove(index));
        mail.drain(..mail.len().saturating_sub(MAIL_KEPT));
        found
    }
}
