//! Random requests to physmem that look right more often than not: each protocol's labels, and for each what its words
//! mean. Used by hostile clients, and by the tests that throw messages at everything.

use crate::random::Random;
use kernel_abi::message::MESSAGE_WORDS;

/// What a word means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// A page number or a number of pages.
    Pages,
    /// A byte offset or length.
    Bytes,
    /// A number of frames.
    Frames,
    /// Nanoseconds.
    Term,
    /// Rights, as bits.
    Rights,
    /// Yes or no.
    Flag,
    /// A lock mode.
    Mode,
    /// An address.
    Address,
    /// The number of a lock.
    Lock,
    /// A cursor, a principal, a device: some number.
    Number,
    /// Nothing, unless it is to be refused.
    Zero,
    /// A name of up to 16 bytes: its length, then its bytes.
    Name,
}

use Argument::{Address, Bytes, Flag, Frames, Lock, Mode, Name, Number, Pages, Rights, Term, Zero};

/// A request: label and arguments.
pub type Signature = (u32, &'static [Argument]);

/// Requests to a contract.
pub const CONTRACT: &[Signature] = &[
    (1, &[Frames, Frames, Frames, Zero, Number, Term, Term, Name]),
    (2, &[]),
    (3, &[]),
    (4, &[Pages]),
    (5, &[Name]),
    (6, &[]),
    (7, &[]),
    (8, &[]),
    (9, &[Frames, Frames]),
    (10, &[Frames, Frames]),
    (11, &[]),
    (12, &[Term]),
    (13, &[]),
    (14, &[]),
    (15, &[]),
];

/// Requests to an address space.
pub const SPACE: &[Signature] = &[
    (16, &[Address, Pages, Pages, Number, Flag]),
    (17, &[Address, Pages]),
    (18, &[Address, Pages, Number]),
    (19, &[Address, Pages, Pages]),
    (20, &[]),
    (21, &[]),
    (22, &[Address]),
    (23, &[]),
    (24, &[Address]),
    (25, &[Address]),
];

/// Requests to a container or grant.
pub const CONTAINER: &[Signature] = &[
    (32, &[]),
    (33, &[Pages]),
    (34, &[Pages, Pages, Flag]),
    (35, &[Pages, Pages]),
    (36, &[Bytes, Bytes, Bytes]),
    (37, &[Pages, Pages, Pages]),
    (38, &[Rights]),
    (39, &[]),
    (40, &[Pages, Pages, Rights, Term]),
    (41, &[Flag]),
    (42, &[Pages, Pages, Mode, Term]),
    (43, &[Lock, Bytes]),
    (44, &[Pages, Pages]),
    (45, &[Lock, Mode, Bytes]),
    (46, &[Lock, Mode, Term]),
    (47, &[]),
    (48, &[Number, Flag, Flag]),
    (49, &[Pages, Pages, Flag]),
];

/// Requests to a lock that was passed on.
pub const LOCK: &[Signature] = &[(48, &[Pages]), (49, &[Bytes])];

/// Requests to physmem as a whole, and to a driver's authority.
pub const CONTROL: &[Signature] = &[
    (64, &[]),
    (65, &[Number]),
    (66, &[Number]),
    (67, &[Number]),
    (68, &[Number]),
    (69, &[]),
    (70, &[Number]),
    (71, &[]),
    (72, &[Number]),
    (73, &[Number]),
    (80, &[]),
    (96, &[]),
    (97, &[Number]),
    (98, &[Number, Number]),
    (99, &[]),
];

/// Requests to anything of physmem's.
pub const ALL: &[&[Signature]] = &[CONTRACT, SPACE, CONTAINER, LOCK, CONTROL];

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct RandomMessage {
    /// The label.
    pub label: u32,
    words: [u64; MESSAGE_WORDS],
    used: usize,
}

impl RandomMessage {
    /// The words.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.used]
    }

    /// One with these words.
    pub fn new(label: u32, words: &[u64]) -> RandomMessage {
        let mut message = RandomMessage { label, words: [0; MESSAGE_WORDS], used: 0 };
        words.iter().take(MESSAGE_WORDS).for_each(|&word| message.push(word));
        message
    }

    fn push(&mut self, word: u64) {
        self.words[self.used] = word;
        self.used += 1;
    }
}

/// A request of some protocol; `locks` are numbers of locks that are or were in force.
pub fn random(random: &mut Random, protocol: &[Signature], locks: &[u64]) -> RandomMessage {
    let (label, arguments) = random.pick(protocol);
    let mut message = RandomMessage { label, words: [0; MESSAGE_WORDS], used: 0 };
    for &argument in arguments {
        if argument == Name {
            [4, u64::from(u32::from_le_bytes(*b"name"))].into_iter().for_each(|word| message.push(word));
        } else {
            let word = value(random, argument, locks);
            message.push(word);
        }
    }
    match random.below(40) {
        0 => message.used = message.used.saturating_sub(1),
        1 => message.push(random.word()),
        2 if message.used > 0 => {
            let index = random.below(message.used as u64) as usize;
            message.words[index] = extreme(random);
        }
        3 => message.label = random.below(110) as u32,
        _ => {}
    }
    message
}

/// A value at the edge of something.
fn extreme(random: &mut Random) -> u64 {
    let near: u64 = random.pick(&[0, 1 << 12, 1 << 16, 1 << 31, 1 << 32, 1 << 36, 1 << 47, 1 << 53, 1 << 63]);
    near.wrapping_add(random.below(5)).wrapping_sub(2)
}

fn value(random: &mut Random, argument: Argument, locks: &[u64]) -> u64 {
    match argument {
        Pages => below_one_of(random, &[3, 9, 20]),
        Frames => below_one_of(random, &[3, 12, 40]),
        Bytes => match random.below(3) {
            0 => random.below(20) * 4096,
            1 => random.below(20 * 8) * 512,
            _ => random.below(20 * 4096),
        },
        Term => random.pick(&[0, 1, 1000, 1_000_000, 50_000_000, 1_000_000_000, 60_000_000_000, u64::MAX]),
        Rights => {
            if random.once_in(3) {
                0x7f
            } else {
                random.below(0x80)
            }
        }
        Flag => random.below(2),
        Zero => u64::from(random.once_in(8)),
        Mode => random.below(3),
        Address => 0x10_0000 + random.below(48) * 4096,
        Lock if !locks.is_empty() => random.pick(locks),
        Lock | Number | Name => random.below(4),
    }
}

fn below_one_of(random: &mut Random, bounds: &[u64]) -> u64 {
    let bound = random.pick(bounds);
    random.below(bound)
}
