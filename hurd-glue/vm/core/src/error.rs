//! Mach 3's return codes, and what becomes of physmem's refusals.

use containers_api::MemoryError;

/// Result of a call.
pub type Result<T> = core::result::Result<T, KernError>;

/// Why a call failed: the codes of `mach/kern_return.h` that this interface uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum KernError {
    /// An address is not in the map, or a range reaches where nothing is allocated.
    InvalidAddress = 1,
    /// The memory is there, but may not be used so.
    ProtectionFailure = 2,
    /// The range is taken, no range is large enough, or no region follows.
    NoSpace = 3,
    /// An argument makes no sense, or names no map or object.
    InvalidArgument = 4,
    /// It cannot be done now.
    Failure = 5,
    /// The contract has no frames or records left, or a named limit is reached.
    ResourceShortage = 6,
    /// Contents are gone: their frames were seized.
    MemoryError = 10,
}

impl KernError {
    /// The number.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

/// `KERN_SUCCESS`, or the error's number.
pub fn code<T>(result: &Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.code(),
    }
}

impl From<MemoryError> for KernError {
    fn from(error: MemoryError) -> KernError {
        use MemoryError as M;
        match error {
            M::ContractExhausted
            | M::NoRecord
            | M::Limit
            | M::PinLimit
            | M::NotAdmitted
            | M::UnderPressure
            | M::NeedTables => KernError::ResourceShortage,
            M::MissingRight | M::WriteExecute | M::Sealed => KernError::ProtectionFailure,
            M::OutOfRange | M::Unaligned | M::WrongObject | M::Stale => KernError::InvalidArgument,
            M::Mapped => KernError::NoSpace,
            M::Lost => KernError::MemoryError,
            _ => KernError::Failure,
        }
    }
}
