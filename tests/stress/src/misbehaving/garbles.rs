//! Sends messages that make no sense, to everybody whom it can name.
//!
//! Law 9: a malformed request gets a typed error and changes nothing for anybody else. Labels, word counts, words and
//! capabilities are random, with a liking for edges. The task's own contract, space and container are among the addressees,
//! so now and then it does itself harm; that is no breach. An answer must come in time.

use super::Attacker;
use crate::numbered::PATH;
use alloc::vec::Vec;
use core::time::Duration;
use kernel_abi::message::MessageInfo;
use kernel_abi::{KernelError, SystemCall};
use kernel_runtime::containers::{OwnContainer, OwnContract};
use kernel_runtime::files::Names;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, Handle, current};
use tests_guest::Failed;
use tests_guest::child::ALLOWANCE;
use tests_stress_core::tally::Counter;

/// Messages of one round.
const MESSAGES: u32 = 500;
/// Labels from here on belong to nobody.
const LABELS: u64 = 96;
/// Longest that an answer may take while everybody floods.
const ANSWER: Duration = Duration::from_secs(20);
/// Words in registers and some more.
const WORDS: u64 = 24;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let node = Names::from_startup(startup).lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let small = kernel_runtime::containers::Allowance { guaranteed: 48, pin_limit: 4, ..ALLOWANCE };
    let contract = OwnContract::split(CONTRACT, &small, "garbled").map_err(|error| ("split", error))?;
    let container = OwnContainer::under(contract.handle(), 16).map_err(|error| ("container", error))?;
    let mut targets: Vec<Handle> = startup.mounts.iter().map(|&(_, root)| Handle(root)).collect();
    targets.extend([node.handle(), contract.handle(), container.handle()]);
    targets.extend(startup.capability("control"));
    for _ in 0..MESSAGES {
        page.count(Counter::Tried);
        let mut any = || targets[random.below(targets.len() as u64) as usize];
        let (target, with) = (any(), [any(), any(), any()]);
        let capabilities = random.below(4) as usize;
        current::current().put_capabilities(&with[..capabilities]);
        let label = if random.below(8) == 0 { random.edgy() as u32 } else { random.below(LABELS) as u32 };
        let info = MessageInfo::new(label, random.below(WORDS) as usize, capabilities);
        let words = core::array::from_fn(|_| random.edgy());
        let deadline = Deadline::after(ANSWER).nanoseconds();
        let returned = raw::message(SystemCall::Call, u64::from(target.0), info.0, words, deadline);
        match KernelError::from_status(returned.status) {
            None if MessageInfo(returned.info).label() == 0 => page.count(Counter::Granted),
            None => page.count(Counter::Refused),
            Some(KernelError::TimedOut) => page.breach(format_args!("no answer to label {label}")),
            Some(_) => page.count(Counter::Unanswered),
        }
    }
    Ok(())
}
