//! Who acts: witnesses, the file server, the driver, the default pager, a lying server, hostile clients. Each takes one small step at a time: one request to
//! physmem, one touch, one message, so that everybody else's steps, and everybody's death, come between any two.

use crate::env::Env;
use crate::law;
use crate::world::{Refused, Wait};
use containers_api::contract::{CallStat, CallStatus};

/// A contract was destroyed, at once or step by step.
fn require_destroyed<R>(env: &mut Env<'_>, result: Result<R, Refused>) {
    let Err(refused) = result else { return };
    let wait = Wait::of(&refused);
    law!("typed-answers", wait.is_some(), "a contract is not destroyed: {:?}", refused.error);
    wait.into_iter().for_each(|wait| env.world.forget(wait));
}

/// Whoever has given back what it was called for, before the deadline, is not called for it any more.
fn require_met(env: &mut Env<'_>, contract: u64, call: &CallStatus) {
    let Ok(now) = env.world.ask(contract, &CallStat {}, &[]) else { return };
    if now.sequence == call.sequence {
        let (frames, deadline) = (now.frames, now.deadline);
        law!("calls-are-met", deadline == 0, "{} frames were given back, {frames} are called", call.frames);
        law!("calls-are-met", now.met > call.met, "{} calls are met, {} were", now.met, call.met);
    }
}

pub mod driver;
pub mod hostile;
pub mod liar;
pub mod pager;
pub mod requests;
pub mod server;
pub mod witness;
