//! The children of `lending`: each takes as many extra frames as it gets, writes a word to every page, says that it is ready, and
//! waits for the call.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::container::SetEviction;
use containers_api::page::Fate;
use containers_api::space::MapProtection;
use core::time::Duration;
use kernel_runtime::containers::{OwnContainer, call_status, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::self_paging::{ContractState, GiveBack, InOrder, Repossessions, Watch, listen, pressure};
use kernel_runtime::startup::Startup;
use kernel_runtime::sync::Mutex;
use kernel_runtime::{Deadline, syscall, threads};
use tests_guest::{Failed, Report};

/// Exit status of a borrower that found everything as it must be.
pub const RIGHT: u32 = 55;
/// Bytes of a page.
const PAGE_BYTES: usize = 4096;
/// Pages of a container: more than there are.
const PAGES: u64 = 1 << 15;
/// Pages taken at a time.
const STEP_PAGES: u64 = 32;
/// Frames that page tables for a step may need, and what the pressure page tells late.
const TABLE_FRAMES: u64 = 20;
/// Looks for what must happen, and the time between them.
const LOOKS: u32 = 1000;
const LOOK_TIME: Duration = Duration::from_millis(5);
/// After that nothing more is expected to happen.
const QUIET_TIME: Duration = Duration::from_millis(200);
/// Bytes of stack and of heap that a borrower uses at most.
const STACK_BYTES: usize = 96 << 10;
const HEAP_BYTES: usize = 96 << 10;
/// Standing of a contract that has ignored no call.
const STANDING: u64 = 3;

/// Runs a borrower. One that ignores its call does not come back from a page that it lost.
pub fn run(startup: &Startup<'static>, report: &mut Report, part: &[u8]) -> i32 {
    let result = match part {
        _ if prepare().is_err() => Err(Failed("no memory to begin with".to_string())),
        b"watches" => watches(startup),
        b"ignores" => ignores(startup, report),
        _ => Err(Failed("watches or ignores".to_string())),
    };
    match result {
        Ok(()) => RIGHT as i32,
        failed => report.finish("borrower", failed),
    }
}

/// Nobody sets a bit of it.
static NOTHING: Mutex<Option<Notification>> = Mutex::new(None);

/// Waits, for nothing.
pub fn pause(time: Duration) -> Result<(), Failed> {
    let mut nothing = NOTHING.lock();
    if nothing.is_none() {
        *nothing = Some(Notification::new().map_err(|error| ("notification", error))?);
    }
    if let Some(nothing) = &*nothing {
        let _ = nothing.wait(Deadline::after(time));
    }
    Ok(())
}

/// Has everything there that is needed later: whoever holds extra frames gets no more when frames are short, not even a page of
/// stack.
fn prepare() -> Result<(), Failed> {
    threads::touch_stack::<STACK_BYTES>();
    drop(core::hint::black_box(Vec::<u8>::with_capacity(HEAP_BYTES)));
    pause(Duration::ZERO)
}

/// Pages that are held from the first one on, each with its number written to it.
struct Holding {
    container: OwnContainer,
    mapping: Mutex<Mapping>,
    held: Mutex<u64>,
}

impl Holding {
    fn new() -> Result<Holding, Failed> {
        let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
        let mapping =
            Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        Ok(Holding { container, mapping: Mutex::new(mapping), held: Mutex::new(0) })
    }

    fn held(&self) -> u64 {
        *self.held.lock()
    }

    /// Takes up to so many pages. Whether it got them.
    fn take(&self, most: u64) -> Result<bool, Failed> {
        loop {
            // Nobody gives back meanwhile.
            let mut held = self.held.lock();
            let first = *held;
            if first >= most {
                return Ok(true);
            }
            let next = (first + STEP_PAGES).min(most);
            // Page tables for what was taken are extra frames, too: with the last frame gone the first touch would end the thread.
            if pressure::read().lendable < STEP_PAGES + TABLE_FRAMES {
                return Ok(false);
            }
            match self.container.allocate(first..next, true) {
                Ok(_) => *held = next,
                Err(error) if error.refusal() == Some(MemoryError::ContractExhausted) => return Ok(false),
                Err(error) => return Err(("allocate", error).into()),
            }
            let mut mapping = self.mapping.lock();
            let pages = mapping.as_mut_slice().chunks_mut(PAGE_BYTES).enumerate();
            for (number, page) in pages.take(next as usize).skip(first as usize) {
                page[..8].copy_from_slice(&word(number).to_le_bytes());
            }
        }
    }

    fn check(&self, page: u64) -> Result<(), Failed> {
        let mapping = self.mapping.lock();
        let bytes = &mapping.as_slice()[page as usize * PAGE_BYTES..][..8];
        if bytes == word(page as usize).to_le_bytes() {
            Ok(())
        } else {
            Err(Failed(format!("page {page} has lost its contents, and nobody said so")))
        }
    }
}

fn word(page: usize) -> u64 {
    (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl GiveBack for Holding {
    fn give_back(&self, pages: u64) -> u64 {
        let mut held = self.held.lock();
        let first = held.saturating_sub(pages);
        if self.container.deallocate(first..*held).is_err() {
            return 0;
        }
        core::mem::replace(&mut *held, first) - first
    }
}

fn ready(startup: &Startup<'_>) -> Result<(), Failed> {
    let ready = startup.capability("ready").ok_or(Failed("nobody to tell".to_string()))?;
    syscall::signal(ready).map_err(|error| ("signal", error).into())
}

/// Looks again and again until something has happened.
fn until(what: &'static str, mut happened: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    for _ in 0..LOOKS {
        if happened()? {
            return pause(QUIET_TIME);
        }
        pause(LOOK_TIME)?;
    }
    Err(Failed(format!("it did not happen that {what}")))
}

fn watches(startup: &Startup<'_>) -> Result<(), Failed> {
    let holding: &'static Holding = Box::leak(Box::new(Holding::new()?));
    Watch::start(InOrder::new().cache(holding)).map_err(|error| ("watch", error))?;
    if holding.take(PAGES)? {
        return Err(Failed("more memory than the machine has".to_string()));
    }
    let taken = holding.held();
    ready(startup)?;
    let calls = || call_status(CONTRACT).map_err(|error| ("calls", error));
    until("a call was met", || Ok(calls()?.met > 0))?;
    let (calls, status) = (calls()?, contract_status(CONTRACT).map_err(|error| ("status", error))?);
    let state = ContractState::read().map_err(|error| ("contract page", error))?;
    let is_good = calls.met == calls.sequence
        && (status.standing, status.seized, state.seizures) == (STANDING, 0, 0)
        && holding.held() < taken;
    if !is_good {
        return Err(Failed(format!("{calls:?}, {status:?}, {state:?}")));
    }
    (0..holding.held()).try_for_each(|page| holding.check(page))
}

/// Orders of eviction: the first one goes first although its rank is higher, because it is discardable; the last has none.
const ORDERS: [SetEviction; 3] = [
    SetEviction { rank: 2, discardable: true, vital: false },
    SetEviction { rank: 1, discardable: false, vital: false },
    SetEviction { rank: 0, discardable: false, vital: false },
];

fn ignores(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    // No thread answers, and no other thread keeps the task alive when this one is ended.
    let _calls = listen().map_err(|error| ("listening", error))?;
    let mut holdings = Vec::new();
    let all = pressure::read().lendable;
    for (order, part) in ORDERS.into_iter().zip([all / 4, all / 4, PAGES]) {
        let holding = Holding::new()?;
        holding.container.set_eviction(&order).map_err(|error| ("order", error))?;
        holding.take(part)?;
        holdings.push(holding);
    }
    ready(startup)?;
    let seizures =
        || ContractState::read().map(|state| state.seizures).map_err(|error| ("contract page", error));
    until("something was seized", || Ok(seizures()? > 0))?;
    // The claim goes on for a while, request by request.
    until("nothing more was seized", || {
        let before = seizures()?;
        pause(QUIET_TIME)?;
        Ok(seizures()? == before)
    })?;
    check_record(&holdings, report)?;
    let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let calls = call_status(CONTRACT).map_err(|error| ("calls", error))?;
    let is_bad_conduct = calls.met == 0 && calls.sequence > 0;
    if !is_bad_conduct || status.standing != STANDING.saturating_sub(calls.sequence) {
        return Err(Failed(format!("calls were ignored: {calls:?}, {status:?}")));
    }
    // Every page that the record does not name is as it was; this one is named.
    holdings[0].check(0)?;
    Err(Failed("a page that was seized can be read".to_string()))
}

/// Compares the record with the pages: what it names is lost and nothing else is, and the order was kept.
fn check_record(holdings: &[Holding], report: &mut Report) -> Result<(), Failed> {
    let mut record: Vec<_> = Repossessions::since(0).map_err(|error| ("record", error))?.collect();
    let named: u64 = record.iter().map(|entry| entry.pages).sum();
    let mut lost = [0_u64; 3];
    for (holding, (lost, order)) in holdings.iter().zip(lost.iter_mut().zip(ORDERS)) {
        let number = holding.container.status().map_err(|error| ("container", error))?.number;
        for state in holding.container.page_states(0..holding.held(), false) {
            let (page, state) = state.map_err(|error| ("page states", error))?;
            let names = |entry: &&kernel_runtime::self_paging::Repossession| {
                entry.container == number
                    && (entry.first_page..entry.first_page + entry.pages).contains(&page)
            };
            let fate = record.iter().find(names).map(|entry| entry.fate);
            let expected = if order.discardable { Fate::Discarded } else { Fate::Lost };
            match (state.is_lost(), fate) {
                (true, Some(fate)) if fate == expected => *lost += 1,
                (false, None) => holding.check(page)?,
                other => return Err(Failed(format!("page {page} of {order:?}: {other:?}"))),
            }
        }
    }
    let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let sum: u64 = lost.iter().sum();
    if named != sum || status.seized != sum {
        return Err(Failed(format!("{named} pages named, {sum} lost, {} seized", status.seized)));
    }
    let held: Vec<u64> = holdings.iter().map(Holding::held).collect();
    let in_order = lost[0] == held[0] && (1..held[1]).contains(&lost[1]) && lost[2] == 0;
    if !in_order {
        return Err(Failed(format!("of {held:?} pages {lost:?} are lost")));
    }
    report.line(format_args!(
        "lending: {} of the first, {} of the second container are lost, as {} entries say",
        lost[0],
        lost[1],
        record.drain(..).count()
    ));
    Ok(())
}
