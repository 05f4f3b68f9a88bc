//! Making the capabilities that servers are given: endpoints, hardware, and what came from physmem.
//!
//! Every endpoint is made here and stays here: a server that ends leaves its clients' capabilities valid.

use crate::Failure;
use crate::archive::Archive;
use crate::maker::StartError;
use crate::swap::Swap;
use alloc::format;
use alloc::vec::Vec;
use containers_api::ContainerRights;
use containers_api::control::{ControlShare, DmaAuthority};
use core::fmt;
use hurd_glue_init_core::pci;
use hurd_glue_init_core::servers::{DEVICE_PAGES, DISKS, Grant, ROOT_BADGE, SERVERS, Server, Specification};
use hurd_glue_trace_core::channel::CHANNEL_BYTES;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer, create_endpoint};
use kernel_runtime::ipc::call_for_capability;
use kernel_runtime::process::Given;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, KernelError, Kind, Rights, syscall};

/// Where the windows for PCI devices may start, in frames, larger window first: the first that is not RAM is
/// taken (QEMU's pc machine puts RAM below 3 GiB, or below 3.5 GiB).
const PCI_WINDOW_STARTS: [u64; 2] = [0xc_0000, 0xe_0000];
/// End of the window: the first I/O APIC.
const PCI_WINDOW_END: u64 = 0xf_ec00;

/// The ports of PCI configuration space. The driver of the disk has them, too; init uses them before it starts the driver.
const PCI_PORTS: (u64, u64) = (0xcf8, 8);

/// Everything that can be handed out.
pub struct Authority {
    hardware: Handle,
    control: Handle,
    /// An endpoint for each server that serves.
    endpoints: Vec<Option<Capability>>,
    /// What each disk reads and writes by itself.
    device_pages: Vec<Container>,
    /// What is kept for the default pager, where there is a disk for it.
    swap: Option<Swap>,
    /// Rings of events and the right to write some, on a machine that was booted with rings.
    trace: Option<Tracing>,
}

/// What events are collected with.
struct Tracing {
    rings: Handle,
    writer: Handle,
    /// The memory that the host sees.
    channel: Result<Capability, GrantError>,
}

/// What one server is given.
pub struct GivenToServer<'a> {
    /// Capabilities by name, with entries in init's table.
    pub capabilities: Vec<Given<'a>>,
    /// Mounts and entries of their roots.
    pub mounts: Vec<(&'a str, Handle)>,
    /// What it is told in words.
    pub arguments: Vec<Vec<u8>>,
    /// Entries that were made for it and are dropped once it has its own.
    _made: Vec<Capability>,
}

/// Why a capability could not be made.
#[derive(Clone, Debug)]
pub enum GrantError {
    /// The kernel refused.
    Kernel(KernelError),
    /// physmem refused.
    Memory(MemoryCallError),
    /// The other server has no endpoint.
    NoEndpoint,
    /// There are no rings of events.
    NoRings,
    /// There is no disk for swap.
    NoSwap,
    /// There is no device through which events could leave the machine.
    NoChannel,
}

impl fmt::Display for GrantError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrantError::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
            GrantError::Memory(error) => error.fmt(formatter),
            GrantError::NoSwap => formatter.write_str("there is no disk for swap"),
            GrantError::NoRings => formatter.write_str("there are no rings of events"),
            GrantError::NoChannel => formatter.write_str("there is no shared memory device"),
            GrantError::NoEndpoint => formatter.write_str("there is no endpoint"),
        }
    }
}

fn mint(hardware: Handle, kind: Kind, first: u64, count: u64) -> Result<Capability, GrantError> {
    let mint = |entry| syscall::hardware_mint(hardware, kind, first, count, entry);
    Capability::filled(mint).map_err(GrantError::Kernel)
}

/// Reads registers of the bus, before the disks' driver uses the same ports.
pub fn configuration_space(hardware: Handle) -> Result<impl FnMut(u32) -> u32, GrantError> {
    let ports = mint(hardware, Kind::IoPorts, PCI_PORTS.0, PCI_PORTS.1)?;
    Ok(move |address| {
        syscall::port_write(ports.handle(), 0, 4, address)
            .and_then(|()| syscall::port_read(ports.handle(), 4, 4))
            .unwrap_or(u32::MAX)
    })
}

impl Tracing {
    /// What physmem handed over, and the way out.
    fn new(startup: &Startup<'_>) -> Option<Tracing> {
        let (rings, writer) = (startup.capability("trace-rings")?, startup.capability("trace")?);
        let hardware = startup.capability("hardware")?;
        Some(Tracing { rings, writer, channel: Tracing::channel(hardware) })
    }

    /// The memory that the host sees, and nothing beside it.
    fn channel(hardware: Handle) -> Result<Capability, GrantError> {
        let bus = configuration_space(hardware)?;
        let address = pci::second_window(pci::SHARED_MEMORY, bus).ok_or(GrantError::NoChannel)?;
        mint(hardware, Kind::DeviceMemory, address / FRAME_BYTES, CHANNEL_BYTES / FRAME_BYTES)
    }
}

/// Pages for a disk, there from the start.
fn device_pages(_disk: u64) -> Result<Container, MemoryCallError> {
    let container = OwnContainer::new(DEVICE_PAGES)?;
    container.allocate(0..DEVICE_PAGES, false)?;
    Ok(container.keep())
}

impl Authority {
    /// What physmem handed over, and an endpoint for each server.
    pub fn new(startup: &Startup<'_>) -> Result<Authority, Failure> {
        let named = |name| startup.capability(name).ok_or(Failure::SetUp(name));
        let endpoints = SERVERS.iter().map(|specification| {
            let serves = specification.grants.iter().any(|(_, grant)| *grant == Grant::OwnEndpoint);
            serves.then(create_endpoint).transpose()
        });
        let endpoints = endpoints.collect::<Result<_, _>>();
        let device_pages = (0..DISKS).map(device_pages).collect::<Result<_, _>>();
        let device_pages = device_pages.map_err(|error| Failure::Memory("pages for the disks", error))?;
        let hardware = named("hardware")?;
        Ok(Authority {
            hardware,
            control: named("control")?,
            endpoints: endpoints.map_err(|error| Failure::Memory("endpoints", error))?,
            device_pages,
            swap: Swap::new(hardware, named("control")?)?,
            trace: Tracing::new(startup),
        })
    }

    /// Whether physmem has a place for a default pager.
    pub fn has_swap_window(&self) -> bool {
        self.swap.as_ref().is_some_and(|swap| swap.window().is_some())
    }

    /// Whether there is a disk for swap.
    pub fn has_swap(&self) -> bool {
        self.swap.is_some()
    }

    /// Whether events are collected.
    pub fn is_tracing(&self) -> bool {
        self.trace.is_some()
    }

    /// The endpoint of a server.
    pub fn endpoint(&self, server: Server) -> Result<Handle, GrantError> {
        let endpoint = self.endpoints.get(server as usize).and_then(Option::as_ref);
        endpoint.map(Capability::handle).ok_or(GrantError::NoEndpoint)
    }

    /// Makes what a server is given.
    pub fn given<'a>(
        &self,
        specification: &Specification,
        archive: &Archive,
    ) -> Result<GivenToServer<'a>, StartError> {
        let mut given = GivenToServer {
            capabilities: Vec::new(),
            mounts: Vec::new(),
            arguments: Vec::new(),
            _made: Vec::new(),
        };
        for &(name, grant) in specification.grants {
            let does_without = match grant {
                Grant::TraceWriter => self.trace.is_none(),
                Grant::SwapWindow => !self.has_swap_window(),
                _ => false,
            };
            if does_without {
                continue;
            }
            let handle = self
                .make(name, grant, specification.server, archive, &mut given)
                .map_err(|error| StartError::Grant(name, error))?;
            given.capabilities.push(Given { name, handle, rights: grant.rights() });
        }
        for &(prefix, server) in specification.mounts {
            let root = self.client(server, ROOT_BADGE).map_err(|error| StartError::Grant(prefix, error))?;
            given.mounts.push((prefix, root.handle()));
            given._made.push(root);
        }
        Ok(given)
    }

    /// The entry to give a copy of.
    fn make(
        &self,
        name: &str,
        grant: Grant,
        server: Server,
        archive: &Archive,
        given: &mut GivenToServer<'_>,
    ) -> Result<Handle, GrantError> {
        let made = match grant {
            Grant::OwnEndpoint => return self.endpoint(server),
            Grant::Archive => {
                given.arguments.push(format!("archive-bytes={}", archive.bytes()).into_bytes());
                return Ok(archive.handle());
            }
            Grant::TraceWriter => return Ok(self.tracing()?.writer),
            Grant::TraceRings => return Ok(self.tracing()?.rings),
            Grant::TraceChannel => {
                return self.tracing()?.channel.as_ref().map(Capability::handle).map_err(Clone::clone);
            }
            Grant::SwapRegion => self.swap()?.region().map_err(GrantError::Memory)?,
            Grant::SwapStore => self.swap()?.store().map_err(GrantError::Memory)?,
            Grant::SwapWindow => return self.swap()?.window().ok_or(GrantError::NoSwap),
            Grant::Client(server, badge) => self.client(server, badge)?,
            Grant::Ports(first, count) => self.hardware(Kind::IoPorts, first.into(), count.into())?,
            Grant::Interrupt(line) => self.hardware(Kind::Interrupt, line.into(), 1)?,
            Grant::PciMemory => self.pci_memory(name, &mut given.arguments)?,
            Grant::DevicePages(disk) => self.free_device_pages(disk).map_err(GrantError::Memory)?,
            Grant::Control(rights) => {
                call_for_capability(self.control, &ControlShare { rights }, &[], Deadline::NEVER)
                    .map_err(GrantError::Memory)?
                    .1
            }
            Grant::DmaAuthority(device) => {
                call_for_capability(self.control, &DmaAuthority { device }, &[], Deadline::NEVER)
                    .map_err(GrantError::Memory)?
                    .1
            }
        };
        let handle = made.handle();
        given._made.push(made);
        Ok(handle)
    }

    fn client(&self, server: Server, badge: u64) -> Result<Capability, GrantError> {
        let rights = Rights::SEND | Rights::TRANSFER;
        Capability::mint(self.endpoint(server)?, rights, badge).map_err(GrantError::Kernel)
    }

    /// A disk's pages for its next driver. Locks that the last one left are ended.
    fn free_device_pages(&self, disk: u64) -> Result<Capability, MemoryCallError> {
        let pages = &self.device_pages[disk as usize];
        pages.break_locks(0..DEVICE_PAGES)?;
        let rights =
            ContainerRights::MAP | ContainerRights::WRITE | ContainerRights::LOCK | ContainerRights::FILL;
        pages.share(rights).map(Container::into_capability)
    }

    fn hardware(&self, kind: Kind, first: u64, count: u64) -> Result<Capability, GrantError> {
        mint(self.hardware, kind, first, count)
    }

    fn swap(&self) -> Result<&Swap, GrantError> {
        self.swap.as_ref().ok_or(GrantError::NoSwap)
    }

    fn tracing(&self) -> Result<&Tracing, GrantError> {
        self.trace.as_ref().ok_or(GrantError::NoRings)
    }

    fn pci_memory(&self, name: &str, arguments: &mut Vec<Vec<u8>>) -> Result<Capability, GrantError> {
        let mut result = Err(GrantError::Kernel(KernelError::InvalidArgument));
        for first in PCI_WINDOW_STARTS {
            let count = PCI_WINDOW_END - first;
            result = self.hardware(Kind::DeviceMemory, first, count);
            if result.is_ok() {
                arguments.push(format!("{name}-first={first:#x}").into_bytes());
                arguments.push(format!("{name}-count={count:#x}").into_bytes());
                break;
            }
        }
        result
    }
}
