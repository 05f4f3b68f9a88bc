//! Who acts: witnesses, the file server, the driver, hostile clients. Each takes one small step at a time: one request to
//! physmem, one touch, one message, so that everybody else's steps, and everybody's death, come between any two.

use crate::env::Env;
use crate::law;
use crate::world::{Refused, Wait};

/// A contract was destroyed, at once or step by step.
fn require_destroyed<R>(env: &mut Env<'_>, result: Result<R, Refused>) {
    let Err(refused) = result else { return };
    let wait = Wait::of(&refused);
    law!("typed-answers", wait.is_some(), "a contract is not destroyed: {:?}", refused.error);
    wait.into_iter().for_each(|wait| env.world.forget(wait));
}

pub mod driver;
pub mod hostile;
pub mod requests;
pub mod server;
pub mod witness;
