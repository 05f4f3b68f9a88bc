//! Asks for more memory than its contract allows, in the ways there are, and expects an error that says so each time. Then it
//! goes on working with what it has. With the argument `touch` it touches more than it may have, and does not outlive that.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::space::MapProtection;
use core::hint::black_box;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Pages of a container that no machine has frames for.
const HUGE_PAGES: u64 = 1 << 30;
/// Pages asked for at a time.
const STEP_PAGES: u64 = 64;
/// Pages of a container beyond what any program is allowed.
const TOUCHED_PAGES: u64 = 1 << 20;
/// Bytes of a page.
const PAGE_BYTES: usize = 4096;
/// What is split off: as many frames more than the step as kernel objects and records take.
const SMALL: Allowance = Allowance { guaranteed: 2 * STEP_PAGES, extra_limit: 0, pin_limit: 0 };

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [] => run(&mut report),
        [b"touch"] => touch(),
        _ => Err(Failed("usage: greedy [touch]".to_string())),
    };
    report.finish("greedy", result)
}

fn run(report: &mut Report) -> Result<(), Failed> {
    let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let too_much = Allowance { guaranteed: status.guaranteed + 1, ..SMALL };
    match OwnContract::split(CONTRACT, &too_much, "too much") {
        Err(error) if error.refusal() == Some(MemoryError::NotAdmitted) => {}
        other => return Err(Failed(format!("splitting off more than there is: {:?}", other.map(drop)))),
    }
    report.line(format_args!("greedy: more than the guarantee cannot be split off"));
    let pages = allocate_until_refused()?;
    report.line(format_args!("greedy: refused with a typed error beyond the contract"));
    if pages + 2 * STEP_PAGES < SMALL.guaranteed {
        return Err(Failed(format!("refused after {pages} pages of {}", SMALL.guaranteed)));
    }
    let mut heap: Vec<u8> = Vec::new();
    // Looked at, so that the compiler cannot do without the memory.
    if black_box(heap.try_reserve_exact(1 << 35)).is_ok() && black_box(heap.capacity()) > 0 {
        return Err(Failed("the heap gave 32 GiB".to_string()));
    }
    report.line(format_args!("greedy: the heap refuses what it cannot have"));
    black_box(heap.try_reserve_exact(1 << 16)).map_err(|error| ("a little heap", error))?;
    if black_box(&heap).capacity() < 1 << 16 {
        return Err(Failed("the heap gave nothing".to_string()));
    }
    Ok(())
}

/// Pages that a contract of its own gets before it is refused; all of them stay usable until then.
fn allocate_until_refused() -> Result<u64, Failed> {
    let contract = OwnContract::split(CONTRACT, &SMALL, "small").map_err(|error| ("split", error))?;
    let container =
        OwnContainer::under(contract.handle(), HUGE_PAGES).map_err(|error| ("container", error))?;
    let mut pages = 0;
    loop {
        match container.allocate(pages..pages + STEP_PAGES, false) {
            Ok(_) => pages += STEP_PAGES,
            Err(error) if error.refusal() == Some(MemoryError::ContractExhausted) => return Ok(pages),
            Err(error) => return Err(("allocate", error).into()),
        }
    }
}

/// Room in a container costs nothing; what lies in it does, from the first touch on.
fn touch() -> Result<(), Failed> {
    let container = OwnContainer::new(TOUCHED_PAGES).map_err(|error| ("container", error))?;
    let mut mapping = Mapping::new(&container, 0, TOUCHED_PAGES, MapProtection::WRITE)
        .map_err(|error| ("mapping", error))?;
    mapping.as_mut_slice().iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    Err(Failed(format!("touched {TOUCHED_PAGES} pages")))
}
