//! Every protocol message, thrown at who understands it and who does not: structured, seeded, with a corpus that is kept.
//!
//! A stage is a small machine with one object of each kind. A message names its target and what it sends along by their
//! places on the stage. The corpus holds, for each combination of target, label and answer that was ever seen, one message
//! that leads to it. `UPDATE_CORPUS=1 cargo test -p tests-simulator --test fuzz` adds what is new.
#![forbid(unsafe_code)]

use containers_api::container::{Allocate, Grant, Lock, LockPass};
use containers_api::contract::ContainerCreate;
use containers_api::control::ControlRights;
use containers_api::control::DmaAuthority;
use containers_api::{ContainerRights, LockMode, MemoryError};
use kernel_protocol::{ErrorCode, Message};
use physmem_core::Sent;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tests_simulator::actors::requests::{self, RandomMessage};
use tests_simulator::image::Image;
use tests_simulator::laws::check_all;
use tests_simulator::machine::{Arena, NOTIFICATION};
use tests_simulator::random::Random;
use tests_simulator::scenario;
use tests_simulator::sim::Sim;
use tests_simulator::world::{Machine, World};

/// Messages that are thrown in a test.
const MESSAGES: u64 = 30_000;
/// Frames of the stage.
const FRAMES: usize = 96;
/// Objects on the stage, and one that is nothing.
const OBJECTS: usize = 10;
/// Lowest page of the answers that are remembered: answered later.
const LATER: u32 = u32::MAX;

/// What is on the stage: badges by place, and the number of a lock.
struct Stage {
    badges: [u64; OBJECTS],
    lock: u64,
}

fn set(world: &mut World<'_>) -> Stage {
    let root = world.root();
    let contract = world.split(root, (50, 10, 20), 0).expect("a contract");
    let child = world.split(contract, (14, 4, 4), 5_000_000_000).expect("a contract");
    let space = world.space(contract).expect("a space");
    let container = world.ask_badge(contract, &ContainerCreate { pages: 8 }, &[]).expect("a container");
    let other = world.ask_badge(child, &ContainerCreate { pages: 8 }, &[]).expect("a container");
    let request = Allocate { first_page: 0, pages: 6, any_contents: false };
    world.ask(container, &request, &[]).expect("frames");
    world.map(space, container, (0x10_0000, 0, 4), true).expect("a mapping");
    let rights = ContainerRights::all();
    let request = Grant { first_page: 0, pages: 8, rights, maximum_lock_ns: 1_000_000_000 };
    let grant = world.ask_badge(container, &request, &[]).expect("a grant");
    let request = Lock { first_page: 4, pages: 2, mode: LockMode::Dma, term_ns: 1_000_000_000 };
    let lock = world.ask(grant, &request, &[]).expect("a lock").lock;
    let request = LockPass { lock, mode: LockMode::Dma, term_ns: 1_000_000 };
    let passed = world.ask_badge(grant, &request, &[]).expect("a passed lock");
    let control = Machine::control_badge(ControlRights::all()).0;
    let dma = world.ask_badge(control, &DmaAuthority { device: 1 }, &[contract]).expect("an authority");
    let look = Machine::control_badge(ControlRights::empty()).0;
    let badges = [contract, child, space.badge, container, other, grant, passed, control, look, dma];
    Stage { badges, lock }
}

/// A message with its target and what goes along, as places on the stage; a place beyond it is a notification.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Thrown {
    target: usize,
    label: u32,
    sent: Vec<usize>,
    words: Vec<u64>,
}

impl Thrown {
    fn random(random: &mut Random, lock: u64) -> Thrown {
        let target = random.below(OBJECTS as u64) as usize;
        let fitting = [
            requests::CONTRACT,
            requests::CONTRACT,
            requests::SPACE,
            requests::CONTAINER,
            requests::CONTAINER,
            requests::CONTAINER,
            requests::LOCK,
            requests::CONTROL,
            requests::CONTROL,
            requests::CONTROL,
        ][target];
        let protocol = if random.once_in(10) { random.pick(requests::ALL) } else { fitting };
        let message = requests::random(random, protocol, &[lock]);
        let sent = (0..random.below(3)).map(|_| random.below(OBJECTS as u64 + 1) as usize).collect();
        Thrown { target, label: message.label, sent, words: message.words().to_vec() }
    }

    /// Throws it; the answer's label.
    fn throw(&self, world: &mut World<'_>, stage: &Stage) -> u32 {
        let place = |&place: &usize| match stage.badges.get(place) {
            Some(&badge) => Sent::Badge(badge),
            None => Sent::Handle(NOTIFICATION),
        };
        let sent: Vec<Sent> = self.sent.iter().map(place).collect();
        let message = RandomMessage::new(self.label, &self.words);
        match world.raw(stage.badges[self.target], message.label, message.words(), &sent) {
            Err(_) => LATER,
            Ok(answer) => {
                let known = answer.label == 0 || MemoryError::from_code(answer.label).code() == answer.label;
                assert!(known && answer.label != MemoryError::Internal.code(), "{self:?}: {}", answer.label);
                answer.label
            }
        }
    }

    fn line(&self, answer: u32) -> String {
        let join = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let sent: Vec<u64> = self.sent.iter().map(|&place| place as u64).collect();
        let line =
            format!("{} {} -> {answer} | {} | {}", self.target, self.label, join(&sent), join(&self.words));
        line.trim_end().to_owned()
    }

    fn parse(line: &str) -> Option<(Thrown, u32)> {
        let numbers = |text: &str| text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>();
        let (head, rest) = line.split_once('|')?;
        let (sent, words) = rest.split_once('|')?;
        let (asked, answer) = head.split_once("->")?;
        let asked = numbers(asked).ok()?;
        let sent = numbers(sent).ok()?.into_iter().map(|place| place as usize).collect();
        let thrown = Thrown {
            target: *asked.first()? as usize,
            label: *asked.get(1)? as u32,
            sent,
            words: numbers(words).ok()?,
        };
        Some((thrown, answer.trim().parse().ok()?))
    }
}

/// What is kept: a message for each target, label and answer.
type Corpus = BTreeMap<(usize, u32, u32), Thrown>;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/physmem.txt")
}

fn read_corpus() -> Corpus {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let lines =
        text.lines().map(|line| Thrown::parse(line).unwrap_or_else(|| panic!("in the corpus: {line}")));
    lines.map(|(thrown, answer)| ((thrown.target, thrown.label, answer), thrown)).collect()
}

/// Throws a message on a fresh stage, and checks every law before and after everything that was there ends.
fn try_out(arena: &mut Arena, thrown: &Thrown) -> u32 {
    let mix = *scenario::named("memory").expect("a scenario");
    let mut sim = Sim::new(arena, Image::new(), mix, FRAMES, false);
    sim.env.world.begin_step(1000);
    let stage = set(&mut sim.env.world);
    let answer = thrown.throw(&mut sim.env.world, &stage);
    check_all(&mut sim.env);
    sim.env.world.pass_time(10_000_000_000);
    sim.env.world.finish_work();
    check_all(&mut sim.env);
    answer
}

#[test]
fn messages_of_the_corpus_are_answered_and_break_nothing() {
    let mut arena = Arena::default();
    let corpus = read_corpus();
    assert!(corpus.len() > 300, "the corpus is not there: {} messages", corpus.len());
    for thrown in corpus.values() {
        try_out(&mut arena, thrown);
    }
}

#[test]
fn random_messages_are_answered_and_break_nothing() {
    let mut arena = Arena::default();
    let mut corpus = read_corpus();
    let known = corpus.len();
    let lock = {
        let mix = *scenario::named("memory").expect("a scenario");
        let mut sim = Sim::new(&mut arena, Image::new(), mix, FRAMES, false);
        sim.env.world.begin_step(1000);
        set(&mut sim.env.world).lock
    };
    for number in 0..MESSAGES {
        let mut random = Random::of(7, number);
        let thrown = Thrown::random(&mut random, lock);
        let answer = try_out(&mut arena, &thrown);
        corpus.entry((thrown.target, thrown.label, answer)).or_insert(thrown);
    }
    println!("{known} combinations were known, {} are new", corpus.len() - known);
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        let lines: Vec<String> = corpus.iter().map(|((.., answer), thrown)| thrown.line(*answer)).collect();
        std::fs::write(path(), lines.join("\n") + "\n").expect("the corpus can be written");
    }
}

/// Words that decode are what the message encodes to: nothing in a message is ignored.
fn is_canonical<M: Message + std::fmt::Debug>(random: &mut Random) -> u64 {
    let mut decoded = 0;
    for _ in 0..3000 {
        let mut words = [0; 64];
        let shift = random.below(64);
        words.iter_mut().for_each(|word| *word = random.word() >> shift);
        let count = if random.once_in(4) { random.below(65) as usize } else { M::MAX_WORDS };
        if let Ok(message) = M::decode(&words[..count]) {
            let mut again = [0; 64];
            let used = message.encode(&mut again);
            assert_eq!(again[..used], words[..count], "{message:?}");
            decoded += 1;
        }
    }
    decoded
}

macro_rules! all_canonical {
    ($random:expr; $($module:path { $($name:ident),* $(,)? })*) => { $({
        use $module as module;
        $(
            let decoded = is_canonical::<module::$name>($random);
            assert!(decoded > 0, "no random words are a {}", stringify!($name));
        )*
    })* };
}

#[test]
fn what_decodes_encodes_to_the_same() {
    let mut random = Random::of(9, 9);
    all_canonical! { &mut random;
        containers_api::contract {
            ContractDestroy, ContractStat, ContainerCreate, EndpointCreate, NotificationCreate, Examine, HandDown,
            TakeBack, Merge, Extend, Renew, Watch, CallStat, ContractStatus, CallStatus, Renewed, Examined,
        }
        containers_api::container {
            ContainerStat, Resize, Allocate, Deallocate, Copy, Move, Share, Seal, Grant, Revoke, Lock, Unlock,
            BreakLocks, LockChange, LockPass, ContainerDestroy, SetEviction, PageQuery, Changed, Copied, Locked, Broken,
        }
        containers_api::space {
            Map, Unmap, Protect, MapDevice, ThreadCreate, TableGrow, MapClock, MapPressure, MapContractPage, SpaceDestroy,
            TableRoom,
        }
        containers_api::lock { LockRuns, LockRelease, Runs }
        containers_api::control {
            SystemStat, ContractList, ContainerList, SpaceList, ContractKill, ControlShare, DmaAuthority,
            RevocationStat, LatencyStat, PolicySet, SystemStatus,
        }
        containers_api::dma { QuarantineRelease, QuarantineReleased }
        filesystems_api::file { DirReaddir, IoStat, IoReadContainer, IoRead, IoWrite, FileStatfs, ReadDone, Written }
        filesystems_api::block { BlockStat, BlockRead, BlockStatus, BlockDone }
    }
}
