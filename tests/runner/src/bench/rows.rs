//! The rows of the benchmark: what is measured, in which unit, and what is to be reached. The guests print figures by these
//! names; a name that is not here, or one that is here and was not printed, is said.
//!
//! A name is `group/operation`. A row of Linux has the name of the row that it stands beside.

/// What one count is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// One operation.
    Operation,
    /// One page of 4 KiB of many that an operation is about.
    Page,
}

/// How a row is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// It waits for no device: its figure repeats.
    Exact,
    /// It waits for no device, but sets a timer: where that lies among the others depends on the moment, and so on when the disk was done
    /// with what came before.
    Timed,
    /// It waits for no device, but works on a file that was read from one: how its pages lie in memory decides part of the cost, and
    /// that depends on the order in which reads were done.
    Cached,
    /// It waits for the disk: idle time is left out, and figures differ by as much as requests happen to be merged.
    Waits,
}

/// A row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// `group/operation`.
    pub name: &'static str,
    /// What is done, for people.
    pub title: &'static str,
    /// What one count is of.
    pub unit: Unit,
    /// How it is counted.
    pub count: Count,
    /// Instructions that it may take at most, where that was laid down.
    pub target: Option<u64>,
}

impl Row {
    /// The part of the name before the slash.
    pub fn group(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(group, _)| group)
    }
}

/// Groups in the order of the table, and what stands above each.
pub const GROUPS: &[(&str, &str)] = &[
    ("kernel", "kernel"),
    ("ipc", "messages between address spaces"),
    ("memory", "memory, by way of physmem"),
    ("files", "files, ext4"),
    ("process", "processes"),
    ("boot", "boot"),
];

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

const fn row(name: &'static str, title: &'static str) -> Row {
    Row { name, title, unit: Unit::Operation, count: Count::Exact, target: None }
}

impl Row {
    const fn at_most(self, instructions: u64) -> Row {
        Row { target: Some(instructions), ..self }
    }

    const fn a_page(self) -> Row {
        Row { unit: Unit::Page, ..self }
    }

    const fn timed(self) -> Row {
        Row { count: Count::Timed, ..self }
    }

    const fn cached(self) -> Row {
        Row { count: Count::Cached, ..self }
    }

    const fn waits(self) -> Row {
        Row { count: Count::Waits, ..self }
    }
}

/// Instructions that a round trip of a small message may take.
const ROUND_TRIP: u64 = 360;

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row("kernel/null-call", "call that does nothing").at_most(55),
    row("kernel/identify", "call that looks one capability up"),
    row("kernel/yield", "yield to nobody"),
    row("kernel/switch", "switch to another thread of the address space"),
    row("kernel/switch-space", "switch to a thread of another address space"),
    row("kernel/signal", "notification that wakes nobody"),
    row("kernel/signal-wake", "notification that wakes a higher-priority thread").at_most(450),
    row("kernel/fault", "fault to a handler in another address space, page mapped, back").at_most(900),
    row("kernel/map-1", "map a page, one a call").at_most(350),
    row("kernel/map-256", "map a page, 256 a call").a_page().at_most(60),
    row("kernel/map-run-256", "map a page, 256 a call, frames in a row").a_page(),
    row("kernel/unmap-1", "unmap a page, one a call"),
    row("kernel/unmap-256", "unmap a page, 256 a call").a_page(),
    row("kernel/protect-1", "change a page's protection, one a call"),
    row("kernel/protect-256", "change a page's protection, 256 a call").a_page(),
    row("kernel/zero", "clear a frame"),
    row("kernel/copy", "copy a frame"),
    row("ipc/round-trip-0", "call and reply, no words").at_most(ROUND_TRIP),
    row("ipc/round-trip-1", "call and reply, 1 word").at_most(ROUND_TRIP),
    row("ipc/round-trip-2", "call and reply, 2 words").at_most(ROUND_TRIP),
    row("ipc/round-trip-4", "call and reply, 4 words").at_most(ROUND_TRIP),
    row("ipc/round-trip-8", "call and reply, 8 words").at_most(ROUND_TRIP),
    row("ipc/round-trip-64", "call and reply, 64 words"),
    row("ipc/round-trip-capability", "call with a capability, and reply"),
    row("ipc/round-trip-same", "call and reply within an address space, no words"),
    row("memory/first-touch", "first touch, single, frame cleared for it").at_most(1_600),
    row("memory/first-touch-zeroed", "first touch, single, frame cleared in idle time"),
    row("memory/first-touch-cluster", "first touch, clustered, frames cleared for it").a_page().at_most(900),
    row("memory/first-touch-cluster-zeroed", "first touch, clustered, frames cleared in idle time").a_page(),
    row("memory/read-touch", "first touch by a read"),
    row("memory/copy-on-write", "copy-on-write fault").at_most(2_500).timed(),
    row("memory/user-pager", "fault served by a user-space pager").at_most(4_000),
    row("memory/container-create", "create a container"),
    row("memory/container-destroy", "destroy an empty container"),
    row("memory/container-destroy-64", "destroy a container of 64 pages").a_page().timed(),
    row("memory/map-1m", "map 1 MiB that is there").a_page(),
    row("memory/unmap-1m", "unmap 1 MiB").a_page(),
    row("memory/copy-4k", "logical copy of 4 KiB"),
    row("memory/copy-64k", "logical copy of 64 KiB"),
    row("memory/copy-1m", "logical copy of 1 MiB"),
    row("memory/copy-64m", "logical copy of 64 MiB"),
    row("memory/vm-allocate", "`vm_allocate` of a page"),
    row("memory/vm-deallocate", "`vm_deallocate` of a page that was touched"),
    row("memory/vm-page", "`vm_allocate`, touch and `vm_deallocate` of a page").at_most(6_000),
    row("memory/lock", "lock a page that is there").timed(),
    row("memory/unlock", "unlock it").timed(),
    row("memory/grant", "grant a page").timed(),
    row("memory/revoke", "revoke the grant").timed(),
    row("memory/seize", "frame taken back after a deadline, one of 1024").a_page(),
    row("files/open", "open and close a file of a folder"),
    row("files/stat", "stat by path"),
    row("files/readdir", "read a directory, an entry"),
    row("files/cached-read-4k", "cached read of 4 KiB, reply only, unmapped range").cached().at_most(2_000),
    row("files/cached-read-64k", "cached read of 64 KiB, the same").cached(),
    row("files/cached-read-1m", "cached read of 1 MiB, the same").cached().at_most(15_000),
    row("files/cached-read-64m", "cached read of 64 MiB, the same").cached(),
    row("files/cached-again-1m", "cached read of 1 MiB that the buffer holds already").cached(),
    row("files/cached-touch-4k", "cached read of 4 KiB into a mapped, filled buffer, pages touched").cached(),
    row("files/cached-touch-64k", "the same, 64 KiB").cached(),
    row("files/cached-touch-1m", "the same, 1 MiB").cached().at_most(60_000),
    row("files/cached-touch-64m", "the same, 64 MiB").cached(),
    row("files/mapped-1m", "map 1 MiB of a cached file, touch every page").cached().at_most(30_000),
    row("files/cold-random-4k", "cold read of 4 KiB at random places").waits().at_most(8_000),
    row("files/cold-read-64k", "cold read of 64 KiB").a_page().waits(),
    row("files/cold-read-1m", "cold sequential read in 1 MiB calls").a_page().waits().at_most(540),
    row("files/cold-read-64m", "cold read of 64 MiB in one call").a_page().waits(),
    row("process/spawn", "spawn a static program and wait for its end").at_most(150_000).timed(),
    row("process/exit", "of that, from its exit call to who waits"),
    row("boot/prompt", "QEMU's start to the prompt").waits().at_most(60_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_of_a_group() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(GROUPS.iter().any(|(group, _)| *group == row.group()), "{}", row.name);
            assert_eq!(find(row.name), Some(row));
        }
    }

    #[test]
    fn rows_of_a_group_stand_together() {
        let groups: Vec<_> = ROWS.iter().map(Row::group).collect();
        let mut seen = groups.clone();
        seen.dedup();
        assert_eq!(seen, GROUPS.iter().map(|(group, _)| *group).collect::<Vec<_>>());
    }
}
