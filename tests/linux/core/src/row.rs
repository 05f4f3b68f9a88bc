//! What is measured of Linux, and beside which rows of Tenure it stands.
//!
//! Several rows may stand beside the same one: the comparison takes the best. Where nothing of Tenure does the same work, a
//! row stands alone.

/// By what a row is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The time-stamp counter, which counts instructions as long as the processor does not idle.
    Stamps,
    /// The counter of instructions: the row waits for a device.
    Counter,
}

/// What there is to say about a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// Its name on the console.
    pub name: &'static str,
    /// What is done, for people.
    pub title: &'static str,
    /// Rows of Tenure that do the same work.
    pub beside: &'static [&'static str],
    /// By what it is counted.
    pub clock: Clock,
}

macro_rules! rows {
    ($($row:ident, $name:literal, $title:literal, $beside:expr, $clock:ident;)*) => {
        /// A row.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Row {
            $(#[doc = $title] $row,)*
        }

        impl Row {
            /// All rows, in the order of the table.
            pub const ALL: &'static [Row] = &[$(Row::$row),*];

            /// What there is to say about it.
            pub const fn about(self) -> About {
                match self {
                    $(Row::$row => About { name: $name, title: $title, beside: &$beside, clock: Clock::$clock },)*
                }
            }
        }
    };
}

impl Row {
    /// The row of this name.
    pub fn named(name: &str) -> Option<Row> {
        Row::ALL.iter().copied().find(|row| row.about().name == name)
    }
}

rows! {
    Getppid, "getppid", "getppid", ["kernel/null-call"], Stamps;
    Yield, "yield", "sched_yield to nobody", ["kernel/yield"], Stamps;
    YieldThread, "yield-thread", "sched_yield to a thread", ["kernel/switch"], Stamps;
    YieldProcess, "yield-process", "sched_yield to a process", ["kernel/switch-space"], Stamps;
    EventWrite, "event-write", "write to an eventfd that nobody reads", ["kernel/signal"], Stamps;
    Signal, "signal", "signal to oneself, handler, return", [], Stamps;

    FutexProcesses, "futex", "futex, 2 processes", ["ipc/round-trip-0"], Stamps;
    FutexThreads, "futex-threads", "futex, 2 threads", ["ipc/round-trip-same"], Stamps;
    EventProcesses, "eventfd", "eventfd, 2 processes", ["ipc/round-trip-0", "ipc/round-trip-1"], Stamps;
    PipeByte, "pipe-1", "pipe, 1 byte", ["ipc/round-trip-0"], Stamps;
    PipeWord, "pipe-8", "pipe, 8 bytes", ["ipc/round-trip-1"], Stamps;
    PipeWords2, "pipe-16", "pipe, 16 bytes", ["ipc/round-trip-2"], Stamps;
    PipeWords4, "pipe-32", "pipe, 32 bytes", ["ipc/round-trip-4"], Stamps;
    PipeWords8, "pipe-64", "pipe, 64 bytes", ["ipc/round-trip-8"], Stamps;
    PipeWords64, "pipe-512", "pipe, 512 bytes", ["ipc/round-trip-64"], Stamps;
    PipePage, "pipe-4096", "pipe, 4096 bytes", [], Stamps;
    PipeThreads, "pipe-threads", "pipe, 1 byte, 2 threads", ["ipc/round-trip-same"], Stamps;
    UnixStream, "unix-stream", "unix stream, 64 bytes", ["ipc/round-trip-8"], Stamps;
    UnixSeqpacket, "unix-seqpacket", "unix seqpacket, 64 bytes", ["ipc/round-trip-8"], Stamps;
    UnixRights, "unix-rights", "unix seqpacket with a descriptor", ["ipc/round-trip-capability"], Stamps;

    FirstTouch, "first-touch", "anonymous first touch", ["memory/first-touch"], Stamps;
    Populate, "populate", "anonymous MAP_POPULATE, 256 pages",
        ["memory/first-touch-cluster"], Stamps;
    ReadTouch, "read-touch", "anonymous read fault, zero page", ["memory/read-touch"], Stamps;
    CopyOnWrite, "copy-on-write", "copy-on-write after fork", ["memory/copy-on-write"], Stamps;
    UserFault, "userfaultfd", "userfaultfd, UFFDIO_COPY by a thread", ["memory/user-pager"], Stamps;
    MapUntouched, "map-untouched", "mmap of an anonymous page", ["memory/container-create"], Stamps;
    UnmapUntouched, "unmap-untouched", "munmap of an untouched page", ["memory/container-destroy"], Stamps;
    UnmapTouched, "unmap-1", "munmap of a touched page", ["kernel/unmap-1"], Stamps;
    UnmapTouched64, "unmap-64", "munmap of 64 touched pages", ["memory/container-destroy-64"], Stamps;
    MapCached, "map-cached", "mmap of 1 MiB of a cached file, MAP_POPULATE",
        ["kernel/map-256", "memory/map-1m"], Stamps;
    UnmapCached, "unmap-cached", "munmap of 1 MiB of a cached file", ["kernel/unmap-256", "memory/unmap-1m"], Stamps;
    MapCachedPage, "map-cached-1", "mmap of a page of a cached file, MAP_POPULATE", ["kernel/map-1"], Stamps;
    Protect, "protect-1", "mprotect of a page", ["kernel/protect-1"], Stamps;
    Protect256, "protect-256", "mprotect of 256 pages", ["kernel/protect-256"], Stamps;
    Lock, "mlock", "mlock of a page", ["memory/lock"], Stamps;
    Unlock, "munlock", "munlock of a page", ["memory/unlock"], Stamps;
    Clear4k, "clear-4k", "memset of 4 KiB", ["kernel/zero"], Stamps;
    Copy4k, "copy-4k", "memcpy of 4 KiB", ["kernel/copy", "memory/copy-4k"], Stamps;
    Copy64k, "copy-64k", "memcpy of 64 KiB", ["memory/copy-64k"], Stamps;
    Copy1m, "copy-1m", "memcpy of 1 MiB", ["memory/copy-1m"], Stamps;
    Copy64m, "copy-64m", "memcpy of 64 MiB", ["memory/copy-64m"], Stamps;
    Swap, "swap", "page rewritten, 1 in and 1 out, memory.max", [], Counter;

    Open, "open", "open", [], Stamps;
    OpenClose, "open-close", "open and close", ["files/open"], Stamps;
    Stat, "stat", "stat", ["files/stat"], Stamps;
    ReadFolder, "readdir", "getdents64, an entry", ["files/readdir"], Stamps;
    Read4k, "pread-4k", "pread of 4 KiB", ["files/cached-read-4k", "files/cached-touch-4k"], Stamps;
    Read64k, "pread-64k", "pread of 64 KiB", ["files/cached-read-64k", "files/cached-touch-64k"], Stamps;
    Read1m, "pread-1m", "pread of 1 MiB", ["files/cached-read-1m", "files/cached-touch-1m"], Stamps;
    Read64m, "pread-64m", "pread of 64 MiB", ["files/cached-read-64m", "files/cached-touch-64m"], Stamps;
    Mapped1m, "mapped-1m", "mmap, touch, munmap of 1 MiB", ["files/mapped-1m"], Stamps;
    Random4k, "direct-random-4k", "O_DIRECT, random", ["files/cold-random-4k"], Counter;
    ColdRead64k, "cold-64k", "read, 64 KiB calls", ["files/cold-read-64k"], Counter;
    Direct64k, "direct-64k", "O_DIRECT, 64 KiB calls", ["files/cold-read-64k"], Counter;
    ColdRead1m, "cold-1m", "read, 1 MiB calls", ["files/cold-read-1m"], Counter;
    Direct1m, "direct-1m", "O_DIRECT, 1 MiB calls", ["files/cold-read-1m"], Counter;
    Raw1m, "raw-1m", "O_DIRECT of the disk itself, 1 MiB calls", [], Counter;
    ColdRead64m, "cold-64m", "read, one call", ["files/cold-read-64m"], Counter;
    Direct64m, "direct-64m", "O_DIRECT, one call", ["files/cold-read-64m"], Counter;

    Spawn, "posix-spawn", "posix_spawn, static, no C library", ["process/spawn"], Stamps;
    ForkExec, "fork-exec", "fork and exec of the same", ["process/spawn"], Stamps;
    ForkExit, "fork-exit", "fork, exit, wait", [], Stamps;

    Boot, "boot", "QEMU's start to init", ["boot/prompt"], Counter;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_words() {
        for (index, row) in Row::ALL.iter().enumerate() {
            let name = row.about().name;
            assert_eq!(Row::named(name), Some(*row));
            assert_eq!(*row as usize, index);
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name}");
        }
        assert_eq!(Row::named("nothing"), None);
    }
}
