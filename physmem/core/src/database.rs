//! The frame database: what each frame of RAM is, in 12 bytes a frame.
//!
//! | state | what its entry holds |
//! |---|---|
//! | not RAM, system (kernel, physmem) | - |
//! | free, zero or dirty | last principal, next free frame |
//! | held | last principal, number of pages that hold it |
//! | record | neighbours in its ring, size of records, which slots are used |
//! | object | neighbours in its ring, kind, slots used and dead |
//! | quarantined | next frame of the hold |
//!
//! Beside the state every entry keeps, for ever, the generation that the next record in the frame starts with.
//! Frames of one owner and purpose are linked in rings, whose head the owner keeps. The counts of frames by state
//! are kept here, so that conservation is one comparison.

use containers_core::record::{GENERATION_MAX, Size};

/// State of a frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum State {
    /// No RAM, or not physmem's to know.
    Absent = 0,
    /// The kernel's image and tables, and physmem's own.
    System = 1,
    /// Free and zero.
    FreeZero = 2,
    /// Free, contents arbitrary.
    FreeDirty = 3,
    /// Held by one or more container pages.
    Held = 4,
    /// Full of records.
    Record = 5,
    /// The kernel's: objects, capability tables, page tables.
    Object = 6,
    /// A device may be writing to it.
    Quarantined = 7,
}

const STATES: [State; 8] = [
    State::Absent,
    State::System,
    State::FreeZero,
    State::FreeDirty,
    State::Held,
    State::Record,
    State::Object,
    State::Quarantined,
];

/// What a kernel frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    /// Endpoints.
    Endpoint = 0,
    /// Notifications.
    Notification = 1,
    /// Tasks.
    Task = 2,
    /// Threads.
    Thread = 3,
    /// Part of a capability table.
    CapabilityTable = 4,
    /// A page table, in use or in stock.
    PageTable = 5,
    /// Schedules.
    Schedule = 6,
}

/// No principal: contents that belong to several, or to the system.
pub const NOBODY: u64 = 0;

/// No frame. Frame 0 is never physmem's to give.
pub const NO_FRAME: u32 = 0;

/// An entry: state 4 bits, generation 23, the rest as the state says.
#[derive(Clone, Copy, Default, Debug)]
#[repr(transparent)]
pub struct FrameEntry([u32; 3]);

/// Bits of the payload: first bit and number of bits.
type Bits = (u32, u32);
const PRINCIPAL: Bits = (0, 40);
const NEXT_FREE: Bits = (40, 25);
const HOLDERS: Bits = (40, 24);
const NEXT: Bits = (0, 25);
const PREVIOUS: Bits = (25, 25);
const SIZE: Bits = (50, 2);
const USED: Bits = (52, 8);
const KIND: Bits = (50, 3);
const SLOTS: Bits = (53, 7);
const DEAD: Bits = (60, 4);

/// In place of the records used: the frame holds words for others to read.
const PAGE_OF_WORDS: u64 = 0xff;

/// First bit of the first word's part of the payload.
const HIGH_SHIFT: u32 = 27;

// What is held by pages is on the way of every fault and copy: both fields lie in two words.
const _: () = assert!(PRINCIPAL.0 == 0 && PRINCIPAL.1 == HOLDERS.0 && HOLDERS.0 + HOLDERS.1 == 64);
/// Where the generation lies in the first word.
const GENERATION: u32 = GENERATION_MAX << 4;

/// Payload bits: what state and generation leave.
const PAYLOAD_BITS: u32 = 69;

impl FrameEntry {
    fn payload(&self) -> u128 {
        let [low, middle, high] = self.0.map(u128::from);
        middle | high << 32 | (low >> HIGH_SHIFT) << 64
    }

    fn get(&self, (first, bits): Bits) -> u64 {
        (self.payload() >> first) as u64 & ((1 << bits) - 1)
    }

    fn set(&mut self, (first, bits): Bits, value: u64) {
        assert!(value >> bits == 0, "a value does not fit the frame database");
        let mask = ((1u128 << bits) - 1) << first;
        self.put(self.payload() & !mask | u128::from(value) << first);
    }

    fn put(&mut self, payload: u128) {
        debug_assert!(payload >> PAYLOAD_BITS == 0);
        self.0[1] = payload as u32;
        self.0[2] = (payload >> 32) as u32;
        self.0[0] = self.0[0] & ((1 << HIGH_SHIFT) - 1) | ((payload >> 64) as u32) << HIGH_SHIFT;
    }

    /// The lower 64 bits of the payload.
    #[inline(always)]
    fn low(&self) -> u64 {
        u64::from(self.0[1]) | u64::from(self.0[2]) << 32
    }

    #[inline(always)]
    fn set_low(&mut self, low: u64) {
        (self.0[1], self.0[2]) = (low as u32, (low >> 32) as u32);
    }

    fn state(&self) -> State {
        STATES[self.0[0] as usize & 7]
    }

    fn is(&self, state: State) -> bool {
        self.0[0] & 7 == state as u32
    }

    /// Changes the state; the payload starts from zero.
    #[inline(always)]
    fn enter(&mut self, state: State) {
        self.0 = [self.0[0] & GENERATION | state as u32, 0, 0];
    }

    /// Changes the state to a free one.
    fn enter_free(&mut self, state: State, principal: u64, next: u32) {
        assert!(principal >> PRINCIPAL.1 == 0, "a value does not fit the frame database");
        // The next frame's number is the only field that lies across words: its last bit is the first of those above the generation.
        let (next, payload) = (u64::from(next), principal | u64::from(next) << NEXT_FREE.0);
        let last = (next >> (u64::BITS - NEXT_FREE.0)) as u32;
        self.0 = [
            self.0[0] & GENERATION | state as u32 | last << HIGH_SHIFT,
            payload as u32,
            (payload >> 32) as u32,
        ];
    }

    fn generation(&self) -> u32 {
        self.0[0] >> 4 & GENERATION_MAX
    }

    fn set_generation(&mut self, generation: u32) {
        self.0[0] = self.0[0] & !(GENERATION_MAX << 4) | generation << 4;
    }
}

/// Bytes that the database needs for a frame.
pub const ENTRY_BYTES: usize = core::mem::size_of::<FrameEntry>();

/// The database.
pub struct FrameDatabase<'a> {
    entries: &'a mut [FrameEntry],
    counts: [u32; STATES.len()],
    free_zero: u32,
    free_dirty: u32,
}

impl<'a> FrameDatabase<'a> {
    /// A database over zeroed entries, one a frame: nothing is RAM yet.
    pub fn new(entries: &'a mut [FrameEntry]) -> FrameDatabase<'a> {
        assert!(entries.len() <= crate::limits::FRAMES_MAX);
        let mut counts = [0; STATES.len()];
        counts[State::Absent as usize] = entries.len() as u32;
        FrameDatabase { entries, counts, free_zero: NO_FRAME, free_dirty: NO_FRAME }
    }

    /// Frames in a state.
    pub fn count(&self, state: State) -> u64 {
        u64::from(self.counts[state as usize])
    }

    /// Frames that are RAM.
    pub fn frames(&self) -> u64 {
        self.entries.len() as u64 - self.count(State::Absent)
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> u64 {
        self.count(State::FreeZero) + self.count(State::FreeDirty)
    }

    /// State of a frame; any number may be asked.
    pub fn state(&self, frame: u32) -> State {
        self.entries.get(frame as usize).map_or(State::Absent, FrameEntry::state)
    }

    fn entry(&mut self, frame: u32) -> &mut FrameEntry {
        &mut self.entries[frame as usize]
    }

    fn at(&self, frame: u32) -> &FrameEntry {
        &self.entries[frame as usize]
    }

    /// Moves a frame from one state to another.
    pub fn change(&mut self, frame: u32, from: State, to: State) {
        let entry = self.entry(frame);
        assert!(entry.is(from), "frame {frame} is {:?}, not {from:?}", entry.state());
        entry.enter(to);
        self.recount(from, to);
    }

    fn recount(&mut self, from: State, to: State) {
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    fn expect(&self, frame: u32, state: State) {
        assert!(self.at(frame).is(state), "frame {frame} is not {state:?}");
    }
}

/// Free frames.
impl FrameDatabase<'_> {
    /// Frees a frame in some state. What it holds is zero, or was left by a principal.
    pub fn free(&mut self, frame: u32, from: State, zero: bool, principal: u64) {
        let to = if zero { State::FreeZero } else { State::FreeDirty };
        let next = core::mem::replace(if zero { &mut self.free_zero } else { &mut self.free_dirty }, frame);
        // All fields at once: this is on the way of every frame that comes back.
        let entry = self.entry(frame);
        assert!(entry.is(from), "frame {frame} is {:?}, not {from:?}", entry.state());
        entry.enter_free(to, principal, next);
        self.recount(from, to);
    }

    /// The first free frame, dirty or zero, now held by a page of a principal: the way of every frame that is handed over.
    pub fn take_to_hold(&mut self, zero: bool, principal: u64) -> Option<u32> {
        assert!(principal >> PRINCIPAL.1 == 0, "a value does not fit the frame database");
        let (head, from) = match zero {
            true => (&mut self.free_zero, State::FreeZero),
            false => (&mut self.free_dirty, State::FreeDirty),
        };
        let frame = *head;
        if frame == NO_FRAME {
            return None;
        }
        let entry = &mut self.entries[frame as usize];
        assert!(entry.is(from), "frame {frame} is {:?}, not {from:?}", entry.state());
        let above = u64::from(entry.0[0] >> HIGH_SHIFT) << (u64::BITS - NEXT_FREE.0);
        *head = (entry.low() >> NEXT_FREE.0 | above) as u32;
        entry.enter(State::Held);
        entry.set_low(1 << HOLDERS.0 | principal);
        self.recount(from, State::Held);
        Some(frame)
    }

    /// The first free frame, dirty or zero, now in state `to`.
    pub fn take(&mut self, zero: bool, to: State) -> Option<u32> {
        let head = if zero { &mut self.free_zero } else { &mut self.free_dirty };
        let frame = *head;
        if frame == NO_FRAME {
            return None;
        }
        *head = self.entries[frame as usize].get(NEXT_FREE) as u32;
        self.change(frame, if zero { State::FreeZero } else { State::FreeDirty }, to);
        Some(frame)
    }

    /// A dirty frame that this principal left, if one is among the first, now in state `to`.
    pub fn take_own(&mut self, principal: u64, search: u32, to: State) -> Option<u32> {
        let (mut before, mut frame) = (NO_FRAME, self.free_dirty);
        for _ in 0..search {
            if frame == NO_FRAME {
                return None;
            }
            let next = self.at(frame).get(NEXT_FREE);
            if self.at(frame).get(PRINCIPAL) == principal {
                match before {
                    NO_FRAME => self.free_dirty = next as u32,
                    before => self.entry(before).set(NEXT_FREE, next),
                }
                self.change(frame, State::FreeDirty, to);
                return Some(frame);
            }
            (before, frame) = (frame, next as u32);
        }
        None
    }

    /// Some free frame for records: not one whose generations are used up.
    pub fn take_for_records(&mut self) -> Option<u32> {
        let mut retired = NO_FRAME;
        let found = loop {
            let zero = self.free_dirty == NO_FRAME;
            let Some(frame) = self.take(zero, State::Record) else { break None };
            if self.at(frame).generation() < GENERATION_MAX {
                break Some(frame);
            }
            self.entry(frame).set(NEXT, u64::from(retired));
            retired = frame;
        };
        while retired != NO_FRAME {
            let next = self.at(retired).get(NEXT) as u32;
            self.free(retired, State::Record, false, NOBODY);
            retired = next;
        }
        found
    }
}

/// Frames that container pages hold.
impl FrameDatabase<'_> {
    /// A frame in state held gets its first holder.
    #[inline]
    pub fn hold(&mut self, frame: u32, principal: u64) {
        assert!(principal >> PRINCIPAL.1 == 0, "a value does not fit the frame database");
        self.held(frame).set_low(1 << HOLDERS.0 | principal);
    }

    /// One holder fewer; the last one frees the frame, with what is in it.
    #[inline]
    pub fn leave(&mut self, frame: u32) {
        let next = self.free_dirty;
        let entry = self.held(frame);
        let payload = entry.low();
        if payload >> HOLDERS.0 > 1 {
            entry.set_low(payload - (1 << HOLDERS.0));
            return;
        }
        entry.enter_free(State::FreeDirty, payload & ((1 << PRINCIPAL.1) - 1), next);
        self.free_dirty = frame;
        self.recount(State::Held, State::FreeDirty);
    }

    /// The entry of a frame in state held: holders and principal fill the lower words of its payload.
    #[inline(always)]
    fn held(&mut self, frame: u32) -> &mut FrameEntry {
        let entry = &mut self.entries[frame as usize];
        assert!(entry.is(State::Held), "frame {frame} is not held");
        entry
    }

    /// Number of holders.
    pub fn holders(&self, frame: u32) -> u32 {
        self.expect(frame, State::Held);
        self.at(frame).get(HOLDERS) as u32
    }

    /// One more holder, of this principal, unless there are `most` already.
    #[inline]
    pub fn join(&mut self, frame: u32, principal: u64, most: u32) -> bool {
        let entry = self.held(frame);
        let payload = entry.low();
        if payload >> HOLDERS.0 >= u64::from(most) {
            return false;
        }
        let is_same = payload & ((1 << PRINCIPAL.1) - 1) == principal;
        let kept = if is_same { payload } else { payload >> HOLDERS.0 << HOLDERS.0 };
        // Below the limit, so nothing is carried out of the field.
        entry.set_low(kept + (1 << HOLDERS.0));
        true
    }

    /// Whose contents a frame has; [`NOBODY`] where they are several's.
    pub fn principal(&self, frame: u32) -> u64 {
        self.expect(frame, State::Held);
        self.at(frame).get(PRINCIPAL)
    }

    /// Changes whose contents a frame has.
    pub fn set_principal(&mut self, frame: u32, principal: u64) {
        self.expect(frame, State::Held);
        self.entry(frame).set(PRINCIPAL, principal);
    }
}

/// Rings, and what their frames hold.
impl FrameDatabase<'_> {
    /// Puts a frame into a ring, before its head; the new head.
    pub fn ring_push(&mut self, head: u32, frame: u32) -> u32 {
        let (next, previous) = match head {
            NO_FRAME => (frame, frame),
            head => (head, self.at(head).get(PREVIOUS) as u32),
        };
        self.entry(frame).set(NEXT, u64::from(next));
        self.entry(frame).set(PREVIOUS, u64::from(previous));
        self.entry(previous).set(NEXT, u64::from(frame));
        self.entry(next).set(PREVIOUS, u64::from(frame));
        frame
    }

    /// Takes a frame out of a ring; the new head.
    pub fn ring_remove(&mut self, head: u32, frame: u32) -> u32 {
        let (next, previous) = (self.at(frame).get(NEXT), self.at(frame).get(PREVIOUS));
        if next as u32 == frame {
            return NO_FRAME;
        }
        self.entry(previous as u32).set(NEXT, next);
        self.entry(next as u32).set(PREVIOUS, previous);
        if head == frame { next as u32 } else { head }
    }

    /// The frame behind another in its ring.
    pub fn ring_next(&self, frame: u32) -> u32 {
        self.at(frame).get(NEXT) as u32
    }

    /// Generation with which records in a frame start.
    pub fn generation(&self, frame: u32) -> u32 {
        self.at(frame).generation()
    }

    /// Changes it. It never goes down.
    pub fn set_generation(&mut self, frame: u32, generation: u32) {
        assert!(generation >= self.at(frame).generation());
        self.entry(frame).set_generation(generation.min(GENERATION_MAX));
    }

    /// Marks a frame of records as a page of words for others to read: no record is ever found in it.
    pub fn set_page_of_words(&mut self, frame: u32) {
        self.expect(frame, State::Record);
        self.entry(frame).set(USED, PAGE_OF_WORDS);
    }

    /// Size of the records in a frame; any number may be asked.
    pub fn record_size(&self, frame: u32) -> Option<Size> {
        let is_of_records =
            |entry: &&FrameEntry| entry.state() == State::Record && entry.get(USED) != PAGE_OF_WORDS;
        let entry = self.entries.get(frame as usize).filter(is_of_records)?;
        Size::ALL.get(entry.get(SIZE) as usize).copied()
    }

    /// Says what size of records a frame holds.
    pub fn set_record_size(&mut self, frame: u32, size: Size) {
        self.expect(frame, State::Record);
        self.entry(frame).set(SIZE, size as u64);
    }

    /// Records in a frame; of nodes, which of them are used.
    pub fn used(&self, frame: u32) -> u32 {
        self.expect(frame, State::Record);
        self.at(frame).get(USED) as u32
    }

    /// Changes that.
    pub fn set_used(&mut self, frame: u32, used: u32) {
        self.expect(frame, State::Record);
        self.entry(frame).set(USED, u64::from(used));
    }

    /// What the kernel holds in a frame.
    pub fn set_object(&mut self, frame: u32, kind: ObjectKind) {
        self.expect(frame, State::Object);
        self.entry(frame).set(KIND, kind as u64);
    }

    /// Whether the kernel holds objects of a kind in a frame.
    pub fn holds(&self, frame: u32, kind: ObjectKind) -> bool {
        self.expect(frame, State::Object);
        self.at(frame).get(KIND) == kind as u64
    }

    /// Slots of a kernel frame that were given out, and of those, how many are dead.
    pub fn slots(&self, frame: u32) -> (u32, u32) {
        self.expect(frame, State::Object);
        (self.at(frame).get(SLOTS) as u32, self.at(frame).get(DEAD) as u32)
    }

    /// Changes that.
    pub fn set_slots(&mut self, frame: u32, used: u32, dead: u32) {
        self.expect(frame, State::Object);
        self.entry(frame).set(SLOTS, u64::from(used));
        self.entry(frame).set(DEAD, u64::from(dead));
    }

    /// Links a frame in quarantine before another.
    pub fn set_next_quarantined(&mut self, frame: u32, next: u32) {
        self.expect(frame, State::Quarantined);
        self.entry(frame).set(NEXT, u64::from(next));
    }

    /// The next frame in quarantine of the same hold.
    pub fn next_quarantined(&self, frame: u32) -> u32 {
        self.expect(frame, State::Quarantined);
        self.at(frame).get(NEXT) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_frame_keeps_generation_principal_and_the_next_one() {
        let most = ((1 << PRINCIPAL.1) - 1, (1 << NEXT_FREE.1) - 1, GENERATION_MAX);
        for (principal, next, generation) in [most, (1, 1 << 24, 0), (0, NO_FRAME, 7)] {
            let mut entry = FrameEntry([u32::MAX; 3]);
            entry.set_generation(generation);
            entry.enter_free(State::FreeDirty, principal, next);
            assert_eq!((entry.state(), entry.generation()), (State::FreeDirty, generation));
            assert_eq!((entry.get(PRINCIPAL), entry.get(NEXT_FREE)), (principal, u64::from(next)));
        }
    }

    #[test]
    fn the_last_holder_leaves_a_free_frame_with_its_contents_named() {
        let mut entries = [FrameEntry::default(); 3];
        let mut database = FrameDatabase::new(&mut entries);
        database.change(2, State::Absent, State::Held);
        database.hold(2, 9);
        assert!(database.join(2, 9, 4));
        database.leave(2);
        assert_eq!((database.holders(2), database.count(State::Held)), (1, 1));
        database.leave(2);
        assert_eq!((database.state(2), database.count(State::Held)), (State::FreeDirty, 0));
        assert_eq!(database.take_own(9, 1, State::Held), Some(2));
    }

    #[test]
    fn the_list_of_free_frames_keeps_its_highest_number_and_every_generation() {
        let mut entries = [FrameEntry::default(); 4];
        let mut database = FrameDatabase::new(&mut entries);
        let highest = (1 << NEXT_FREE.1) - 1;
        for zero in [false, true] {
            database.change(1, State::Absent, State::Record);
            database.set_generation(1, GENERATION_MAX);
            *(if zero { &mut database.free_zero } else { &mut database.free_dirty }) = highest;
            database.free(1, State::Record, zero, (1 << PRINCIPAL.1) - 1);
            assert_eq!(database.at(1).get(NEXT_FREE), u64::from(highest));
            assert_eq!(database.at(1).get(PRINCIPAL), (1 << PRINCIPAL.1) - 1);
            assert_eq!(database.take_to_hold(zero, 7), Some(1));
            assert_eq!(if zero { database.free_zero } else { database.free_dirty }, highest);
            assert_eq!((database.holders(1), database.principal(1)), (1, 7));
            assert_eq!((database.generation(1), database.count(State::Held)), (GENERATION_MAX, 1));
            database.change(1, State::Held, State::Absent);
        }
    }
}
