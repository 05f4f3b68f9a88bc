//! Fills a contract with every kind of record and object until physmem refuses, and checks that nobody else paid: physmem's own
//! frames and all other contracts hold what they held. Then the contract goes, and everything is as before.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use containers_api::container::{Allocate, Grant, Lock};
use containers_api::contract::{ContainerCreate, EndpointCreate, NotificationCreate, SpaceCreate, Split};
use containers_api::space::{Map, MapProtection, TableGrow, ThreadCreate};
use containers_api::{ContainerRights, LockMode, MemoryError, Name};
use kernel_protocol::Request;
use kernel_runtime::containers::{Allowance, NewSpace, OwnContract};
use kernel_runtime::ipc::{CallError, call_for_answer};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle};
use tests_guest::{Books, Failed, Report};

kernel_runtime::program!(main);

/// What the contract may hold.
const ALLOWANCE: Allowance = Allowance { guaranteed: 96, extra_limit: 0, pin_limit: 32 };
/// Requests of one kind at most: it must be refused before.
const REQUESTS_MAX: u64 = 200_000;
/// Pages of the sparse container.
const SPARSE_PAGES: u64 = 1 << 32;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = run(&startup, &mut report);
    report.finish("records", result)
}

type Fill = fn(&OwnContract) -> Result<u64, Failed>;

const FILLS: &[(&str, Fill)] = &[
    ("containers", |contract| until_refused(contract.handle(), &[], |_| ContainerCreate { pages: 1 })),
    ("page arrays", fill_page_arrays),
    ("grants", |contract| {
        let container = container(contract, 16)?;
        let rights = ContainerRights::MAP;
        until_refused(container.handle(), &[], |_| Grant {
            first_page: 0,
            pages: 1,
            rights,
            maximum_lock_ns: 1,
        })
    }),
    ("locks", fill_locks),
    ("mappings", fill_mappings),
    ("contracts", |contract| {
        let name = Name::truncated("grandchild");
        until_refused(contract.handle(), &[], |_| Split::new(1, 0, 0, name))
    }),
    ("endpoints", |contract| until_refused(contract.handle(), &[], |_| EndpointCreate {})),
    ("notifications", |contract| until_refused(contract.handle(), &[], |_| NotificationCreate {})),
    ("address spaces", |contract| {
        until_refused(contract.handle(), &[], |_| SpaceCreate { name: Name::truncated("full") })
    }),
    ("threads", |contract| {
        let NewSpace { space, .. } = contract.create_space("full").map_err(|error| ("space", error))?;
        until_refused(space.handle(), &[], |_| ThreadCreate {})
    }),
    ("capability tables", |contract| {
        let NewSpace { space, .. } = contract.create_space("full").map_err(|error| ("space", error))?;
        until_refused(space.handle(), &[], |_| TableGrow {})
    }),
];

fn run(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    // Twice: what the first round makes for good is there in the second.
    for round in 0..2 {
        for (name, fill) in FILLS {
            let contract =
                OwnContract::split(CONTRACT, &ALLOWANCE, "full").map_err(|error| ("split", error))?;
            let before = Books::look(startup)?;
            let made = fill(&contract)?;
            let full = Books::look(startup)?;
            full.check_same(&before, "full").or_else(|failed| ignore_children(&full, &before, failed))?;
            drop(contract);
            let after = Books::look(startup)?;
            after.check_sum()?;
            if after.system.held > before.system.held {
                return Err(Failed(alloc::format!("{name}: frames are still held after the contract's end")));
            }
            if round == 1 {
                report.line(format_args!("records: {made} {name}, then refused; nobody else paid"));
            }
        }
    }
    Ok(())
}

/// Contracts below the full one are new, and its own business.
fn ignore_children(full: &Books, before: &Books, failed: Failed) -> Result<(), Failed> {
    let mut own = full.clone();
    own.contracts.retain(|contract| contract.name.as_str() != "grandchild");
    if own.contracts.len() == full.contracts.len() {
        return Err(failed);
    }
    own.check_same(before, "full")
}

/// Asks for the same kind of thing until it is refused for want of frames or a named limit. What comes back is dropped.
fn until_refused<R: Request<Error = MemoryError>>(
    on: Handle,
    with: &[Handle],
    request: impl Fn(u64) -> R,
) -> Result<u64, Failed> {
    for made in 0..REQUESTS_MAX {
        match call_for_answer(on, &request(made), with, Deadline::NEVER) {
            Ok(_) => {}
            Err(CallError::Refused(refusal)) => return accept(made, refusal.error),
            Err(error) => return Err(("request", error).into()),
        }
    }
    Err(Failed(alloc::format!("{REQUESTS_MAX} requests and no refusal")))
}

fn accept(made: u64, error: MemoryError) -> Result<u64, Failed> {
    use MemoryError::{ContractExhausted, Limit, NoRecord, NotAdmitted, PinLimit};
    match error {
        ContractExhausted | NoRecord | NotAdmitted | Limit | PinLimit => Ok(made),
        _ => Err(("refused for another reason", error).into()),
    }
}

fn container(contract: &OwnContract, pages: u64) -> Result<Capability, Failed> {
    let answer = call_for_answer(contract.handle(), &ContainerCreate { pages }, &[], Deadline::NEVER)
        .map_err(|error| ("container", error))?;
    answer.received.take(0).map_err(|error| ("container's capability", error).into())
}

/// One page in each far corner of a huge container.
fn fill_page_arrays(contract: &OwnContract) -> Result<u64, Failed> {
    let container = container(contract, SPARSE_PAGES)?;
    until_refused(container.handle(), &[], |made| Allocate {
        first_page: made * 65_537 % SPARSE_PAGES,
        pages: 1,
        any_contents: false,
    })
}

/// Locks of one page each, side by side.
fn fill_locks(contract: &OwnContract) -> Result<u64, Failed> {
    let container = container(contract, SPARSE_PAGES)?;
    let term_ns = 1_000_000_000_000;
    until_refused(container.handle(), &[], |made| Lock {
        first_page: made,
        pages: 1,
        mode: LockMode::Stable,
        term_ns,
    })
}

/// The same page at many addresses.
fn fill_mappings(contract: &OwnContract) -> Result<u64, Failed> {
    let NewSpace { space, .. } = contract.create_space("full").map_err(|error| ("space", error))?;
    let containers: Vec<Capability> = [container(contract, 1)?].into();
    until_refused(space.handle(), &[containers[0].handle()], |made| Map {
        address: 0x1_0000_0000 + made * 0x20_0000,
        pages: 1,
        first_page: 0,
        protection: MapProtection::WRITE,
        populate: true,
    })
}
