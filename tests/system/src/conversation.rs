//! Typing at the shell and waiting for what it says.

use crate::boot::Started;
use crate::outcome::Outcome;
use std::time::Instant;
use tests_runner::session::Event;

/// A boot to the shell, with the scenario at the keyboard. The time limit is for the whole of it.
pub struct Conversation {
    started: Started,
    begin: Instant,
    heard: Vec<u8>,
    /// Bytes of `heard` that an expectation has used up.
    used: usize,
    ended: bool,
}

impl Conversation {
    pub(crate) fn new(started: Started) -> Conversation {
        Conversation { started, begin: Instant::now(), heard: Vec::new(), used: 0, ended: false }
    }

    /// Types.
    pub fn say(&mut self, text: &str) {
        self.started.session.send(text.as_bytes());
    }

    /// Waits until the guest writes this, and returns what it wrote before, from the last expectation on.
    #[track_caller]
    pub fn hear(&mut self, text: &str) -> String {
        loop {
            let news = &self.heard[self.used..];
            if let Some(at) = news.windows(text.len()).position(|window| window == text.as_bytes()) {
                let before = String::from_utf8_lossy(&news[..at]).into_owned();
                self.used += at + text.len();
                return before;
            }
            let late = self.begin.elapsed() > self.started.limit;
            if self.ended || late || !self.listen() {
                self.complain(text, late);
            }
        }
    }

    /// Waits for the end of the guest.
    pub fn end(mut self) -> Outcome {
        while !self.ended && self.begin.elapsed() < self.started.limit {
            self.listen();
        }
        let Started { session, log, world, permit, archive, .. } = self.started;
        let ending = if self.ended { session.finish(&log) } else { Ok(session.interrogate()) };
        drop((permit, archive));
        Outcome::new(ending.unwrap_or_else(|failure| panic!("{failure}")), self.heard, log, world)
    }

    /// Takes one event; false if nothing more will come.
    fn listen(&mut self) -> bool {
        match self.started.session.event().unwrap_or_else(|failure| panic!("{failure}")) {
            Event::Output(bytes) => self.heard.extend(bytes),
            Event::Silence => {}
            Event::Ended => self.ended = true,
        }
        !self.ended
    }

    #[track_caller]
    fn complain(&self, awaited: &str, late: bool) -> ! {
        let why = if late { "the time ran out" } else { "the guest ended" };
        let heard = String::from_utf8_lossy(&self.heard[self.used..]);
        let log = self.started.world.places.shown(self.started.log.path());
        panic!("{why} while waiting for {awaited:?}; since the last match it wrote:\n{heard}\nlog: {log}");
    }
}
