//! Makes page tables until it is refused.
//!
//! Law 8: page tables are frames that the contract pays for. One page of a container is mapped at addresses so far apart
//! that each mapping needs tables of its own, and touched there. The kernel asks physmem for tables, physmem charges the
//! contract, and in the end refuses: the request with an error, or the touch by ending the thread. Unmapping must give the
//! tables back.

use super::Attacker;
use containers_api::space::{Map, MapProtection, Unmap};
use kernel_runtime::Deadline;
use kernel_runtime::containers::{OwnContainer, contract_status};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::{CONTRACT, SPACE};
use tests_guest::Failed;

/// First address, beyond what the runtime uses.
const FIRST: u64 = 0x6100_0000_0000;
/// Distances: each needs one table more, or two, or three.
const STRIDES: [u64; 3] = [2 << 20, 1 << 30, 512 << 30];
/// Mappings of one round.
const MAPPINGS: u64 = 200;
/// Tables that may stay: those that the next round would need again.
const TABLES_KEPT: u64 = 64;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    container.allocate(0..1, false).map_err(|error| ("allocation", error))?;
    let before = contract_status(CONTRACT).map_err(|error| ("status", error))?.kernel;
    let stride = STRIDES[random.below(3) as usize];
    let count = MAPPINGS.min((0x6f00_0000_0000 - FIRST) / stride);
    let mut made = 0;
    while made < count {
        let address = FIRST + made * stride;
        let request =
            Map { address, pages: 1, first_page: 0, protection: MapProtection::WRITE, populate: true };
        if page.outcome(call(SPACE, &request, &[container.handle()], Deadline::NEVER)).is_none() {
            break;
        }
        made += 1;
    }
    let pages = (made * stride + (4 << 10)) >> 12;
    page.outcome(call(SPACE, &Unmap { address: FIRST, pages }, &[], Deadline::NEVER));
    let after = contract_status(CONTRACT).map_err(|error| ("status", error))?.kernel;
    page.check(
        after <= before + TABLES_KEPT,
        format_args!("{before} kernel frames before, {after} after unmapping"),
    );
    Ok(())
}
