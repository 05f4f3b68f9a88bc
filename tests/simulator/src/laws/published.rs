//! What physmem publishes: the pressure page, and the page of each contract whose calls are watched. Whoever reads them asks
//! nobody, so what they say must be so whenever physmem has done a step.

use crate::law;
use crate::world::World;
use containers_api::page::{Level, contract as place, pressure};
use containers_core::record::{Contract, Name, Records};
use physmem_core::layout::contract;
use physmem_core::limits::lending_margin;
use physmem_core::machine::managed_frames;

/// What the page may say later than it is so, in frames: smaller changes are not written.
const COARSE_FRAMES: u64 = 16;

/// The pressure page against what is there.
pub fn check_pressure(world: &World<'_>) {
    let Some(words) = world.machine.pressure_page() else { return };
    let status = world.machine.revocation_status();
    law!("pressure-page", words[pressure::SEQUENCE].is_multiple_of(2), "it is being written");
    let waiters = words[pressure::WAITERS];
    law!("pressure-page", waiters == status.waiting, "{waiters} waiters, {} are there", status.waiting);
    let capacity = managed_frames(world.machine.database()) - world.machine.system_status().reserve;
    let margin = lending_margin(capacity);
    let free = status.room.saturating_sub(margin);
    let lendable = if status.waiting == 0 { free } else { 0 };
    let told = words[pressure::LENDABLE];
    let close = told.abs_diff(lendable) < COARSE_FRAMES;
    law!("pressure-page", close, "{told} frames to lend, {lendable} are there");
    let level = Level::from_number(words[pressure::LEVEL]);
    if status.extra == 0 {
        law!("pressure-page", level == Level::None, "{level:?}, and nothing is lent");
    } else if status.waiting != 0 {
        law!("pressure-page", level != Level::None, "no pressure, and {waiters} wait");
    } else if lendable < margin {
        law!("pressure-page", level != Level::None, "no pressure, and {lendable} frames are left");
    }
}

/// A contract's page against its record.
pub fn check_contract_page(world: &World<'_>, this: Name<Contract>) {
    let machine = &world.machine;
    let Some(words) = machine.contract_page(this) else { return };
    law!("contract-page", words[place::SEQUENCE].is_multiple_of(2), "it is being written");
    let (called, calls) = (words[place::CALL], machine.get(this, contract::CALLS));
    law!("contract-page", called == calls, "call {called} is told, {calls} were made");
    let (told, deadline) = (words[place::CALL_DEADLINE], machine.get(this, contract::CALL_DEADLINE));
    law!("contract-page", told == deadline, "a call until {told} is told, {deadline} is so");
    let frames = words[place::CALL_FRAMES];
    law!("contract-page", (frames != 0) == (deadline != 0), "{frames} frames, called until {deadline}");
    let (told, expires) = (words[place::EXPIRES], machine.get(this, contract::EXPIRES));
    law!("contract-page", told == expires, "an end at {told} is told, {expires} is so");
}
