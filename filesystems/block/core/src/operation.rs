//! Device operations: a part of one extent, in flight.

use crate::queue::WRITE;

/// Operations in flight at most.
pub const OPERATIONS: usize = 16;

/// Data segments of an operation at most; with header and status a power of two.
pub const SEGMENTS: usize = 126;

/// Which way a request's data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the disk into the locked range.
    Read,
    /// From the locked range to the disk, which only reads the frames.
    Write,
}

impl Direction {
    /// Type of the request (virtio 1.2, 5.2.6).
    pub const fn request_type(self) -> u32 {
        match self {
            Direction::Read => 0,
            Direction::Write => 1,
        }
    }

    /// Flags of the descriptors of its data.
    pub const fn descriptor_flags(self) -> u16 {
        match self {
            Direction::Read => WRITE,
            Direction::Write => 0,
        }
    }

    /// Of so many bytes that are moved, those that the device writes.
    pub const fn written(self, bytes: u32) -> u32 {
        match self {
            Direction::Read => bytes,
            Direction::Write => 0,
        }
    }
}

/// A part of a request that the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// The request that it belongs to.
    pub request: usize,
    /// Head of its chain.
    pub head: u16,
    /// First sector, for the error.
    pub sector: u64,
    /// Data bytes.
    pub bytes: u32,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All bytes are where they belong.
    Done,
    /// The device reported an error, or wrote less than it should have.
    Io,
    /// The device does not know the operation.
    Unsupported,
}

/// The status byte and the length that the device wrote, the status included, believed only where they agree: fewer data bytes
/// than it was to write would leave what was in the frames before.
pub fn outcome(status: u8, written: u32, data: u32) -> Outcome {
    match status {
        0 if written > data => Outcome::Done,
        2 => Outcome::Unsupported,
        _ => Outcome::Io,
    }
}
