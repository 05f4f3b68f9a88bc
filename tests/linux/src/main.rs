//! The first process of the Linux that Tenure is compared with: loads the modules that it needs, measures, writes what it
//! found on the console, and ends the machine. The rows and the lines are those of `tests-linux-core`.
//!
//! Everything runs on one processor, in a kernel as its distribution configured it, but without transparent huge pages:
//! Tenure's rows are about pages of 4 KiB too.

mod disk;
mod files;
mod ipc;
mod kernel;
mod memory;
mod pager;
mod processes;
mod report;
mod swap;
mod sys;

use report::Report;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::path::Path;
use tests_linux_core::{BOOT_REGION, DONE, FAILED, STAMPS, WAITS};

/// Modules of the kernel, in the order of their names.
const MODULES: &str = "/modules";

/// Pseudo file systems: type and place.
const MOUNTS: [(&str, &str); 4] =
    [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("cgroup2", "/cgroup")];

/// Settings of the kernel. Where the clock jumps while the disk works, a task seems to wait for minutes.
const SETTINGS: [(&str, &str); 2] = [
    ("/sys/kernel/mm/transparent_hugepage/enabled", "never"),
    ("/proc/sys/kernel/hung_task_timeout_secs", "0"),
];

fn main() {
    sys::begin(BOOT_REGION);
    sys::end(BOOT_REGION);
    let mut report = Report::new();
    report.boot();
    let status = match set_up().and_then(|()| measure(&mut report)) {
        Ok(()) => DONE,
        Err(error) => {
            eprintln!("error: {error}");
            FAILED
        }
    };
    report.done();
    sys::leave(status);
}

/// Measures what the argument says, or everything.
fn measure(report: &mut Report) -> Result<(), String> {
    let part = std::env::args().nth(1);
    disk::mount()?;
    if part.as_deref() != Some(WAITS) {
        what_waits_for_nothing(report)?;
    }
    if part.as_deref() != Some(STAMPS) {
        disk::measure(report).map_err(about("the disk"))?;
        report.write();
        swap::measure(report)?;
    }
    Ok(())
}

fn what_waits_for_nothing(report: &mut Report) -> Result<(), String> {
    kernel::measure(report).map_err(about("kernel"))?;
    ipc::measure(report).map_err(about("messages"))?;
    memory::measure(report).map_err(about("memory"))?;
    processes::measure(report);
    report.write();
    files::measure(report).map_err(about("files"))?;
    report.write();
    Ok(())
}

fn set_up() -> Result<(), String> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place).map_err(about(place))?;
        mount(kind, place, kind, MountFlags::empty(), None).map_err(about(place))?;
    }
    load_modules(Path::new(MODULES)).map_err(about("the modules"))?;
    for (file, value) in SETTINGS {
        fs::write(file, value).map_err(about(file))?;
    }
    Ok(())
}

fn load_modules(folder: &Path) -> std::io::Result<()> {
    let mut modules: Vec<_> = folder.read_dir()?.collect::<std::io::Result<_>>()?;
    modules.sort_by_key(fs::DirEntry::file_name);
    for module in modules {
        match rustix::system::init_module(&fs::read(module.path())?, c"") {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Says of an error what it is about.
fn about<E: std::fmt::Display>(subject: &str) -> impl Fn(E) -> String {
    move |error| format!("{subject}: {error}")
}
