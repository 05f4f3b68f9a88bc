//! Calls the file servers without end.
//!
//! Laws 1 and 5: a server holds nothing on a client's behalf, so asking more often gets nobody more; a client's share of the
//! requests in progress is bounded, beyond it the answer is `Busy`. Threads look names up and never close what they get,
//! read directories and small pieces, at every file server that the task can name.

use super::Attacker;
use crate::numbered::PATH;
use alloc::vec::Vec;
use filesystems_api::file::{FileStatfs, IoStat};
use kernel_runtime::files::Names;
use kernel_runtime::ipc::call;
use kernel_runtime::{Deadline, Handle, threads};
use tests_guest::Failed;

/// Further threads.
const THREADS: usize = 3;

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, startup, .. } = attacker;
    let names = Names::from_startup(startup);
    let node = names.lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let roots: Vec<Handle> = startup.mounts.iter().map(|&(_, root)| Handle(root)).collect();
    for number in 0..THREADS {
        let root = roots[number % roots.len()];
        let flood = move || {
            loop {
                let _ = call(root, &FileStatfs {}, &[], Deadline::NEVER);
                let _ = call(root, &IoStat {}, &[], Deadline::NEVER);
            }
        };
        threads::spawn(4, flood).map_err(|error| ("thread", error))?;
    }
    loop {
        drop(page.outcome(names.lookup(PATH, true)));
        page.outcome(node.read_small(8, 400));
        page.outcome(node.read_directory(0).map(drop));
        page.outcome(node.child(b"nothing").map(drop));
    }
}
