//! All of physmem's state, and how it begins.
//!
//! [`Physmem`] holds the frame database, the roots of the records, a few sums and counters. Everything about
//! contracts, containers and address spaces is in records; the other modules are operations over this struct.
//!
//! # Why a charge always finds its frame
//! All charges and claims together stay within `capacity`: RAM less the reserve. A frame in use is charged at least once, so
//! where a charge is admitted a free frame is there.
//!
//! # Why a guarantee is always met
//! The sum of all guarantees never changes (a contract is split off another) and is within `capacity`. So where a charge
//! within a guarantee finds no room, others hold at least as much beyond theirs. Whatever is beyond a guarantee can be
//! seized (see `contract`), once its term is over and a call has had its grace; and while somebody waits nobody gets more.

use crate::chain::Ends;
use crate::database::{FrameDatabase, NO_FRAME, NOBODY, State};
use crate::fault::Cluster;
use crate::handles::Handles;
use crate::latency::Histogram;
use crate::layout::contract;
use crate::limits::{self, FRAMES_MAX, lending_margin};
use crate::mapping::BATCH;
use crate::owed::Owed;
use crate::paging::Paging;
use crate::pmap::{Pmap, RecordMemory};
use crate::policy::Central;
use crate::waits::{FrameWait, FrameWaits, Shortage};
use crate::zeroing::ZeroQueue;
use containers_core::frames::Roots;
use containers_core::record::{Container, Contract, Name, Record, Records, Size, Space};
use kernel_abi::Handle;
use kernel_abi::message::MESSAGE_WORDS;
use kernel_abi::pmap::PageRange;

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
    /// Callers that waited for frames.
    pub waited: u64,
    /// Calls made.
    pub calls: u64,
    /// Of these, met.
    pub calls_met: u64,
    /// Of these, not met.
    pub calls_missed: u64,
    /// Of these, not held against who missed them: they had no processor time to answer.
    pub calls_excused: u64,
    /// Frames seized.
    pub seized: u64,
    /// Of these, out of discardable containers.
    pub discarded: u64,
    /// Locks broken for that.
    pub locks_broken: u64,
    /// Contracts whose term was over.
    pub terminations: u64,
    /// Pages whose use was looked at.
    pub scanned: u64,
    /// Renewals granted.
    pub renewals: u64,
}

/// Times that taking frames back took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LatencyRecord {
    /// Of callers that waited.
    pub wait: Histogram,
    /// From a call to its being met.
    pub call: Histogram,
    /// From a missed deadline to the frames being free.
    pub seizure: Histogram,
}

/// What physmem begins with.
pub struct Beginning<'a> {
    /// Frames never guaranteed to anybody.
    pub reserve: u64,
    /// Guarantee of the root contract; with the reserve at most the free frames.
    pub guaranteed: u64,
    /// The handles of physmem's table that it may use, first and end.
    pub handles: (Handle, Handle),
    /// Number of the first principal, the root contract's; not 0.
    pub first_principal: u64,
    /// A place, all zero, for each handle up to the end.
    pub waits: &'a mut [FrameWait],
    /// A frame of the system's for the pressure page.
    pub pressure_frame: Option<u32>,
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
    /// What may be charged: RAM less the reserve.
    pub(crate) capacity: u64,
    /// The sum of all charges.
    pub(crate) charged: u64,
    /// The sum of all claims.
    pub(crate) claimed: u64,
    /// The sum of what is held beyond guarantees.
    pub(crate) extra: u64,
    /// Frames that are not lent.
    pub(crate) margin: u64,
    /// The moment of the last request, fault or step.
    pub(crate) now: u64,
    /// Contracts with extra frames.
    pub(crate) holders: Ends<Contract>,
    /// Contracts with claims.
    pub(crate) claims: Ends<Contract>,
    /// Contracts that end, by when.
    pub(crate) endings: Option<Name<Contract>>,
    pub(crate) going_containers: Ends<Container>,
    pub(crate) going_spaces: Ends<Space>,
    pub(crate) waits: FrameWaits<'a>,
    /// The charge within a guarantee that found no frame in this request.
    pub(crate) shortage: Option<Shortage>,
    pub(crate) is_new_shortage: bool,
    /// Calls in progress.
    pub(crate) called: u64,
    /// Contracts that hold more extra frames than they may, because guarantees were taken from them.
    pub(crate) over_limit: u64,
    /// Frames that are to be seized.
    pub(crate) seizing: u64,
    /// The first deadline that was missed, as long as what follows from it goes on.
    pub(crate) seizing_since: Option<u64>,
    pub(crate) next_relief: Option<u64>,
    /// Frames that the physmem above has called for.
    pub(crate) owed: Owed,
    /// Pages that are out, and the default pager.
    pub(crate) paging: Paging,
    /// The policy in force, with its notes.
    pub(crate) policy: Central,
    pub(crate) pressure_frame: Option<u32>,
    pub(crate) published: u64,
    pub(crate) latencies: LatencyRecord,
    pub(crate) last_principal: u64,
    pub(crate) last_number: u64,
    pub(crate) handles: Handles,
    pub(crate) zero_queue: ZeroQueue,
    /// What is to be entered for the last fault.
    pub(crate) resolved: Cluster,
    /// Words of the last answer that had more than fit registers.
    pub(crate) long_answer: [u64; MESSAGE_WORDS],
    /// Ranges to be unmapped or protected in one go, for the time of that.
    pub(crate) ranges: [PageRange; BATCH],
    pub(crate) counters: Counters,
    /// The clock page, which anybody may map.
    pub clock_frame: Option<u32>,
    /// Whether events are written for people who look at the system.
    pub is_tracing: bool,
}

impl<'a, P: Pmap, M: RecordMemory> Physmem<'a, P, M> {
    /// Begins with a database in which everything that is not free is the system's. The root contract gets all
    /// that may be guaranteed.
    pub fn new(pmap: P, mut memory: M, database: FrameDatabase<'a>, beginning: Beginning<'a>) -> Self {
        let Beginning { reserve, guaranteed, handles, first_principal, waits, pressure_frame } = beginning;
        assert!(first_principal != NOBODY);
        assert!(waits.len() >= handles.1.0 as usize);
        let managed = managed_frames(&database);
        let capacity = managed.checked_sub(reserve).filter(|&capacity| capacity >= guaranteed);
        let capacity = capacity.expect("guarantee and reserve fit into RAM");
        if let Some(frame) = pressure_frame {
            memory.open(frame).expect("there are page tables for the pressure page");
        }
        let mut this = Physmem {
            pmap,
            memory,
            database,
            roots: Roots::default(),
            root: Name::claimed(0),
            reserve,
            guarantees: guaranteed,
            capacity,
            charged: 0,
            claimed: 0,
            extra: 0,
            margin: lending_margin(capacity),
            now: 0,
            holders: Ends::default(),
            claims: Ends::default(),
            endings: None,
            going_containers: Ends::default(),
            going_spaces: Ends::default(),
            waits: FrameWaits::new(waits),
            shortage: None,
            is_new_shortage: false,
            called: 0,
            over_limit: 0,
            seizing: 0,
            seizing_since: None,
            next_relief: None,
            owed: Owed::default(),
            paging: Paging::default(),
            policy: Central::default(),
            pressure_frame,
            published: u64::MAX,
            latencies: LatencyRecord::default(),
            last_principal: first_principal,
            last_number: 0,
            handles: Handles::new(handles.0, handles.1),
            zero_queue: ZeroQueue::default(),
            resolved: Cluster::new(0),
            long_answer: [0; MESSAGE_WORDS],
            ranges: [PageRange::default(); BATCH],
            counters: Counters::default(),
            clock_frame: None,
            is_tracing: false,
        };
        this.root = this.make_root(guaranteed, managed);
        this
    }

    /// The root contract is the one record that comes before the contract that pays for it.
    fn make_root(&mut self, guaranteed: u64, managed: u64) -> Name<Contract> {
        assert!(guaranteed > 0);
        let frame = self.database.take_for_records().expect("there is a free frame for the root contract");
        self.memory.open(frame).expect("there are page tables for the first record frame");
        self.format_records(frame, Size::Huge);
        let root = self.occupy::<Contract>(frame, 0);
        self.database.set_used(frame, 1);
        let ring = self.database.ring_push(NO_FRAME, frame);
        self.set(root, contract::HUGE_RING, ring);
        self.set(root, contract::RECORDS, 1);
        self.charged = 1;
        self.set(root, contract::WEIGHT, limits::WEIGHT);
        self.set(root, contract::EXTRA_TERM_NS, limits::EXTRA_TERM_NS);
        self.set(root, contract::EXPIRES, u64::MAX);
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
        assert!(self.reserve + self.capacity == managed, "frames are lost");
        assert!(self.guarantees <= self.capacity, "more is guaranteed than there is");
        assert!(self.charged + self.claimed <= self.capacity, "more is charged than there is");
        assert!(self.extra <= self.charged, "more is extra than is charged");
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
