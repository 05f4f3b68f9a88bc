//! Device operations: a part of one extent, in flight.

/// Operations in flight at most.
pub const OPERATIONS: usize = 16;

/// Data segments of an operation at most; with header and status a power of two.
pub const SEGMENTS: usize = 126;

/// The read request (virtio 1.2, 5.2.6).
pub const READ: u32 = 0;

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
    /// All bytes are there.
    Done,
    /// The device reported an error, or wrote less than it should have.
    Io,
    /// The device does not know the operation.
    Unsupported,
}

/// The status byte and the length that the device wrote, believed only where they agree: fewer bytes than asked for
/// would leave what was in the frames before.
pub fn outcome(status: u8, written: u32, bytes: u32) -> Outcome {
    match status {
        0 if written > bytes => Outcome::Done,
        2 => Outcome::Unsupported,
        _ => Outcome::Io,
    }
}
