//! The service against a physmem made here: requests at random, answers in any order, crashes, and every page looked at.

use crate::support::machine::{Bytes, Device, Words, parts};
use crate::support::pages::{KINDS, Random, page};
use containers_api::pager::{
    Batch, FREE_NAMES, Header, Kind, OPERATIONS, Operation, PAGE_IN_PAGES, PAGE_OUT_PAGES, PageInError, SOME,
    WINDOW_PAGES, page_in_result, page_out_result,
};
use default_pager_core::seal::Secret;
use default_pager_core::{Page, Pager, Service};
use std::collections::BTreeMap;

type TestService = Service<Words, Bytes, Device>;

/// What is under way in an operation.
#[derive(Clone, Default)]
struct Asked {
    header: Option<Header>,
    words: Vec<u64>,
}

/// physmem's side, with the contents of every page that is out.
struct Physmem {
    service: Option<TestService>,
    window: Vec<Page>,
    asked: [Asked; OPERATIONS],
    sequences: [u32; OPERATIONS],
    out: BTreeMap<u64, Box<Page>>,
    random: Random,
    answers: usize,
}

impl Physmem {
    fn new(seed: u64) -> Physmem {
        let (words, bytes, device, _) = parts(300, 128 * 1024, 300);
        let pager = Pager::format(words, bytes, device, &Secret([7; 48])).unwrap();
        Physmem {
            service: Some(Service::new(pager)),
            window: vec![[0; 4096]; WINDOW_PAGES],
            asked: Default::default(),
            sequences: [0; OPERATIONS],
            out: BTreeMap::new(),
            random: Random(seed),
            answers: 0,
        }
    }

    fn service(&mut self) -> &mut TestService {
        self.service.as_mut().unwrap()
    }

    fn idle(&mut self, kind: Kind) -> Option<usize> {
        let is_idle = |index: &usize| self.asked[*index].header.is_none();
        (0..OPERATIONS).filter(|index| Operation(*index as u8).kind() == Some(kind)).find(is_idle)
    }

    /// Names that no request is about.
    fn free_names(&self, most: usize) -> Vec<u64> {
        let busy: Vec<u64> = self.asked.iter().flat_map(|asked| asked.words.clone()).collect();
        self.out.keys().copied().filter(|name| !busy.contains(name)).take(most).collect()
    }

    fn ask(&mut self, index: usize, count: usize, words: Vec<u64>) {
        self.sequences[index] += 1;
        let operation = Operation(index as u8);
        let header = Header { operation, count: count as u8, sequence: self.sequences[index] };
        self.asked[index] = Asked { header: Some(header), words };
        self.tell(index);
    }

    fn tell(&mut self, index: usize) {
        let Asked { header: Some(header), words } = self.asked[index].clone() else { return };
        self.service.as_mut().unwrap().request(header, &words, &mut self.window);
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..4 => {
                let Some(index) = self.idle(Kind::PageOut) else { return };
                let count = 1 + self.random.below(PAGE_OUT_PAGES);
                let (first, _) = Operation(index as u8).window();
                for at in first..first + count {
                    self.window[at] = *page(KINDS[self.random.below(5)], self.random.next());
                }
                let near = self.free_names(1).first().map_or(0, |name| SOME | name);
                let account = self.random.next() >> 1;
                self.ask(index, count, vec![account, near]);
            }
            4..6 => {
                let Some(index) = self.idle(Kind::PageIn) else { return };
                let most = 1 + self.random.below(PAGE_IN_PAGES);
                let names = self.free_names(most);
                if !names.is_empty() {
                    self.ask(index, names.len(), names);
                }
            }
            6 => {
                let Some(index) = self.idle(Kind::Free) else { return };
                let most = 1 + self.random.below(FREE_NAMES);
                let names = self.free_names(most);
                if !names.is_empty() {
                    names.iter().for_each(|name| drop(self.out.remove(name)));
                    self.ask(index, names.len(), names);
                }
            }
            7..9 => self.disk_step(),
            _ => self.take_answers(),
        }
    }

    fn disk_step(&mut self) {
        let transfers = self.service().pager().disk().queue.len();
        if transfers == 0 {
            return;
        }
        let chosen = self.random.below(transfers);
        let service = self.service.as_mut().unwrap();
        let transfer = service.pager().disk().queue.remove(chosen);
        let result = service.pager().disk().perform(transfer);
        service.completed(transfer.number, result);
        service.advance(&mut self.window);
    }

    fn take_answers(&mut self) {
        let mut batch = Batch::default();
        self.service().add_answers(&mut batch);
        for (header, words) in batch.answers() {
            let index = usize::from(header.operation.0);
            let asked = std::mem::take(&mut self.asked[index]);
            assert_eq!(asked.header, Some(header), "an answer to what was asked");
            self.answers += 1;
            let (first, _) = header.operation.window();
            for (at, &word) in words.iter().enumerate() {
                match header.operation.kind().unwrap() {
                    Kind::PageOut => {
                        if let Ok(name) = page_out_result(word) {
                            let kept = self.out.insert(name, Box::new(self.window[first + at]));
                            assert!(kept.is_none(), "a name is given once");
                        }
                    }
                    Kind::PageIn => {
                        assert_eq!(page_in_result(word), Ok(()));
                        assert!(*self.out[&asked.words[at]] == self.window[first + at]);
                    }
                    Kind::Free => unreachable!("no words"),
                }
            }
        }
    }

    /// The pager is no more; the next one is told everything again.
    fn crash(&mut self) {
        let (words, bytes, mut device) = self.service.take().unwrap().into_pager().into_parts();
        device.queue.clear();
        self.service = Some(Service::new(Pager::recover(words, bytes, device).unwrap()));
        (0..OPERATIONS).for_each(|index| self.tell(index));
    }

    /// Everything that was asked is answered.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.disk_step();
            self.take_answers();
        }
        assert!(self.asked.iter().all(|asked| asked.header.is_none()), "all is answered");
        assert_eq!(self.service().ignored(), 0);
    }
}

#[test]
fn random_requests_are_answered_once_with_what_was_put_out() {
    for seed in 0..20 {
        let mut physmem = Physmem::new(seed);
        for _ in 0..1500 {
            physmem.step();
        }
        physmem.finish();
        assert!(physmem.answers > 100, "{}", physmem.answers);
    }
}

#[test]
fn after_a_crash_what_was_not_answered_is_and_nothing_is_lost() {
    for seed in 100..120 {
        let mut physmem = Physmem::new(seed);
        for step in 1..=1500 {
            physmem.step();
            if step % 97 == 0 {
                physmem.crash();
            }
        }
        physmem.finish();
        let used: u64 = physmem.out.len() as u64;
        let slots = physmem.service().pager().statistics().slots;
        let total = slots.disk + slots.compressed + slots.stuck + slots.fill;
        assert_eq!(u64::from(total), used, "no slot is lost");
    }
}

#[test]
fn names_that_are_none_and_requests_told_twice_change_nothing() {
    let mut physmem = Physmem::new(1);
    physmem.ask(8, 3, vec![u64::MAX, 5, 1 << 47]);
    physmem.tell(8);
    assert_eq!(physmem.service().ignored(), 1);
    let mut batch = Batch::default();
    physmem.service().add_answers(&mut batch);
    let answers: Vec<_> = batch.answers().flat_map(|(_, words)| words.to_vec()).collect();
    assert!(answers.iter().all(|word| page_in_result(*word) == Err(PageInError::Stale)), "{answers:?}");
    let header = Header { operation: Operation(OPERATIONS as u8), count: 1, sequence: 1 };
    physmem.service.as_mut().unwrap().request(header, &[1], &mut physmem.window);
    assert!(!physmem.service().has_answers());
    assert_eq!(physmem.service().slots(), 300);
}
