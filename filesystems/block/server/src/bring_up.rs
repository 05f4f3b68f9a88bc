//! Finding a disk and bringing it up, once, at the start. A driver before this one may have left it in any state, and
//! writing: it is reset, which also lets go of the frames that it was given then.

use crate::configuration::ConfigurationPorts;
use crate::queue_memory::{DeviceShared, QueueMemoryError};
use crate::registers::{DeviceMemory, MappedRegisters, RegistersError};
use containers_api::MemoryError;
use containers_api::dma::QuarantineRelease;
use core::fmt;
use filesystems_block_core::{Disk, DiskUse, PciDisk, PciError, Transport, TransportError, find_disk};
use kernel_runtime::containers::Container;
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, KernelError, syscall};

/// Interrupt lines that the driver may be given, and under which names.
const LINES: [(u8, &str); 3] = [(9, "interrupt-9"), (10, "interrupt-10"), (11, "interrupt-11")];

/// A disk that runs.
pub struct Hardware {
    /// The disk.
    pub disk: Disk<MappedRegisters, DeviceShared>,
    /// Its interrupt line.
    pub interrupt: Handle,
}

/// Why there is no disk.
#[derive(Debug)]
pub enum BringUpError {
    /// The driver lacks something that init should have given it.
    NotGiven(&'static str),
    /// There is none on the bus, or it is too old.
    Pci(PciError),
    /// Its interrupt line is none of those that the driver was given.
    Line(u8),
    /// Its registers cannot be reached.
    Registers(RegistersError),
    /// There is no memory for the queue.
    Memory(QueueMemoryError),
    /// It does not come up.
    Transport(TransportError),
    /// What the last driver had given it could not be released.
    Quarantine(CallError<MemoryError>),
    /// The kernel refused the interrupt.
    Interrupt(KernelError),
}

impl fmt::Display for BringUpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BringUpError::NotGiven(name) => write!(formatter, "`{name}` was not given"),
            BringUpError::Pci(PciError::NotFound) => formatter.write_str("no virtio disk on the PCI bus"),
            BringUpError::Pci(PciError::NotModern) => {
                formatter.write_str("the disk is not a modern virtio device")
            }
            BringUpError::Line(line) => {
                write!(formatter, "the disk interrupts on line {line}, which was not given")
            }
            BringUpError::Registers(error) => write!(formatter, "its registers: {error}"),
            BringUpError::Memory(error) => write!(formatter, "memory for its queue: {error}"),
            BringUpError::Transport(error) => write!(formatter, "it does not come up ({error:?})"),
            BringUpError::Quarantine(error) => write!(formatter, "the quarantine: {error}"),
            BringUpError::Interrupt(error) => write!(formatter, "its interrupt: {error:?}"),
        }
    }
}

/// Brings the disk for a use up; its interrupt signals through `signaller`. Two disks may share a line: it signals the same.
pub fn bring_up(
    startup: &Startup<'_>,
    used_for: DiskUse,
    dma: Handle,
    signaller: Handle,
) -> Result<Hardware, BringUpError> {
    let named = |name| startup.capability(name).ok_or(BringUpError::NotGiven(name));
    let number = |name| startup.number(name).ok_or(BringUpError::NotGiven(name));
    let mut ports = ConfigurationPorts(named("pci-ports")?);
    let found = find_disk(&mut ports, used_for).map_err(BringUpError::Pci)?;
    let interrupt = named(line_name(found)?)?;
    let memory = DeviceMemory {
        handle: named("pci-memory")?,
        first_frame: number("pci-memory-first")?,
        frames: number("pci-memory-count")?,
    };
    let (registers, places) = MappedRegisters::map(memory, found.places).map_err(BringUpError::Registers)?;
    let mut transport = Transport::new(registers, places).map_err(BringUpError::Transport)?;
    transport.reset().map_err(BringUpError::Transport)?;
    release_quarantine(dma)?;
    let pages = match used_for {
        DiskUse::Files => "device-pages",
        DiskUse::Swap => "swap-device-pages",
    };
    let pages = Container::new(Capability::from_handle(named(pages)?));
    let shared = DeviceShared::new(dma, pages).map_err(BringUpError::Memory)?;
    let disk = Disk::start(transport, shared).map_err(BringUpError::Transport)?;
    syscall::interrupt_bind(interrupt, signaller).map_err(BringUpError::Interrupt)?;
    match disk.status(0) {
        Ok(status) => {
            let (device, line) = (found.function.device, found.interrupt_line);
            log::info!("{used_for}: device {device} on line {line}: {} sectors", status.sectors);
        }
        Err(_) => log::warn!("{used_for} does not tell its size"),
    }
    Ok(Hardware { disk, interrupt })
}

/// The disk has read back that it stopped: what it was still writing when the last driver ended is free again.
fn release_quarantine(dma: Handle) -> Result<(), BringUpError> {
    let mut released = 0;
    loop {
        let answer = call(dma, &QuarantineRelease {}, &[], Deadline::NEVER);
        match answer.map_err(BringUpError::Quarantine)?.frames {
            0 => break,
            frames => released += frames,
        }
    }
    if released > 0 {
        log::info!("the disk has stopped; {released} frames of the last driver's are out of quarantine");
    }
    Ok(())
}

fn line_name(found: PciDisk) -> Result<&'static str, BringUpError> {
    let known = LINES.iter().find(|(line, _)| *line == found.interrupt_line);
    known.map(|(_, name)| *name).ok_or(BringUpError::Line(found.interrupt_line))
}
