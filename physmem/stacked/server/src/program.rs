//! Starting the program: requests to the logic inside, as its maker would make them. What it contains comes by a container of
//! the parent's, through which a few pages at a time go from the file into the program's own.

use crate::parent::{Calls, Kernel, Serving};
use crate::setup::{Error, Logic};
use crate::window::RecordWindow;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::container::{Allocate, Copy};
use containers_api::space::MapProtection;
use containers_core::pages;
use containers_core::record::{Container, Name as RecordName};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::files::Names;
use kernel_runtime::layout::*;
use kernel_runtime::memory::Mapping;
use kernel_runtime::process::image::{self, Segment};
use kernel_runtime::process::{FileSource, ImageSource, SpawnError};
use kernel_runtime::startup::{Startup, StartupFrom};
use kernel_runtime::syscall::{self, ThreadState};
use kernel_runtime::{Handle, KernelError, Rights};
use physmem_core::badge::Badge;
use physmem_serve::serve::{FIRST_ENDED, mint};
use physmem_serve::{Client, Platform};
use physmem_stacked_core::Parent;
use physmem_stacked_core::bank::Banks;

/// Where programs are looked for that are no paths, as the shell does.
const FOLDER: &[u8] = b"/.boot/bin/";
/// Pages that go through the parent's container at a time.
const STAGE_PAGES: u64 = 8;

/// The way of contents into the logic's containers.
struct Loader<'a> {
    client: Client<'a, Kernel, RecordWindow>,
    contract: Badge,
    space: Badge,
    banks: Banks<'static>,
    stage: OwnContainer,
}

/// Starts the program that the arguments name. Its task.
pub fn start(serving: &Serving, physmem: &mut Logic, startup: &Startup<'_>) -> Result<Handle, Error> {
    let (&name, arguments) = startup.arguments.split_first().ok_or(Error::Usage)?;
    let path = if name.contains(&b'/') { name.to_vec() } else { [FOLDER, name].concat() };
    let (node, _, bytes) =
        Names::from_startup(startup).lookup_described(&path, true).map_err(Error::NotFound)?;
    let mut source = FileSource::new(&node, bytes);
    let image = image::parse(&source.head()?, bytes).map_err(SpawnError::Image)?;
    let contract = Logic::contract_badge(physmem.root());
    let banks = physmem.pmap.banks();
    let mut client = Client { physmem, objects: serving.objects() };
    let short = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    let short = core::str::from_utf8(short).unwrap_or("program");
    let (task, space) = client.create_space(contract, short)?;
    let thread = client.create_thread(space)?;
    let mut loader = Loader { client, contract, space, banks, stage: OwnContainer::new(STAGE_PAGES)? };
    for segment in &image.segments {
        loader.load(&mut source, segment)?;
    }
    let stack_pages = FIRST_STACK_BYTES / FRAME_BYTES;
    let (stack, _) = loader.client.create_container(contract, stack_pages)?;
    let stack_start = FIRST_STACK_END - FIRST_STACK_BYTES;
    loader.client.map(space, stack, stack_start, stack_pages, MapProtection::WRITE)?;
    let bytes = loader.startup_block(startup, short, arguments)?;
    install(serving, task, thread, (space, contract), startup)?;
    let notice = serving.death_notice(FIRST_ENDED)?;
    syscall::task_death_notice(task, notice.handle())?;
    let state = ThreadState {
        instruction_pointer: image.entry,
        stack_pointer: FIRST_STACK_END,
        arguments: [STARTUP_BLOCK, bytes],
        priority: startup.priority,
        schedule: None,
    };
    syscall::thread_start(thread, &state)?;
    // The thread's capability was the program's to have.
    syscall::capability_drop(thread)?;
    Ok(task)
}

impl Loader<'_> {
    fn load(&mut self, source: &mut FileSource<'_>, segment: &Segment) -> Result<(), Error> {
        let addresses = segment.pages();
        let pages = (addresses.end - addresses.start) / FRAME_BYTES;
        let (container, _) = self.client.create_container(self.contract, pages)?;
        let file = segment.file_range(source.bytes());
        let size = STAGE_PAGES * FRAME_BYTES;
        for start in file.clone().step_by(size as usize) {
            let end = file.end.min(start + size);
            source.fill(start..end, &self.stage)?;
            self.put(container, (start - file.start) / FRAME_BYTES, end - start)?;
        }
        Ok(self.client.map(self.space, container, addresses.start, pages, segment.protection)?)
    }

    /// Puts so many bytes of the stage to a page of a container, and behind it.
    fn put(&mut self, container: Badge, first_page: u64, bytes: u64) -> Result<(), Error> {
        let pages = bytes.div_ceil(FRAME_BYTES);
        self.client.ask(container, &Allocate { first_page, pages, any_contents: false }, &[])?;
        let record = RecordName::<Container>::claimed(container.name());
        for page in 0..pages {
            let frame = pages::entry(self.client.physmem, record, first_page + page).frame();
            let place = frame.and_then(|frame| self.banks.place(frame)).ok_or(MemoryError::Internal)?;
            let source_offset = page * FRAME_BYTES;
            let bytes = FRAME_BYTES.min(bytes - source_offset);
            let destination_offset = place.page * FRAME_BYTES;
            let request = Copy { source_offset, destination_offset, bytes };
            let copied = Calls.ask(self.stage.handle(), &request, &[place.container]);
            copied.map_err(|refused| Error::Memory(refused.error))?;
        }
        // What the stage still shares is not needed twice.
        self.stage.deallocate(0..STAGE_PAGES)?;
        Ok(())
    }

    /// The startup block, written and mapped; its bytes.
    fn startup_block(
        &mut self,
        startup: &Startup<'_>,
        name: &str,
        arguments: &[&[u8]],
    ) -> Result<u64, Error> {
        let startup = StartupFrom {
            name,
            arguments,
            capabilities: &named(&startup.capabilities, 0),
            mounts: &named(&startup.mounts, startup.capabilities.len()),
            directory: startup.directory,
            priority: startup.priority,
        };
        let bytes = {
            let mut mapping = Mapping::new(&self.stage, 0, 1, MapProtection::WRITE)?;
            let block = startup.encode(mapping.as_mut_slice()).map_err(SpawnError::from)?;
            block.len() as u64
        };
        let (container, _) = self.client.create_container(self.contract, 1)?;
        self.put(container, 0, bytes)?;
        self.client.map(self.space, container, STARTUP_BLOCK, 1, MapProtection::empty())?;
        Ok(bytes)
    }
}

/// The same names, at successive entries of the program's table.
fn named<'a>(own: &[(&'a str, u32)], behind: usize) -> Vec<(&'a str, u32)> {
    let entries = FREE_HANDLES.0 + behind as u32..;
    own.iter().map(|&(name, _)| name).zip(entries).collect()
}

/// Gives the program what every program has of itself, from this physmem, and what this program was given.
fn install(
    serving: &Serving,
    task: Handle,
    thread: Handle,
    (space, contract): (Badge, Badge),
    startup: &Startup<'_>,
) -> Result<(), KernelError> {
    let message = Rights::SEND | Rights::TRANSFER;
    syscall::task_install(task, task, TASK, Rights::INSPECT | Rights::KILL)?;
    syscall::task_install(task, thread, FIRST_THREAD, Rights::empty())?;
    syscall::task_install(task, LOG, LOG, Rights::TRANSFER)?;
    for (entry, badge) in [(SPACE, space), (CONTRACT, contract)] {
        let minted = serving.objects().offset(1);
        mint(serving.endpoint(), minted, badge)?;
        syscall::task_install(task, minted, entry, message)?;
        syscall::capability_drop(minted)?;
    }
    let given = startup.capabilities.iter().chain(&startup.mounts);
    for (&(_, own), entry) in given.zip(FREE_HANDLES.0..) {
        syscall::task_install(task, Handle(own), Handle(entry), message)?;
    }
    Ok(())
}
