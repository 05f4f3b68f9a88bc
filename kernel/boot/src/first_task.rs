//! The first task: physmem's ELF image from the boot archive, its stack, what it is told, its page tables.

use crate::BootError;
use crate::memory::Memory;
use crate::start_info::StartInfo;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use kernel_abi::boot::{
    BOOT_ARCHIVE_ADDRESS, BOOT_INFO_ADDRESS, BOOT_INFO_MAGIC, BOOT_RANGES, BootInfo, BootRange, ClockPage,
    FIRST_STACK_BYTES, FIRST_STACK_END, FIRST_TASK,
};
use kernel_abi::pmap::Protection;
use kernel_abi::{FRAME_BYTES, KernelError, USER_END};
use kernel_arch::clock;
use kernel_arch::hardware::Hardware;
use kernel_arch::layout::frame_pointer;
use kernel_arch::paging::BootFrames;
use kernel_core::bootstrap::FirstFrames;
use kernel_core::{Kernel, Link};
use tar_no_std::TarArchiveRef;

/// Bytes of physmem's image in memory at most.
const IMAGE_BYTES_MAX: u64 = 16 << 20;

const DAMAGED: BootError = "physmem's image is damaged";

/// Segments of the image at most.
const SEGMENTS_MAX: usize = 8;

/// Makes the first task and has it run as soon as the kernel does.
pub fn start(kernel: &mut Kernel<Hardware>, memory: &mut Memory, info: &StartInfo) -> Result<(), BootError> {
    let archive = memory.archive();
    // SAFETY: the archive's frames are RAM that nobody writes; they stay its own.
    let bytes =
        unsafe { core::slice::from_raw_parts(frame_pointer::<u8>(archive.start), info.archive.1 as usize) };
    let image = find(bytes)?;
    let frames = FirstFrames {
        task: memory.take(),
        thread: memory.take(),
        endpoint: memory.take(),
        notification: memory.take(),
        schedule: memory.take(),
        table: memory.take(),
        root: memory.take(),
    };
    let (task, thread) = kernel.create_first_task(frames);
    let entry = load(kernel, memory, task, image)?;
    for page in 0..FIRST_STACK_BYTES / FRAME_BYTES {
        let address = FIRST_STACK_END - FIRST_STACK_BYTES + page * FRAME_BYTES;
        let frame = memory.take();
        map(kernel, memory, task, address, frame, Protection::WRITE)?;
    }
    for (page, frame) in archive.enumerate() {
        let address = BOOT_ARCHIVE_ADDRESS + page as u64 * FRAME_BYTES;
        map(kernel, memory, task, address, frame, Protection::empty())?;
    }
    // SAFETY: the clock page was taken for this.
    unsafe { frame_pointer::<ClockPage>(memory.clock()).write(clock::page()) };
    let boot_info = memory.take();
    map(kernel, memory, task, BOOT_INFO_ADDRESS, boot_info, Protection::empty())?;
    // SAFETY: the frame was taken for this; the structure fits a frame. Nothing is taken any more.
    unsafe { frame_pointer::<BootInfo>(boot_info).write(describe(memory, info)?) };
    kernel.start_first_task(thread, entry, FIRST_STACK_END - 8);
    Ok(())
}

fn find(archive: &'static [u8]) -> Result<&'static [u8], BootError> {
    let archive = TarArchiveRef::new(archive).map_err(|_| "the boot archive is damaged")?;
    let member = archive.entries().find(|entry| entry.filename().as_str() == Ok(FIRST_TASK));
    member.map(|entry| entry.data()).ok_or("the boot archive holds no physmem")
}

/// Loads the image; returns its entry address.
fn load(
    kernel: &mut Kernel<Hardware>,
    memory: &mut Memory,
    task: Link,
    image: &[u8],
) -> Result<u64, BootError> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(image).map_err(|_| DAMAGED)?;
    if file.ehdr.e_type != ET_EXEC || file.ehdr.e_machine != EM_X86_64 {
        return Err("physmem's image is no static x86_64 executable");
    }
    let segments = file.segments().ok_or(DAMAGED)?;
    if segments.len() > SEGMENTS_MAX {
        return Err("physmem's image has too many segments");
    }
    for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
        let data = file.segment_data(&segment).map_err(|_| DAMAGED)?;
        load_segment(kernel, memory, task, &segment, data)?;
    }
    Ok(file.ehdr.e_entry)
}

fn load_segment(
    kernel: &mut Kernel<Hardware>,
    memory: &mut Memory,
    task: Link,
    segment: &ProgramHeader,
    data: &[u8],
) -> Result<(), BootError> {
    let end = segment.p_vaddr.checked_add(segment.p_memsz).filter(|&end| end <= USER_END).ok_or(DAMAGED)?;
    let aligned = segment.p_vaddr.is_multiple_of(FRAME_BYTES) && segment.p_filesz <= segment.p_memsz;
    if !aligned || segment.p_memsz > IMAGE_BYTES_MAX {
        return Err(DAMAGED);
    }
    let mut protection = Protection::empty();
    protection.set(Protection::WRITE, segment.p_flags & PF_W != 0);
    protection.set(Protection::EXECUTE, segment.p_flags & PF_X != 0);
    let mut pages = data.chunks(FRAME_BYTES as usize);
    for address in (segment.p_vaddr..end).step_by(FRAME_BYTES as usize) {
        let frame = memory.take();
        let page = pages.next().unwrap_or(&[]);
        // SAFETY: the frame was just taken and is zero; the page has at most a frame's bytes.
        unsafe { core::ptr::copy_nonoverlapping(page.as_ptr(), frame_pointer::<u8>(frame), page.len()) };
        map(kernel, memory, task, address, frame, protection)?;
    }
    Ok(())
}

/// Maps a frame, supplying page tables as they are needed.
fn map(
    kernel: &mut Kernel<Hardware>,
    memory: &mut Memory,
    task: Link,
    address: u64,
    frame: u32,
    protection: Protection,
) -> Result<(), BootError> {
    loop {
        match kernel.map_first_task(task, address, frame, protection) {
            Ok(()) => return Ok(()),
            Err(KernelError::NeedTables) => kernel.stock_first_task(task, memory.take()),
            Err(KernelError::Busy) => return Err("parts of physmem overlap"),
            Err(_) => return Err("physmem cannot be mapped"),
        }
    }
}

fn describe(memory: &Memory, info: &StartInfo) -> Result<BootInfo, BootError> {
    let mut ranges = [BootRange::default(); BOOT_RANGES];
    let mut count = 0;
    memory.ranges(|range| {
        if let Some(slot) = ranges.get_mut(count) {
            *slot = range;
        }
        count += 1;
    });
    if count > BOOT_RANGES {
        return Err("the memory map has too many ranges");
    }
    let last = ranges[count - 1];
    Ok(BootInfo {
        magic: BOOT_INFO_MAGIC,
        frame_table_frames: u64::from(last.frame + last.frames),
        boot_archive_bytes: info.archive.1,
        command_line_bytes: info.command_line_bytes as u64,
        range_count: count as u64,
        ranges,
        command_line: info.command_line,
    })
}
