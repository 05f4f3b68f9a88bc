//! Requests to the authority that a device's driver shows to be told physical addresses: what only a driver knows of
//! its device.

use crate::MemoryError;
use kernel_protocol::{message, protocol};

message! {
    /// Frames that came out of quarantine.
    pub struct QuarantineReleased {
        /// How many; 0: there was nothing left to release.
        frames: u64,
    }
}

protocol! {
    error MemoryError;

    /// The device has stopped: it was reset, and read back that it is. Frees the frames that it kept under one lock
    /// that has ended, if the contract that answered for them has ended too; ask again until there is nothing left. Frames
    /// that a living contract answers for are released lock by lock (see [`crate::lock`]).
    80 QuarantineRelease {} => QuarantineReleased;
}
