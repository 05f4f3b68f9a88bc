//! Uses capabilities that are stale, revoked, foreign, too weak or made up.
//!
//! Laws 3 and 9: what a capability does not allow is refused with a typed error, whatever words go with it. The task is given
//! a grant on a page of the supervisor's that it may only map for reading ([`FOREIGN`]), another one that was revoked
//! ([`REVOKED`]), and the authority to look at physmem's books and no more. It asks for everything that these do not allow,
//! makes copies with more rights and other badges, uses its own capabilities after what they name is gone, and guesses
//! handles and lock numbers. The supervisor checks that its pages stay what they are.

use super::{Attacker, unable};
use crate::page::Page;
use containers_api::container::{ContainerDestroy, Resize};
use containers_api::control::{ContractKill, DmaAuthority};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use kernel_runtime::containers::{Container, OwnContainer, OwnContract, contract_status};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::{CONTRACT, FIRST_THREAD, LOG, SPACE, TASK};
use kernel_runtime::memory::Mapping;
use kernel_runtime::{Capability, Deadline, Handle, Rights, syscall};
use tests_guest::child::ALLOWANCE;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// A grant on one page of somebody else's, for reading.
pub const FOREIGN: &str = "foreign";
/// A grant that was revoked.
pub const REVOKED: &str = "revoked";
/// What the foreign page is filled with.
pub const FOREIGN_BYTE: u8 = 0x42;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let given = |name| startup.capability(name).ok_or_else(|| unable(name));
    let (foreign, revoked, control) = (given(FOREIGN)?, given(REVOKED)?, given("control")?);
    with_borrowed(foreign, |foreign| use_foreign(page, foreign))?;
    with_borrowed(revoked, |revoked| use_revoked(page, revoked))?;
    let principal = 1 + random.below(8);
    page.must_refuse("killing by a look", call(control, &ContractKill { principal }, &[], Deadline::NEVER));
    let authority = DmaAuthority { device: 0 };
    page.must_refuse("authority over a device", call(control, &authority, &[CONTRACT], Deadline::NEVER));
    strengthen(page, foreign);
    use_stale(page)?;
    guess(page, random)
}

/// Runs something with a copy of an entry as a container.
fn with_borrowed(handle: Handle, work: impl FnOnce(&Container) -> Result<(), Failed>) -> Result<(), Failed> {
    let copy = Capability::copy(handle, Rights::SEND | Rights::TRANSFER).map_err(|error| ("copy", error))?;
    work(&Container::new(copy))
}

fn use_foreign(page: &mut Page, foreign: &Container) -> Result<(), Failed> {
    let own = OwnContainer::new(4).map_err(|error| ("container", error))?;
    page.must_refuse("mapping writable", Mapping::new(foreign, 0, 1, MapProtection::WRITE).map(drop));
    page.must_refuse(
        "mapping beyond the grant",
        Mapping::new(foreign, 1, 1, MapProtection::empty()).map(drop),
    );
    page.must_refuse("mapping too much", Mapping::new(foreign, 0, 2, MapProtection::empty()).map(drop));
    page.must_refuse("allocating", foreign.allocate(0..1, false));
    page.must_refuse("taking frames away", foreign.deallocate(0..1));
    page.must_refuse("resizing", foreign.resize(100));
    page.must_refuse("sealing", foreign.seal());
    page.must_refuse("a lock", foreign.lock(0..1, LockMode::Stable, 1000));
    page.must_refuse("a fill lock", foreign.lock(0..1, LockMode::Fill, 1000));
    page.must_refuse("a dma lock", foreign.lock(0..1, LockMode::Dma, 1000));
    page.must_refuse("breaking locks", foreign.break_locks(0..1));
    page.must_refuse("granting on", foreign.grant(0..1, ContainerRights::MAP, 1000).map(drop));
    page.must_refuse("sharing on", foreign.share(ContainerRights::MAP).map(drop));
    page.must_refuse("copying out", foreign.copy_to(0, &own, 0, 4096));
    page.must_refuse("copying in", own.copy_to(0, foreign, 0, 4096));
    page.must_refuse("moving away", foreign.move_to(0..1, &own, 0));
    page.must_refuse("moving in", own.move_to(0..1, foreign, 0));
    page.must_refuse("destroying", call(foreign.handle(), &ContainerDestroy {}, &[], Deadline::NEVER));
    if let Some(mapping) = page.outcome(Mapping::new(foreign, 0, 1, MapProtection::empty())) {
        let is_right = mapping.as_slice().iter().all(|byte| *byte == FOREIGN_BYTE);
        page.check(is_right, format_args!("the foreign page was changed"));
    }
    Ok(())
}

fn use_revoked(page: &mut Page, revoked: &Container) -> Result<(), Failed> {
    page.must_refuse(
        "mapping what was revoked",
        Mapping::new(revoked, 0, 1, MapProtection::empty()).map(drop),
    );
    page.must_refuse("looking at what was revoked", revoked.status());
    page.must_refuse("locking what was revoked", revoked.lock(0..1, LockMode::Stable, 1000));
    page.must_refuse("granting what was revoked", revoked.grant(0..1, ContainerRights::MAP, 1000).map(drop));
    Ok(())
}

/// Copies with more rights or another badge.
fn strengthen(page: &mut Page, foreign: Handle) {
    for handle in [foreign, CONTRACT, SPACE, TASK, FIRST_THREAD, LOG] {
        for rights in [Rights::MINT | Rights::SEND, Rights::RECEIVE, Rights::CONFIGURE, Rights::all()] {
            page.count(Counter::Tried);
            let copied = Capability::copy(handle, rights).is_ok();
            page.check(!copied, format_args!("handle {} copied with {rights:?}", handle.0));
        }
        page.count(Counter::Tried);
        let minted = Capability::mint(handle, Rights::SEND, 1 << 20).is_ok();
        page.check(!minted, format_args!("handle {} minted", handle.0));
    }
}

/// Capabilities of objects that are gone.
fn use_stale(page: &mut Page) -> Result<(), Failed> {
    let small = kernel_runtime::containers::Allowance { guaranteed: 32, pin_limit: 0, ..ALLOWANCE };
    let contract = OwnContract::split(CONTRACT, &small, "gone").map_err(|error| ("split", error))?;
    let made = OwnContainer::under(contract.handle(), 4).map_err(|error| ("container", error))?;
    let rights = Rights::SEND | Rights::TRANSFER;
    let container = Container::new(Capability::copy(made.handle(), rights).map_err(|error| ("copy", error))?);
    let handle = Capability::copy(contract.handle(), rights).map_err(|error| ("copy", error))?;
    drop((made, contract));
    page.must_refuse("a container that is gone", container.status());
    page.must_refuse("memory of what is gone", container.allocate(0..1, false));
    page.must_refuse("mapping what is gone", Mapping::new(&container, 0, 1, MapProtection::WRITE).map(drop));
    page.must_refuse("a contract that is gone", contract_status(handle.handle()));
    page.must_refuse("making under what is gone", OwnContainer::under(handle.handle(), 1));
    page.must_refuse("splitting what is gone", OwnContract::split(handle.handle(), &small, "more"));
    Ok(())
}

/// Handles and lock numbers at random.
fn guess(page: &mut Page, random: &mut Random) -> Result<(), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    for _ in 0..50 {
        page.must_refuse("a guessed lock", container.unlock(random.edgy(), 0));
        page.must_refuse("a guessed lock", container.lock_change(random.edgy(), LockMode::Stable, 0));
        page.must_refuse("a guessed lock", container.lock_pass(random.edgy(), LockMode::Dma, 1000).map(drop));
        let handle = Handle(2000 + random.edgy() as u32 % 1_000_000);
        page.must_refuse("a guessed handle", call(handle, &Resize { pages: 1 }, &[], Deadline::NEVER));
        page.count(Counter::Tried);
        let killed = syscall::task_kill(Handle(2000 + random.below(1 << 20) as u32), 1).is_ok();
        page.check(!killed, format_args!("a guessed handle has ended a task"));
    }
    Ok(())
}
