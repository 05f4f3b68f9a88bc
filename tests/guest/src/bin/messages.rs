//! Sends malformed messages to physmem and the file servers: unknown labels, too few and too many words, absurd numbers,
//! capabilities of the wrong kind. Each must be answered with an error in time, and nobody may have grown.
//!
//! Arguments: a seed, the number of messages, a file.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;
use kernel_abi::message::MessageInfo;
use kernel_abi::{KernelError, SystemCall};
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract};
use kernel_runtime::files::Names;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, Handle};
use tests_guest::{Books, Failed, Random, Report};

kernel_runtime::program!(main);

/// What is given up to the messages.
const ALLOWANCE: Allowance = Allowance { guaranteed: 64, extra_limit: 16, pin_limit: 8 };
/// Longest that an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u64>().ok());
    let result = match startup.arguments[..] {
        [seed, count, file] => match (number(seed), number(count)) {
            (Some(seed), Some(count)) => run(&startup, &mut report, seed, count, file),
            _ => Err(Failed("seed and count must be numbers".to_string())),
        },
        _ => Err(Failed("usage: messages SEED COUNT FILE".to_string())),
    };
    report.finish("messages", result)
}

fn run(startup: &Startup<'_>, report: &mut Report, seed: u64, count: u64, file: &[u8]) -> Result<(), Failed> {
    let names = Names::from_startup(startup);
    let node = names.lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let roots: Vec<Handle> = startup.mounts.iter().map(|&(_, entry)| Handle(entry)).collect();
    let mut random = Random::new(seed);
    bombard(&mut random, &[node.handle(), roots[0], roots[roots.len() - 1]], &[node.handle()], 100)?;
    let before = Books::look(startup)?;

    let mut targets = roots;
    targets.push(node.handle());
    let container = OwnContainer::new(4).map_err(|error| ("container", error))?;
    let with = [container.handle(), node.handle(), CONTRACT];
    let refused = bombard(&mut random, &targets, &with, count)?;
    drop(container);
    Books::look(startup)?.check_same(&before, "messages")?;
    report
        .line(format_args!("messages: file servers refused {refused} of {count}, the others were harmless"));

    let contract = OwnContract::split(CONTRACT, &ALLOWANCE, "bombarded").map_err(|error| ("split", error))?;
    let space = contract.create_space("bombarded").map_err(|error| ("space", error))?;
    let container = OwnContainer::under(contract.handle(), 16).map_err(|error| ("container", error))?;
    let targets = [contract.handle(), space.space.handle(), container.handle()];
    let refused = bombard(&mut random, &targets, &targets, count)?;
    drop((container, space, contract));
    let after = Books::look(startup)?;
    after.check_same(&before, "messages")?;
    report.line(format_args!("messages: physmem refused {refused} of {count}, the others were harmless"));
    Ok(())
}

/// Sends so many messages; how many were refused.
fn bombard(random: &mut Random, targets: &[Handle], with: &[Handle], count: u64) -> Result<u64, Failed> {
    let mut refused = 0;
    for _ in 0..count {
        let target = targets[random.below(targets.len() as u64) as usize];
        let label = if random.below(8) == 0 { random.edgy() as u32 } else { random.below(72) as u32 };
        let capabilities = random.below(4) as usize;
        let handles: Vec<Handle> =
            (0..capabilities).map(|_| with[random.below(with.len() as u64) as usize]).collect();
        kernel_runtime::current::current().put_capabilities(&handles);
        let info = MessageInfo::new(label, random.below(12) as usize, capabilities);
        let words = core::array::from_fn(|_| random.edgy());
        let deadline = Deadline::after(ANSWER).nanoseconds();
        let returned = raw::message(SystemCall::Call, u64::from(target.0), info.0, words, deadline);
        match KernelError::from_status(returned.status) {
            None => refused += u64::from(MessageInfo(returned.info).label() != 0),
            // A contract or space among the targets may have been told to destroy itself.
            Some(KernelError::Stale) => {}
            Some(error) => return Err(Failed(alloc::format!("label {label}: {error:?}"))),
        }
    }
    Ok(refused)
}
