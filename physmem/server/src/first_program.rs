//! Starting init, as any client would have it started: by requests to physmem's own logic, under the root contract.
//!
//! Its image comes from the boot archive by logical copies; physmem maps nothing of it. What init is given beyond what
//! every program has: `control`, `hardware`, `archive` with `archive-bytes=N`; and where there are rings of events,
//! `trace-rings`, a container with them, and `trace`, the right to write some.

use crate::kernel::{KernelCalls, OBJECTS};
use crate::window::{self, RecordWindow};
use containers_api::container::{Allocate, Copy};
use containers_api::control::ControlRights;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, MemoryError};
use containers_core::pages;
use containers_core::record::{Container, Name as RecordName};
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use kernel_abi::boot::{ENDPOINT, HARDWARE, LOG, NOTIFICATION, SCHEDULE, TRACE};
use kernel_abi::{FRAME_BYTES, Handle, KernelError};
use kernel_runtime::layout;
use kernel_runtime::startup::{StartupFrom, TooLong};
use kernel_runtime::syscall::{self, ThreadState};
use kernel_runtime::{Capability, Rights};
use physmem_core::badge::Badge;
use physmem_core::{Physmem, Sent};
use physmem_serve::Client;
use physmem_serve::serve::{FIRST_ENDED, mint};

/// Archive member that is started.
const INIT: &str = "init";

/// Why init does not run.
#[derive(Debug)]
pub enum StartError {
    /// The archive is no ustar file.
    Archive,
    /// It has no member `init`.
    Missing,
    /// The member is no static x86_64 program.
    Image,
    /// physmem's own logic refused.
    Memory(MemoryError),
    /// The kernel refused.
    Kernel(KernelError),
}

macro_rules! start_errors {
    ($($source:ty => $variant:expr),* $(,)?) => { $(
        impl From<$source> for StartError {
            fn from(error: $source) -> StartError {
                $variant(error)
            }
        }
    )* };
}

start_errors!(
    MemoryError => StartError::Memory,
    KernelError => StartError::Kernel,
    TooLong => |_| StartError::Image,
    elf::ParseError => |_| StartError::Image,
);

impl core::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Archive => formatter.write_str("the boot archive is damaged"),
            StartError::Missing => formatter.write_str("the boot archive holds no init"),
            StartError::Image => formatter.write_str("init is no program, or is damaged"),
            StartError::Memory(error) => write!(formatter, "init cannot be given memory: {error}"),
            StartError::Kernel(error) => write!(formatter, "the kernel refused to start init: {error:?}"),
        }
    }
}

type Logic = Physmem<'static, KernelCalls, RecordWindow>;

/// Loads from the archive.
struct Loader<'a> {
    client: Client<'a, KernelCalls, RecordWindow>,
    archive: Badge,
}

/// Starts init from the archive, whose frames begin at `frames.0` and are `frames.1` many; the same for the rings of
/// events. Its task.
pub fn start(
    physmem: &mut Logic,
    archive: &'static [u8],
    frames: (u32, u64),
    rings: Option<(u32, u64)>,
) -> Result<Handle, StartError> {
    let (offset, image) = find(archive)?;
    let root = physmem.root();
    let adopted = physmem.adopt(root, frames.0, frames.1)?;
    // Nobody can end this container but with the root contract: the kernel goes on writing its frames.
    let rings = rings.map(|(first, pages)| physmem.adopt(root, first, pages)).transpose()?;
    let rings = rings.map(|rings| Logic::container_badge(rings, ContainerRights::MAP));
    let all = ContainerRights::all();
    let client = Client { physmem, objects: OBJECTS };
    let mut loader = Loader { client, archive: Logic::container_badge(adopted, all) };
    let contract = Logic::contract_badge(root);
    let (task, space) = loader.client.create_space(contract, INIT)?;
    let file = ElfBytes::<LittleEndian>::minimal_parse(image)?;
    if file.ehdr.e_type != ET_EXEC || file.ehdr.e_machine != EM_X86_64 {
        return Err(StartError::Image);
    }
    for segment in file.segments().ok_or(StartError::Image)? {
        if segment.p_type == PT_LOAD {
            loader.load(contract, space, offset, image.len() as u64, &segment)?;
        }
    }
    let pages = layout::FIRST_STACK_BYTES / FRAME_BYTES;
    let (stack, _) = loader.client.create_container(contract, pages)?;
    loader.client.map(
        space,
        stack,
        layout::FIRST_STACK_END - layout::FIRST_STACK_BYTES,
        pages,
        MapProtection::WRITE,
    )?;
    let rights = ContainerRights::MAP | ContainerRights::COPY_OUT;
    let readable = Logic::container_badge(adopted, rights);
    let bytes = loader.startup_block(contract, space, archive.len(), rings.is_some())?;
    let thread = loader.client.create_thread(space)?;
    install(task, thread, space, contract, readable, rings)?;
    let rights = Rights::CONFIGURE | Rights::INSPECT | Rights::TRANSFER;
    syscall::task_install(task, SCHEDULE, layout::SCHEDULE, rights)?;
    let notice = OBJECTS.offset(1);
    syscall::capability_mint(NOTIFICATION, notice, Rights::SEND, FIRST_ENDED)?;
    syscall::task_death_notice(task, notice)?;
    syscall::capability_drop(notice)?;
    let state = ThreadState {
        instruction_pointer: file.ehdr.e_entry,
        stack_pointer: layout::FIRST_STACK_END,
        arguments: [layout::STARTUP_BLOCK, bytes],
        priority: layout::PRIORITY_INIT,
        schedule: Some(SCHEDULE),
    };
    syscall::thread_start(thread, &state)?;
    // The thread's capability was init's to have; physmem keeps none.
    syscall::capability_drop(thread)?;
    Ok(task)
}

/// Offset and contents of the member.
fn find(archive: &'static [u8]) -> Result<(u64, &'static [u8]), StartError> {
    let parsed = tar_no_std::TarArchiveRef::new(archive).map_err(|_| StartError::Archive)?;
    let member = parsed.entries().find(|entry| entry.filename().as_str() == Ok(INIT));
    let data = member.ok_or(StartError::Missing)?.data();
    Ok((data.as_ptr().addr() as u64 - archive.as_ptr().addr() as u64, data))
}

impl Loader<'_> {
    /// A container with a segment's contents, mapped.
    fn load(
        &mut self,
        contract: Badge,
        space: Badge,
        image_offset: u64,
        image_bytes: u64,
        segment: &ProgramHeader,
    ) -> Result<(), StartError> {
        let in_file = segment.p_offset.checked_add(segment.p_filesz).is_some_and(|end| end <= image_bytes);
        let aligned = segment.p_vaddr.is_multiple_of(FRAME_BYTES) && segment.p_filesz <= segment.p_memsz;
        if !in_file || !aligned {
            return Err(StartError::Image);
        }
        let pages = segment.p_memsz.div_ceil(FRAME_BYTES);
        let (container, _) = self.client.create_container(contract, pages)?;
        if segment.p_filesz != 0 {
            let source_offset = image_offset + segment.p_offset;
            let copy = Copy { source_offset, destination_offset: 0, bytes: segment.p_filesz };
            let archive = self.archive;
            self.client.ask(archive, &copy, &[Sent::Badge(container.0)])?;
        }
        let mut protection = MapProtection::empty();
        protection.set(MapProtection::WRITE, segment.p_flags & PF_W != 0);
        protection.set(MapProtection::EXECUTE, segment.p_flags & PF_X != 0);
        Ok(self.client.map(space, container, segment.p_vaddr, pages, protection)?)
    }

    /// The startup block, written and mapped; its bytes.
    fn startup_block(
        &mut self,
        contract: Badge,
        space: Badge,
        archive_bytes: usize,
        has_rings: bool,
    ) -> Result<u64, StartError> {
        let mut argument = [0; 40];
        let mut text = Writer { bytes: &mut argument, used: 0 };
        core::fmt::Write::write_fmt(&mut text, format_args!("archive-bytes={archive_bytes}"))
            .map_err(|_| TooLong)?;
        let used = text.used;
        let given = GIVEN.map(|(name, handle)| (name, handle.0));
        let startup = StartupFrom {
            name: INIT,
            arguments: &[&argument[..used]],
            capabilities: &given[..if has_rings { GIVEN.len() } else { GIVEN_ALWAYS }],
            mounts: &[],
            directory: b"/",
            priority: layout::PRIORITY_INIT,
        };
        let mut block = [0; layout::STARTUP_BLOCK_BYTES];
        let bytes = startup.encode(&mut block)?;
        let (container, _) = self.client.create_container(contract, 1)?;
        self.client.ask(container, &Allocate { first_page: 0, pages: 1, any_contents: false }, &[])?;
        let record = RecordName::<Container>::claimed(container.name());
        let frame = pages::entry(self.client.physmem, record, 0).frame().ok_or(MemoryError::Internal)?;
        window::write_frame(frame, bytes)?;
        self.client.map(space, container, layout::STARTUP_BLOCK, 1, MapProtection::empty())?;
        Ok(bytes.len() as u64)
    }
}

/// What init has by name, and where.
const GIVEN: [(&str, Handle); 5] = [
    ("control", layout::FREE_HANDLES),
    ("hardware", layout::FREE_HANDLES.offset(1)),
    ("archive", layout::FREE_HANDLES.offset(2)),
    ("trace-rings", layout::FREE_HANDLES.offset(3)),
    ("trace", layout::FREE_HANDLES.offset(4)),
];
/// Of these, what init has without rings of events, too.
const GIVEN_ALWAYS: usize = 3;

fn install(
    task: Handle,
    thread: Handle,
    space: Badge,
    contract: Badge,
    archive: Badge,
    rings: Option<Badge>,
) -> Result<(), KernelError> {
    let message = Rights::SEND | Rights::TRANSFER;
    syscall::task_install(task, task, layout::TASK, Rights::INSPECT | Rights::KILL)?;
    syscall::task_install(task, thread, layout::FIRST_THREAD, Rights::empty())?;
    syscall::task_install(task, LOG, layout::LOG, Rights::TRANSFER)?;
    syscall::task_install(task, HARDWARE, GIVEN[1].1, Rights::TRANSFER)?;
    if rings.is_some() {
        syscall::task_install(task, TRACE, GIVEN[4].1, Rights::TRANSFER)?;
    }
    let minted = [
        (layout::SPACE, space),
        (layout::CONTRACT, contract),
        (GIVEN[0].1, Logic::control_badge(ControlRights::all())),
        (GIVEN[2].1, archive),
    ];
    let rings = rings.map(|badge| (GIVEN[3].1, badge));
    for (entry, badge) in minted.into_iter().chain(rings) {
        let capability = Capability::from_handle(OBJECTS.offset(1));
        mint(ENDPOINT, capability.handle(), badge)?;
        syscall::task_install(task, capability.handle(), entry, message)?;
        syscall::capability_drop(capability.into_handle())?;
    }
    Ok(())
}

/// Formats into bytes on the stack.
struct Writer<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl core::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.used..self.used + text.len()).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}
