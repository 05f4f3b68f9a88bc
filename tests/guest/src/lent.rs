//! Frames that a child contract holds beyond its guarantee, so that they are called and, unless they come back, seized; and how
//! long that takes.

use crate::Failed;
use alloc::format;
use alloc::string::ToString;
use containers_api::contract::{CallStat, TakeBack};
use containers_api::control::{Latencies, Latency, LatencyStat};
use containers_api::space::MapProtection;
use core::time::Duration;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::{Deadline, Handle};

/// Frames of the child beside its pages: records of its container, and of this page array.
pub const BESIDE: u64 = 128;
const NEVER: Deadline = Deadline::NEVER;

/// physmem's own times of one kind, so far.
pub fn times(control: Handle, which: Latency) -> Result<Latencies, Failed> {
    call(control, &LatencyStat { which }, &[], NEVER).map_err(|error| ("times", error).into())
}

/// A child contract with pages of a container, mapped and present.
pub struct Lent {
    /// The contract.
    pub child: OwnContract,
    /// Its pages.
    pub container: OwnContainer,
    _mapping: Mapping,
    /// What it can be asked for.
    pub asked: u64,
}

impl Lent {
    /// So many pages.
    pub fn new(frames: u64) -> Result<Lent, Failed> {
        let allowance = Allowance { guaranteed: frames + BESIDE, extra_limit: 0, pin_limit: 0 };
        let child = OwnContract::split(CONTRACT, &allowance, "child").map_err(|error| ("split", error))?;
        let container = OwnContainer::under(child.handle(), frames).map_err(|error| ("container", error))?;
        container.allocate(0..frames, true).map_err(|error| ("allocate", error))?;
        let mapping =
            Mapping::new(&container, 0, frames, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        Ok(Lent { child, container, _mapping: mapping, asked: frames })
    }

    /// Takes the guarantee for the pages away: they are extra then, beyond the limit, and called at once.
    pub fn take_back(&self) -> Result<(), Failed> {
        let status = self.child.status().map_err(|error| ("status", error))?;
        let kept = status.records + status.kernel;
        let take = TakeBack { guaranteed: status.guaranteed - kept, pin_limit: 0 };
        call(CONTRACT, &take, &[self.child.handle()], NEVER).map_err(|error| ("taking back", error))?;
        Ok(())
    }
}

/// From the deadline to the frames being free.
pub fn seizure(control: Handle, frames: u64) -> Result<u64, Failed> {
    let lent = Lent::new(frames)?;
    let earlier = times(control, Latency::Seizure)?;
    lent.take_back()?;
    let called = call(lent.child.handle(), &CallStat {}, &[], NEVER).map_err(|error| ("call", error))?;
    // On a busy host the deadline may have passed by now.
    if called.frames == 0 && called.sequence == 0 {
        return Err(Failed(format!("no call: {called:?}")));
    }
    let nobody = Notification::new().map_err(|error| ("notification", error))?;
    // Later than that: that this program wakes up, too, is no part of the seizure.
    for _ in 0..100 {
        let _ = nobody.wait(Deadline::after(Duration::from_millis(25)));
        let now = times(control, Latency::Seizure)?;
        if now.count > earlier.count {
            let after = lent.child.status().map_err(|error| ("status", error))?;
            if after.pages != 0 {
                return Err(Failed(format!("{} pages are left", after.pages)));
            }
            return Ok(now.sum - earlier.sum);
        }
    }
    Err(Failed("nothing was seized".to_string()))
}
