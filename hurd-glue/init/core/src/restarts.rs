//! Which servers are started again when they end, and when: after a pause that doubles from death to death, and no more
//! once one has died too often too soon after its start.

use crate::servers::{SERVERS, Server};

/// Pause before a server is started again for the first time, in nanoseconds.
pub const FIRST_PAUSE_NS: u64 = 10_000_000;
/// Pause that it doubles to.
pub const LONGEST_PAUSE_NS: u64 = 1_000_000_000;
/// A server that has lived so long has not died quickly: the pauses begin anew.
pub const QUICK_NS: u64 = 10_000_000_000;
/// Quick deaths, one after the other, after which a server is given up.
pub const QUICK_DEATHS_MAX: u32 = 10;

/// What becomes of a server that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is started again after so many nanoseconds.
    Again(u64),
    /// It stays ended, having died quickly [`QUICK_DEATHS_MAX`] times.
    GivenUp,
    /// Its end is the machine's.
    Last,
}

#[derive(Clone, Copy, Default)]
struct Life {
    /// The moment of the last start.
    started: u64,
    quick_deaths: u32,
    /// The moment to start it again.
    due: Option<u64>,
}

/// The lives of all servers.
#[derive(Default)]
pub struct Restarts([Life; SERVERS.len()]);

impl Restarts {
    /// A server is being started. One that cannot be is one that [ends](Restarts::ended) at once.
    pub fn started(&mut self, server: Server, now: u64) {
        self.0[server as usize].started = now;
    }

    /// A server has ended.
    pub fn ended(&mut self, server: Server, now: u64) -> Decision {
        if server == Server::Shell {
            return Decision::Last;
        }
        let life = &mut self.0[server as usize];
        let was_quick = now.saturating_sub(life.started) < QUICK_NS;
        life.quick_deaths = if was_quick { life.quick_deaths + 1 } else { 1 };
        if life.quick_deaths >= QUICK_DEATHS_MAX {
            return Decision::GivenUp;
        }
        let pause = FIRST_PAUSE_NS << (life.quick_deaths - 1);
        let pause = pause.min(LONGEST_PAUSE_NS);
        life.due = Some(now.saturating_add(pause));
        Decision::Again(pause)
    }

    /// The moment at which a server is to be started next.
    pub fn next_due(&self) -> Option<u64> {
        self.0.iter().filter_map(|life| life.due).min()
    }

    /// A server that is to be started by now.
    pub fn take_due(&mut self, now: u64) -> Option<Server> {
        let is_due = |life: &Life| life.due.is_some_and(|due| due <= now);
        let index = self.0.iter().position(is_due)?;
        self.0[index].due = None;
        Some(SERVERS[index].server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Ends and starts a server again as soon as it may be; the pauses until it is given up.
    fn pauses_of_quick_deaths(restarts: &mut Restarts, mut now: u64) -> Vec<u64> {
        let mut pauses = Vec::new();
        loop {
            match restarts.ended(Server::Ext, now) {
                Decision::Again(pause) => pauses.push(pause),
                Decision::GivenUp => return pauses,
                Decision::Last => panic!("it is not the shell"),
            }
            assert_eq!(restarts.take_due(restarts.next_due().unwrap() - 1), None, "not before its time");
            now = restarts.next_due().unwrap();
            assert_eq!(restarts.take_due(now), Some(Server::Ext));
            assert_eq!(restarts.next_due(), None);
            restarts.started(Server::Ext, now);
        }
    }

    #[test]
    fn the_pauses_double_to_the_longest_and_then_it_is_given_up() {
        let pauses = pauses_of_quick_deaths(&mut Restarts::default(), 5);
        assert_eq!(pauses.len() as u32, QUICK_DEATHS_MAX - 1);
        assert_eq!((pauses[0], pauses[1], pauses[2]), (10_000_000, 20_000_000, 40_000_000));
        assert!(pauses.windows(2).all(|pair| pair[1] == (2 * pair[0]).min(LONGEST_PAUSE_NS)));
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE_NS), "the longest is reached");
    }

    #[test]
    fn who_lives_long_enough_begins_anew() {
        let mut restarts = Restarts::default();
        for _ in 0..3 * QUICK_DEATHS_MAX {
            restarts.started(Server::Console, 100);
            let again = restarts.ended(Server::Console, 100 + QUICK_NS);
            assert_eq!(again, Decision::Again(FIRST_PAUSE_NS));
        }
        restarts.started(Server::Console, 100);
        let again = restarts.ended(Server::Console, 100 + QUICK_NS - 1);
        assert_eq!(again, Decision::Again(2 * FIRST_PAUSE_NS));
    }

    #[test]
    fn every_server_but_the_shell_is_started_again_each_in_its_own_time() {
        let mut restarts = Restarts::default();
        for (moment, specification) in SERVERS.iter().enumerate() {
            let expected = match specification.server {
                Server::Shell => Decision::Last,
                _ => Decision::Again(FIRST_PAUSE_NS),
            };
            assert_eq!(restarts.ended(specification.server, moment as u64), expected);
        }
        assert_eq!(restarts.next_due(), Some(FIRST_PAUSE_NS));
        assert_eq!(restarts.take_due(FIRST_PAUSE_NS), Some(Server::Console));
        assert_eq!(restarts.take_due(FIRST_PAUSE_NS), None);
        assert_eq!(restarts.next_due(), Some(FIRST_PAUSE_NS + 1));
        let rest: Vec<_> = core::iter::from_fn(|| restarts.take_due(u64::MAX)).collect();
        let others = [
            Server::Block,
            Server::Pager,
            Server::Ext,
            Server::Bootfs,
            Server::Trace,
            Server::Devices,
            Server::Tmpfs,
        ];
        assert_eq!(rest, others);
    }
}
