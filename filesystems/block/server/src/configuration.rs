//! PCI configuration space through ports 0xcf8 and 0xcfc (PCI Local Bus Specification 3.0, 3.2.2.3.2).

use filesystems_block_core::{ConfigurationSpace, Function};
use kernel_runtime::{Handle, syscall};

const ADDRESS: u16 = 0;
const DATA: u16 = 4;

/// The two ports.
pub struct ConfigurationPorts(pub Handle);

impl ConfigurationSpace for ConfigurationPorts {
    fn read(&mut self, function: Function, register: u8) -> u32 {
        // All ones is what an empty place answers; a port that is refused is as good as empty.
        syscall::port_write(self.0, ADDRESS, 4, function.address(register))
            .and_then(|()| syscall::port_read(self.0, DATA, 4))
            .unwrap_or(u32::MAX)
    }

    fn write(&mut self, function: Function, register: u8, value: u32) {
        let written = syscall::port_write(self.0, ADDRESS, 4, function.address(register))
            .and_then(|()| syscall::port_write(self.0, DATA, 4, value));
        if let Err(error) = written {
            log::error!("configuration space refused: {error:?}");
        }
    }
}
