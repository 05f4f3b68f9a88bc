//! A client that remembers what it put out, as physmem does: names, page-outs without an answer, frees without one.
//! After a crash it asks again for what it has no answer to.

use super::machine::{Device, Fuse, TestPager, parts};
use super::pages::{Kind, page};
use default_pager_core::limits::BATCH_PAGES;
use default_pager_core::seal::{SECRET_BYTES, Secret};
use default_pager_core::{
    Event, Page, PageIn, PageInError, PageOut, PageOutError, Pager, Progress, Refusal, SlotName, Ticket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A page-out without an answer.
#[derive(Clone)]
struct Asked {
    ticket: Ticket,
    account: u16,
    pages: Vec<Box<Page>>,
}

pub struct Client {
    pub pager: Option<TestPager>,
    pub fuse: Rc<Fuse>,
    /// What is out.
    pub live: BTreeMap<SlotName, Box<Page>>,
    asked: Vec<Asked>,
    freeing: Vec<SlotName>,
    sequences: [u32; 16],
    near: Option<SlotName>,
    /// Page-ins under way, and what they asked for.
    arriving: BTreeMap<u64, Vec<SlotName>>,
    token: u64,
    /// Names that were freed.
    pub ghosts: Vec<SlotName>,
    /// Names whose page may be spoilt.
    pub suspects: BTreeSet<SlotName>,
    /// Answers to pages that were refused.
    pub refused: Vec<PageOutError>,
    pub crashes: u32,
}

impl Client {
    pub fn new(slots: u32, store_bytes: usize) -> Client {
        Client::with_disk(slots, store_bytes, slots)
    }

    pub fn with_disk(slots: u32, store_bytes: usize, disk_slots: u32) -> Client {
        let (words, bytes, device, fuse) = parts(slots, store_bytes, disk_slots);
        let secret = Secret(std::array::from_fn::<_, SECRET_BYTES, _>(|index| index as u8 * 3));
        let pager = Pager::format(words, bytes, device, &secret).unwrap();
        fuse.spent.set(0);
        Client {
            pager: Some(pager),
            fuse,
            live: BTreeMap::new(),
            asked: Vec::new(),
            freeing: Vec::new(),
            sequences: [0; 16],
            near: None,
            arriving: BTreeMap::new(),
            token: 0,
            ghosts: Vec::new(),
            suspects: BTreeSet::new(),
            refused: Vec::new(),
            crashes: 0,
        }
    }

    pub fn pager(&mut self) -> &mut TestPager {
        self.pager.as_mut().unwrap()
    }

    pub fn device(&mut self) -> &mut Device {
        self.pager().disk()
    }

    /// Whether a lane has a page-out without an answer.
    pub fn is_lane_busy(&self, lane: u8) -> bool {
        self.asked.iter().any(|asked| asked.ticket.lane == lane)
    }

    /// Puts pages of these kinds out.
    pub fn out(&mut self, lane: u8, account: u16, kinds: &[Kind], seed: u64) -> Result<(), Refusal> {
        let pages = kinds.iter().zip(seed..).map(|(kind, seed)| page(*kind, seed)).collect();
        let ticket = Ticket { lane, sequence: self.sequences[usize::from(lane)] + 1 };
        let asked = Asked { ticket, account, pages };
        self.ask(&asked)
    }

    fn ask(&mut self, asked: &Asked) -> Result<(), Refusal> {
        let pages: Vec<&Page> = asked.pages.iter().map(|page| &**page).collect();
        let near = self.near;
        let progress = self.pager().page_out(asked.ticket, asked.account, near, &pages)?;
        self.sequences[usize::from(asked.ticket.lane)] = asked.ticket.sequence;
        self.asked.push(asked.clone());
        if progress == Progress::Done {
            self.learn(asked.ticket);
        }
        Ok(())
    }

    /// The answer to a page-out; of a machine that has stopped it does not arrive.
    fn learn(&mut self, ticket: Ticket) {
        if self.fuse.is_blown() {
            return;
        }
        let mut results = [PageOut::Err(PageOutError::Full); BATCH_PAGES];
        let pages = self.pager().outcome(ticket, &mut results).unwrap();
        let index = self.asked.iter().position(|asked| asked.ticket == ticket).unwrap();
        let asked = self.asked.remove(index);
        assert_eq!(pages, asked.pages.len());
        for (page, result) in asked.pages.into_iter().zip(results) {
            match result {
                Ok(name) => {
                    assert!(self.live.insert(name, page).is_none(), "{name:?} is given twice");
                    self.near = Some(name);
                }
                Err(why) => self.refused.push(why),
            }
        }
    }

    /// Frees names.
    pub fn free(&mut self, names: &[SlotName]) {
        for name in names {
            self.live.remove(name);
            self.suspects.remove(name);
        }
        self.freeing.extend(names);
        for batch in names.chunks(BATCH_PAGES) {
            self.pager().free(batch).unwrap();
        }
        if !self.fuse.is_blown() {
            self.freeing.clear();
        }
    }

    /// Begins to bring pages, and checks those that are there at once.
    pub fn bring(&mut self, names: &[SlotName]) -> Result<(), Refusal> {
        self.token += 1;
        let token = self.token;
        let mut results = vec![None; names.len()];
        let mut pages = vec![[0x11; 4096]; names.len()];
        let mut places: Vec<&mut Page> = pages.iter_mut().collect();
        let progress = self.pager().page_in(token, names, &mut places, &mut results)?;
        self.check(names, &pages, &results);
        match progress {
            Progress::Done => assert!(results.iter().all(Option::is_some)),
            Progress::UnderWay => {
                self.arriving.insert(token, names.to_vec());
            }
        }
        Ok(())
    }

    fn collect(&mut self, token: u64) {
        let names = self.arriving.remove(&token).unwrap();
        let mut results = vec![None; names.len()];
        let mut pages = vec![[0x11; 4096]; names.len()];
        let mut places: Vec<&mut Page> = pages.iter_mut().collect();
        self.pager().collect(token, &mut places, &mut results).unwrap();
        self.check(&names, &pages, &results);
    }

    /// A page is right, or it is one that may be spoilt or was freed meanwhile.
    fn check(&mut self, names: &[SlotName], pages: &[Page], results: &[Option<PageIn>]) {
        if self.fuse.is_blown() {
            return;
        }
        let unreadable = self.device().unreadable.clone();
        for ((name, page), result) in names.iter().zip(pages).zip(results) {
            match (result, self.live.get(name)) {
                (None, _) => {}
                (Some(Ok(())), Some(right)) => assert!(page == &**right, "{name:?} came back different"),
                (Some(Err(PageInError::Stale)), None) => {}
                (Some(Ok(())), None) => panic!("{name:?} was freed and came back"),
                (Some(Err(_)), None) => {}
                (Some(Err(why)), Some(_)) => {
                    let first = u64::from(name.slot()) * 8;
                    let is_suspect =
                        self.suspects.contains(name) || unreadable.range(first..first + 8).count() > 0;
                    assert!(is_suspect, "{name:?} did not come back: {why:?}");
                    assert!(page.iter().all(|byte| [0, 0x11].contains(byte)), "something of a spoilt page");
                }
            }
        }
    }

    /// Lets the disk do its `nth` transfer. False if it has none.
    pub fn step_disk(&mut self, nth: usize) -> bool {
        let device = self.device();
        if device.queue.is_empty() {
            return false;
        }
        let nth = nth % device.queue.len();
        let transfer = device.queue.remove(nth);
        let result = device.perform(transfer);
        self.pager().completed(transfer.number, result);
        self.hear();
        true
    }

    /// Takes the events there are.
    pub fn hear(&mut self) {
        while let Some(event) = self.pager().next_event() {
            match event {
                Event::PageOut(ticket) => self.learn(ticket),
                Event::PageIn(token) => self.collect(token),
                Event::Flushed => {}
            }
        }
    }

    /// Lets the disk do all that it has, in order.
    pub fn run_disk(&mut self) {
        self.hear();
        while self.step_disk(0) {}
    }

    /// The pager stops, and the next one begins. `finished` of the transfers that the disk has are done before.
    pub fn crash(&mut self, finished: usize) {
        let (mut words, mut bytes, mut device) = self.pager.take().unwrap().into_parts();
        words.thaw();
        bytes.thaw();
        device.thaw();
        for transfer in std::mem::take(&mut device.queue).into_iter().take(finished) {
            // The device goes on after its driver's client has died: whatever comes of it, nobody is told.
            let _ = device.perform(transfer);
        }
        self.pager = Some(Pager::recover(words, bytes, device).unwrap());
        self.arriving.clear();
        self.crashes += 1;
    }

    /// What a client does after a crash: it asks again.
    pub fn ask_again(&mut self) {
        let names = std::mem::take(&mut self.freeing);
        for batch in names.chunks(BATCH_PAGES) {
            self.pager().free(batch).unwrap();
        }
        for asked in std::mem::take(&mut self.asked) {
            while self.ask(&asked) == Err(Refusal::Busy) {
                assert!(self.step_disk(0), "busy, and nothing to wait for");
            }
        }
        self.hear();
    }

    /// Brings every page that is out, and looks at it.
    pub fn check_all(&mut self) {
        let names: Vec<SlotName> = self.live.keys().copied().collect();
        for batch in names.chunks(BATCH_PAGES) {
            self.run_disk();
            self.bring(batch).unwrap();
        }
        self.run_disk();
        assert!(self.arriving.is_empty());
    }

    /// With nothing under way: what there is, is what is out, and each byte of the tier is charged.
    pub fn check_books(&mut self) {
        assert!(self.asked.is_empty() && self.device().queue.is_empty());
        let live = self.live.len() as u32;
        let statistics = self.pager().statistics();
        let slots = statistics.slots;
        let out = slots.disk + slots.compressed + slots.stuck + slots.fill + slots.lost;
        assert_eq!(out, live, "{slots:?}");
        assert_eq!(slots.reserved, 0, "{slots:?}");
        assert_eq!(out + slots.free + slots.worn + slots.bad, statistics.slots_total);
        let charged: u64 = (0..1024).map(|account| self.pager().charged(account)).sum();
        assert_eq!(charged, statistics.tier_used_bytes);
    }
}
