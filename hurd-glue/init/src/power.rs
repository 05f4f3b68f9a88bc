//! Switching the machine off: QEMU's exit device ends the emulator with the number written to it.

use core::fmt;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, KernelError, Kind, syscall};

/// Port of the exit device.
const EXIT_PORT: u64 = 0xf4;
/// Ports that it has.
const EXIT_PORTS: u64 = 4;
/// Highest status that a shell's end can mean; higher numbers say that something broke.
const STATUS_MAX: u32 = 99;
/// The system could not be brought up.
pub const DID_NOT_COME_UP: u32 = 102;

/// The exit device, if there is one.
pub struct Power(Result<Capability, Missing>);

/// Why the machine cannot be switched off.
enum Missing {
    /// physmem gave no authority over hardware.
    Authority,
    /// The kernel refused the ports.
    Kernel(KernelError),
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Authority => formatter.write_str("no authority over hardware"),
            Missing::Kernel(error) => write!(formatter, "{error:?}"),
        }
    }
}

impl Power {
    /// Takes hold of the exit device.
    pub fn new(startup: &Startup<'_>) -> Power {
        let hardware = startup.capability("hardware").ok_or(Missing::Authority);
        Power(hardware.and_then(|hardware| {
            let mint = |entry| syscall::hardware_mint(hardware, Kind::IoPorts, EXIT_PORT, EXIT_PORTS, entry);
            Capability::filled(mint).map_err(Missing::Kernel)
        }))
    }

    /// Switches off. Where that is not possible, the status is init's own, which ends the system for good.
    pub fn off(self, status: u32) -> i32 {
        let number = if status == DID_NOT_COME_UP { status } else { status.min(STATUS_MAX) };
        let written = self
            .0
            .and_then(|ports| syscall::port_write(ports.handle(), 0, 1, number).map_err(Missing::Kernel));
        if let Err(missing) = written {
            log::error!("cannot switch off: {missing}");
        }
        number as i32
    }
}
