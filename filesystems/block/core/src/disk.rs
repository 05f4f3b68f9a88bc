//! A running disk: requests come in, operations go to the device, completions come back.
//!
//! ```text
//!   Absent / Dead ── refuses everything
//!   Running ── device breaks the rules, or a deadline passes ──> reset ──> Running   (all requests fail)
//!                                                                  └─────> Dead      (it does not come up again)
//! ```
//! A request is over when the device has nothing of it any more; only then may its frames be let go. Frames that a device
//! has which does not come out of reset are never let go: [`Completion::frames_safe`] is false.

use crate::operation::{Direction, OPERATIONS, Operation, Outcome, SEGMENTS, outcome};
use crate::queue::{Descriptor, QUEUE_ENTRIES, Queue, QueueMemory, addresses};
use crate::request::{REQUESTS, Request, Slot, check};
use crate::runs::PhysicalRuns;
use crate::transport::{Negotiated, Registers, Transport, TransportError};
use alloc::boxed::Box;
use filesystems_api::block::{BlockDone, BlockError, BlockStatus, Extent, Extents, SECTOR_BYTES};
use kernel_protocol::Refusal;

/// How long the device may take for a request: far longer than a disk needs, since an emulator that skips idle time makes
/// a host's delay look long.
pub const REQUEST_TIMEOUT_NS: u64 = 10_000_000_000;

/// How a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskState {
    /// It answers.
    Running,
    /// It did not come up again after a reset.
    Dead,
}

/// A request that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Which.
    pub slot: Slot,
    /// What the client is told.
    pub result: Result<BlockDone, Refusal<BlockError>>,
    /// Bytes of the locked range, from its start without a gap, that the device has written.
    pub written: u64,
    /// The device has let go of its frames.
    pub frames_safe: bool,
}

/// A disk.
pub struct Disk<R, M> {
    transport: Transport<R>,
    queue: Queue<M>,
    negotiated: Negotiated,
    state: DiskState,
    /// The device may still write to memory that it was given.
    holds_frames: bool,
    /// [`REQUESTS`] places.
    requests: Box<[Request]>,
    /// Places that are taken.
    taken: Slots,
    /// Of these, those that may have something to give to the device.
    giving: Slots,
    operations: [Option<Operation>; OPERATIONS],
    /// The request that is given operations next, so that all get their turn.
    turn: usize,
    /// Where chains are put together.
    chain: Box<[Descriptor; SEGMENTS + 2]>,
    completed: u64,
    bytes_read: u64,
    bytes_written: u64,
}

impl<R: Registers, M: QueueMemory> Disk<R, M> {
    /// Brings the disk up.
    pub fn start(mut transport: Transport<R>, memory: M) -> Result<Disk<R, M>, TransportError> {
        transport.reset()?;
        let mut queue = Queue::new(memory);
        let negotiated = transport.start(QUEUE_ENTRIES, addresses(queue.memory()))?;
        queue.set_entries(negotiated.queue_entries);
        Ok(Disk {
            transport,
            queue,
            negotiated,
            state: DiskState::Running,
            holds_frames: false,
            requests: (0..REQUESTS).map(|_| Request::vacant()).collect(),
            taken: Slots::default(),
            giving: Slots::default(),
            operations: [None; OPERATIONS],
            turn: 0,
            chain: Box::new([Descriptor { address: 0, bytes: 0, flags: 0 }; SEGMENTS + 2]),
            completed: 0,
            bytes_read: 0,
            bytes_written: 0,
        })
    }

    /// How it is.
    pub fn state(&self) -> DiskState {
        self.state
    }

    /// What it tells of itself, behind a driver that can answer for so many pages.
    pub fn status(&self, pages_in_flight: u64) -> Result<BlockStatus, Refusal<BlockError>> {
        if self.state == DiskState::Dead {
            return Err(BlockError::TimedOut.into());
        }
        Ok(BlockStatus {
            sectors: self.negotiated.sectors,
            read_only: self.negotiated.read_only,
            queue_depth: REQUESTS as u32,
            in_flight: self.taken.0.count_ones(),
            pages_in_flight,
            requests: self.completed,
            bytes_read: self.bytes_read,
            bytes_written: self.bytes_written,
        })
    }

    /// Whether another request fits.
    pub fn has_room(&self) -> bool {
        self.taken.first_free().is_some()
    }

    /// Takes a request over and gives the device what it has room for. On success the slot is the request's until a
    /// [`Completion`] names it.
    pub fn submit(
        &mut self,
        direction: Direction,
        extents: &Extents,
        runs: &PhysicalRuns,
        now: u64,
    ) -> Result<Slot, BlockError> {
        if self.state == DiskState::Dead {
            return Err(BlockError::TimedOut);
        }
        if direction == Direction::Write && self.negotiated.read_only {
            return Err(BlockError::ReadOnly);
        }
        check(extents, self.negotiated.sectors, runs.bytes())?;
        let slot = self.taken.first_free().ok_or(BlockError::Busy)?;
        self.requests[slot].begin(direction, extents, runs, now.saturating_add(REQUEST_TIMEOUT_NS));
        self.taken.add(slot);
        self.giving.add(slot);
        self.pump();
        Ok(slot)
    }

    /// The earliest moment at which a request is late.
    pub fn deadline(&self) -> Option<u64> {
        self.taken.each().map(|slot| self.requests[slot].deadline).min()
    }

    /// Takes the device's interrupt back.
    pub fn take_interrupt(&mut self) -> bool {
        self.transport.take_interrupt()
    }

    /// The next request that is over. Looks at what the device has done, gives it more, and resets it where it is late
    /// or breaks the rules. `None`: nothing more for now.
    pub fn next_completion(&mut self, now: u64) -> Option<Completion> {
        if self.state == DiskState::Running {
            if self.collect().is_err() {
                self.restart(BlockError::Io);
            } else if !self.any_over() && self.deadline().is_some_and(|deadline| deadline <= now) {
                self.restart(BlockError::TimedOut);
            } else {
                self.pump();
            }
        }
        self.take_over()
    }

    fn any_over(&self) -> bool {
        self.taken.each().any(|slot| self.requests[slot].is_over())
    }

    fn take_over(&mut self) -> Option<Completion> {
        let slot = self.taken.each().find(|&slot| self.requests[slot].is_over())?;
        self.taken.remove(slot);
        self.giving.remove(slot);
        let request = &self.requests[slot];
        self.completed += 1;
        match request.direction {
            Direction::Read => self.bytes_read += request.done,
            Direction::Write => self.bytes_written += request.done,
        }
        let result = match request.failure {
            Some(failure) => Err(failure),
            None => Ok(BlockDone { bytes: request.done }),
        };
        Some(Completion { slot, result, written: request.prefix(), frames_safe: !self.holds_frames })
    }

    /// Books what the device has used. An error: it broke the rules.
    fn collect(&mut self) -> Result<(), crate::queue::Misbehaved> {
        while let Some(used) = self.queue.pop()? {
            let found = self.operations.iter().position(|slot| slot.is_some_and(|op| op.head == used.head));
            let Some(index) = found else { return Err(crate::queue::Misbehaved) };
            let Some(operation) = self.operations[index].take() else { continue };
            self.queue.release(used.head);
            let request = &mut self.requests[operation.request];
            request.in_flight -= 1;
            let data = request.direction.written(operation.bytes);
            match outcome(self.queue.status(index), used.written, data) {
                Outcome::Done => request.done += u64::from(operation.bytes),
                Outcome::Io => request.fail(Refusal::with_detail(BlockError::Io, operation.sector)),
                Outcome::Unsupported => request.fail(BlockError::Unsupported.into()),
            }
        }
        Ok(())
    }

    /// Resets the device; every request fails.
    fn restart(&mut self, error: BlockError) {
        self.holds_frames = self.transport.reset().is_err();
        if self.holds_frames {
            self.state = DiskState::Dead;
        } else {
            self.queue.clear();
            match self.transport.start(QUEUE_ENTRIES, addresses(self.queue.memory())) {
                Ok(negotiated) => {
                    self.negotiated = negotiated;
                    self.queue.set_entries(negotiated.queue_entries);
                }
                Err(_) => self.state = DiskState::Dead,
            }
        }
        self.operations = [None; OPERATIONS];
        for slot in self.taken.each() {
            self.requests[slot].in_flight = 0;
            self.requests[slot].fail(error.into());
        }
    }

    /// Gives the device operations as long as it has room and there is something to give.
    fn pump(&mut self) {
        let mut given = false;
        while let Some(slot) = self.giving.next_from(self.turn) {
            let Some(rest) = self.requests[slot].rest() else {
                self.giving.remove(slot);
                continue;
            };
            self.turn = slot;
            if self.give(slot, rest).is_none() {
                break;
            }
            self.turn = (slot + 1) % REQUESTS;
            given = true;
        }
        if given {
            self.transport.notify();
        }
    }

    /// Gives the device the front of an extent. `None`: it has no room.
    fn give(&mut self, slot: Slot, rest: Extent) -> Option<()> {
        let index = self.operations.iter().position(Option::is_none)?;
        let indirect = self.negotiated.indirect;
        let room = if indirect { SEGMENTS } else { usize::from(self.queue.free()).checked_sub(2)? };
        let most = room.min(SEGMENTS).min(self.negotiated.segments as usize);
        if self.queue.free() == 0 || most == 0 {
            return None;
        }
        let chain = &mut *self.chain;
        let request = &mut self.requests[slot];
        let direction = request.direction;
        let (count, bytes) = segments(request, rest, &mut chain[1..=most], self.negotiated.segment_bytes);
        if bytes == 0 {
            request.fail(BlockError::OutOfRange.into());
            return Some(());
        }
        chain[0] = self.queue.header(index, direction.request_type(), rest.sector);
        chain[count + 1] = self.queue.status_place(index);
        let chain = &chain[..count + 2];
        let head = if indirect {
            let table = self.queue.table(index, chain);
            self.queue.push(&[table])?
        } else {
            self.queue.push(chain)?
        };
        request.give(bytes);
        self.operations[index] = Some(Operation { request: slot, head, sector: rest.sector, bytes });
        Some(())
    }
}

/// Places of requests, a bit each.
#[derive(Clone, Copy, Default)]
struct Slots(u32);

const _: () = assert!(REQUESTS <= 32, "each place has a bit");

impl Slots {
    fn add(&mut self, slot: Slot) {
        self.0 |= 1 << slot;
    }

    fn remove(&mut self, slot: Slot) {
        self.0 &= !(1 << slot);
    }

    fn first_free(self) -> Option<Slot> {
        Some((!self.0).trailing_zeros() as usize).filter(|&slot| slot < REQUESTS)
    }

    /// The first place from one on, going round.
    fn next_from(self, slot: Slot) -> Option<Slot> {
        let behind = self.0 & u32::MAX << slot;
        let found = if behind != 0 { behind } else { self.0 };
        (found != 0).then(|| found.trailing_zeros() as usize)
    }

    fn each(self) -> impl Iterator<Item = Slot> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let slot = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(slot)
        })
    }
}

impl Request {
    /// The first failure counts.
    fn fail(&mut self, failure: Refusal<BlockError>) {
        self.failure.get_or_insert(failure);
    }
}

/// Writes the segments of the front of an extent; how many, and how many bytes, which is whole sectors.
fn segments(request: &Request, rest: Extent, room: &mut [Descriptor], most_bytes: u32) -> (usize, u32) {
    let (mut count, mut bytes) = (0, 0);
    let most_bytes = most_bytes / SECTOR_BYTES as u32 * SECTOR_BYTES as u32;
    let flags = request.direction.descriptor_flags();
    let mut segments = request.runs.from(u64::from(rest.offset));
    for descriptor in room {
        if bytes == rest.bytes {
            break;
        }
        let wanted = (rest.bytes - bytes).min(most_bytes);
        let Some(segment) = segments.next(wanted) else { break };
        *descriptor = Descriptor { address: segment.address, bytes: segment.bytes, flags };
        bytes += segment.bytes;
        count += 1;
    }
    (count, bytes)
}
