//! Calls about frames and mappings: physmem's, and nobody else's.

use super::raw::{message, plain, status, value};
use super::{Stopped, handle};
use kernel_abi::pmap::{FrameRange, FrameSpan, Mapping, PageRange};
use kernel_abi::{Handle, KernelError, SystemCall};

/// A batch call: first the handles, then address and count of the items.
fn batch<T>(call: SystemCall, handles: &[Handle], items: &[T]) -> Result<u64, Stopped> {
    let mut arguments = [0; 6];
    for (argument, &entry) in arguments.iter_mut().zip(handles) {
        *argument = handle(entry);
    }
    arguments[handles.len()] = items.as_ptr() as u64;
    arguments[handles.len() + 1] = items.len() as u64;
    let returned = value(call, arguments);
    match status(returned.status) {
        Ok(()) => Ok(returned.value),
        Err(error) => Err(Stopped { error, value: returned.value }),
    }
}

/// Gives an address space plain frames for page tables.
pub fn pmap_stock(frames: Handle, task: Handle, stock: &[u32]) -> Result<(), Stopped> {
    batch(SystemCall::PmapStock, &[frames, task], stock).map(drop)
}

/// Enters mappings.
pub fn pmap_enter(frames: Handle, task: Handle, mappings: &[Mapping]) -> Result<(), Stopped> {
    batch(SystemCall::PmapEnter, &[frames, task], mappings).map(drop)
}

/// Removes mappings. Pages removed.
pub fn pmap_remove(frames: Handle, task: Handle, ranges: &[PageRange]) -> Result<u64, Stopped> {
    batch(SystemCall::PmapRemove, &[frames, task], ranges)
}

/// Changes the protection of what is mapped. Pages changed.
pub fn pmap_protect(frames: Handle, task: Handle, ranges: &[PageRange]) -> Result<u64, Stopped> {
    batch(SystemCall::PmapProtect, &[frames, task], ranges)
}

/// Reads referenced and dirty bits of as many pages as `output` has bytes, and clears them: `clear` is
/// [`kernel_abi::pmap::QUERY_CLEAR_ALL`] or its like.
pub fn pmap_query(
    frames: Handle,
    task: Handle,
    address: u64,
    output: &mut [u8],
    clear: u64,
) -> Result<(), KernelError> {
    let (array, pages) = (output.as_mut_ptr() as u64, output.len() as u64);
    let arguments = [handle(frames), handle(task), address, pages, array, clear];
    plain(SystemCall::PmapQuery, arguments).map(drop)
}

/// Takes spare frames of the stock and empty page tables back. How many were written to `stock`.
pub fn pmap_unstock(frames: Handle, task: Handle, stock: &mut [u32]) -> Result<u64, Stopped> {
    let arguments = [handle(frames), handle(task), stock.as_mut_ptr() as u64, stock.len() as u64, 0, 0];
    let returned = value(SystemCall::PmapUnstock, arguments);
    match status(returned.status) {
        Ok(()) => Ok(returned.value),
        Err(error) => Err(Stopped { error, value: returned.value }),
    }
}

/// Maps pages of device memory.
pub fn pmap_enter_device(
    frames: Handle,
    task: Handle,
    device: Handle,
    address: u64,
    first_page: u64,
    pages: u64,
) -> Result<(), Stopped> {
    let arguments = [handle(frames), handle(task), handle(device), address, first_page, pages];
    let returned = value(SystemCall::PmapEnterDevice, arguments);
    status(returned.status).map_err(|error| Stopped { error, value: returned.value })
}

/// Clears frames or parts.
pub fn frame_zero(frames: Handle, ranges: &[FrameRange]) -> Result<(), Stopped> {
    batch(SystemCall::FrameZero, &[frames], ranges).map(drop)
}

/// Copies between frames.
pub fn frame_copy(frames: Handle, spans: &[FrameSpan]) -> Result<(), Stopped> {
    batch(SystemCall::FrameCopy, &[frames], spans).map(drop)
}

/// Registers after resolving a fault and receiving, for [`crate::server`].
pub(crate) fn resolve_receive(
    endpoint: Handle,
    frames: Handle,
    mappings: &[Mapping],
    deadline: u64,
) -> super::raw::Returned {
    let words = [mappings.as_ptr() as u64, mappings.len() as u64, 0, 0, 0, 0, 0, 0];
    message(SystemCall::ResolveReceive, handle(endpoint), handle(frames), words, deadline)
}
