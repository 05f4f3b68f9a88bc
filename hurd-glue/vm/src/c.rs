//! The calls for C, by Mach 3's names, argument order and return codes, as `include/mach` declares them.
//!
//! A null pointer where a result goes is `KERN_INVALID_ARGUMENT`. A task's name is the number of its map and one; another task's map is added by
//! [`crate::with`]. What these functions do to memory they do to regions of maps, into which no safe reference points; only
//! [`vm_write`] reads where its caller says.

use crate::{OWN, bytes, with};
use hurd_glue_vm_core::error::code;
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{Attributes, Inheritance, KernError, MapId, PAGE_BYTES, Protection, Result};
use kernel_runtime::Handle;

/// `kern_return_t`.
pub type Kern = i32;

/// `struct vm_statistics`. What nobody counts for a task is 0: see `docs/mach-vm.md`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Bytes of a page.
    pub pagesize: i32,
    /// Pages that the contract is still guaranteed.
    pub free_count: i32,
    /// Pages that have a frame.
    pub active_count: i32,
    /// Pages on an inactive list: there is none.
    pub inactive_count: i32,
    /// Pages wired by the map.
    pub wire_count: i32,
    /// Not counted, like all that follow.
    pub zero_fill_count: i32,
    /// See above.
    pub reactivations: i32,
    /// See above.
    pub pageins: i32,
    /// See above.
    pub pageouts: i32,
    /// See above.
    pub faults: i32,
    /// See above.
    pub cow_faults: i32,
    /// See above.
    pub lookups: i32,
    /// See above.
    pub hits: i32,
}

/// The map that a task's name means; 0 and what is no map are refused by whoever looks it up.
fn map(task: u32) -> MapId {
    MapId(task.wrapping_sub(1))
}

/// Where a result goes.
fn out<T>(pointer: Option<&mut T>) -> Result<&mut T> {
    pointer.ok_or(KernError::InvalidArgument)
}

fn finish(work: impl FnOnce() -> Result<()>) -> Kern {
    code(&work())
}

/// The name of the calling task.
#[unsafe(no_mangle)]
pub extern "C" fn mach_task_self() -> u32 {
    OWN.0 + 1
}

/// See [`hurd_glue_vm_core::Vm::allocate`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_allocate(task: u32, address: Option<&mut u64>, size: u64, anywhere: i32) -> Kern {
    finish(|| {
        let address = out(address)?;
        *address = with(|vm| vm.allocate(map(task), *address, size, anywhere != 0))?;
        Ok(())
    })
}

/// See [`hurd_glue_vm_core::Vm::deallocate`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_deallocate(task: u32, address: u64, size: u64) -> Kern {
    code(&with(|vm| vm.deallocate(map(task), address, size)))
}

/// See [`hurd_glue_vm_core::Vm::protect`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_protect(task: u32, address: u64, size: u64, set_maximum: i32, protection: u32) -> Kern {
    finish(|| {
        let protection = Protection::from_number(protection)?;
        with(|vm| vm.protect(map(task), address, size, set_maximum != 0, protection))
    })
}

/// See [`hurd_glue_vm_core::Vm::inherit`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_inherit(task: u32, address: u64, size: u64, inheritance: u32) -> Kern {
    finish(|| {
        let inheritance = Inheritance::from_number(inheritance)?;
        with(|vm| vm.inherit(map(task), address, size, inheritance))
    })
}

/// See [`hurd_glue_vm_core::Vm::read`]. More bytes than a count can tell are `KERN_RESOURCE_SHORTAGE`.
#[unsafe(no_mangle)]
pub extern "C" fn vm_read(
    task: u32,
    address: u64,
    size: u64,
    data: Option<&mut u64>,
    data_count: Option<&mut u32>,
) -> Kern {
    finish(|| {
        let (data, data_count) = (out(data)?, out(data_count)?);
        let count = u32::try_from(size).map_err(|_| KernError::ResourceShortage)?;
        *data = with(|vm| vm.read(map(task), address, size, OWN))?;
        *data_count = count;
        Ok(())
    })
}

/// Writes bytes that lie anywhere in the caller's memory.
///
/// # Safety
/// `data` is the address of `data_count` bytes that may be read, and that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_write(task: u32, address: u64, data: u64, data_count: u32) -> Kern {
    finish(|| {
        let size = u64::from(data_count);
        // What lies in the map is copied without moving a byte, where it lies alike; it may then be unmapped or unreadable, too.
        let own = with(|vm| Ok(vm.entries(OWN)?.bounds()))?;
        if size == 0 || own.contains(&data) {
            return with(|vm| vm.transfer((OWN, data), (map(task), address), size));
        }
        if data == 0 {
            return Err(KernError::InvalidArgument);
        }
        // SAFETY: the caller says so.
        let data = unsafe { core::slice::from_raw_parts(data as *const u8, data_count as usize) };
        bytes::write(map(task), address, data)
    })
}

/// See [`hurd_glue_vm_core::Vm::copy`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_copy(task: u32, source: u64, size: u64, destination: u64) -> Kern {
    code(&with(|vm| vm.copy(map(task), source, size, destination)))
}

/// See [`hurd_glue_vm_core::Vm::region`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_region(
    task: u32,
    address: Option<&mut u64>,
    size: Option<&mut u64>,
    protection: Option<&mut u32>,
    maximum: Option<&mut u32>,
    inheritance: Option<&mut u32>,
    is_shared: Option<&mut i32>,
    object_name: Option<&mut u32>,
    offset: Option<&mut u64>,
) -> Kern {
    finish(|| {
        let (address, size) = (out(address)?, out(size)?);
        let (protection, maximum) = (out(protection)?, out(maximum)?);
        let (inheritance, is_shared) = (out(inheritance)?, out(is_shared)?);
        let (object_name, offset) = (out(object_name)?, out(offset)?);
        let region = with(|vm| vm.region(map(task), *address))?;
        *address = region.range.start;
        *size = region.range.end - region.range.start;
        *protection = region.attributes.protection.bits();
        *maximum = region.attributes.maximum.bits();
        *inheritance = region.attributes.inheritance as u32;
        *is_shared = i32::from(region.is_shared);
        *object_name = region.object.0 + 1;
        *offset = region.offset;
        Ok(())
    })
}

/// See [`hurd_glue_vm_core::Vm::statistics`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_statistics(task: u32, statistics: Option<&mut Statistics>) -> Kern {
    finish(|| {
        let statistics = out(statistics)?;
        let known = with(|vm| vm.statistics(map(task)))?;
        let count = |pages: u64| i32::try_from(pages).unwrap_or(i32::MAX);
        *statistics = Statistics {
            pagesize: PAGE_BYTES as i32,
            free_count: count(known.free),
            active_count: count(known.active),
            wire_count: count(known.wired),
            ..Statistics::default()
        };
        Ok(())
    })
}

/// See [`hurd_glue_vm_core::Vm::map_object`]. An object is a container's capability; 0 is fresh memory.
#[unsafe(no_mangle)]
pub extern "C" fn vm_map(
    task: u32,
    address: Option<&mut u64>,
    size: u64,
    mask: u64,
    anywhere: i32,
    memory_object: u32,
    offset: u64,
    copy: i32,
    protection: u32,
    maximum: u32,
    inheritance: u32,
) -> Kern {
    finish(|| {
        let address = out(address)?;
        let attributes = Attributes {
            protection: Protection::from_number(protection)?,
            maximum: Protection::from_number(maximum)?,
            inheritance: Inheritance::from_number(inheritance)?,
        };
        let place = Place { address: *address, size, mask, anywhere: anywhere != 0 };
        let object = (memory_object != 0).then_some((Handle(memory_object), offset));
        *address = with(|vm| vm.map_object(map(task), &place, object, copy != 0, attributes))?;
        Ok(())
    })
}

/// See [`hurd_glue_vm_core::Vm::remap`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_remap(
    task: u32,
    address: Option<&mut u64>,
    size: u64,
    mask: u64,
    anywhere: i32,
    source_task: u32,
    source: u64,
    copy: i32,
    protection: Option<&mut u32>,
    maximum: Option<&mut u32>,
    inheritance: u32,
) -> Kern {
    finish(|| {
        let (address, protection, maximum) = (out(address)?, out(protection)?, out(maximum)?);
        let inheritance = Inheritance::from_number(inheritance)?;
        let place = Place { address: *address, size, mask, anywhere: anywhere != 0 };
        let source = (map(source_task), source);
        let remapped = with(|vm| vm.remap(map(task), &place, source, copy != 0, inheritance))?;
        *address = remapped.address;
        *protection = remapped.protection.bits();
        *maximum = remapped.maximum.bits();
        Ok(())
    })
}

/// See [`hurd_glue_vm_core::Vm::wire`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_wire(_host: u32, task: u32, address: u64, size: u64, access: u32) -> Kern {
    finish(|| {
        let access = Protection::from_number(access)?;
        with(|vm| vm.wire(map(task), address, size, access))
    })
}

/// See [`hurd_glue_vm_core::Vm::synchronise`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_msync(task: u32, address: u64, size: u64, flags: u32) -> Kern {
    code(&with(|vm| vm.synchronise(map(task), address, size, flags)))
}

/// See [`hurd_glue_vm_core::Vm::synchronise_object`].
#[unsafe(no_mangle)]
pub extern "C" fn vm_object_sync(
    object: u32,
    offset: u64,
    size: u64,
    _should_flush: i32,
    _should_return: i32,
    _should_iosync: i32,
) -> Kern {
    code(&with(|vm| vm.synchronise_object(Handle(object), offset, size)))
}
