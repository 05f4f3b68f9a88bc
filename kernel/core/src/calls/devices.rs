//! I/O ports, interrupts, device memory, the log, what processors count.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, INTERRUPT_LINES, InterruptLine, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::ObjectName;
use crate::objects::Capability;
use kernel_abi::call::{LOG_BYTES, ProcessorCounter};
use kernel_abi::capability::Kind;
use kernel_abi::{KernelError, Rights};

/// I/O ports of the processor.
const PORTS: u64 = 1 << 16;

/// Frames that physical addresses can name (52 bits).
const PHYSICAL_FRAMES: u64 = 1 << 40;

impl<M: Machine> Kernel<M> {
    pub(super) fn hardware_mint(
        &mut self,
        Arguments([hardware, kind, first, count, destination, ..]): Arguments,
    ) -> Outcome {
        self.capability_for(hardware, Kind::Hardware, Rights::empty())?;
        let kind = u8::try_from(kind).ok().and_then(Kind::from_number).ok_or(KernelError::InvalidArgument)?;
        let end = first.checked_add(count).filter(|_| count != 0).ok_or(KernelError::InvalidArgument)?;
        let allowed = match kind {
            Kind::IoPorts => end <= PORTS,
            Kind::Interrupt => count == 1 && first < INTERRUPT_LINES as u64,
            Kind::DeviceMemory => end <= PHYSICAL_FRAMES && self.machine.is_device_memory(first, count),
            _ => false,
        };
        if !allowed {
            return Err(KernelError::InvalidArgument.into());
        }
        let place = self.empty_entry(destination)?;
        *self.capability_at(place) =
            Capability { badge: first, extent: count, ..Capability::full(kind, ObjectName::NONE) };
        Ok(Done::Value(0))
    }

    fn port(&mut self, ports: u64, offset: u64, width: u64) -> Result<u16, KernelError> {
        let ports = self.capability_for(ports, Kind::IoPorts, Rights::empty())?;
        let fits = offset.checked_add(width).is_some_and(|end| end <= ports.extent);
        if !matches!(width, 1 | 2 | 4) || !fits {
            return Err(KernelError::InvalidArgument);
        }
        Ok((ports.badge + offset) as u16)
    }

    pub(super) fn port_read(&mut self, ports: u64, offset: u64, width: u64) -> Outcome {
        let port = self.port(ports, offset, width)?;
        Ok(Done::Value(u64::from(self.machine.port_read(port, width as u32))))
    }

    pub(super) fn port_write(&mut self, ports: u64, offset: u64, width: u64, value: u64) -> Outcome {
        let port = self.port(ports, offset, width)?;
        if value >> (8 * width) != 0 {
            return Err(KernelError::InvalidArgument.into());
        }
        self.machine.port_write(port, width as u32, value as u32);
        Ok(Done::Value(0))
    }

    pub(super) fn interrupt_bind(&mut self, interrupt: u64, notification: u64) -> Outcome {
        let interrupt = self.capability_for(interrupt, Kind::Interrupt, Rights::empty())?;
        let notification = self.capability_for(notification, Kind::Notification, Rights::SEND)?;
        self.live(notification.name, FrameKind::Notification)?;
        self.interrupts[interrupt.badge as usize] =
            InterruptLine { notification: notification.name, bits: notification.badge };
        self.machine.mask_interrupt(interrupt.badge as u32, false);
        Ok(Done::Value(0))
    }

    pub(super) fn interrupt_acknowledge(&mut self, interrupt: u64) -> Outcome {
        let interrupt = self.capability_for(interrupt, Kind::Interrupt, Rights::empty())?;
        self.machine.mask_interrupt(interrupt.badge as u32, false);
        Ok(Done::Value(0))
    }

    pub(super) fn processor_count_call(&mut self, log: u64, processor: u64, counter: u64) -> Outcome {
        self.capability_for(log, Kind::Log, Rights::empty())?;
        let number = |value: u64| usize::try_from(value).map_err(|_| KernelError::InvalidArgument);
        let counters = self.counters(number(processor)?).ok_or(KernelError::InvalidArgument)?;
        let counter = ProcessorCounter::ALL.get(number(counter)?).ok_or(KernelError::InvalidArgument)?;
        Ok(Done::Value(counters.get(*counter)))
    }

    pub(super) fn log_write(&mut self, log: u64, address: u64, bytes: u64) -> Outcome {
        self.capability_for(log, Kind::Log, Rights::empty())?;
        if bytes > LOG_BYTES {
            return Err(KernelError::InvalidArgument.into());
        }
        self.check_user(address, bytes)?;
        let mut line = [0; LOG_BYTES as usize];
        let line = &mut line[..bytes as usize];
        self.machine.read_user(address, line)?;
        self.machine.log(line);
        Ok(Done::Value(0))
    }
}
