//! How many requests each client has in progress: nobody gets all the threads.

use crate::WORKERS;

/// Requests that one client may have in progress: one thread is always left for others.
pub const SHARE: u32 = WORKERS as u32 - 1;

/// Reads in progress, by the principal that pays for the container.
pub struct Shares([(u64, u32); WORKERS]);

impl Shares {
    /// Nobody has any.
    pub const fn new() -> Shares {
        Shares([(0, 0); WORKERS])
    }

    /// Takes one for a principal; false: it has its share already.
    pub fn take(&mut self, principal: u64) -> bool {
        let known = self.0.iter().position(|&(who, count)| who == principal && count > 0);
        let Some(place) = known.or_else(|| self.0.iter().position(|&(_, count)| count == 0)) else {
            return false;
        };
        let (who, count) = &mut self.0[place];
        if *count >= SHARE {
            return false;
        }
        *who = principal;
        *count += 1;
        true
    }

    /// Gives one back.
    pub fn give(&mut self, principal: u64) {
        if let Some((_, count)) = self.0.iter_mut().find(|(who, count)| *who == principal && *count > 0) {
            *count -= 1;
        }
    }
}
