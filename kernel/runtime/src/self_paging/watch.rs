//! The thread that waits for calls.
//!
//! It takes all that it needs before it starts: its stack, which is vital, and the contract page. Answering a call needs no
//! frame, which is as well, as there are none then.

use super::contract_page::{Call, ContractState};
use crate::clock;
use crate::containers::{Result, call_status};
use crate::ipc::{CallError, call};
use crate::layout::CONTRACT;
use crate::notification::Notification;
use crate::{Deadline, threads};
use containers_api::contract::Watch as WatchRequest;
use core::sync::atomic::{AtomicBool, Ordering};

/// What a program does about its memory when it is asked to.
pub trait SelfPaging: Send {
    /// Gives frames back: `call.frames` of them before `call.deadline`, for which there are 20 ms from the call on. How many it gave
    /// back; it is called again as long as that helps and frames are missing. Runs on a thread of its own with little stack, and
    /// must not wait for anybody but physmem, nor allocate.
    fn called(&mut self, call: Call) -> u64;

    /// The contract ends at a moment that is 20 ms away, unless the parent prolongs it. There is nothing that must be done.
    fn ending(&mut self, _moment: u64) {}
}

/// Watching the calls of this task's own contract.
#[derive(Debug)]
pub struct Watch(());

/// Pages of the thread's stack.
const STACK_PAGES: u64 = 8;
/// Bit of the notification: physmem has something to say.
pub const CALLED: u64 = 1;

/// From an end's notice to the end, at most.
const NOTICE_NS: u64 = 20_000_000;

static STARTED: AtomicBool = AtomicBool::new(false);

impl Watch {
    /// Starts the thread that has `pager` answer the calls from now on, at the priority of the program's threads and until the
    /// program ends. Costs the contract a frame for its page, the thread's stack and the thread. Errors: physmem's;
    /// `InvalidArgument` (there is one already: the contract has one notification for calls).
    pub fn start(pager: impl SelfPaging + 'static) -> Result<Watch> {
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(CallError::Kernel(crate::KernelError::InvalidArgument));
        }
        let started = Watch::begin(pager);
        STARTED.store(started.is_ok(), Ordering::Release);
        started
    }

    fn begin(pager: impl SelfPaging + 'static) -> Result<Watch> {
        let notification = listen()?;
        threads::spawn_resident(STACK_PAGES, move || watch(&notification, pager))?;
        Ok(Watch(()))
    }
}

/// Has this task's contract page kept, and a notification signalled with each call: for a program that answers calls in a loop
/// of its own, or that only wants to read what was seized. A contract has one such notification; the last one counts.
pub fn listen() -> Result<Notification> {
    let notification = Notification::new()?;
    let signaller = notification.signaller(CALLED)?;
    call(CONTRACT, &WatchRequest {}, &[signaller.handle()], Deadline::NEVER)?;
    ContractState::read()?;
    Ok(notification)
}

fn watch(notification: &Notification, mut pager: impl SelfPaging) {
    // A call may have been made before the page was there.
    loop {
        if let Ok(state) = ContractState::read() {
            if state.call.is_some() {
                answer(&mut pager);
            }
            if state.expires != u64::MAX && state.expires <= clock::now().saturating_add(NOTICE_NS) {
                pager.ending(state.expires);
            }
        }
        if let Err(error) = notification.wait(Deadline::NEVER) {
            log::error!("calls for frames are not heard any more: {error:?}");
            return;
        }
    }
}

/// Has the pager give frames back until the call is met or nothing more comes. Asking how the call stands is also what ends it.
fn answer(pager: &mut impl SelfPaging) {
    while let Ok(status) = call_status(CONTRACT)
        && status.frames != 0
    {
        let call = Call { sequence: status.sequence, frames: status.frames, deadline: status.deadline };
        if pager.called(call) == 0 {
            return;
        }
    }
}
