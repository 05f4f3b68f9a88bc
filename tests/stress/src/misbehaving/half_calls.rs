//! Gives up calls half-way.
//!
//! Laws 5 and 9: a server's work on a request does not depend on its caller's being there for the answer. The task calls
//! physmem and the file servers with deadlines that have passed, or pass while the request is under way, sends long messages
//! and capabilities with them, and forgets what comes back. What was done for a caller that is gone must be found and
//! taken back when its contract ends, which the supervisor checks.

use super::Attacker;
use crate::numbered::PATH;
use containers_api::ContainerRights;
use containers_api::contract::{ContainerCreate, NotificationCreate};
use core::time::Duration;
use filesystems_api::file::{DirLookup, IoReadContainer};
use kernel_protocol::Bytes;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::files::Names;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::{Deadline, Handle, clock};
use tests_guest::Failed;

/// Pages of the container that is lent.
const PAGES: u64 = 4;
/// Longest deadline, in nanoseconds.
const LONGEST_NS: u64 = 200_000;
/// Longest lock.
const LOCK_NS: u64 = 2_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let node = Names::from_startup(startup).lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let root = startup.mounts.first().map_or(node.handle(), |&(_, root)| Handle(root));
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let grant = container.grant(0..PAGES, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    let path = Bytes::new(&[b'x'; 300]).ok_or_else(|| super::unable("path"))?;
    for _ in 0..100 {
        let mut soon = || match random.below(4) {
            0 => Deadline::at(1),
            1 => Deadline::at(clock::now() + 1),
            _ => Deadline::after(Duration::from_nanos(random.below(LONGEST_NS))),
        };
        let read = IoReadContainer { offset: 0, bytes: PAGES * 4096, container_offset: 0 };
        page.outcome(call(node.handle(), &read, &[grant.handle()], soon()));
        page.outcome(call(root, &DirLookup { path, follow: true }, &[grant.handle(), CONTRACT], soon()));
        page.outcome(call(CONTRACT, &ContainerCreate { pages: 1 }, &[], soon()));
        page.outcome(call(CONTRACT, &NotificationCreate {}, &[], soon()));
        let _ = container.break_locks(0..PAGES);
    }
    Ok(())
}
