//! physmem: holds all frames, lends them under contracts. The thin main around `physmem-core`: makes the books from what
//! the kernel left, starts init, serves.
//!
//! What cannot be brought up is said in the log, and the machine ends with code 102.
#![no_std]
#![no_main]

mod books;
mod first_program;
mod idle;
mod kernel;
mod window;

use kernel::{FirstPhysmem, KernelCalls, LOGIC_HANDLES, OBJECTS};
use kernel_abi::boot::{FRAMES, HARDWARE, TASK};
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::{Handle, Kind};
use kernel_runtime::{boot, clock, layout, syscall};
use physmem_core::limits::reserve_frames;
use physmem_core::machine::managed_frames;
use physmem_core::{Beginning, Physmem};
use physmem_serve::Server;
use physmem_serve::serve::IDLE;
use window::RecordWindow;

kernel_runtime::first_task!(main);

/// Exit code for the emulator: the system could not be brought up.
const EXIT_BOOT: u32 = 102;
/// Port of QEMU's exit device.
const EXIT_PORT: u64 = 0xf4;

fn main() -> i32 {
    match bring_up() {
        Ok(server) => {
            let ending = server.run();
            log::error!("init {ending}");
        }
        Err(reason) => log::error!("cannot bring the system up: {reason}"),
    }
    exit()
}

fn bring_up() -> Result<Server<FirstPhysmem, RecordWindow>, Reason> {
    let info = boot::info().ok_or(Reason::BootInfo)?;
    let archive = boot::archive(info);
    let books = books::open(info).map_err(Reason::Books)?;
    map_clock(books.clock).map_err(Reason::Clock)?;
    let managed = managed_frames(&books.database);
    let reserve = reserve_frames(managed);
    let lendable =
        managed.checked_sub(reserve).filter(|&frames| frames > 0).ok_or(Reason::TooLittleMemory)?;
    // All of it: what the guarantees of the moment leave idle is lent out as extra frames.
    let guaranteed = lendable;
    let beginning = Beginning {
        reserve,
        guaranteed,
        handles: (LOGIC_HANDLES, books.handles_end),
        first_principal: 1,
        waits: books.waits,
        pressure_frame: Some(books.pressure),
    };
    let mut physmem = Physmem::new(KernelCalls, RecordWindow, books.database, beginning);
    physmem.clock_frame = Some(books.clock);
    physmem.is_tracing = books.rings.is_some();
    log::info!("{managed} frames to lend, {guaranteed} guaranteed, {reserve} in reserve");
    idle::start(books.idle, IDLE).map_err(Reason::Idle)?;
    let init =
        first_program::start(&mut physmem, archive, books.archive, books.rings).map_err(Reason::Init)?;
    Ok(Server::new(FirstPhysmem, physmem, init))
}

fn map_clock(frame: u32) -> Result<(), kernel_abi::KernelError> {
    let mapping = Mapping::new(layout::CLOCK_PAGE, Protection::empty(), frame, 1);
    syscall::pmap_enter(FRAMES, TASK, &[mapping]).map_err(|stopped| stopped.error)?;
    clock::page_is_mapped();
    Ok(())
}

/// Why the system does not come up.
enum Reason {
    BootInfo,
    Books(books::BookError),
    Clock(kernel_abi::KernelError),
    Idle(kernel_abi::KernelError),
    TooLittleMemory,
    Init(first_program::StartError),
}

impl core::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Reason::BootInfo => formatter.write_str("the kernel's boot information is of another version"),
            Reason::Books(error) => write!(formatter, "no books of the frames: {error}"),
            Reason::Clock(error) => write!(formatter, "the clock page cannot be mapped: {error:?}"),
            Reason::Idle(error) => write!(formatter, "there is no thread for idle time: {error:?}"),
            Reason::TooLittleMemory => formatter.write_str("the machine has too little memory"),
            Reason::Init(error) => error.fmt(formatter),
        }
    }
}

/// Ends the emulator. On a machine without its exit device physmem ends, and with it the system.
fn exit() -> i32 {
    let ports: Handle = OBJECTS;
    let _ = syscall::hardware_mint(HARDWARE, Kind::IoPorts, EXIT_PORT, 4, ports);
    let _ = syscall::port_write(ports, 0, 4, EXIT_BOOT);
    EXIT_BOOT as i32
}
