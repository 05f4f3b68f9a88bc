//! How many requests each client has in progress: nobody gets all the places.

/// Requests in progress in a table of so many places, by the principal of the client. One request at a time may be somebody's who
/// is not known; it counts as everybody's.
pub struct Shares<const PLACES: usize> {
    places: [(u64, u32); PLACES],
    /// There is one of a client that is not known.
    unknown: bool,
}

impl<const PLACES: usize> Shares<PLACES> {
    /// Requests that one client may have in progress: one place is always left for others.
    pub const SHARE: u32 = PLACES as u32 - 1;

    /// Nobody has any.
    pub const fn new() -> Shares<PLACES> {
        Shares { places: [(0, 0); PLACES], unknown: false }
    }

    /// Takes a place for a principal; false: it has its share already, or all places are taken.
    pub fn take(&mut self, principal: u64) -> bool {
        let known = self.places.iter().position(|&(who, count)| who == principal && count > 0);
        let Some(place) = known.or_else(|| self.places.iter().position(|&(_, count)| count == 0)) else {
            return false;
        };
        let others = u32::from(self.unknown);
        let (who, count) = &mut self.places[place];
        if *count + others >= Self::SHARE {
            return false;
        }
        *who = principal;
        *count += 1;
        true
    }

    /// Takes the place of somebody unknown; false: something is in progress.
    pub fn take_unknown(&mut self) -> bool {
        let is_idle = !self.unknown && self.places.iter().all(|&(_, count)| count == 0);
        self.unknown |= is_idle;
        is_idle
    }

    /// Gives it back.
    pub fn give_unknown(&mut self) {
        self.unknown = false;
    }

    /// Gives a place back.
    pub fn give(&mut self, principal: u64) {
        if let Some((_, count)) = self.places.iter_mut().find(|(who, count)| *who == principal && *count > 0)
        {
            *count -= 1;
        }
    }
}

impl<const PLACES: usize> Default for Shares<PLACES> {
    fn default() -> Self {
        Shares::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;

    #[test]
    fn one_client_never_has_everything() {
        let mut shares = Shares::<4>::new();
        assert_eq!([7, 7, 7, 7].map(|principal| shares.take(principal)), [true, true, true, false]);
        assert!(shares.take(0), "a place is left for another, whatever its number");
        shares.give(7);
        assert!(shares.take(7) && !shares.take(7));
    }

    #[test]
    fn who_is_not_known_counts_as_everybody() {
        let mut shares = Shares::<4>::new();
        assert!(shares.take_unknown() && !shares.take_unknown());
        assert_eq!([7, 7, 7].map(|principal| shares.take(principal)), [true, true, false]);
        shares.give_unknown();
        assert!(!shares.take_unknown(), "only while nothing else is in progress");
        shares.give(7);
        shares.give(7);
        assert!(shares.take_unknown());
    }

    #[test]
    fn places_of_the_gone_are_free_again() {
        let mut shares = Shares::<3>::new();
        for principal in 1..100 {
            assert!(shares.take(principal) && shares.take(principal) && !shares.take(principal));
            shares.give(principal);
            shares.give(principal);
            shares.give(principal);
        }
        assert_eq!([1, 2, 3, 4].map(|principal| shares.take(principal)), [true, true, true, false]);
    }
}
