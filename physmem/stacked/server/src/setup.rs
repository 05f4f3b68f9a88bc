//! Making the stacked physmem: entries of the capability table, banks, books.

use crate::parent::{Calls, Kernel, Serving};
use crate::window::RecordWindow;
use alloc::vec;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::container::{Allocate, SetEviction};
use containers_api::contract::{ContainerCreate, EndpointCreate, Watch};
use containers_api::space::TableGrow;
use core::cell::Cell;
use core::fmt;
use kernel_abi::message::MESSAGE_CAPABILITIES;
use kernel_runtime::containers::{MemoryCallError, contract_status};
use kernel_runtime::ipc::{CallError, call, call_for_capability};
use kernel_runtime::layout::{CONTRACT, SPACE};
use kernel_runtime::notification::Notification;
use kernel_runtime::process::SpawnError;
use kernel_runtime::{Deadline, Handle, KernelError};
use physmem_core::database::{FrameDatabase, FrameEntry, NOBODY, State};
use physmem_core::limits::reserve_frames;
use physmem_core::machine::managed_frames;
use physmem_core::{Beginning, FrameWait, Physmem};
use physmem_serve::serve::{ANSWER_HANDLES, CALLED};
use physmem_stacked_core::bank::{Banks, RecordPages};
use physmem_stacked_core::pmap::Begin;
use physmem_stacked_core::{BANK_PAGES, CLOCK_FRAME, FrameNote, ParentPmap, Plan, TaskNote};

/// A stacked physmem's logic.
pub type Logic = Physmem<'static, Kernel, RecordWindow>;

/// Frame 0 is nobody's; the next one is the pressure page.
const PRESSURE_FRAME: u32 = 1;
/// First frame to lend.
const FIRST_FRAME: u32 = 2;
/// Frames that making the books takes before what is left is counted: heap, endpoint, notification, records.
const OWN_FRAMES: u64 = 24;

/// Why nothing runs.
#[derive(Debug)]
pub enum Error {
    /// No program was named.
    Usage,
    /// The contract is too small to be divided.
    TooSmall,
    /// There is no room for addresses or entries.
    NoRoom,
    /// The program cannot be loaded, or the parent refused something.
    Spawn(SpawnError),
    /// The logic inside refused.
    Memory(MemoryError),
    /// The program was not found.
    NotFound(kernel_runtime::files::FileCallError),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => formatter.write_str("usage: stacked PROGRAM ARGUMENT..."),
            Error::TooSmall => formatter.write_str("the contract is too small"),
            Error::NoRoom => formatter.write_str("there is no room for more capabilities"),
            Error::Spawn(error) => error.fmt(formatter),
            Error::Memory(error) => error.fmt(formatter),
            Error::NotFound(error) => error.fmt(formatter),
        }
    }
}

impl From<MemoryCallError> for Error {
    fn from(error: MemoryCallError) -> Error {
        Error::Spawn(SpawnError::Memory(error))
    }
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Error {
        Error::Spawn(SpawnError::Kernel(error))
    }
}

impl From<SpawnError> for Error {
    fn from(error: SpawnError) -> Error {
        Error::Spawn(error)
    }
}

impl From<MemoryError> for Error {
    fn from(error: MemoryError) -> Error {
        Error::Memory(error)
    }
}

fn leak<T: Clone>(value: T, count: usize) -> &'static mut [T] {
    vec![value; count].leak()
}

/// New entries of the table, first and end.
fn more_handles() -> Result<(Handle, Handle), MemoryCallError> {
    let room = call(SPACE, &TableGrow {}, &[], Deadline::NEVER)?;
    Ok((Handle(room.first), Handle(room.first + room.handles)))
}

/// Makes it, with all that the contract leaves.
pub fn physmem() -> Result<(Serving, Logic), Error> {
    let (own, own_end) = more_handles()?;
    let logic_handles = more_handles()?;
    let kept = own.offset(ANSWER_HANDLES);
    let pmap_handles = (kept.offset(MESSAGE_CAPABILITIES as u32), own_end);
    let (_, endpoint) = call_for_capability(CONTRACT, &EndpointCreate {}, &[], Deadline::NEVER)?;
    let notification = Notification::new()?;
    notification.bind()?;
    // With the page that it costs.
    let signaller = notification.signaller(CALLED)?;
    call(CONTRACT, &Watch {}, &[signaller.handle()], Deadline::NEVER)?;
    let status = contract_status(CONTRACT)?;
    let used = status.pages + status.records + status.kernel + OWN_FRAMES;
    let plan = Plan::new(status.guaranteed, used).ok_or(Error::TooSmall)?;
    let frames = plan.frames as u32 + FIRST_FRAME;
    let entries = leak(FrameEntry::default(), frames as usize);
    let notes = leak(FrameNote::default(), frames as usize);
    let waits = leak(FrameWait::default(), logic_handles.1.0 as usize);
    let tasks = leak(TaskNote::default(), logic_handles.1.0 as usize);
    let pages = leak(Cell::new(0), frames as usize);
    let records = RecordPages { container: container(plan.records)?, pages };
    let banks = Banks { banks: banks(frames)?.leak(), records };
    let window = RecordWindow::new(banks, plan.records)?;
    let zeros = container(1)?;
    let endpoint = endpoint.into_handle();
    let pmap = ParentPmap::new(Begin {
        parent: Calls,
        contract: CONTRACT,
        endpoint,
        zeros,
        banks,
        frames: notes,
        tasks,
        handles: pmap_handles,
    });
    let serving = Serving::new(endpoint, notification, own, kept);
    let mut database = FrameDatabase::new(entries);
    for frame in (0..frames).rev() {
        match frame {
            FIRST_FRAME.. => database.free(frame, State::Absent, true, NOBODY),
            _ => database.change(frame, State::Absent, State::System),
        }
    }
    let managed = managed_frames(&database);
    let reserve = reserve_frames(managed);
    log::info!("{used} of {} frames used, {managed} to lend, {} aside", status.guaranteed, plan.aside);
    let beginning = Beginning {
        reserve,
        guaranteed: managed - reserve,
        handles: logic_handles,
        first_principal: 1,
        waits,
        pressure_frame: Some(PRESSURE_FRAME),
    };
    let mut physmem = Physmem::new(pmap, window, database, beginning);
    physmem.clock_frame = Some(CLOCK_FRAME);
    Ok((serving, physmem))
}

fn container(pages: u64) -> Result<Handle, MemoryCallError> {
    let (_, made) = call_for_capability(CONTRACT, &ContainerCreate { pages }, &[], Deadline::NEVER)?;
    Ok(made.into_handle())
}

/// Containers for so many frames, all of them allocated but the first.
fn banks(frames: u32) -> Result<Vec<Handle>, CallError<MemoryError>> {
    let mut banks = Vec::new();
    for first in (0..frames).step_by(BANK_PAGES as usize) {
        let pages = u64::from(BANK_PAGES.min(frames - first));
        let bank = container(pages)?;
        // Whatever is seized is taken from here first: the rest is this program.
        let order = SetEviction { rank: 1, discardable: false, vital: false };
        call(bank, &order, &[], Deadline::NEVER)?;
        let first_page = u64::from(first == 0);
        let request = Allocate { first_page, pages: pages - first_page, any_contents: false };
        call(bank, &request, &[], Deadline::NEVER)?;
        banks.push(bank);
    }
    Ok(banks)
}
