//! The table of servers: name, memory, priority, and every capability that each is given. What a server is not
//! given here it cannot do.

use containers_api::control::ControlRights;
use kernel_abi::Rights;

/// Which server, by its place in [`SERVERS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Server {
    /// The serial line.
    Console = 0,
    /// The disks.
    Block = 1,
    /// The default pager, on a machine that has a disk for swap.
    Pager = 2,
    /// The file server for the disk.
    Ext = 3,
    /// The file server for the boot archive.
    Bootfs = 4,
    /// The collector of events, on a machine that was booted with rings for them.
    Trace = 5,
    /// The devices that need no hardware.
    Devices = 6,
    /// Files in memory.
    Tmpfs = 7,
    /// The shell.
    Shell = 8,
}

/// A kind of capability, and what of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// The endpoint at which the server serves: receive, and make capabilities for clients.
    OwnEndpoint,
    /// A capability to call another server, with this badge.
    Client(Server, u64),
    /// I/O ports: first and number.
    Ports(u16, u16),
    /// An interrupt line.
    Interrupt(u8),
    /// The device memory that PCI devices are placed in; adds arguments `NAME-first` and `NAME-count` (frames).
    PciMemory,
    /// The boot archive, to look at and copy from; adds the argument `archive-bytes`.
    Archive,
    /// Looking at all of physmem's records, and what else its rights allow.
    Control(ControlRights),
    /// Being told physical addresses, for a disk by its number.
    DmaAuthority(u64),
    /// [`DEVICE_PAGES`] that the disk of a number itself reads and writes at all times. They are init's, since the disk goes on
    /// when its driver ends, and the next driver gets the same.
    DevicePages(u64),
    /// What outlives a default pager: its books and keys.
    SwapRegion,
    /// What outlives it: the compressed pages.
    SwapStore,
    /// The window through which pages leave memory and come back; it is physmem's. Whoever has this does without, where
    /// physmem has made none.
    SwapWindow,
    /// Writing events beside the kernel's own. Whoever has this does without, where there are no rings.
    TraceWriter,
    /// The rings of events, to be read.
    TraceRings,
    /// The device memory through which events leave the machine.
    TraceChannel,
}

impl Grant {
    /// Rights that the server gets with the kernel's capability for it.
    pub const fn rights(self) -> Rights {
        match self {
            Grant::OwnEndpoint => {
                Rights::SEND.union(Rights::RECEIVE).union(Rights::MINT).union(Rights::TRANSFER)
            }
            Grant::Ports(..) | Grant::Interrupt(_) | Grant::TraceWriter => Rights::empty(),
            // Device memory is sent to physmem to be mapped.
            Grant::PciMemory | Grant::TraceChannel => Rights::TRANSFER,
            _ => Rights::SEND.union(Rights::TRANSFER),
        }
    }
}

/// How urgent a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// Holds nobody up for long, and must not be held up.
    Driver,
    /// Serves files.
    FileServer,
    /// Talks to a person.
    Shell,
}

/// What init knows of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Specification {
    /// Which one it is.
    pub server: Server,
    /// Its name, and its member in the boot archive.
    pub name: &'static str,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Capabilities by name.
    pub grants: &'static [(&'static str, Grant)],
    /// File systems that it finds: prefix, server and badge of the root node.
    pub mounts: &'static [(&'static str, Server)],
}

/// Badge of a file server's root directory, as init makes it: that of the whole endpoint.
pub const ROOT_BADGE: u64 = 0;

/// The console's rights, see its protocol: write, read, foreground.
const CONSOLE_ALL: u64 = 0b111;
/// Write and read.
const CONSOLE_PROGRAM: u64 = 0b011;

/// What a person may do at the shell: end tasks and choose the policy, but not hand out physical addresses.
const SHELL_CONTROL: ControlRights = ControlRights::END.union(ControlRights::POLICY);

/// Number of the disk with files, among the devices whose drivers are told physical addresses, and for its driver's clients.
pub const DISK: u64 = 0;
/// Number of the disk for pages that do not fit in memory.
pub const SWAP_DISK: u64 = 1;
/// Disks that there can be.
pub const DISKS: u64 = 2;

/// Pages of a disk's queue.
pub const DEVICE_PAGES: u64 = 10;

/// In the order in which they are started.
pub const SERVERS: &[Specification] = &[
    Specification {
        server: Server::Console,
        name: "console",
        urgency: Urgency::Driver,
        grants: &[
            ("endpoint", Grant::OwnEndpoint),
            ("serial-ports", Grant::Ports(0x3f8, 8)),
            ("interrupt-4", Grant::Interrupt(4)),
        ],
        mounts: &[],
    },
    Specification {
        server: Server::Block,
        name: "block",
        urgency: Urgency::Driver,
        grants: &[
            ("endpoint", Grant::OwnEndpoint),
            ("pci-ports", Grant::Ports(0xcf8, 8)),
            ("pci-memory", Grant::PciMemory),
            ("interrupt-9", Grant::Interrupt(9)),
            ("interrupt-10", Grant::Interrupt(10)),
            ("interrupt-11", Grant::Interrupt(11)),
            ("dma", Grant::DmaAuthority(DISK)),
            ("swap-dma", Grant::DmaAuthority(SWAP_DISK)),
            ("device-pages", Grant::DevicePages(DISK)),
            ("swap-device-pages", Grant::DevicePages(SWAP_DISK)),
            ("trace", Grant::TraceWriter),
        ],
        mounts: &[],
    },
    Specification {
        server: Server::Pager,
        name: "default-pager",
        urgency: Urgency::Driver,
        grants: &[
            ("endpoint", Grant::OwnEndpoint),
            ("block", Grant::Client(Server::Block, SWAP_DISK)),
            ("region", Grant::SwapRegion),
            ("store", Grant::SwapStore),
            ("window", Grant::SwapWindow),
            ("control", Grant::Control(ControlRights::PAGER)),
        ],
        mounts: &[],
    },
    Specification {
        server: Server::Ext,
        name: "ext",
        urgency: Urgency::FileServer,
        grants: &[
            ("endpoint", Grant::OwnEndpoint),
            ("block", Grant::Client(Server::Block, DISK)),
            ("trace", Grant::TraceWriter),
        ],
        mounts: &[],
    },
    Specification {
        server: Server::Bootfs,
        name: "bootfs",
        urgency: Urgency::FileServer,
        grants: &[("endpoint", Grant::OwnEndpoint), ("archive", Grant::Archive)],
        mounts: &[],
    },
    Specification {
        server: Server::Trace,
        name: "trace",
        urgency: Urgency::Driver,
        grants: &[
            ("endpoint", Grant::OwnEndpoint),
            ("rings", Grant::TraceRings),
            ("channel", Grant::TraceChannel),
            ("control", Grant::Control(ControlRights::empty())),
        ],
        mounts: &[],
    },
    Specification {
        server: Server::Devices,
        name: "devices",
        urgency: Urgency::FileServer,
        grants: &[("endpoint", Grant::OwnEndpoint)],
        mounts: &[],
    },
    Specification {
        server: Server::Tmpfs,
        name: "tmpfs",
        urgency: Urgency::FileServer,
        grants: &[("endpoint", Grant::OwnEndpoint)],
        mounts: &[],
    },
    Specification {
        server: Server::Shell,
        name: "shell",
        urgency: Urgency::Shell,
        grants: &[
            ("console", Grant::Client(Server::Console, CONSOLE_ALL)),
            ("console-program", Grant::Client(Server::Console, CONSOLE_PROGRAM)),
            ("control", Grant::Control(SHELL_CONTROL)),
            ("pager", Grant::Client(Server::Pager, 0)),
        ],
        mounts: &[
            ("/", Server::Ext),
            ("/.boot", Server::Bootfs),
            ("/dev", Server::Devices),
            ("/tmp", Server::Tmpfs),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn holders(wanted: impl Fn(&Grant) -> bool) -> Vec<Server> {
        let holds = |one: &&Specification| one.grants.iter().any(|(_, grant)| wanted(grant));
        SERVERS.iter().filter(holds).map(|one| one.server).collect()
    }

    #[test]
    fn the_table_is_in_the_order_of_its_numbers_and_names_are_unique() {
        for (index, one) in SERVERS.iter().enumerate() {
            assert_eq!(one.server as usize, index);
            assert!(SERVERS[..index].iter().all(|other| other.name != one.name));
            for (index, (name, _)) in one.grants.iter().enumerate() {
                assert!(one.grants[..index].iter().all(|(other, _)| other != name), "{name}");
            }
        }
    }

    #[test]
    fn authority_is_where_it_is_needed_and_nowhere_else() {
        assert_eq!(holders(|grant| matches!(grant, Grant::DmaAuthority(_))), [Server::Block]);
        assert_eq!(holders(|grant| matches!(grant, Grant::DevicePages(_))), [Server::Block]);
        assert_eq!(holders(|grant| matches!(grant, Grant::PciMemory)), [Server::Block]);
        let control = holders(|grant| matches!(grant, Grant::Control(_)));
        assert_eq!(control, [Server::Pager, Server::Trace, Server::Shell]);
        let more = |grant: &Grant| matches!(grant, Grant::Control(rights) if !rights.is_empty());
        assert_eq!(holders(more), [Server::Pager, Server::Shell]);
        let pages =
            |grant: &Grant| matches!(grant, Grant::Control(rights) if rights.contains(ControlRights::PAGER));
        assert_eq!(holders(pages), [Server::Pager]);
        let kept = |grant: &Grant| matches!(grant, Grant::SwapRegion | Grant::SwapStore | Grant::SwapWindow);
        assert_eq!(holders(kept), [Server::Pager]);
        assert_eq!(
            holders(|grant| matches!(grant, Grant::TraceRings | Grant::TraceChannel)),
            [Server::Trace]
        );
        assert_eq!(holders(|grant| matches!(grant, Grant::TraceWriter)), [Server::Block, Server::Ext]);
        assert_eq!(holders(|grant| matches!(grant, Grant::Archive)), [Server::Bootfs]);
        assert_eq!(holders(|grant| matches!(grant, Grant::Ports(..))), [Server::Console, Server::Block]);
        assert_eq!(holders(|grant| matches!(grant, Grant::Client(Server::Block, DISK))), [Server::Ext]);
        assert_eq!(
            holders(|grant| matches!(grant, Grant::Client(Server::Block, SWAP_DISK))),
            [Server::Pager]
        );
        let others = |grant: &Grant| matches!(grant, Grant::Client(Server::Block, disk) if *disk >= DISKS);
        assert_eq!(holders(others), []);
    }

    #[test]
    fn whoever_is_called_serves_and_starts_before_its_clients() {
        let serves = |server: Server| {
            let grants = SERVERS[server as usize].grants;
            grants.iter().any(|(name, grant)| *name == "endpoint" && *grant == Grant::OwnEndpoint)
        };
        for one in SERVERS {
            let clients = one.grants.iter().filter_map(|(_, grant)| match grant {
                Grant::Client(server, _) => Some(*server),
                _ => None,
            });
            for server in clients.chain(one.mounts.iter().map(|&(_, server)| server)) {
                assert!(serves(server) && server < one.server, "{} calls {server:?}", one.name);
            }
        }
    }

    #[test]
    fn ports_and_lines_do_not_overlap() {
        let all: Vec<_> = SERVERS.iter().flat_map(|one| one.grants).map(|(_, grant)| *grant).collect();
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                match (*one, *other) {
                    (Grant::Ports(a, m), Grant::Ports(b, n)) => assert!(a + m <= b || b + n <= a),
                    (Grant::Interrupt(a), Grant::Interrupt(b)) => assert_ne!(a, b),
                    _ => {}
                }
            }
        }
    }
}
