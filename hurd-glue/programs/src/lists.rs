//! physmem's lists, entry by entry. The list may change meanwhile: where the place to go on from is gone, the
//! walk starts anew, and gives up after a few times.

use alloc::vec::Vec;
use containers_api::MemoryError;
use containers_api::control::{ContainerEntry, ContractEntry, SpaceEntry};
use containers_api::control::{ContainerList, ContractList, SpaceList};
use kernel_protocol::Request;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::{Deadline, Handle};

/// Times that a walk is started.
const WALKS_MAX: usize = 8;

fn walk<R, E>(
    control: Handle,
    request: impl Fn(u64) -> R,
    next: impl Fn(&E) -> u64,
) -> Result<Vec<E>, MemoryCallError>
where
    R: Request<Reply = E, Error = MemoryError>,
{
    let mut result = Ok(Vec::new());
    for _ in 0..WALKS_MAX {
        let (mut entries, mut cursor) = (Vec::new(), 0);
        result = loop {
            match call(control, &request(cursor), &[], Deadline::NEVER) {
                Ok(entry) => {
                    cursor = next(&entry);
                    entries.push(entry);
                    if cursor == 0 {
                        return Ok(entries);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        let is_gone =
            matches!(&result, Err(CallError::Refused(refusal)) if refusal.error == MemoryError::OutOfRange);
        if is_gone && cursor == 0 {
            return Ok(Vec::new());
        }
        if !is_gone {
            break;
        }
    }
    result
}

/// All contracts.
pub fn contracts(control: Handle) -> Result<Vec<ContractEntry>, MemoryCallError> {
    walk(control, |cursor| ContractList { cursor }, |entry| entry.next)
}

/// All containers.
pub fn containers(control: Handle) -> Result<Vec<ContainerEntry>, MemoryCallError> {
    walk(control, |cursor| ContainerList { cursor }, |entry| entry.next)
}

/// All address spaces.
pub fn spaces(control: Handle) -> Result<Vec<SpaceEntry>, MemoryCallError> {
    walk(control, |cursor| SpaceList { cursor }, |entry| entry.next)
}
