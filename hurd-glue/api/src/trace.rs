//! Requests to the collector of events.

use kernel_protocol::{Empty, error_codes, protocol};

error_codes! {
    /// Why the collector refused.
    pub enum TraceError, other Protocol {
        /// The request's words are malformed.
        Malformed = 1, Caller, "malformed request";
        /// The peer does not keep to the protocol.
        Protocol = 2, Peer, "the peer does not keep to the protocol";
    }
}

protocol! {
    error TraceError;

    /// Sends everything on that has happened until now: before the machine is switched off.
    1 TraceFlush {} => Empty;
}
