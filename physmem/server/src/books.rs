//! The books at the start: how many frames there are and what they are used for, and physmem's own share.
//!
//! physmem takes, from the first range of free frames that is large enough: the frame database, page tables for the
//! database and for the window on record frames (all that it can ever need), the table of those who wait for frames, the
//! pressure page, the rest of its capability table, and its second thread.

use crate::idle;
use crate::window::{self, DATABASE, WAITS};
use kernel_abi::boot::{BOOT_RANGES, BootInfo, BootRange, FRAMES, RangeUse, TASK};
use kernel_abi::capability::CAPABILITIES_PER_FRAME;
use kernel_abi::pmap::{FrameRange, Mapping, Protection};
use kernel_abi::{FRAME_BYTES, Handle, KernelError};
use kernel_runtime::syscall;
use physmem_core::database::{ENTRY_BYTES, State};
use physmem_core::limits::{FRAMES_MAX, table_frames};
use physmem_core::machine::add_frames;
use physmem_core::{FrameDatabase, FrameWait};

/// Page tables for other things than database and window: the scratch page and what its neighbours share.
const OTHER_TABLES: u64 = 8;

/// Why the books could not be made.
#[derive(Clone, Copy, Debug)]
pub enum BookError {
    /// The kernel's description of memory makes no sense.
    Damaged,
    /// No range of free frames is large enough for physmem's own needs.
    TooLittleMemory,
    /// The kernel refused.
    Kernel(KernelError),
}

impl core::fmt::Display for BookError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BookError::Damaged => formatter.write_str("the kernel's description of memory makes no sense"),
            BookError::TooLittleMemory => formatter.write_str("the machine has too little memory"),
            BookError::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
        }
    }
}

impl From<KernelError> for BookError {
    fn from(error: KernelError) -> BookError {
        BookError::Kernel(error)
    }
}

/// The books, and what stands out in them.
pub struct Books {
    /// All frames.
    pub database: FrameDatabase<'static>,
    /// First frame and number of frames of the boot archive.
    pub archive: (u32, u64),
    /// First frame and number of frames of the rings of events, where there are any.
    pub rings: Option<(u32, u64)>,
    /// The clock page.
    pub clock: u32,
    /// Frames for the thread that knows when a processor idles.
    pub idle: idle::OwnFrames,
    /// The pressure page, plain and mapped nowhere.
    pub pressure: u32,
    /// A place for each handle.
    pub waits: &'static mut [FrameWait],
    /// End of physmem's capability table.
    pub handles_end: Handle,
}

/// Makes the books.
pub fn open(info: &BootInfo) -> Result<Books, BookError> {
    let count = usize::try_from(info.range_count).ok().filter(|&count| count <= BOOT_RANGES);
    let ranges = &info.ranges[..count.ok_or(BookError::Damaged)?];
    let frames = info.frame_table_frames;
    if frames > FRAMES_MAX as u64 {
        return Err(BookError::Damaged);
    }
    let ram: u64 = ranges.iter().map(|range| u64::from(range.frames)).sum();
    let mut own = OwnFrames::choose(ranges, frames, ram)?;
    let idle = [own.take(), own.take()];
    let taken = own.take_all(frames, ram)?;
    let (taken, pressure) = taken;
    let mut database = FrameDatabase::new(window::database(frames as usize));
    let (mut books, mut rings) = ((None, None), None);
    for range in ranges {
        let state = match range.used_as {
            used if used == RangeUse::Free as u32 => State::FreeDirty,
            used if used == RangeUse::BootArchive as u32 => {
                books.0 = Some((range.frame, u64::from(range.frames)));
                State::Held
            }
            used if used == RangeUse::Trace as u32 => {
                rings = Some((range.frame, u64::from(range.frames)));
                State::Held
            }
            used if used == RangeUse::Clock as u32 => {
                books.1 = Some(range.frame);
                State::System
            }
            _ => State::System,
        };
        if range.frame == taken.frame {
            add_frames(&mut database, taken.frame, taken.frames, State::System);
            add_frames(&mut database, taken.frame + taken.frames, range.frames - taken.frames, state);
        } else {
            add_frames(&mut database, range.frame, range.frames, state);
        }
    }
    let handles_end = Handle(table_frames(ram) as u32 * CAPABILITIES_PER_FRAME);
    Ok(Books {
        database,
        archive: books.0.ok_or(BookError::Damaged)?,
        rings,
        clock: books.1.ok_or(BookError::Damaged)?,
        idle,
        pressure,
        waits: window::waits(handles_end.0 as usize),
        handles_end,
    })
}

/// physmem's own frames, taken one after the other.
struct OwnFrames {
    first: u32,
    next: u32,
    end: u32,
}

/// Frames for the table of those who wait for frames.
fn wait_frames(ram: u64) -> u64 {
    let places = table_frames(ram) * u64::from(CAPABILITIES_PER_FRAME);
    (places * core::mem::size_of::<FrameWait>() as u64).div_ceil(FRAME_BYTES)
}

fn database_frames(frames: u64) -> u64 {
    (frames * ENTRY_BYTES as u64).div_ceil(FRAME_BYTES)
}

/// Page tables that map so many successive pages, all levels but the top one.
fn tables_for(pages: u64) -> u64 {
    pages.div_ceil(512) + pages.div_ceil(512 * 512) + 3
}

impl OwnFrames {
    /// Finds a range of free frames that is large enough.
    fn choose(ranges: &[BootRange], frames: u64, ram: u64) -> Result<OwnFrames, BookError> {
        let needed = database_frames(frames)
            + tables_for(database_frames(frames))
            + tables_for(frames)
            + OTHER_TABLES
            + tables_for(wait_frames(ram))
            + wait_frames(ram)
            + 1
            + table_frames(ram)
            + idle::OWN_FRAMES as u64;
        let fits =
            |range: &&BootRange| range.used_as == RangeUse::Free as u32 && u64::from(range.frames) > needed;
        let range = ranges.iter().find(fits).ok_or(BookError::TooLittleMemory)?;
        Ok(OwnFrames { first: range.frame, next: range.frame, end: range.frame + needed as u32 })
    }

    fn take(&mut self) -> u32 {
        assert!(self.next < self.end, "physmem takes more frames than it has counted");
        self.next += 1;
        self.next - 1
    }

    /// Takes everything and puts it to use. The frames taken, and the one of them for the pressure page.
    fn take_all(&mut self, frames: u64, ram: u64) -> Result<(BootRange, u32), BookError> {
        let database = database_frames(frames);
        let tables = tables_for(database) + tables_for(frames) + tables_for(wait_frames(ram)) + OTHER_TABLES;
        for _ in 0..tables {
            let frame = self.take();
            syscall::pmap_stock(FRAMES, TASK, &[frame]).map_err(|stopped| stopped.error)?;
        }
        self.map_zeroed(DATABASE, database)?;
        self.map_zeroed(WAITS, wait_frames(ram))?;
        let pressure = self.take();
        // The kernel gave the first frame of the capability table.
        for _ in 1..table_frames(ram) {
            let frame = self.take();
            syscall::capability_table_add(FRAMES, TASK, frame)?;
        }
        let taken = BootRange {
            frame: self.first,
            frames: self.next - self.first,
            used_as: RangeUse::FirstTask as u32,
        };
        Ok((taken, pressure))
    }

    /// Maps so many zeroed frames, writable.
    fn map_zeroed(&mut self, address: u64, frames: u64) -> Result<(), BookError> {
        for page in 0..frames {
            let frame = self.take();
            let whole = FrameRange { frame, offset: 0, bytes: FRAME_BYTES as u16 };
            syscall::frame_zero(FRAMES, &[whole]).map_err(|stopped| stopped.error)?;
            let mapping = Mapping::new(address + page * FRAME_BYTES, Protection::WRITE, frame, 1);
            syscall::pmap_enter(FRAMES, TASK, &[mapping]).map_err(|stopped| stopped.error)?;
        }
        Ok(())
    }
}
