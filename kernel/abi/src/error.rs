//! Why a system call was refused, and whose fault it is.

/// Who has to change something before the call can succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The request is bad: the caller must change it.
    Caller,
    /// The request is good, the other party is gone, late or silent.
    Peer,
    /// Request and peer are good, the system is short of something; try again or supply it.
    System,
}

macro_rules! kernel_errors {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $side:ident;)*) => {
        /// Status of a system call that was refused. A refused call has changed nothing, except where the
        /// variant says otherwise.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum KernelError { $($(#[$doc])* $name = $number,)* }

        impl KernelError {
            /// The error with this status number; `None` for 0 and for numbers that mean nothing.
            pub const fn from_status(status: u64) -> Option<KernelError> {
                match status { $($number => Some(KernelError::$name),)* _ => None }
            }

            /// Who is at fault.
            pub const fn side(self) -> Side {
                match self { $(KernelError::$name => Side::$side,)* }
            }

            /// All errors, for tests and tables.
            pub const ALL: &'static [KernelError] = &[$(KernelError::$name,)*];
        }
    };
}

kernel_errors! {
    /// No system call has this number.
    InvalidCall = 1, Caller;
    /// The handle lies outside the table or its entry is empty.
    InvalidHandle = 2, Caller;
    /// The capability names an object of another kind.
    WrongKind = 3, Caller;
    /// The capability lacks a right that the call needs.
    MissingRight = 4, Caller;
    /// An argument is out of range, unaligned, or has bits that mean nothing.
    InvalidArgument = 5, Caller;
    /// A user address is outside user memory or not mapped as the call needs it.
    InvalidAddress = 6, Caller;
    /// The destination entry lies in a part of the capability table that has no frame.
    NoTable = 7, Caller;
    /// The destination entry is taken.
    Occupied = 8, Caller;
    /// The message names more words or capabilities than a message can carry.
    MessageTooLong = 9, Caller;
    /// There is no reply to send: none was received, or it was saved or sent before.
    NoReply = 10, Caller;
    /// A thread would be given a priority above the caller's own.
    PriorityTooHigh = 11, Caller;
    /// The thread or task is in a state that does not allow the call (already started, already ended).
    WrongState = 12, Caller;
    /// The frame is of a kind, or mapped, so that the call is not allowed on it.
    WrongFrame = 13, Caller;
    /// The receiver needs a message buffer (words beyond the eighth, capabilities) and the thread has none.
    NoBuffer = 14, Caller;
    /// A 2 MiB page is in the way: part of one would be changed, or a page of the other size lies there. Remove that first.
    LargePage = 15, Caller;

    /// The object that the capability names exists no longer.
    Stale = 32, Peer;
    /// The peer ended, or dropped the reply, before it answered.
    PeerDied = 33, Peer;
    /// The deadline passed before the peer answered.
    TimedOut = 34, Peer;
    /// The server has no processor time of its own and the caller's ran out before it answered. Call again when there is more.
    OutOfTime = 36, Peer;
    /// Nothing is waiting and the call may not block.
    WouldBlock = 35, Peer;

    /// The address space lacks page-table frames; the value tells how many. Nothing was mapped.
    NeedTables = 64, System;
    /// A frame is mapped as often as the frame table can count.
    MapCountFull = 65, System;
    /// The call was interrupted; the value tells how many items are done. Call again for the rest.
    Preempted = 66, System;
    /// The object is in use by something that must end first.
    Busy = 67, System;
    /// A generation number would wrap: the slot or frame is retired and never holds a kernel object again.
    Retired = 68, System;
    /// A schedule would give away more processor time than it has.
    OverCommitted = 69, System;
}

impl KernelError {
    /// The number that goes into the status register.
    pub const fn status(self) -> u64 {
        self as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_status_register() {
        for &error in KernelError::ALL {
            assert_eq!(KernelError::from_status(error.status()), Some(error));
        }
        assert_eq!(KernelError::from_status(0), None);
        assert_eq!(KernelError::from_status(255), None);
    }
}
