//! Requests to the parent, and the few things that a stacked physmem asks the kernel about its own capability table.

use containers_api::MemoryError;
use kernel_abi::{Handle, KernelError};
use kernel_protocol::{Refusal, Request};

/// A refused request.
pub type Refused = Refusal<MemoryError>;

/// The parent, as its client sees it. Requests are carried through: one that is to be made again is.
pub trait Parent {
    /// Makes a request of an object of the parent's, with capabilities sent along.
    fn ask<R: Request<Error = MemoryError>>(
        &mut self,
        of: Handle,
        request: &R,
        sent: &[Handle],
    ) -> Result<R::Reply, Refused> {
        self.ask_for(of, request, sent, &[])
    }

    /// The same; the capabilities of the reply are put into these empty entries, in order.
    fn ask_for<R: Request<Error = MemoryError>>(
        &mut self,
        of: Handle,
        request: &R,
        sent: &[Handle],
        into: &[Handle],
    ) -> Result<R::Reply, Refused>;

    /// Empties an entry.
    fn drop_handle(&mut self, handle: Handle);
    /// As [`physmem_core::pmap::Pmap::keep_notification`].
    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError>;
    /// As [`physmem_core::pmap::Pmap::is_receiver`].
    fn is_receiver(&mut self, sent: Handle) -> bool;
    /// Signals a notification.
    fn signal(&mut self, notification: Handle);
    /// Answers a saved call.
    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]);
}
