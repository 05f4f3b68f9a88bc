//! All of physmem's state, and how it begins.
//!
//! [`Physmem`] holds the frame database, the roots of the records, a few sums and counters. Everything about
//! contracts, containers and address spaces is in records; the other modules are operations over this struct.
//!
//! # Why a charge always finds its frame
//! The sum of all guarantees never changes (a contract is split off another), and the sum of what is held beyond
//! guarantees stays within `extra_capacity`, which is what guarantees and reserve leave of RAM. So the sum of
//! all charges stays within RAM less the reserve; a frame is charged at least once, so a free one is there.

use crate::database::{FrameDatabase, NO_FRAME, NOBODY, State};
use crate::handles::Handles;
use crate::layout::contract;
use crate::limits::{self, FRAMES_MAX};
use crate::pmap::{Pmap, RecordMemory};
use crate::zeroing::ZeroQueue;
use containers_core::frames::Roots;
use containers_core::record::{Contract, Name, Record, Records, Size};
use kernel_abi::Handle;

/// What was done since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames zeroed at hand-over.
    pub zeroed: u64,
    /// Hand-overs of frames zeroed before.
    pub pre_zeroed: u64,
    /// Hand-overs where nobody could see a difference.
    pub zeroing_skipped: u64,
    /// Bytes moved by the processor.
    pub moved_bytes: u64,
    /// Pages copied logically.
    pub shared_pages: u64,
    /// Bytes written by devices.
    pub dma_bytes: u64,
    /// Page faults resolved.
    pub faults: u64,
    /// Requests answered.
    pub requests: u64,
}

/// What physmem begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beginning {
    /// Frames never guaranteed to anybody.
    pub reserve: u64,
    /// Guarantee of the root contract; with the reserve at most the free frames.
    pub guaranteed: u64,
    /// The handles of physmem's table that it may use, first and end.
    pub handles: (Handle, Handle),
    /// Number of the first principal, the root contract's; not 0.
    pub first_principal: u64,
}

/// See the module.
pub struct Physmem<'a, P, M> {
    /// The kernel.
    pub pmap: P,
    pub(crate) memory: M,
    pub(crate) database: FrameDatabase<'a>,
    pub(crate) roots: Roots,
    pub(crate) root: Name<Contract>,
    pub(crate) reserve: u64,
    pub(crate) guarantees: u64,
    pub(crate) extra: u64,
    pub(crate) extra_capacity: u64,
    pub(crate) last_principal: u64,
    pub(crate) last_number: u64,
    pub(crate) handles: Handles,
    pub(crate) zero_queue: ZeroQueue,
    pub(crate) counters: Counters,
    /// The clock page, which anybody may map.
    pub clock_frame: Option<u32>,
}

impl<'a, P: Pmap, M: RecordMemory> Physmem<'a, P, M> {
    /// Begins with a database in which everything that is not free is the system's. The root contract gets all
    /// that may be guaranteed.
    pub fn new(pmap: P, memory: M, database: FrameDatabase<'a>, beginning: Beginning) -> Self {
        let Beginning { reserve, guaranteed, handles, first_principal } = beginning;
        assert!(first_principal != NOBODY);
        let managed = managed_frames(&database);
        let spare = managed.checked_sub(reserve + guaranteed);
        let mut this = Physmem {
            pmap,
            memory,
            database,
            roots: Roots::default(),
            root: Name::claimed(0),
            reserve,
            guarantees: guaranteed,
            extra: 0,
            extra_capacity: spare.expect("guarantee and reserve fit into RAM"),
            last_principal: first_principal,
            last_number: 0,
            handles: Handles::new(handles.0, handles.1),
            zero_queue: ZeroQueue::default(),
            counters: Counters::default(),
            clock_frame: None,
        };
        this.root = this.make_root(guaranteed, managed);
        this
    }

    /// The root contract is the one record that comes before the contract that pays for it.
    fn make_root(&mut self, guaranteed: u64, managed: u64) -> Name<Contract> {
        assert!(guaranteed > 0);
        let frame = self.database.take_for_records().expect("there is a free frame for the root contract");
        self.memory.open(frame).expect("there are page tables for the first record frame");
        self.format_records(frame, Size::Large);
        let root = self.occupy::<Contract>(frame, 0);
        self.database.set_used(frame, 1);
        let ring = self.database.ring_push(NO_FRAME, frame);
        self.set(root, contract::LARGE_RING, ring);
        self.set(root, contract::RECORDS, 1);
        self.set(root, contract::PRINCIPAL, self.last_principal);
        self.set(root, contract::GUARANTEED, guaranteed);
        self.set(root, contract::EXTRA_LIMIT, managed);
        self.set(root, contract::PIN_LIMIT, guaranteed);
        self.set_name(root, contract::NAME, contract::NAME_REST, "root");
        root
    }

    /// The root contract.
    pub fn root(&self) -> Name<Contract> {
        self.root
    }

    /// What was done since boot.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The frames.
    pub fn database(&self) -> &FrameDatabase<'a> {
        &self.database
    }

    /// A number that was never used before, to name a thing for people.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Panics where a law does not hold that can be checked without walking through everything.
    pub fn check_conservation(&self) {
        let managed = managed_frames(&self.database);
        assert!(self.guarantees + self.reserve + self.extra_capacity == managed, "frames are lost");
        assert!(self.extra <= self.extra_capacity, "more extra frames than there may be");
    }
}

/// Frames that are neither the kernel's nor physmem's own.
pub fn managed_frames(database: &FrameDatabase<'_>) -> u64 {
    database.frames() - database.count(State::System)
}

/// Makes frames known as free, as the system's, or (state held) as the boot archive's, which become a
/// container's later. Frame 0 is never given out.
pub fn add_frames(database: &mut FrameDatabase<'_>, first: u32, frames: u32, state: State) {
    for frame in (first..first.saturating_add(frames).min(FRAMES_MAX as u32)).rev() {
        match state {
            State::FreeDirty if frame != NO_FRAME => database.free(frame, State::Absent, false, NOBODY),
            State::Held => database.change(frame, State::Absent, State::Held),
            _ => database.change(frame, State::Absent, State::System),
        }
    }
}

/// Bytes of bookkeeping for so many frames of RAM: database, page tables of the record window, capability table.
pub const fn bookkeeping_bytes(frames: u64) -> u64 {
    let window = frames.div_ceil(512) + frames.div_ceil(512 * 512) + 2;
    frames * crate::database::ENTRY_BYTES as u64 + (window + limits::table_frames(frames)) * 4096
}

/// Names of records for people, kept in two words.
impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(crate) fn set_name<R: Record>(
        &mut self,
        record: Name<R>,
        first: containers_core::record::Field<R, u64>,
        rest: containers_core::record::Field<R, u64>,
        name: &str,
    ) {
        let mut bytes = [0; containers_api::NAME_BYTES];
        let name = containers_api::Name::truncated(name);
        bytes[..name.as_bytes().len()].copy_from_slice(name.as_bytes());
        let number = u128::from_le_bytes(bytes);
        self.set(record, first, number as u64);
        self.set(record, rest, (number >> 64) as u64);
    }

    pub(crate) fn name_of<R: Record>(
        &self,
        record: Name<R>,
        first: containers_core::record::Field<R, u64>,
        rest: containers_core::record::Field<R, u64>,
    ) -> containers_api::Name {
        let number = u128::from(self.get(record, first)) | u128::from(self.get(record, rest)) << 64;
        let bytes = number.to_le_bytes();
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        containers_api::Name::truncated(core::str::from_utf8(&bytes[..end]).unwrap_or(""))
    }
}
