//! Why physmem refused, and whose fault it is.

use kernel_protocol::error_codes;

error_codes! {
    /// Answer to a request that physmem refused. Nothing was changed. Container operations put the
    /// container's version in the detail word.
    pub enum MemoryError, other Protocol, again Again {
        /// The request's words are malformed or the object does not understand it.
        Malformed = 1, Caller, "malformed request";
        /// The capability's object exists no longer, or the grant was revoked.
        Stale = 2, Peer, "the object exists no longer";
        /// The capability lacks a right that the request needs.
        MissingRight = 3, Caller, "missing right";
        /// An argument capability is missing or names something else.
        WrongObject = 4, Caller, "wrong capability";
        /// A range is empty, overflows, or reaches beyond the container, grant or address space.
        OutOfRange = 5, Caller, "range out of bounds";
        /// Addresses or offsets must be page-aligned here.
        Unaligned = 6, Caller, "not page-aligned";
        /// The contract's guarantee and extra limit are used up, or no extra frame is free.
        ContractExhausted = 7, Caller, "the contract has no frames left";
        /// The contract's pin limit is used up.
        PinLimit = 8, Caller, "the contract's pin limit is used up";
        /// More is asked than the parent contract can give.
        NotAdmitted = 9, Caller, "the parent contract cannot guarantee that";
        /// Pages of the range are locked.
        Locked = 10, Peer, "locked";
        /// The lock has expired, was broken or was released.
        LockGone = 11, Peer, "the lock is gone";
        /// The owner's revoke is waiting: no new locks.
        RevokePending = 12, Peer, "a revoke is pending";
        /// A lock's mode can only be changed downwards (fill or dma to stable).
        ModeRaised = 13, Caller, "a lock's mode cannot be raised";
        /// The container is sealed.
        Sealed = 14, Caller, "the container is sealed";
        /// The address range holds a mapping already.
        Mapped = 15, Caller, "the address range is taken";
        /// A record could not be made: the contract that would pay for it is exhausted.
        NoRecord = 16, Caller, "the contract cannot pay for the bookkeeping";
        /// Writable and executable at once.
        WriteExecute = 17, Caller, "writable and executable at once";
        /// The contract has reached a named limit (depth of the tree, shares of a frame).
        Limit = 18, Caller, "a limit is reached";
        /// The caller is not trusted with physical addresses.
        NotTrusted = 19, Caller, "not trusted with physical addresses";
        /// physmem has lost frames that it was promised by a stacked parent, or the kernel refused.
        Internal = 20, System, "physmem could not do it";
        /// Frames that the guarantee covers were on their way back and have come: make the request again.
        Again = 22, System, "frames were on their way back";
        /// Contents that the request needs are gone: their frames were seized. Allocating or deallocating the pages
        /// makes them good again, as zeros.
        Lost = 23, Caller, "the pages were seized";
        /// Extra frames are needed elsewhere and cannot be renewed.
        UnderPressure = 24, System, "the frames are needed elsewhere";
        /// A swap limit was asked for, and there is no default pager.
        NoPager = 25, System, "there is no default pager";
        /// The address space's stock lacks page tables (detail: how many).
        NeedTables = 26, Caller, "page tables are missing";
        /// A page that the request needs is out, and the pager did not bring it in time.
        PagerFailed = 27, Peer, "the pager did not bring the page";
        /// A device is to read pages that have no contents yet, only what somebody left in their frames.
        NoContents = 28, Caller, "the pages have no contents yet";
        /// The peer does not keep to the protocol.
        Protocol = 21, Peer, "the peer does not keep to the protocol";
    }
}
