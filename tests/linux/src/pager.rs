//! Memory whose faults a thread of this process serves, by `userfaultfd` (Linux `Documentation/admin-guide/mm/userfaultfd.rst`).

use crate::sys::{Memory, PAGE};
use libc::{c_int, c_ulong};
use rustix::io::{Errno, Result, read};
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use std::os::fd::{AsRawFd, OwnedFd};

/// `struct uffdio_api` with the version of the interface.
#[repr(C)]
struct Api {
    version: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    bytes: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_copy`.
#[repr(C)]
struct Copy {
    destination: u64,
    source: u64,
    bytes: u64,
    mode: u64,
    copied: i64,
}

const VERSION: u64 = 0xaa;
const MISSING: u64 = 1;
/// `_IOWR(0xaa, ...)` of the three structures (Linux `include/uapi/linux/userfaultfd.h`).
const UFFDIO_API: c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: c_ulong = 0xc020_aa00;
const UFFDIO_COPY: c_ulong = 0xc028_aa03;

/// Bytes of `struct uffd_msg`, the offset of the address in it, and the event that is a fault.
const MESSAGE: usize = 32;
const ADDRESS: usize = 16;
const FAULT: u8 = 0x12;

/// Who serves the faults of one piece of memory.
pub struct Pager {
    descriptor: OwnedFd,
    page: Memory,
}

impl Pager {
    /// Takes over the faults of `memory`. It is served with copies of `page`.
    pub fn new(memory: &Memory, page: Memory) -> Result<Pager> {
        // SAFETY: what the descriptor may do is done in this module.
        let descriptor = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC)? };
        let mut api = Api { version: VERSION, features: 0, ioctls: 0 };
        control(&descriptor, UFFDIO_API, &mut api)?;
        let bytes = (memory.pages() * PAGE) as u64;
        let mut register = Register { start: memory.address(), bytes, mode: MISSING, ioctls: 0 };
        control(&descriptor, UFFDIO_REGISTER, &mut register)?;
        Ok(Pager { descriptor, page })
    }

    /// Serves so many faults.
    pub fn serve(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            let mut message = [0; MESSAGE];
            if read(&self.descriptor, &mut message)? != MESSAGE || message[0] != FAULT {
                return Err(Errno::PROTO);
            }
            let address = u64::from_ne_bytes(std::array::from_fn(|index| message[ADDRESS + index]));
            let destination = address / PAGE as u64 * PAGE as u64;
            let source = self.page.address();
            let mut copy = Copy { destination, source, bytes: PAGE as u64, mode: 0, copied: 0 };
            control(&self.descriptor, UFFDIO_COPY, &mut copy)?;
        }
        Ok(())
    }
}

fn control<T>(descriptor: &OwnedFd, request: c_ulong, argument: &mut T) -> Result<()> {
    // SAFETY: each request takes the structure that it is called with here, and writes within it; what is copied lands in
    // memory that was registered, which nobody holds references into.
    let result: c_int = unsafe { libc::ioctl(descriptor.as_raw_fd(), request, argument) };
    if result == -1 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(())
    }
}
