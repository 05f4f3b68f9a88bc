//! Typing at the shell and waiting for what it says.

use crate::books::{self, Books};
use crate::boot::Started;
use crate::outcome::Outcome;
use std::time::Instant;
use tests_runner::session::Event;

/// The prompt, without the directory in it.
const PROMPT_END: &str = "$ ";
/// What Ctrl-C sends.
pub const CTRL_C: &str = "\x03";

/// A boot to the shell, with the scenario at the keyboard. The time limit is for the whole of it.
pub struct Conversation {
    started: Started,
    begin: Instant,
    heard: Vec<u8>,
    /// Bytes of `heard` that an expectation has used up.
    used: usize,
    ended: bool,
    /// The books at the first prompt.
    before: Books,
}

impl Conversation {
    #[track_caller]
    pub(crate) fn new(started: Started) -> Conversation {
        let before = Books::default();
        let mut conversation =
            Conversation { started, begin: Instant::now(), heard: Vec::new(), used: 0, ended: false, before };
        conversation.hear(PROMPT_END);
        conversation.before = conversation.books();
        conversation
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

    /// Waits until the log of kernel and servers says this.
    #[track_caller]
    pub fn await_log(&mut self, text: &str) {
        while !self.started.log.text().contains(text) {
            let late = self.begin.elapsed() > self.started.limit;
            if self.ended || late || !self.listen() {
                self.complain(text, late);
            }
        }
    }

    /// Types a line and waits for the next prompt; what was written between, with plain line ends.
    #[track_caller]
    pub fn command(&mut self, line: &str) -> String {
        self.say(line);
        self.say("\r");
        self.hear("\r\n");
        self.answer()
    }

    /// Waits for the next prompt; what was written before it, with plain line ends.
    #[track_caller]
    pub fn answer(&mut self) -> String {
        let text = self.hear(PROMPT_END).replace("\r\n", "\n");
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        text[..end].to_owned()
    }

    /// All that the guest wrote so far, with plain line ends.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.heard).replace("\r\n", "\n")
    }

    /// Looks at the guest's books.
    #[track_caller]
    pub fn books(&mut self) -> Books {
        let text = self.command(books::PROGRAM);
        let (_, mut looks) = books::separate(text.as_bytes());
        looks.pop().unwrap_or_else(|| panic!("no books in:\n{text}"))
    }

    /// Checks that nothing has leaked since the first prompt, and switches the machine off.
    #[track_caller]
    pub fn close(mut self) -> Outcome {
        let after = self.books();
        self.close_with(&after)
    }

    /// The same where servers were started again, under other principals.
    #[track_caller]
    pub fn close_after_restarts(mut self) -> Outcome {
        let after = self.books().with_principals_of(&self.before);
        self.close_with(&after)
    }

    #[track_caller]
    fn close_with(mut self, after: &Books) -> Outcome {
        if let Err(leak) = after.check_same(&self.before) {
            panic!("nothing may leak: {leak}\n{}", self.account());
        }
        self.say("poweroff\r");
        self.end().success()
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
        panic!("{why} while waiting for {awaited:?}\n{}", self.account());
    }

    fn account(&self) -> String {
        let heard = String::from_utf8_lossy(&self.heard);
        let log = self.started.world.places.shown(self.started.log.path());
        format!("the guest wrote:\n{heard}\nlog: {log}")
    }
}
