//! Requests to the console: the serial line as a stream of bytes, and Ctrl-C as a notification.

use bitflags::bitflags;
use kernel_protocol::{Bytes, Empty, error_codes, message, protocol};

/// Bytes that one message carries at most.
pub const CHUNK_BYTES: usize = 400;

bitflags! {
    /// What a capability to the console allows: its badge.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ConsoleRights: u64 {
        /// Write.
        const WRITE = 1 << 0;
        /// Read.
        const READ = 1 << 1;
        /// Say what Ctrl-C does, and take the input from whoever waits for it.
        const FOREGROUND = 1 << 2;
    }
}

error_codes! {
    /// Why the console refused.
    pub enum ConsoleError, other Protocol {
        /// The request's words are malformed.
        Malformed = 1, Caller, "malformed request";
        /// Another caller waits for input already, or too many wait for their output.
        Busy = 2, Peer, "somebody else is using the console";
        /// The capability does not allow this.
        MissingRight = 3, Caller, "missing right";
        /// Ctrl-C ended the read, or somebody with [`ConsoleRights::FOREGROUND`] reads now.
        Interrupted = 4, Peer, "interrupted";
        /// The peer does not keep to the protocol.
        Protocol = 5, Peer, "the peer does not keep to the protocol";
    }
}

message! {
    /// Input.
    pub struct Input {
        /// At least one byte.
        bytes: Bytes<CHUNK_BYTES>,
    }
}

protocol! {
    error ConsoleError;

    /// Writes bytes, all of them, in order. WRITE. The reply comes when they are on their way.
    1 ConsoleWrite { /** The bytes. */ bytes: Bytes<CHUNK_BYTES> } => Empty;

    /// Waits for input and takes what is there, unprocessed. READ.
    2 ConsoleRead {} => Input;

    /// From now on Ctrl-C signals the notification sent along (SEND) instead of being input; without a notification
    /// it is input again. FOREGROUND.
    3 ConsoleForeground { /** Whether a notification comes along. */ armed: bool } => Empty;

    /// Waits until everything written so far has left the machine. WRITE. Errors: `Busy` (somebody waits for
    /// that already).
    4 ConsoleDrain {} => Empty;
}
