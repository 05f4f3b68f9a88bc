//! The books of all contracts, looked at while they change: what must hold at every moment.
//!
//! One contract's entry is one answer of physmem's and consistent in itself; the list of all is not one moment. So sums are
//! taken from the system's status alone, and a contract is compared with nothing but its own limits.

use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::control::{
    ContractEntry, ContractList, Latencies, Latency, LatencyStat, RevocationStat, RevocationStatus,
    SystemStat, SystemStatus,
};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::{Deadline, Handle};
use tests_guest::Failed;

/// Contracts that a look can list.
const CONTRACTS_MAX: usize = 4096;
/// Attempts to list them, since one that goes takes the place in the list with it.
const ATTEMPTS: u32 = 50;

/// What does not change while the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Constants {
    frames: u64,
    kernel: u64,
    guaranteed: u64,
    reserve: u64,
}

impl Constants {
    /// From a look.
    pub fn of(status: &SystemStatus) -> Constants {
        let &SystemStatus { frames, kernel, guaranteed, reserve, .. } = status;
        Constants { frames, kernel, guaranteed, reserve }
    }
}

/// All frames.
pub fn system(control: Handle) -> Result<SystemStatus, Failed> {
    call(control, &SystemStat {}, &[], Deadline::NEVER).map_err(|error| ("system status", error).into())
}

/// How frames were taken back since boot.
pub fn revocation(control: Handle) -> Result<RevocationStatus, Failed> {
    call(control, &RevocationStat {}, &[], Deadline::NEVER).map_err(|error| ("revocation", error).into())
}

/// Times that taking them back took, since boot.
pub fn latencies(control: Handle, which: Latency) -> Result<Latencies, Failed> {
    call(control, &LatencyStat { which }, &[], Deadline::NEVER).map_err(|error| ("latencies", error).into())
}

/// Laws 2 and 4 for the whole. What is wrong, if anything.
pub fn check_system(status: &SystemStatus, constants: &Constants) -> Option<&'static str> {
    let sum = status.kernel + status.free_zero + status.free_dirty + status.held + status.quarantined;
    if Constants::of(status) != *constants {
        return Some("law 2: what never changes has changed");
    }
    if sum != status.frames {
        return Some("law 2: the frames by state do not add up");
    }
    (status.guaranteed + status.reserve > status.frames).then_some("law 4: more is guaranteed than there is")
}

/// Laws 4 and 8 for one contract. What is wrong, if anything.
pub fn check_contract(entry: &ContractEntry) -> Option<&'static str> {
    let firm = entry.records + entry.kernel + entry.pinned;
    let held = entry.pages + entry.records + entry.kernel;
    if entry.pinned > entry.pin_limit {
        return Some("law 4: more is pinned than the contract allows");
    }
    if firm > entry.guaranteed {
        return Some("law 4: what cannot be taken back exceeds the guarantee");
    }
    // What is beyond a guarantee that was taken back is called for first, and then seized.
    if held > entry.guaranteed + entry.extra_limit && entry.due == 0 {
        return Some("law 4: more is held than the contract allows");
    }
    (held > entry.guaranteed + entry.extra).then_some("law 2: held, and neither guaranteed nor extra")
}

/// All contracts, one after the other.
pub fn contracts(control: Handle) -> Result<Vec<ContractEntry>, Failed> {
    for _ in 0..ATTEMPTS {
        if let Some(all) = try_contracts(control)? {
            return Ok(all);
        }
    }
    Err(Failed("the list of contracts does not hold still".into()))
}

/// `None`: the list has changed under the walk.
fn try_contracts(control: Handle) -> Result<Option<Vec<ContractEntry>>, Failed> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    while all.len() < CONTRACTS_MAX {
        match call(control, &ContractList { cursor }, &[], Deadline::NEVER) {
            Ok(entry) => {
                cursor = entry.next;
                all.push(entry);
                if cursor == 0 {
                    return Ok(Some(all));
                }
            }
            Err(CallError::Refused(refusal)) if refusal.error == MemoryError::OutOfRange => return Ok(None),
            Err(error) => return Err(("contracts", error).into()),
        }
    }
    Err(Failed("the list of contracts does not end".into()))
}
