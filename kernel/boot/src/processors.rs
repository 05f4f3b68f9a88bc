//! The other processors: which of them are started, and that boot goes on where one does not come.

use crate::memory::Memory;
use crate::start_info::StartInfo;
use kernel_abi::FRAME_BYTES;
use kernel_arch::apic;
use kernel_arch::startup::{self, TRAMPOLINE};
use kernel_core::processor::PROCESSORS_MAX;

/// Starts the processors that the machine has, up to [`PROCESSORS_MAX`]. How many run, this one included.
pub fn start(memory: &mut Memory, info: &StartInfo) -> usize {
    if info.processor_count > PROCESSORS_MAX {
        log::warn!("of {} processors {PROCESSORS_MAX} are used", info.processor_count);
    }
    let page = TRAMPOLINE..TRAMPOLINE + FRAME_BYTES;
    if !info.ram().any(|range| range.start <= page.start && page.end <= range.end) {
        log::warn!("no memory at {TRAMPOLINE:#x} to start other processors: one is used");
        return 1;
    }
    // SAFETY: the page is RAM below the kernel's image, all of which the kernel keeps and does not use.
    unsafe { startup::prepare() };
    let mut running = 1;
    for identifier in info.processors().filter(|&identifier| identifier != apic::own_identifier()) {
        if running == PROCESSORS_MAX {
            break;
        }
        if startup::start(memory, running, identifier) {
            running += 1;
        } else {
            log::error!("processor {identifier} does not start: it is left out");
        }
    }
    running
}
