//! How init's memory and time are divided: fixed guarantees for the servers, of which none grows by serving, and what is
//! left for the shell and its programs.
//!
//! Every frame that may be guaranteed is: physmem lends what is guaranteed and idle. So the file server has little of its own, and its
//! cache fills what the shell does not use, until the shell or a program uses it.

use crate::servers::{DEVICE_PAGES, DISKS, SERVERS, Server, Specification};

/// What a contract allows, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Frames that an allocation finds for certain.
    pub guaranteed: u64,
    /// Frames beyond them.
    pub extra_limit: u64,
    /// Frames pinned at a time, part of the guarantee.
    pub pin_limit: u64,
    /// Whether events are collected.
    pub traced: bool,
    /// Whether there is a disk for pages that do not fit in memory.
    pub has_swap: bool,
}

/// Frames that init keeps of its own guarantee beside those it holds: to grow, and for records about its children.
pub const KEPT_FRAMES: u64 = 128;

/// Frames that the shell must have to start anything at all.
pub const SHELL_FRAMES_MIN: u64 = 640;

/// Frames from which on a machine has room for more in flight to the disk.
pub const ROOMY_FRAMES: u64 = 4096;

/// Frames from which on it has room for four reads of a mebibyte.
pub const LARGE_FRAMES: u64 = 1 << 17;

/// Frames in flight to the disks, for which their driver answers: each disk has an equal part. When the driver ends, the ended one's
/// contract keeps as many until the next driver has stopped the disks; the next one needs its own share for that, so init keeps as
/// many again.
pub const fn disk_frames(all: &Share) -> u64 {
    let of_one = match all.guaranteed {
        0..ROOMY_FRAMES => 128,
        ROOMY_FRAMES..LARGE_FRAMES => 256,
        LARGE_FRAMES.. => 1024,
    };
    if all.has_swap { 2 * of_one } else { of_one }
}

/// Frames of memory for which the file server has one frame of bookkeeping guaranteed: index and page array of a cache that has
/// filled all of memory. Neither can be lent.
const CACHE_BOOKKEEPING_PART: u64 = 64;

/// Frames of the collector of events, with the page tables for what it reads and writes.
const TRACE_FRAMES: u64 = 224;

/// Frames of the default pager that the disk reaches, all of which may be pinned at a time: eight buffers of 64 pages.
const PAGER_BUFFERS: u64 = 512;
/// Its frames beside them: program, threads, books.
const PAGER_FRAMES: u64 = 256;

/// Frames of what init keeps for the default pager, and of what physmem needs for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwapShare {
    /// Keys and slot table.
    pub region: u64,
    /// Compressed pages.
    pub store: u64,
    /// The contract that pays for the window and for physmem's books on names.
    pub window: u64,
}

/// Slots for each frame of memory: as much again as four times what there is can be out.
const SLOTS_PER_FRAME: u64 = 4;
/// Slots at most: the names that physmem can count (`containers_api::pager::NAMES_MAX`).
const SLOTS_MAX: u64 = 1 << 18;
/// Slots whose words fill a frame, in the pager's table and in physmem's books.
const SLOTS_PER_PAGE: u64 = 512;
/// Frames of the region before the table.
const REGION_HEAD: u64 = 4;
/// Frames of memory for which there is one for compressed pages.
const STORE_PART: u64 = 32;
/// Frames for the window, with its page array and the records around it.
const WINDOW_FRAMES: u64 = 320 + 32;

/// What is kept for swap on a machine of so many frames.
pub fn swap_share(frames: u64) -> SwapShare {
    let table = (frames * SLOTS_PER_FRAME).min(SLOTS_MAX).div_ceil(SLOTS_PER_PAGE);
    // Whole blocks of the compressed tier.
    let store = (frames / STORE_PART).next_multiple_of(4);
    SwapShare { region: REGION_HEAD + table, store, window: WINDOW_FRAMES + table }
}

/// Whether a server is started at all: the collector of events only where there are rings for them, the default pager only where
/// there is a disk for it.
pub fn is_started(server: Server, all: &Share) -> bool {
    match server {
        Server::Trace => all.traced,
        Server::Pager => all.has_swap,
        _ => true,
    }
}

/// Guarantee and pin limit of a server; the shell's is what is left.
fn fixed(server: Server, all: &Share) -> (u64, u64) {
    let disk_frames = disk_frames(all);
    match server {
        Server::Console => (96, 0),
        // Its guarantee covers its pin limit: an overdue lock moves to it.
        Server::Block => (144 + disk_frames, disk_frames),
        Server::Pager => (PAGER_BUFFERS + PAGER_FRAMES, PAGER_BUFFERS),
        Server::Ext => (640 + all.guaranteed / CACHE_BOOKKEEPING_PART, 256),
        Server::Bootfs => (128, 0),
        Server::Devices => (64, 0),
        Server::Tmpfs => (112, 0),
        Server::Trace => (TRACE_FRAMES, 0),
        Server::Shell => (0, 0),
    }
}

/// Frames that are guaranteed to the servers, or kept, before the shell gets its own.
pub fn frames_before_the_shell(all: &Share) -> u64 {
    let disk = disk_frames(all);
    SERVERS.iter().filter(|one| is_started(one.server, all)).map(|one| fixed(one.server, all).0).sum::<u64>()
        + KEPT_FRAMES
        + disk
}

/// A server's share of what init has to give. `None`: the machine is too small for it.
pub fn share(server: Server, all: &Share) -> Option<Share> {
    let left = all.guaranteed.checked_sub(frames_before_the_shell(all))?;
    let disk = disk_frames(all);
    if server == Server::Shell {
        // The ended driver's, and the pages that the disks always read, which init pins for a moment.
        let kept = disk + DISKS * DEVICE_PAGES;
        let is_started = |one: &&Specification| is_started(one.server, all);
        let pins = SERVERS.iter().filter(is_started).map(|one| fixed(one.server, all).1).sum::<u64>();
        let pins_of_others = pins + kept;
        let pin_limit = all.pin_limit.saturating_sub(pins_of_others).min(left);
        let share = Share { guaranteed: left, pin_limit, ..*all };
        return (left >= SHELL_FRAMES_MIN).then_some(share);
    }
    let (guaranteed, pin_limit) = fixed(server, all);
    // Only the file cache has a use for idle memory.
    let extra_limit = if server == Server::Ext { all.extra_limit } else { 0 };
    (pin_limit <= all.pin_limit).then_some(Share { guaranteed, extra_limit, pin_limit, ..*all })
}

/// Thousandths of all time for the shell and its programs. What is left pays for nothing in particular: servers on the root schedule
/// work for themselves with it, at start and after a restart, without taking from what the programs were promised.
const SHELL_TIME: u64 = 900;

/// Thousandths of all time that a server gets as a schedule of its own; none: it is on init's, which is never used up. That is
/// for servers that everybody waits for: they must be able to start and to finish what they do for those whose own time has run out.
pub const fn thousandths_of_time(server: Server) -> Option<u64> {
    match server {
        Server::Shell => Some(SHELL_TIME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn all(frames: u64) -> Share {
        Share { guaranteed: frames, extra_limit: frames, pin_limit: frames, traced: false, has_swap: false }
    }

    fn shares(frames: u64) -> Option<Vec<Share>> {
        shares_of(&all(frames))
    }

    fn shares_of(all: &Share) -> Option<Vec<Share>> {
        SERVERS.iter().filter(|one| is_started(one.server, all)).map(|one| share(one.server, all)).collect()
    }

    #[test]
    fn the_shares_and_what_is_kept_are_the_whole() {
        for frames in [2400, ROOMY_FRAMES - 1, ROOMY_FRAMES, 12_000, 16_384, LARGE_FRAMES, 1 << 20] {
            let (shares, disk) = (shares(frames).unwrap(), disk_frames(&all(frames)));
            let given: u64 = shares.iter().map(|one| one.guaranteed).sum();
            assert_eq!(given + KEPT_FRAMES + disk, frames);
            assert!(
                shares.iter().map(|one| one.pin_limit).sum::<u64>() + disk + DISKS * DEVICE_PAGES <= frames
            );
            assert!(shares.iter().all(|one| one.pin_limit <= one.guaranteed && one.extra_limit <= frames));
        }
    }

    #[test]
    fn only_the_shell_has_a_limit() {
        let limited = SERVERS.iter().filter(|one| thousandths_of_time(one.server).is_some());
        assert_eq!(limited.map(|one| one.server).collect::<Vec<_>>(), [Server::Shell]);
    }

    #[test]
    fn the_collector_of_events_takes_nothing_where_there_are_none() {
        let traced = Share { traced: true, ..all(16_384) };
        let (without, with) = (shares(16_384).unwrap(), shares_of(&traced).unwrap());
        assert_eq!(with.len(), without.len() + 1);
        let shell = |shares: &[Share]| shares.last().unwrap().guaranteed;
        assert_eq!(shell(&without), shell(&with) + TRACE_FRAMES);
    }

    #[test]
    fn swap_takes_a_small_part_and_nothing_where_there_is_none() {
        let with_swap = |frames| Share { has_swap: true, ..all(frames) };
        for mib in [64, 256, 4096] {
            let frames = mib * 256 * 31 / 32;
            let kept = swap_share(frames);
            assert!((kept.region + kept.store + kept.window) * 14 < frames, "{mib} MiB: {kept:?}");
            assert!(kept.store.is_multiple_of(4));
            let left = frames - kept.region - kept.store - kept.window;
            let (without, with) = (shares(left).unwrap(), shares_of(&with_swap(left)).unwrap());
            let shell = |shares: &[Share]| shares.last().unwrap().guaranteed;
            // The second disk has frames in flight, twice, and the pager its own.
            let disk = disk_frames(&all(left));
            assert_eq!(shell(&without) - shell(&with), 2 * disk + PAGER_BUFFERS + PAGER_FRAMES);
            assert!(
                with.iter().map(|one| one.pin_limit).sum::<u64>() + disk_frames(&with_swap(left)) <= left
            );
        }
        assert_eq!(swap_share(1 << 30).region, REGION_HEAD + SLOTS_MAX / SLOTS_PER_PAGE);
    }

    #[test]
    fn what_an_ended_driver_keeps_is_there_for_the_next_one() {
        for frames in [2400, ROOMY_FRAMES, LARGE_FRAMES] {
            let driver = share(Server::Block, &all(frames)).unwrap();
            assert_eq!(driver.pin_limit, disk_frames(&all(frames)));
            assert!(driver.guaranteed > driver.pin_limit);
        }
    }

    #[test]
    fn a_machine_that_is_too_small_is_refused() {
        assert!(shares(0).is_none());
        let suffices = |frames: &u64| *frames >= frames_before_the_shell(&all(*frames)) + SHELL_FRAMES_MIN;
        let least = (0..ROOMY_FRAMES).find(suffices).unwrap();
        assert!(shares(least - 1).is_none());
        assert!(shares(least).is_some());
    }

    /// Most of a machine is the shell's, and all of that can be lent to the file cache meanwhile.
    #[test]
    fn idle_memory_of_the_shell_can_be_the_caches() {
        for (mib, percent) in [(64, 85), (256, 95), (1024, 97)] {
            let frames = mib * 256 * 31 / 32;
            let (shell, ext) = (share(Server::Shell, &all(frames)), share(Server::Ext, &all(frames)));
            let (shell, ext) = (shell.unwrap(), ext.unwrap());
            assert!(shell.guaranteed * 100 >= frames * percent, "{mib} MiB: {shell:?}");
            assert!(ext.extra_limit >= shell.guaranteed);
        }
    }
}
