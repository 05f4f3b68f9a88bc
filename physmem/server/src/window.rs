//! The only unsafe code of physmem: views of memory that the kernel or physmem itself has mapped at known addresses.
//!
//! | address | what | how |
//! |---|---|---|
//! | [`DATABASE`] | the frame database | once at the start |
//! | [`WAITS`] | the table of those who wait for frames | once at the start |
//! | [`SCRATCH`] | a frame that is being written once | for a moment |
//! | [`WINDOW`] + frame * 4096 | record frames | as they become and cease to be record frames |

use kernel_abi::boot::{FRAMES, TASK};
use kernel_abi::pmap::{FrameRange, Mapping, PageRange, Protection};
use kernel_abi::{FRAME_BYTES, KernelError};
use kernel_runtime::syscall;
use physmem_core::pmap::RecordMemory;
use physmem_core::{FrameEntry, FrameWait};

/// Where the frame database is mapped.
pub const DATABASE: u64 = 0x100_0000_0000;
/// Where the table of those who wait for frames is mapped.
pub const WAITS: u64 = 0x1e0_0000_0000;
/// Where a frame is mapped to be written once.
pub const SCRATCH: u64 = 0x1f0_0000_0000;
/// Where record frames are mapped.
pub const WINDOW: u64 = 0x200_0000_0000;

/// The frame database, all zero.
///
/// # Panics
/// If it was taken before.
pub fn database(entries: usize) -> &'static mut [FrameEntry] {
    use core::sync::atomic::{AtomicBool, Ordering};
    static TAKEN: AtomicBool = AtomicBool::new(false);
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the frame database is taken twice");
    // SAFETY: the caller has mapped zeroed frames for so many entries at this address; zero is a valid entry, and this
    // is the only reference.
    unsafe { core::slice::from_raw_parts_mut(DATABASE as *mut FrameEntry, entries) }
}

/// The table of those who wait for frames, all zero.
///
/// # Panics
/// If it was taken before.
pub fn waits(places: usize) -> &'static mut [FrameWait] {
    use core::sync::atomic::{AtomicBool, Ordering};
    static TAKEN: AtomicBool = AtomicBool::new(false);
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the table of waits is taken twice");
    // SAFETY: the caller has mapped zeroed frames for so many places at this address; zero is a valid place, and this is
    // the only reference.
    unsafe { core::slice::from_raw_parts_mut(WAITS as *mut FrameWait, places) }
}

/// Writes bytes to the start of a plain frame that nobody maps.
pub fn write_frame(frame: u32, bytes: &[u8]) -> Result<(), KernelError> {
    assert!(bytes.len() <= FRAME_BYTES as usize);
    map(SCRATCH, frame)?;
    // SAFETY: the frame is mapped here, writable, for this moment, and bytes fit it.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), SCRATCH as *mut u8, bytes.len()) };
    unmap(SCRATCH)
}

fn map(address: u64, frame: u32) -> Result<(), KernelError> {
    let mapping = Mapping::new(address, Protection::WRITE, frame, 1);
    syscall::pmap_enter(FRAMES, TASK, &[mapping]).map_err(|stopped| stopped.error)
}

fn unmap(address: u64) -> Result<(), KernelError> {
    let range = PageRange { address, pages: 1 };
    syscall::pmap_remove(FRAMES, TASK, &[range]).map(drop).map_err(|stopped| stopped.error)
}

/// The window on record frames.
pub struct RecordWindow;

fn place(frame: u32) -> u64 {
    WINDOW + u64::from(frame) * FRAME_BYTES
}

impl RecordMemory for RecordWindow {
    fn open(&mut self, frame: u32) -> Result<(), KernelError> {
        let whole = FrameRange { frame, offset: 0, bytes: FRAME_BYTES as u16 };
        syscall::frame_zero(FRAMES, &[whole]).map_err(|stopped| stopped.error)?;
        map(place(frame), frame)
    }

    fn close(&mut self, frame: u32) {
        unmap(place(frame)).expect("a record frame is mapped");
    }

    fn words(&self, frame: u32) -> &[u64; 512] {
        // SAFETY: the logic asks only for frames that are open (its database says so), which are mapped here, writable,
        // and nowhere else. `&self` keeps writers away.
        unsafe { &*(place(frame) as *const [u64; 512]) }
    }

    fn words_mut(&mut self, frame: u32) -> &mut [u64; 512] {
        // SAFETY: as above; `&mut self` makes the reference the only one.
        unsafe { &mut *(place(frame) as *mut [u64; 512]) }
    }
}
