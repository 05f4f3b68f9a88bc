//! What the guest consists of: the one table of crates, and the names of their programs in the boot archive.

/// A crate that runs in the guest.
pub struct GuestCrate {
    /// Its folder; its package is named like the folder, with dashes.
    pub folder: &'static str,
    /// Where its programs go.
    pub place: Place,
}

/// Where the programs of a crate go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// QEMU loads it itself; not in the archive.
    Kernel,
    /// The crate's one program, by this name.
    Member(&'static str),
    /// Each program of the crate by its own name, in this folder.
    Folder(&'static str),
}

/// Everything that is built for the guest, in archive order.
pub const GUEST_CRATES: &[GuestCrate] = &[
    GuestCrate { folder: "kernel/boot", place: Place::Kernel },
    GuestCrate { folder: "physmem/server", place: Place::Member("physmem") },
    GuestCrate { folder: "hurd-glue/init", place: Place::Member("init") },
    GuestCrate { folder: "hurd-glue/trace", place: Place::Member("trace") },
    GuestCrate { folder: "hurd-glue/console", place: Place::Member("console") },
    GuestCrate { folder: "filesystems/block/server", place: Place::Member("block") },
    GuestCrate { folder: "default-pager/server", place: Place::Member("default-pager") },
    GuestCrate { folder: "filesystems/ext/server", place: Place::Member("ext") },
    GuestCrate { folder: "filesystems/boot/server", place: Place::Member("bootfs") },
    GuestCrate { folder: "hurd-glue/devices/server", place: Place::Member("devices") },
    GuestCrate { folder: "filesystems/tmpfs/server", place: Place::Member("tmpfs") },
    GuestCrate { folder: "hurd-glue/shell/server", place: Place::Member("shell") },
    GuestCrate { folder: "hurd-glue/programs", place: Place::Folder("bin") },
    GuestCrate { folder: "physmem/stacked/server", place: Place::Folder("bin") },
    GuestCrate { folder: "tests/guest", place: Place::Folder("test") },
    GuestCrate { folder: "tests/stress", place: Place::Folder("stress") },
    GuestCrate { folder: "tests/bench", place: Place::Folder("bench") },
];

/// Name by which lines of a backtrace call the kernel.
pub const KERNEL: &str = "kernel";

impl GuestCrate {
    /// Cargo's name of it.
    pub fn package(&self) -> String {
        self.folder.replace('/', "-")
    }
}
