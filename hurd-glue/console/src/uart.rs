//! The serial line: a 16550 behind eight I/O ports (National Semiconductor PC16550D data sheet, chapter 8).

use kernel_runtime::{Handle, KernelError, syscall};

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;

const DIVISOR_LOW: u16 = 0;
const DIVISOR_HIGH: u16 = 1;

const DIVISOR_ACCESS: u32 = 0x80;
const EIGHT_BITS: u32 = 0x03;
/// Enabled, both queues cleared, an interrupt at 14 bytes or after a pause.
const FIFO_ON: u32 = 0xc7;
/// Terminal ready, request to send, and OUT2, which lets the interrupt through on a PC.
const MODEM_READY: u32 = 0x0b;
const RECEIVE_INTERRUPT: u32 = 0x01;
const TRANSMIT_INTERRUPT: u32 = 0x02;
const DATA_READY: u32 = 0x01;
const TRANSMIT_EMPTY: u32 = 0x20;
const TRANSMITTER_IDLE: u32 = 0x40;

/// Bytes that fit the transmit queue when it is empty.
pub const QUEUE_BYTES: usize = 16;

/// The device.
pub struct Uart {
    ports: Handle,
    transmit_interrupt: bool,
}

impl Uart {
    /// Sets the line to 115200 8N1 with queues, interrupting for input.
    pub fn new(ports: Handle) -> Result<Uart, KernelError> {
        let uart = Uart { ports, transmit_interrupt: false };
        uart.write(INTERRUPT_ENABLE, 0)?;
        uart.write(LINE_CONTROL, DIVISOR_ACCESS)?;
        uart.write(DIVISOR_LOW, 1)?;
        uart.write(DIVISOR_HIGH, 0)?;
        uart.write(LINE_CONTROL, EIGHT_BITS)?;
        uart.write(FIFO_CONTROL, FIFO_ON)?;
        uart.write(MODEM_CONTROL, MODEM_READY)?;
        uart.write(INTERRUPT_ENABLE, RECEIVE_INTERRUPT)?;
        Ok(uart)
    }

    /// The next byte that arrived.
    pub fn read_byte(&self) -> Result<Option<u8>, KernelError> {
        if self.read(LINE_STATUS)? & DATA_READY == 0 {
            return Ok(None);
        }
        self.read(DATA).map(|byte| Some(byte as u8))
    }

    /// Whether the transmit queue is empty: [`QUEUE_BYTES`] may be written.
    pub fn can_send(&self) -> Result<bool, KernelError> {
        self.read(LINE_STATUS).map(|status| status & TRANSMIT_EMPTY != 0)
    }

    /// Whether the last byte has left.
    pub fn is_idle(&self) -> Result<bool, KernelError> {
        self.read(LINE_STATUS).map(|status| status & TRANSMITTER_IDLE != 0)
    }

    /// Sends a byte; after [`Uart::can_send`] only.
    pub fn send(&self, byte: u8) -> Result<(), KernelError> {
        self.write(DATA, u32::from(byte))
    }

    /// Whether to interrupt when the transmit queue is empty.
    pub fn interrupt_when_sent(&mut self, wanted: bool) -> Result<(), KernelError> {
        if wanted != self.transmit_interrupt {
            let enable = if wanted { RECEIVE_INTERRUPT | TRANSMIT_INTERRUPT } else { RECEIVE_INTERRUPT };
            self.write(INTERRUPT_ENABLE, enable)?;
            self.transmit_interrupt = wanted;
        }
        Ok(())
    }

    fn read(&self, register: u16) -> Result<u32, KernelError> {
        syscall::port_read(self.ports, register, 1)
    }

    fn write(&self, register: u16, value: u32) -> Result<(), KernelError> {
        syscall::port_write(self.ports, register, 1, value)
    }
}
