//! Pages that go out to the disk and come in again, in a group whose memory is limited.

use crate::about;
use crate::disk::wait_for;
use crate::report::Report;
use crate::sys::{self, Fill, Memory, PAGE};
use std::fs;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use tests_linux_core::Row;

/// The disk to swap to.
const DISK: &str = "/dev/vdb";
const DISK_NAME: &std::ffi::CStr = c"/dev/vdb";

/// Passes that are measured.
const ROUNDS: usize = 3;

/// The group, what it may hold, and what it works on.
const GROUP: &str = "/cgroup/small";
const LIMIT: &str = "67108864";
const WORKING_BYTES: usize = 128 << 20;

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<(), String> {
    wait_for(DISK)?;
    make_swap().map_err(about(DISK))?;
    sys::swap_on(DISK_NAME).map_err(about(DISK))?;
    fs::write("/cgroup/cgroup.subtree_control", "+memory").map_err(about("cgroup"))?;
    fs::create_dir_all(GROUP).map_err(about(GROUP))?;
    fs::write(format!("{GROUP}/memory.max"), LIMIT).map_err(about(GROUP))?;
    fs::write(format!("{GROUP}/cgroup.procs"), "0").map_err(about(GROUP))?;
    let memory = Memory::anonymous(WORKING_BYTES, Fill::Touched).map_err(about("memory"))?;
    // The first pass takes memory; in each further one every page comes in, and another one goes out.
    memory.write_all();
    report.waits(
        Row::Swap,
        ROUNDS,
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

/// Writes the header that the kernel looks for (Linux `include/linux/swap.h`, `union swap_header`).
fn make_swap() -> std::io::Result<()> {
    let mut disk = fs::OpenOptions::new().write(true).open(DISK)?;
    let bytes = disk.seek(SeekFrom::End(0))?;
    let mut header = [0; PAGE];
    let last_page = u32::try_from(bytes / PAGE as u64).unwrap_or(u32::MAX).saturating_sub(1);
    header[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    header[1028..1032].copy_from_slice(&last_page.to_le_bytes());
    header[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
    disk.write_all_at(&header, 0)?;
    disk.sync_all()
}
