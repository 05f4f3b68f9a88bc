//! Everything of this program that is unsafe: the counters, memory that is mapped and unmapped under one's feet, processes
//! and signals. What rustix has a safe function for is called where it is needed.

use libc::{c_int, c_void};
use rustix::io::Result;
use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::arch::{asm, global_asm};
use std::ffi::CStr;
use std::fs::File;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::AtomicU32;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Number of marks, two for each region.
const MARKS: u16 = 256;

// One entry of eight bytes for each mark: `nopl 0x5A00xxxx(%rax)`, which the counter of instructions knows, and `ret`.
global_asm!(
    ".pushsection .text.marks, \"ax\"",
    ".balign 8",
    "tenure_marks:",
    ".set tenure_mark, 0",
    ".rept {marks}",
    ".byte 0x0f, 0x1f, 0x80",
    ".long 0x5A000000 + tenure_mark",
    "ret",
    ".set tenure_mark, tenure_mark + 1",
    ".endr",
    ".popsection",
    marks = const MARKS,
);

/// The time-stamp counter: under `-icount shift=0` instructions executed, as long as the processor does not idle.
#[inline(always)]
pub fn stamp() -> u64 {
    // SAFETY: it only reads a counter.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Passes the mark where a region begins.
pub fn begin(region: u16) {
    mark(2 * region);
}

/// Passes the mark where a region ends.
pub fn end(region: u16) {
    mark(2 * region + 1);
}

fn mark(number: u16) {
    assert!(number < MARKS, "no such mark: {number}");
    // SAFETY: the entry lies in the table; it has no effect and returns. The red zone is stepped over for the call.
    unsafe {
        asm!(
            "sub rsp, 128",
            "lea {entry}, [rip + tenure_marks]",
            "lea {entry}, [{entry} + 8 * {number}]",
            "call {entry}",
            "add rsp, 128",
            entry = out(reg) _,
            number = in(reg) u64::from(number),
        );
    }
}

/// Ends the machine: the device makes QEMU's status `2 number + 1`. The port is that of `isa-debug-exit`.
pub fn leave(number: u8) -> ! {
    const PORT: u16 = 0xf4;
    // SAFETY: asks for the use of one port.
    unsafe { libc::ioperm(PORT.into(), 4, 1) };
    // SAFETY: the port is the exit device's; a machine without it has nothing there, and the first process may not end.
    unsafe { asm!("out dx, eax", in("dx") PORT, in("eax") u32::from(number)) };
    loop {
        std::thread::park();
    }
}

/// Memory that is mapped; pages are touched through volatile accesses, so that each is made.
pub struct Memory {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it.
unsafe impl Send for Memory {}

/// How memory comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// At the first touch.
    Touched,
    /// At once.
    Populated,
}

impl Memory {
    /// Anonymous memory of this process.
    pub fn anonymous(bytes: usize, fill: Fill) -> Result<Memory> {
        Memory::nameless(bytes, MapFlags::PRIVATE | fill.flag())
    }

    /// Anonymous memory that children share.
    pub fn shared(bytes: usize) -> Result<Memory> {
        Memory::nameless(bytes, MapFlags::SHARED | MapFlags::POPULATE)
    }

    fn nameless(bytes: usize, flags: MapFlags) -> Result<Memory> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses where; nothing lies there.
        let start = unsafe { mm::mmap_anonymous(null_mut(), bytes, protection, flags)? };
        Ok(Memory { start: start.cast(), bytes })
    }

    /// The first bytes of a file, to be read.
    pub fn of_file(file: &File, bytes: usize, fill: Fill) -> Result<Memory> {
        let flags = MapFlags::SHARED | fill.flag();
        // SAFETY: as above. The file's bytes may change, but are only read one by one.
        let start = unsafe { mm::mmap(null_mut(), bytes, ProtFlags::READ, flags, file, 0)? };
        Ok(Memory { start: start.cast(), bytes })
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.bytes / PAGE
    }

    /// Writes one byte of a page.
    #[inline(always)]
    pub fn write(&self, page: usize) {
        assert!(page < self.pages());
        // SAFETY: it lies in the mapping; nobody holds a reference into it while it is touched.
        unsafe { self.start.add(page * PAGE).write_volatile(1) }
    }

    /// Reads one byte of a page.
    #[inline(always)]
    pub fn read(&self, page: usize) -> u8 {
        assert!(page < self.pages());
        // SAFETY: as above.
        unsafe { self.start.add(page * PAGE).read_volatile() }
    }

    /// Writes a byte of each page.
    pub fn write_all(&self) {
        (0..self.pages()).for_each(|page| self.write(page));
    }

    /// All of it, for system calls that fill it.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: it is mapped for reading and writing as long as the value lives, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }

    /// The 32-bit word at the start of a page, for processes that share it.
    pub fn word(&self, page: usize) -> &AtomicU32 {
        assert!(page < self.pages());
        // SAFETY: aligned, mapped as long as the value lives, and used by atomic accesses alone.
        unsafe { AtomicU32::from_ptr(self.start.add(page * PAGE).cast()) }
    }

    /// Gives the frames back; the next touch is a first one.
    pub fn forget(&self) -> Result<()> {
        // SAFETY: private memory without references into it.
        unsafe { mm::madvise(self.start.cast(), self.bytes, Advice::LinuxDontNeed) }
    }

    /// Makes it read-only, or writable again.
    pub fn protect(&self, flags: MprotectFlags) -> Result<()> {
        // SAFETY: it is not written while it is read-only.
        unsafe { mm::mprotect(self.start.cast(), self.bytes, flags) }
    }

    /// Pins it.
    pub fn lock(&self) -> Result<()> {
        // SAFETY: changes nothing that a program sees.
        unsafe { mm::mlock(self.start.cast(), self.bytes) }
    }

    /// Unpins it.
    pub fn unlock(&self) -> Result<()> {
        // SAFETY: as above.
        unsafe { mm::munlock(self.start.cast(), self.bytes) }
    }

    /// Where it is.
    pub fn address(&self) -> u64 {
        self.start as u64
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: references into it end before the value does.
        let _ = unsafe { mm::munmap(self.start.cast::<c_void>(), self.bytes) };
    }
}

impl Fill {
    fn flag(self) -> MapFlags {
        if self == Fill::Populated { MapFlags::POPULATE } else { MapFlags::empty() }
    }
}

/// A child process.
pub struct Child(Pid);

impl Child {
    /// Waits for its end; an error if it did not end well.
    #[inline(always)]
    pub fn wait(self) -> Result<()> {
        match waitpid(Some(self.0), WaitOptions::empty())? {
            Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
            _ => Err(rustix::io::Errno::CHILD),
        }
    }
}

fn child(number: c_int) -> Result<Child> {
    Pid::from_raw(number).map(Child).ok_or(rustix::io::Errno::CHILD)
}

/// What the C library reports by -1 and `errno`.
fn checked(result: c_int) -> Result<c_int> {
    let error = std::io::Error::last_os_error;
    if result == -1 {
        Err(rustix::io::Errno::from_io_error(&error()).unwrap_or(rustix::io::Errno::IO))
    } else {
        Ok(result)
    }
}

/// A child that does this and ends. Fork only without other threads.
#[inline(always)]
pub fn fork(work: impl FnOnce() -> Result<()>) -> Result<Child> {
    // SAFETY: without other threads the child has all that the parent had, locks of the C library included.
    match checked(unsafe { libc::fork() })? {
        0 => {
            let status = c_int::from(work().is_err());
            // SAFETY: ends the process without running what belongs to the parent.
            unsafe { libc::_exit(status) }
        }
        number => child(number),
    }
}

/// A child that is another program.
#[inline(always)]
pub fn spawn(program: &CStr) -> Result<Child> {
    let arguments = [program.as_ptr().cast_mut(), null_mut()];
    let environment = [null_mut()];
    let mut number = 0;
    // SAFETY: name, arguments and environment live during the call and end in null pointers.
    let result = unsafe {
        let name = program.as_ptr();
        libc::posix_spawn(
            &mut number,
            name,
            std::ptr::null(),
            std::ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    if result != 0 { Err(rustix::io::Errno::from_raw_os_error(result)) } else { child(number) }
}

/// Becomes another program.
pub fn execute(program: &CStr) -> Result<()> {
    let arguments = [program.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    // SAFETY: as above.
    checked(unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) }).map(drop)
}

/// Has a signal handled by a function that does nothing.
pub fn handle(signal: c_int) -> Result<()> {
    extern "C" fn nothing(_: c_int) {}
    let handler: extern "C" fn(c_int) = nothing;
    // SAFETY: all fields may be zero; the handler touches nothing.
    let action = libc::sigaction { sa_sigaction: handler as libc::sighandler_t, ..unsafe { zeroed() } };
    // SAFETY: the action lives during the call.
    checked(unsafe { libc::sigaction(signal, &action, null_mut()) }).map(drop)
}

/// Takes part in the first-come-first-served class, in which a yield always switches; or no longer.
pub fn first_come_first_served(on: bool) -> Result<()> {
    let (policy, sched_priority) = if on { (libc::SCHED_FIFO, 1) } else { (libc::SCHED_OTHER, 0) };
    // SAFETY: the parameter lives during the call.
    checked(unsafe { libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority }) }).map(drop)
}

/// Swaps to a file from now on.
pub fn swap_on(file: &CStr) -> Result<()> {
    // SAFETY: the name lives during the call.
    checked(unsafe { libc::swapon(file.as_ptr(), 0) }).map(drop)
}
