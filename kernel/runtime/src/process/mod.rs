//! Starting programs: a contract split off for the child, an address space, containers with the program's
//! segments, and the capabilities it is given.
//!
//! Everything that the child needs is charged to the child's contract, from the first page table on; destroying
//! the contract (dropping the [`Process`]) takes everything back, whatever the child did. The parent maps
//! nothing of the child but, for a moment, the startup block.

pub mod image;

mod source;
mod status;

pub use image::ImageError;
pub use source::{FileSource, ImageSource};
pub use status::ExitStatus;

use crate::containers::{Allowance, MemoryCallError, NewSpace, OwnContainer, OwnContract, Space, Terms};
use crate::files::FileCallError;
use crate::ipc::CallError;
use crate::layout::*;
use crate::memory::Mapping;
use crate::notification::Notification;
use crate::startup::{StartupFrom, TooLong};
use crate::syscall::{self, ThreadState, TimeShare};
use crate::{Capability, Handle, KernelError, Rights};
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::space::MapProtection;
use core::fmt;
use image::{Image, Segment};
use kernel_abi::FRAME_BYTES;
use kernel_abi::task::TaskStatus;

/// A capability to give to a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Given<'a> {
    /// What the program knows it by.
    pub name: &'a str,
    /// The parent's entry, with the right to pass it on.
    pub handle: Handle,
    /// Rights that the program gets, a subset of the parent's.
    pub rights: Rights,
}

/// What is started, and with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Program<'a> {
    /// Where it comes from, such as `bin/ls`: what log lines and backtraces call it. The part after the last `/`
    /// names its contract and address space.
    pub name: &'a str,
    /// Its arguments.
    pub arguments: &'a [&'a [u8]],
    /// Capabilities by name.
    pub capabilities: &'a [Given<'a>],
    /// Mounts: prefix and the parent's entry for the root node.
    pub mounts: &'a [(&'a str, Handle)],
    /// Where its relative paths start.
    pub directory: &'a [u8],
    /// What it may hold.
    pub allowance: Allowance,
    /// Pages of it that may be swapped out; 0 where there is no default pager.
    pub swap_limit: u64,
    /// At most its schedule's.
    pub priority: u8,
    /// The part of the parent's schedule that is split off for it, in thousandths; none: it shares the parent's.
    pub time: Option<u64>,
}

/// Why a program was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnError {
    /// The file is no program.
    Image(ImageError),
    /// physmem refused.
    Memory(MemoryCallError),
    /// The file server refused.
    File(FileCallError),
    /// The kernel refused.
    Kernel(KernelError),
    /// Arguments and names do not fit the startup block.
    TooManyArguments,
    /// More capabilities than a program can be given.
    TooManyCapabilities,
}

macro_rules! spawn_errors {
    ($($source:ty => $variant:ident),*) => { $(
        impl From<$source> for SpawnError {
            fn from(error: $source) -> Self {
                SpawnError::$variant(error)
            }
        }
    )* };
}

spawn_errors!(ImageError => Image, MemoryCallError => Memory, FileCallError => File, KernelError => Kernel);

impl From<TooLong> for SpawnError {
    fn from(_: TooLong) -> Self {
        SpawnError::TooManyArguments
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Image(error) => error.fmt(formatter),
            SpawnError::Memory(CallError::Refused(refusal))
                if matches!(refusal.error, MemoryError::NotAdmitted | MemoryError::ContractExhausted) =>
            {
                formatter.write_str("not enough memory")
            }
            SpawnError::Memory(error) => error.fmt(formatter),
            SpawnError::File(error) => error.fmt(formatter),
            SpawnError::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
            SpawnError::TooManyArguments => formatter.write_str("argument list too long"),
            SpawnError::TooManyCapabilities => formatter.write_str("too many capabilities"),
        }
    }
}

/// A program that was started. Dropping this ends it and takes back all that it held.
#[derive(Debug)]
pub struct Process {
    task: Capability,
    contract: OwnContract,
}

impl Process {
    /// Starts a program under a contract split off from the caller's own. Its end sets `death_bits` of `death`.
    pub fn spawn(
        source: &mut impl ImageSource,
        program: &Program<'_>,
        death: &Notification,
        death_bits: u64,
    ) -> Result<Process, SpawnError> {
        let head = source.head()?;
        let image = image::parse(&head, source.bytes())?;
        let short = program.name.rsplit('/').next().unwrap_or(program.name);
        let terms = Terms { swap_limit: program.swap_limit, ..Terms::default() };
        let contract = OwnContract::split_with(CONTRACT, &program.allowance, &terms, short)?;
        let NewSpace { task, space } = contract.create_space(short)?;
        let thread = space.create_thread()?;
        for segment in &image.segments {
            load(source, segment, &contract, &space)?;
        }
        let schedule =
            program.time.map(|part| split_schedule(&contract, part, program.priority)).transpose()?;
        let schedule = schedule.as_ref().map(Capability::handle);
        install_schedule(task.handle(), schedule.unwrap_or(SCHEDULE))?;
        let bytes = set_up(program, &contract, &space, task.handle(), thread.handle())?;
        let signaller = death.signaller(death_bits)?;
        syscall::task_death_notice(task.handle(), signaller.handle())?;
        start(&image, thread.handle(), bytes, program.priority, schedule)?;
        Ok(Process { task, contract })
    }

    /// How it is.
    pub fn status(&self) -> Result<TaskStatus, KernelError> {
        syscall::task_status(self.task.handle())
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.status().ok().and_then(ExitStatus::from_task)
    }

    /// Ends it.
    pub fn kill(&self, code: u32) -> Result<(), KernelError> {
        syscall::task_kill(self.task.handle(), code)
    }

    /// Its contract.
    pub fn contract(&self) -> &OwnContract {
        &self.contract
    }
}

/// A part of the parent's schedule, in an object that the child's contract pays for: it ends with that.
fn split_schedule(contract: &OwnContract, thousandths: u64, priority: u8) -> Result<Capability, SpawnError> {
    let schedule = contract.create_schedule()?;
    let share = TimeShare::part_of(SCHEDULE, thousandths, priority)?;
    syscall::schedule_split(SCHEDULE, schedule.handle(), &share)?;
    Ok(schedule)
}

fn install_schedule(task: Handle, schedule: Handle) -> Result<(), KernelError> {
    let rights = Rights::CONFIGURE | Rights::INSPECT | Rights::TRANSFER;
    syscall::task_install(task, schedule, SCHEDULE, rights)
}

/// Makes a container with a segment's contents and maps it.
fn load(
    source: &mut impl ImageSource,
    segment: &Segment,
    contract: &OwnContract,
    space: &Space,
) -> Result<(), SpawnError> {
    let addresses = segment.pages();
    let pages = (addresses.end - addresses.start) / FRAME_BYTES;
    let container = OwnContainer::under(contract.handle(), pages)?;
    let file = segment.file_range(source.bytes());
    if !file.is_empty() {
        source.fill(file, &container)?;
    }
    space.map(addresses.start, &container, 0..pages, segment.protection)?;
    container.keep();
    Ok(())
}

/// Stack, capabilities and startup block. The block's bytes.
fn set_up(
    program: &Program<'_>,
    contract: &OwnContract,
    space: &Space,
    task: Handle,
    thread: Handle,
) -> Result<u64, SpawnError> {
    let pages = FIRST_STACK_BYTES / FRAME_BYTES;
    let stack = OwnContainer::under(contract.handle(), pages)?;
    space.map(FIRST_STACK_END - FIRST_STACK_BYTES, &stack, 0..pages, MapProtection::WRITE)?;
    stack.keep();
    install_own(task, thread, space.handle(), contract.handle())?;
    let (capabilities, mounts) = install_named(program, task)?;
    let block = OwnContainer::under(contract.handle(), 1)?;
    let bytes = {
        let mut mapping = Mapping::new(&block, 0, 1, MapProtection::WRITE)?;
        let startup = StartupFrom {
            name: program.name,
            arguments: program.arguments,
            capabilities: &capabilities,
            mounts: &mounts,
            directory: program.directory,
            priority: program.priority,
        };
        startup.encode(mapping.as_mut_slice())?.len() as u64
    };
    space.map(STARTUP_BLOCK, &block, 0..1, MapProtection::empty())?;
    block.keep();
    Ok(bytes)
}

/// The capabilities that every task has of itself.
fn install_own(task: Handle, thread: Handle, space: Handle, contract: Handle) -> Result<(), KernelError> {
    let message = Rights::SEND | Rights::TRANSFER;
    syscall::task_install(task, task, TASK, Rights::INSPECT | Rights::KILL)?;
    syscall::task_install(task, thread, FIRST_THREAD, Rights::empty())?;
    syscall::task_install(task, space, SPACE, message)?;
    syscall::task_install(task, contract, CONTRACT, message)?;
    syscall::task_install(task, LOG, LOG, Rights::TRANSFER)
}

/// Names and the child's entries for them.
type Entries<'a> = Vec<(&'a str, u32)>;

/// The capabilities that this program is given, and its mounts.
fn install_named<'a>(program: &Program<'a>, task: Handle) -> Result<(Entries<'a>, Entries<'a>), SpawnError> {
    let mut next = FREE_HANDLES.0;
    let mut install = |handle: Handle, rights: Rights| {
        if next - FREE_HANDLES.0 >= NAMED_CAPABILITIES_MAX {
            return Err(SpawnError::TooManyCapabilities);
        }
        syscall::task_install(task, handle, Handle(next), rights)?;
        next += 1;
        Ok(next - 1)
    };
    let mut capabilities = Vec::with_capacity(program.capabilities.len());
    for given in program.capabilities {
        capabilities.push((given.name, install(given.handle, given.rights)?));
    }
    let mut mounts = Vec::with_capacity(program.mounts.len());
    for &(prefix, root) in program.mounts {
        mounts.push((prefix, install(root, Rights::SEND | Rights::TRANSFER)?));
    }
    Ok((capabilities, mounts))
}

fn start(
    image: &Image,
    thread: Handle,
    startup_bytes: u64,
    priority: u8,
    schedule: Option<Handle>,
) -> Result<(), KernelError> {
    let state = ThreadState {
        instruction_pointer: image.entry,
        stack_pointer: FIRST_STACK_END,
        arguments: [STARTUP_BLOCK, startup_bytes],
        priority,
        schedule,
    };
    syscall::thread_start(thread, &state)
}
