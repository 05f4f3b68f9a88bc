//! The default pager: it takes pages and brings them back, when it feels like it.
//!
//! What it is trusted with it keeps: contents. In everything else it may be bad: it does not answer, answers late, twice, or
//! something else; says that it is full, or that it cannot read a page; writes to window pages that are not its own any more; dies at any
//! step. The next one knows what it has kept, and is told the rest again.

use crate::env::{Counter, Env};
use crate::law;
use crate::machine::NOTIFICATION;
use crate::world::{Machine, Space, Touch, Wait};
use containers_api::contract::ContractDestroy;
use containers_api::control::ControlRights;
use containers_api::pager::*;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{Message, Request};
use physmem_core::Sent;
use physmem_core::badge::Badge;
use std::collections::BTreeMap;

/// Frames that the place's contract has beyond the window: books and bookkeeping.
const PLACE_SPARE: u64 = 16;
/// Frames of a pager's own contract: its task and its page tables.
const OWN_FRAMES: u64 = 14;
/// Frames that paging takes from a machine.
pub const ALLOWANCE: u64 = WINDOW_PAGES as u64 + PLACE_SPARE + OWN_FRAMES;
/// Pages that a client may have out.
pub const SWAP_LIMIT: u64 = 30;
/// Where it maps the window.
const WINDOW: u64 = 0x100_0000;

/// The place, and what the pager keeps there: it outlives every pager.
pub struct Place {
    /// Who pays for it.
    pub contract: u64,
    window: u64,
    last_name: u64,
    /// Of each operation that pages out: what was answered last, by its sequence.
    done: BTreeMap<u8, (u32, Vec<u64>)>,
    /// Names that were given back, and by which sequence: told again, they are gone already.
    freed: u32,
}

/// What a pager is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Conduct {
    /// Does what it is asked.
    Good,
    /// Does not answer for a long time.
    Slow,
    /// Everything in the head of this file.
    Bad,
}

/// See the module.
pub struct Pager {
    contract: u64,
    space: Space,
    conduct: Conduct,
    told: Vec<(Header, Vec<u64>)>,
    /// Answers that it has given: sometimes it gives them again.
    given: Vec<(Header, Vec<u64>)>,
    /// Its one thread waits for frames of its own guarantee.
    waiting: Option<Wait>,
}

fn authority() -> Badge {
    Machine::control_badge(ControlRights::PAGER)
}

impl Place {
    /// Makes the place.
    pub fn new(env: &mut Env<'_>, root: u64) -> Option<Place> {
        let contract = env.world.split(root, (WINDOW_PAGES as u64 + PLACE_SPARE, 0, 0), 0)?;
        let window = env.world.ask_badge(authority().0, &PagerCreate {}, &[contract]).ok()?;
        Some(Place { contract, window, last_name: 0, done: BTreeMap::new(), freed: 0 })
    }

    /// It goes, and paging with it.
    pub fn destroy(self, env: &mut Env<'_>) {
        let result = env.world.ask(self.contract, &ContractDestroy {}, &[]);
        super::require_destroyed(env, result);
    }
}

impl Pager {
    /// A pager comes. None: not now.
    pub fn new(env: &mut Env<'_>, root: u64, place: &Place) -> Option<Pager> {
        let contract = env.world.split(root, (OWN_FRAMES, 0, 0), 0)?;
        let conduct = env.random.pick(&[Conduct::Good, Conduct::Good, Conduct::Slow, Conduct::Bad]);
        let space = env.world.space(contract).ok();
        let at = (WINDOW, 0, WINDOW_PAGES as u64);
        let space = space.filter(|&space| env.world.map(space, place.window, at, true).is_ok());
        let Some(space) = space else {
            let result = env.world.ask(contract, &ContractDestroy {}, &[]);
            super::require_destroyed(env, result);
            return None;
        };
        let slots = env.random.pick(&[40, 200, 1000]);
        env.record.note(slots, || format!("a pager comes: {conduct:?}, {slots} slots"));
        let answer =
            env.world.raw(authority().0, PagerAttach::LABEL, &[slots], &[Sent::Handle(NOTIFICATION)]);
        law!("typed-answers", answer.is_ok_and(|answer| answer.label == 0), "a pager is refused");
        Some(Pager { contract, space, conduct, told: Vec::new(), given: Vec::new(), waiting: None })
    }

    /// It dies.
    pub fn destroy(self, env: &mut Env<'_>) {
        let result = env.world.ask(self.contract, &ContractDestroy {}, &[]);
        super::require_destroyed(env, result);
    }

    /// Takes a step.
    pub fn step(&mut self, env: &mut Env<'_>, place: &mut Place) {
        if let Some(wait) = self.waiting {
            if env.world.is_over(wait).is_none() {
                return;
            }
            self.waiting = None;
        }
        let is_bad = self.conduct == Conduct::Bad;
        match env.random.below(12) {
            _ if self.conduct == Conduct::Slow && !env.random.once_in(40) => {}
            0..4 => self.listen(env),
            4 if is_bad => self.lie(env),
            5 if is_bad => self.scribble(env, place),
            _ => self.serve(env, place),
        }
    }

    fn exchange(&mut self, env: &mut Env<'_>, answers: Batch) {
        env.world.touched.much = true;
        let reply = env.world.ask(authority().0, &PagerExchange { answers }, &[]);
        let Ok(Requests { requests, .. }) = reply else {
            return law!("typed-answers", false, "an exchange is refused: {reply:?}");
        };
        for (header, words) in requests.requests() {
            env.record.note(header.word(), || format!("the pager is told {header:?}"));
            let is_twice = self.told.iter().any(|told| told.0 == header);
            law!("pager", !is_twice, "{header:?} is told twice");
            self.told.push((header, words.to_vec()));
        }
    }

    fn listen(&mut self, env: &mut Env<'_>) {
        self.exchange(env, Batch::default());
    }

    fn answer(&mut self, env: &mut Env<'_>, header: Header, results: &[u64]) {
        env.record.note(header.word(), || format!("the pager answers {header:?}: {results:x?}"));
        let mut answers = Batch::default();
        if answers.add(header, results.iter().copied()) {
            self.exchange(env, answers);
        }
        self.given.push((header, results.to_vec()));
        self.given.truncate(8);
    }

    /// Does some request that it was told, and answers, or forgets to.
    fn serve(&mut self, env: &mut Env<'_>, place: &mut Place) {
        if self.told.is_empty() {
            return self.listen(env);
        }
        let index = env.random.below(self.told.len() as u64) as usize;
        let (header, words) = self.told.swap_remove(index);
        if !self.can_reach(env, header) {
            return self.told.push((header, words));
        }
        let results = match header.operation.kind() {
            Some(Kind::PageOut) => self.take_pages(env, place, header),
            Some(Kind::PageIn) => self.bring_pages(env, header, &words),
            _ => {
                Self::free(env, place, header, &words);
                Vec::new()
            }
        };
        if self.conduct == Conduct::Bad && env.random.once_in(20) {
            // It is answered never, or when this one comes again.
            self.given.push((header, results));
            return;
        }
        self.answer(env, header, &results);
    }

    fn take_pages(&mut self, env: &mut Env<'_>, place: &mut Place, header: Header) -> Vec<u64> {
        if let Some((sequence, results)) = place.done.get(&header.operation.0)
            && *sequence == header.sequence
        {
            return results.clone();
        }
        let (first, _) = header.operation.window();
        let mut results = Vec::new();
        for page in first..first + usize::from(header.count) {
            let fails = self.conduct == Conduct::Bad && env.random.once_in(30);
            let result = match self.look(env, page, false) {
                _ if fails => Err(PageOutError::Full),
                None => Err(PageOutError::Unwritable),
                Some(frame) => {
                    place.last_name += 1;
                    let bytes = Box::new(*env.world.frame(frame));
                    env.kept.insert(place.last_name, bytes);
                    Ok(place.last_name)
                }
            };
            env.record.count(if result.is_ok() { Counter::PagesOut } else { Counter::PagesRefused });
            results.push(page_out_word(result));
        }
        place.done.insert(header.operation.0, (header.sequence, results.clone()));
        results
    }

    fn bring_pages(&mut self, env: &mut Env<'_>, header: Header, names: &[u64]) -> Vec<u64> {
        let (first, _) = header.operation.window();
        let mut results = Vec::new();
        for (page, name) in (first..).zip(names) {
            let bytes = env.kept.get(name).cloned();
            law!("pager", bytes.is_some(), "name {name} was given back, and is asked for");
            let fails = self.conduct == Conduct::Bad && env.random.once_in(30);
            let result = match (bytes, self.look(env, page, true)) {
                (Some(bytes), Some(frame)) if !fails => {
                    *env.world.frame(frame) = *bytes;
                    Ok(())
                }
                _ => Err(PageInError::Unreadable),
            };
            env.record.count(if result.is_ok() { Counter::PagesIn } else { Counter::PagesBad });
            results.push(page_in_word(result));
        }
        results
    }

    /// Forgets names. Told again after a crash, they are forgotten already.
    fn free(env: &mut Env<'_>, place: &mut Place, header: Header, names: &[u64]) {
        if place.freed != header.sequence {
            for name in names {
                let known = env.kept.remove(name).is_some();
                law!("pager", known, "name {name} is given back twice");
            }
            place.freed = header.sequence;
        }
    }

    /// Touches all pages of a request, so that it is not stopped in the middle. False: it has to wait.
    fn can_reach(&mut self, env: &mut Env<'_>, header: Header) -> bool {
        let (first, _) = header.operation.window();
        let is_in = header.operation.kind() == Some(Kind::PageIn);
        let pages = if header.operation.kind() == Some(Kind::Free) { 0 } else { usize::from(header.count) };
        (first..first + pages).all(|page| {
            self.look(env, page, is_in);
            self.waiting.is_none()
        })
    }

    /// Reaches for a window page: its frame. None: that was not possible just now.
    fn look(&mut self, env: &mut Env<'_>, page: usize, write: bool) -> Option<u32> {
        match env.world.touch(self.space, WINDOW + page as u64 * FRAME_BYTES, write) {
            Touch::Frame(frame) => Some(frame),
            Touch::Waits(wait) => {
                self.waiting = Some(wait);
                None
            }
            Touch::Ended(_) => None,
        }
    }

    /// Says something that is not so, or says it again.
    fn lie(&mut self, env: &mut Env<'_>) {
        if !self.given.is_empty() && env.random.once_in(2) {
            let (header, results) = env.random.pick(&self.given.iter().collect::<Vec<_>>()).clone();
            return self.answer(env, header, &results);
        }
        let operation = Operation(env.random.below(OPERATIONS as u64) as u8);
        // Words that are no answer it can only say to requests that are not there: it is trusted with contents.
        let sequence = 1_000_000 + env.random.below(1000) as u32;
        let count = 1 + env.random.below(operation.most() as u64) as u8;
        let words: Vec<u64> = (0..count).map(|_| env.random.word()).collect();
        self.answer(env, Header { operation, count, sequence }, &words);
        let label = env.random.pick(&[PagerAttach::LABEL, PagerExchange::LABEL, 100, u32::MAX]);
        let words: Vec<u64> = (0..env.random.below(10)).map(|_| env.random.word()).collect();
        let _ = env.world.raw(authority().0, label, &words, &[]);
        let mut words = [0; 64];
        let used = SwapStat {}.encode(&mut words);
        let _ = env.world.raw(authority().0, SwapStat::LABEL, &words[..used], &[]);
    }

    /// Writes to a window page that it has not been asked to fill: nobody else must see that.
    fn scribble(&mut self, env: &mut Env<'_>, place: &Place) {
        let page = env.random.below(WINDOW_PAGES as u64) as usize;
        let is_mine = |told: &(Header, Vec<u64>)| {
            let (first, pages) = told.0.operation.window();
            (first..first + pages).contains(&page)
        };
        if self.told.iter().any(is_mine) || !crate::laws::is_shared(&env.world, place.window, page as u64) {
            return;
        }
        env.record.note(page as u64, || format!("the pager writes to window page {page}"));
        env.record.count(Counter::Scribbles);
        let touched = env.world.touch(self.space, WINDOW + page as u64 * FRAME_BYTES, true);
        let is_refused = matches!(touched, Touch::Ended(_));
        law!("pager", is_refused, "the pager writes to window page {page}: {touched:?}");
    }
}
