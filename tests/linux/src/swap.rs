//! Pages that go out to the disk and come in again, in a group whose memory is limited.

use crate::about;
use crate::report::Report;
use crate::sys::{self, Fill, Memory, PAGE};
use std::fs;
use std::os::unix::fs::FileExt;
use tests_linux_core::Row;

/// The swap file.
const FILE: &str = "/disk/swap";
const FILE_NAME: &std::ffi::CStr = c"/disk/swap";
/// Its size.
const FILE_BYTES: u64 = 256 << 20;

/// The group, what it may hold, and what it works on.
const GROUP: &str = "/cgroup/small";
const LIMIT: &str = "67108864";
const WORKING_BYTES: usize = 128 << 20;

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<(), String> {
    make_swap().map_err(about(FILE))?;
    sys::swap_on(FILE_NAME).map_err(about(FILE))?;
    fs::write("/cgroup/cgroup.subtree_control", "+memory").map_err(about("cgroup"))?;
    fs::create_dir_all(GROUP).map_err(about(GROUP))?;
    fs::write(format!("{GROUP}/memory.max"), LIMIT).map_err(about(GROUP))?;
    fs::write(format!("{GROUP}/cgroup.procs"), "0").map_err(about(GROUP))?;
    let memory = Memory::anonymous(WORKING_BYTES, Fill::Touched).map_err(about("memory"))?;
    // The first pass takes memory; in each further one every page comes in, and another one goes out.
    memory.write_all();
    report.waits(
        Row::Swap,
        (WORKING_BYTES / PAGE) as u64,
        || Ok(()),
        || {
            memory.write_all();
            Ok(())
        },
    );
    report.write();
    Ok(())
}

/// Makes the file, with the header that the kernel looks for (Linux `include/linux/swap.h`, `union swap_header`).
fn make_swap() -> std::io::Result<()> {
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(FILE)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES)?;
    let mut header = [0; PAGE];
    let last_page = (FILE_BYTES / PAGE as u64 - 1) as u32;
    header[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    header[1028..1032].copy_from_slice(&last_page.to_le_bytes());
    header[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
    file.write_all_at(&header, 0)?;
    file.sync_all()
}
