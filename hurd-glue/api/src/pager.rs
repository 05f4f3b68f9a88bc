//! What the default pager tells of itself. What it does for physmem is another protocol (`containers_api::pager`), in which it is the
//! one that calls.

use kernel_protocol::{error_codes, message, protocol};

error_codes! {
    /// Why the default pager refused.
    pub enum PagerError, other Protocol {
        /// The request's words are malformed.
        Malformed = 1, Caller, "malformed request";
        /// The peer does not keep to the protocol.
        Protocol = 2, Peer, "the peer does not keep to the protocol";
    }
}

message! {
    /// A look at the default pager: slots by what they are, then the compressed tier, then what was done since it was started.
    pub struct PagerStatus {
        /// Slots in all.
        slots: u64,
        /// To be had.
        free: u64,
        /// Pages on the disk.
        on_disk: u64,
        /// Pages in the compressed tier.
        compressed: u64,
        /// Pages that are one repeated word.
        filled: u64,
        /// Places that cannot be written, or were written too often in this boot.
        unusable: u64,
        /// Bytes of the compressed tier, and of these such as are in use, and the number beyond which pages are written out.
        tier_bytes: u64,
        /// Bytes in use.
        tier_used_bytes: u64,
        /// Bytes beyond which the tier is written out.
        tier_limit_bytes: u64,
        /// Whether there is a disk that takes pages.
        disk_is_writable: bool,
        /// Transfers that the disk has.
        transfers: u64,
        /// How the cipher is computed: 0 plain registers, 1 SSE2, 2 AVX2.
        cipher: u64,
        /// Pages put out.
        pages_out: u64,
        /// Of these, such as went into the tier.
        out_compressed: u64,
        /// Of these, such as went straight to the disk.
        out_direct: u64,
        /// Pages that left the tier for the disk.
        written_out: u64,
        /// Pages brought from memory: the tier, or one word.
        in_from_memory: u64,
        /// Pages brought from the disk.
        in_from_disk: u64,
        /// Transfers that failed.
        transfer_errors: u64,
        /// Pages that were not what was put there, or could not be read.
        lost: u64,
    }
}

protocol! {
    error PagerError;

    /// How the default pager is.
    1 PagerStat {} => PagerStatus;
}
