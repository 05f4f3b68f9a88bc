//! What physmem does for a program: page faults, containers, mappings, copies, locks, grants.

use crate::Bench;
use containers_api::control::{SystemStat, SystemStatus};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use core::sync::atomic::Ordering;
use core::time::Duration;
use hurd_glue_vm::{bytes, c};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::ipc::call;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::{Deadline, Handle};
use tests_bench::{Plan, USUAL, timed};
use tests_guest::Failed;
use tests_guest::lent;

/// Pages between two touches of which each is to stand alone: more than any cluster has.
const APART: u64 = 64;
/// Pages touched one after the other in a sample, where they may come in clusters.
const TOGETHER: u64 = 64;
/// Pages that are kept zeroed in advance, as physmem's limits have it.
const ZERO_STOCK: u64 = 256;
/// Single touches that the stock is enough for, records included.
const FROM_STOCK: Plan = Plan { warm: 8, count: 64, each: 1, ..USUAL };
/// Clusters that it is enough for.
const CLUSTERS_FROM_STOCK: Plan = Plan { warm: 0, count: 3, each: TOGETHER, ..USUAL };
const CLUSTERS: Plan = Plan { warm: 1, count: 15, each: TOGETHER, ..USUAL };
/// The row of a physmem that is a program.
const USER_PAGER: &str = "memory/user-pager";
/// Frames that are seized at a time.
const SEIZED: u64 = 1024;
/// Longest lock.
const TERM_NS: u64 = 1_000_000_000;
const WORDS_PER_PAGE: usize = 512;
const MEBIBYTE_PAGES: u64 = 256;

/// Measures it.
pub fn measure(control: Handle, bench: &mut Bench<'_>) -> Result<(), Failed> {
    if bench.wanted.0 == [USER_PAGER.as_bytes()] {
        return user_pager(bench);
    }
    touches(control, bench)?;
    copy_on_write(bench)?;
    containers(bench)?;
    mappings(bench)?;
    copies(bench)?;
    mach(bench)?;
    locks_and_grants(bench)?;
    bench.row("memory/seize", Plan { warm: 0, count: 15, each: SEIZED, marked: false }, || {
        lent::seizure(control, SEIZED)
    })
}

fn container(pages: u64) -> Result<OwnContainer, Failed> {
    OwnContainer::new(pages).map_err(|error| ("container", error).into())
}

/// A container whose pages are there.
fn filled(pages: u64) -> Result<OwnContainer, Failed> {
    let container = container(pages)?;
    container.allocate(0..pages, true).map_err(|error| ("allocate", error))?;
    Ok(container)
}

fn mapped(container: &OwnContainer, pages: u64) -> Result<Mapping, Failed> {
    Mapping::new(container, 0, pages, MapProtection::WRITE).map_err(|error| ("mapping", error).into())
}

fn write(mapping: &Mapping, page: u64) {
    mapping.as_words()[page as usize * WORDS_PER_PAGE].store(1, Ordering::Relaxed);
}

fn read(mapping: &Mapping, page: u64) {
    mapping.as_words()[page as usize * WORDS_PER_PAGE].load(Ordering::Relaxed);
}

fn system(control: Handle) -> Result<SystemStatus, Failed> {
    call(control, &SystemStat {}, &[], Deadline::NEVER).map_err(|error| ("system status", error).into())
}

/// Whether frames were zeroed in advance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frames {
    Dirty,
    Zeroed,
}

fn touches(control: Handle, bench: &mut Bench<'_>) -> Result<(), Failed> {
    type Touch = fn(&Mapping, u64);
    let rows: [(&str, Plan, Frames, Touch); 5] = [
        ("memory/first-touch", USUAL, Frames::Dirty, write),
        ("memory/first-touch-zeroed", FROM_STOCK, Frames::Zeroed, write),
        ("memory/first-touch-cluster", CLUSTERS, Frames::Dirty, write),
        ("memory/first-touch-cluster-zeroed", CLUSTERS_FROM_STOCK, Frames::Zeroed, write),
        ("memory/read-touch", USUAL, Frames::Dirty, read),
    ];
    for (name, plan, frames, touch) in rows {
        if !bench.wants(name) {
            continue;
        }
        let apart = if plan.each == 1 { APART } else { plan.each };
        let pages = plan.samples() as u64 * apart;
        let container = container(pages)?;
        let mapping = mapped(&container, pages)?;
        let stock = prepare(control, frames)?;
        let before = system(control)?;
        let mut next = 0;
        bench.row(name, plan, || {
            let first = next;
            next += apart;
            Ok(timed(|| (first..first + plan.each).for_each(|page| touch(&mapping, page))).0)
        })?;
        let after = system(control)?;
        let touched = plan.samples() as u64 * plan.each;
        let counted = match frames {
            Frames::Dirty => after.zeroed - before.zeroed,
            Frames::Zeroed => after.pre_zeroed - before.pre_zeroed,
        };
        if counted < touched {
            return Err(Failed(alloc::format!("{name}: {counted} of {touched} frames were as they must be")));
        }
        drop(stock);
    }
    Ok(())
}

/// Has no frame zeroed in advance be left, or the stock be full. What is returned keeps it so.
fn prepare(control: Handle, frames: Frames) -> Result<Option<OwnContainer>, Failed> {
    match frames {
        Frames::Dirty => {
            let taken = container(4 * ZERO_STOCK)?;
            let mut end = 0;
            while system(control)?.free_zero != 0 {
                if end == 4 * ZERO_STOCK {
                    return Err(Failed("the stock of zeroed frames does not end".into()));
                }
                taken.allocate(end..end + 16, false).map_err(|error| ("allocate", error))?;
                end += 16;
            }
            Ok(Some(taken))
        }
        Frames::Zeroed => {
            let nobody = Notification::new().map_err(|error| ("notification", error))?;
            for _ in 0..1000 {
                if system(control)?.free_zero >= ZERO_STOCK {
                    return Ok(None);
                }
                let _ = nobody.wait(Deadline::after(Duration::from_millis(1)));
            }
            Err(Failed("frames are not zeroed in idle time".into()))
        }
    }
}

/// First touches where the physmem that serves them is a program itself: only whoever has started this one under such a
/// one may ask for this row.
fn user_pager(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let pages = USUAL.samples() as u64 * APART;
    let container = container(pages)?;
    let mapping = mapped(&container, pages)?;
    let mut next = (0..pages).step_by(APART as usize);
    bench.row(USER_PAGER, USUAL, || {
        let page = next.next().unwrap_or(0);
        Ok(timed(|| write(&mapping, page)).0)
    })
}

fn copy_on_write(bench: &mut Bench<'_>) -> Result<(), Failed> {
    if !bench.wants("memory/copy-on-write") {
        return Ok(());
    }
    let pages = USUAL.samples() as u64;
    let (source, copy) = (filled(pages)?, container(pages)?);
    source.copy_to(0, &copy, 0, pages * FRAME_BYTES).map_err(|error| ("copy", error))?;
    let mapping = mapped(&copy, pages)?;
    let mut next = 0..pages;
    bench.row("memory/copy-on-write", USUAL, || {
        let page = next.next().unwrap_or(0);
        Ok(timed(|| write(&mapping, page)).0)
    })
}

fn containers(bench: &mut Bench<'_>) -> Result<(), Failed> {
    bench.row("memory/container-create", USUAL, || {
        let (ticks, created) = timed(|| OwnContainer::new(1));
        created.map_err(|error| ("container", error))?;
        Ok(ticks)
    })?;
    bench.row("memory/container-destroy", USUAL, || {
        let container = container(1)?;
        Ok(timed(|| drop(container)).0)
    })?;
    bench.row("memory/container-destroy-64", Plan { each: 64, ..USUAL }, || {
        let container = filled(64)?;
        Ok(timed(|| drop(container)).0)
    })
}

fn mappings(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let plan = Plan { each: MEBIBYTE_PAGES, ..USUAL };
    let container = filled(MEBIBYTE_PAGES)?;
    bench.row("memory/map-1m", plan, || {
        let (ticks, mapping) = timed(|| mapped(&container, MEBIBYTE_PAGES));
        mapping?;
        Ok(ticks)
    })?;
    bench.row("memory/unmap-1m", plan, || {
        let mapping = mapped(&container, MEBIBYTE_PAGES)?;
        Ok(timed(|| drop(mapping)).0)
    })
}

fn copies(bench: &mut Bench<'_>) -> Result<(), Failed> {
    const FEW: Plan = Plan { warm: 1, count: 15, each: 1, ..USUAL };
    const FEWER: Plan = Plan { warm: 1, count: 3, each: 1, ..USUAL };
    let sizes = [
        ("memory/copy-4k", 1, USUAL),
        ("memory/copy-64k", 16, USUAL),
        ("memory/copy-1m", MEBIBYTE_PAGES, FEW),
        ("memory/copy-64m", 64 * MEBIBYTE_PAGES, FEWER),
    ];
    for (name, pages, plan) in sizes {
        if !bench.wants(name) {
            continue;
        }
        let source = filled(pages)?;
        bench.row(name, plan, || {
            let copy = container(pages)?;
            let (ticks, copied) = timed(|| source.copy_to(0, &copy, 0, pages * FRAME_BYTES));
            let copied = copied.map_err(|error| ("copy", error))?;
            if (copied.moved_bytes, copied.shared_pages) != (0, pages) {
                return Err(Failed(alloc::format!("it was no logical copy: {copied:?}")));
            }
            Ok(ticks)
        })?;
    }
    Ok(())
}

/// A page by Mach's calls, in a map that has other memory: `vm_allocate`, a store, `vm_deallocate`.
fn mach(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let (mut other, mut address, task) = (0, 0, c::mach_task_self());
    let worked = |what: &'static str, is_done: bool| match is_done {
        true => Ok(()),
        false => Err(Failed::from((what, "it failed"))),
    };
    worked("vm_allocate", c::vm_allocate(task, Some(&mut other), FRAME_BYTES, 1) == 0)?;
    worked("store", bytes::store(other, 1).is_ok())?;
    bench.row("memory/vm-allocate", USUAL, || {
        let (ticks, code) = timed(|| c::vm_allocate(task, Some(&mut address), FRAME_BYTES, 1));
        worked("vm_allocate", code == 0)?;
        worked("vm_deallocate", c::vm_deallocate(task, address, FRAME_BYTES) == 0)?;
        Ok(ticks)
    })?;
    bench.row("memory/vm-deallocate", USUAL, || {
        worked("vm_allocate", c::vm_allocate(task, Some(&mut address), FRAME_BYTES, 1) == 0)?;
        worked("store", bytes::store(address, 1).is_ok())?;
        let (ticks, code) = timed(|| c::vm_deallocate(task, address, FRAME_BYTES));
        worked("vm_deallocate", code == 0)?;
        Ok(ticks)
    })?;
    bench.row("memory/vm-page", USUAL, || {
        let (ticks, codes) = timed(|| {
            let allocated = c::vm_allocate(task, Some(&mut address), FRAME_BYTES, 1);
            let stored = bytes::store(address, 1).is_ok();
            (allocated, stored, c::vm_deallocate(task, address, FRAME_BYTES))
        });
        worked("a page", codes == (0, true, 0))?;
        Ok(ticks)
    })?;
    worked("vm_deallocate", c::vm_deallocate(task, other, FRAME_BYTES) == 0)
}

fn locks_and_grants(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let container = filled(1)?;
    let lock =
        || container.lock(0..1, LockMode::Fill, TERM_NS).map_err(|error| Failed::from(("lock", error)));
    let unlock = |lock| container.unlock(lock, FRAME_BYTES).map_err(|error| Failed::from(("unlock", error)));
    bench.row("memory/lock", USUAL, || {
        let (ticks, locked) = timed(lock);
        unlock(locked?.lock)?;
        Ok(ticks)
    })?;
    bench.row("memory/unlock", USUAL, || {
        let locked = lock()?;
        let (ticks, unlocked) = timed(|| unlock(locked.lock));
        unlocked?;
        Ok(ticks)
    })?;
    let grant = || {
        container.grant(0..1, ContainerRights::all(), TERM_NS).map_err(|error| Failed::from(("grant", error)))
    };
    bench.row("memory/grant", USUAL, || {
        let (ticks, granted) = timed(grant);
        container.revoke(&granted?, false).map_err(|error| ("revoke", error))?;
        Ok(ticks)
    })?;
    bench.row("memory/revoke", USUAL, || {
        let granted = grant()?;
        let (ticks, revoked) = timed(|| container.revoke(&granted, false));
        revoked.map_err(|error| ("revoke", error))?;
        Ok(ticks)
    })
}
