//! Takes all the memory that physmem lends, and ignores every call for it.
//!
//! Law 6: from the call to the frames being free there is a bound in real time, whatever the client does. What is extra is
//! seized at the deadline, and each ignored call costs standing; without standing it is seized unasked. What is guaranteed
//! stays. Seized pages are lost: touching one ends the thread, allocating it again brings zeros. Now and then the task
//! touches one, which must end it.

use super::Attacker;
use crate::hoard::Hoard;
use crate::rest::Rest;
use core::time::Duration;
use tests_guest::Failed;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// For ever, or until a lost page is touched.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let mut hoard = Hoard::new()?;
    loop {
        hoard.fill(page);
        rest.rest(PAUSE);
        if random.below(200) == 0 {
            hoard.touch_lost();
        }
        hoard.check_revocation(page)?;
    }
}
