//! What a PVH boot loader leaves: memory map, modules, command line (Xen, "x86/HVM direct boot ABI", `hvm_start_info`).

use crate::BootError;
use core::ops::Range;
use kernel_abi::boot::COMMAND_LINE_BYTES;
use kernel_arch::acpi;
use kernel_arch::layout::direct;
use kernel_core::processor::PROCESSORS_MAX;

const MAGIC: u32 = 0x336e_c578;

/// Ranges of RAM that are kept.
const RANGES: usize = 32;

/// Bytes of physical memory that the boot page tables map.
const MAPPED: u64 = 1 << 32;

/// Memory type of RAM (ACPI 6.5, table 15.4).
const RAM: u32 = 1;

#[repr(C)]
struct Header {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_count: u32,
    reserved: u32,
}

#[repr(C)]
struct Module {
    address: u64,
    bytes: u64,
    command_line: u64,
    reserved: u64,
}

#[repr(C)]
struct MemoryEntry {
    address: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

/// A copy of everything of use, so that the loader's own structures may be overwritten.
pub struct StartInfo {
    ranges: [(u64, u64); RANGES],
    range_count: usize,
    /// Physical address and bytes of the boot archive.
    pub archive: (u64, u64),
    /// The kernel command line.
    pub command_line: [u8; COMMAND_LINE_BYTES],
    /// Bytes in use of it.
    pub command_line_bytes: usize,
    /// APIC identifiers of the processors, as far as the kernel uses them.
    identifiers: [u8; PROCESSORS_MAX],
    /// Processors that the firmware tells of.
    pub processor_count: usize,
}

impl StartInfo {
    /// Reads the start information.
    ///
    /// # Safety
    /// `address` must be what a PVH loader passed, and the boot page tables active.
    pub unsafe fn read(address: u32) -> Result<StartInfo, BootError> {
        // SAFETY: the loader's structures lie below 4 GiB, where the boot tables map all memory.
        let header = unsafe { &*(direct(u64::from(address)) as *const Header) };
        if header.magic != MAGIC {
            return Err("the boot loader's start information is not PVH's");
        }
        if header.version == 0 || header.memory_map == 0 {
            return Err("the boot loader gives no memory map");
        }
        let mut info = StartInfo {
            ranges: [(0, 0); RANGES],
            range_count: 0,
            archive: (0, 0),
            command_line: [0; COMMAND_LINE_BYTES],
            command_line_bytes: 0,
            identifiers: [0; PROCESSORS_MAX],
            processor_count: 0,
        };
        // SAFETY: pointer and count come from the loader's header.
        let map = unsafe { slice::<MemoryEntry>(header.memory_map, header.memory_map_count) };
        info.read_map(map)?;
        if header.module_count != 1 {
            return Err("exactly one module is needed: the boot archive");
        }
        // SAFETY: as above.
        let module = unsafe { &slice::<Module>(header.modules, 1)[0] };
        info.archive = (module.address, module.bytes);
        if header.command_line != 0 {
            // SAFETY: the loader's command line ends with a zero byte.
            unsafe { info.read_command_line(header.command_line)? };
        }
        info.read_processors(header.rsdp);
        Ok(info)
    }

    /// Reads which processors there are. A machine that does not say boots with the one it has.
    fn read_processors(&mut self, root: u64) {
        let memory = |address: u64, bytes: usize| {
            let end = address.checked_add(bytes as u64)?;
            // SAFETY: the boot tables map the low 4 GiB; firmware tables do not change.
            (address != 0 && end <= MAPPED).then(|| unsafe { slice::<u8>(address, bytes as u32) })
        };
        let result = acpi::processors(root, memory, |identifier| {
            if let Some(slot) = self.identifiers.get_mut(self.processor_count) {
                *slot = identifier;
            }
            self.processor_count += 1;
        });
        if let Err(error) = result {
            log::warn!("the firmware does not say which processors there are ({error:?}): one is used");
            self.processor_count = 0;
        }
    }

    /// APIC identifiers of processors, as many as the kernel uses at most.
    pub fn processors(&self) -> impl Iterator<Item = u32> {
        let count = self.processor_count.min(PROCESSORS_MAX);
        self.identifiers[..count].iter().map(|&identifier| u32::from(identifier))
    }

    fn read_map(&mut self, map: &[MemoryEntry]) -> Result<(), BootError> {
        for entry in map.iter().filter(|entry| entry.kind == RAM) {
            let start = entry.address.next_multiple_of(4096);
            let end = (entry.address + entry.bytes) & !4095;
            if start >= end {
                continue;
            }
            let last = self.range_count.checked_sub(1).map_or(0, |last| self.ranges[last].1);
            if start < last {
                return Err("the boot loader's memory map is not in order");
            }
            *self.ranges.get_mut(self.range_count).ok_or("the memory map has too many ranges")? =
                (start, end);
            self.range_count += 1;
        }
        Ok(())
    }

    unsafe fn read_command_line(&mut self, address: u64) -> Result<(), BootError> {
        for index in 0..COMMAND_LINE_BYTES {
            // SAFETY: the line ends with a zero byte, not passed yet.
            let byte = unsafe { *((direct(address) as *const u8).add(index)) };
            if byte == 0 {
                self.command_line_bytes = index;
                return Ok(());
            }
            self.command_line[index] = byte;
        }
        Err("the kernel command line is too long")
    }

    /// RAM as ranges of physical addresses, ascending.
    pub fn ram(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges[..self.range_count].iter().map(|&(start, end)| start..end)
    }

    /// Bytes of RAM.
    pub fn ram_bytes(&self) -> u64 {
        self.ram().map(|range| range.end - range.start).sum()
    }
}

/// The loader's array at a physical address.
///
/// # Safety
/// It must hold `count` valid items below 4 GiB.
unsafe fn slice<T>(address: u64, count: u32) -> &'static [T] {
    // SAFETY: the caller's promise; the boot tables map the low 4 GiB.
    unsafe { core::slice::from_raw_parts(direct(address) as *const T, count as usize) }
}
