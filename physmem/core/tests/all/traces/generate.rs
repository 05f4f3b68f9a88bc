//! Traces made from a seed. The tenant numbered last is the owner of a large guarantee that it uses in bursts: what it wants
//! comes from the others' extra frames.

use super::trace::{Action, Event, Tenant, Trace};

/// Between two accesses of a tenant, in microseconds.
const STEP_US: u64 = 250;

/// Length of a trace.
const LENGTH_US: u64 = 6_000_000;

/// The owner wants frames so often, and gives them all back in every third of these.
const BURST_US: u64 = 150_000;

/// Pages that the owner wants each time.
const BURST_PAGES: u64 = 120;

/// Guarantee of the owner.
const OWNER_FRAMES: u64 = 280;

/// Guarantee of the others: for records and page tables, and a few pages.
const TENANT_FRAMES: u64 = 30;

/// Numbers from a seed (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Pages by popularity: the n-th is used in proportion to 1/n, and lies anywhere.
struct Zipf {
    /// Sums of the weights up to each page.
    sums: Vec<u64>,
    places: Vec<u64>,
}

impl Zipf {
    fn new(pages: u64, random: &mut Random) -> Zipf {
        let mut sum = 0;
        let sums = (1..=pages)
            .map(|rank| {
                sum += 1_000_000 / rank;
                sum
            })
            .collect();
        let mut places: Vec<u64> = (0..pages).collect();
        for index in (1..pages).rev() {
            places.swap(index as usize, random.below(index + 1) as usize);
        }
        Zipf { sums, places }
    }

    fn page(&self, random: &mut Random) -> u64 {
        let at = random.below(*self.sums.last().expect("there are pages"));
        self.places[self.sums.partition_point(|&sum| sum <= at)]
    }
}

/// Tenants, each with its pages, weight, and the page that it uses at a moment; they fill their pages first.
type Use<'a> = (u64, u64, Box<dyn FnMut(u64, &mut Random) -> Option<u64> + 'a>);

fn generate(seed: u64, mut uses: Vec<Use<'_>>) -> Trace {
    let mut random = Random(seed);
    let mut trace = Trace::default();
    for &(pages, weight, _) in &uses {
        trace.tenants.push(Tenant { guaranteed: TENANT_FRAMES, weight, pages });
    }
    let owner = uses.len();
    trace.tenants.push(Tenant { guaranteed: OWNER_FRAMES, weight: 100, pages: 2 * BURST_PAGES });
    let mut push = |time_us, tenant, action| trace.events.push(Event { time_us, tenant, action });
    for (tenant, &(pages, ..)) in uses.iter().enumerate() {
        (0..pages).for_each(|page| push(0, tenant, Action::Write(page)));
    }
    for time_us in (STEP_US..LENGTH_US).step_by(STEP_US as usize) {
        for (tenant, (_, _, page)) in uses.iter_mut().enumerate() {
            if let Some(page) = page(time_us, &mut random) {
                let is_write = random.below(4) == 0;
                push(time_us, tenant, if is_write { Action::Write(page) } else { Action::Read(page) });
            }
        }
        if time_us.is_multiple_of(BURST_US) {
            match time_us / BURST_US % 3 {
                0 => push(time_us, owner, Action::Drop(0, 2 * BURST_PAGES)),
                burst => push(time_us, owner, Action::Allocate((burst - 1) * BURST_PAGES, BURST_PAGES)),
            }
        }
    }
    trace
}

/// One tenant, a few of whose pages are used most of the time.
pub fn zipf() -> Trace {
    let zipf = Zipf::new(430, &mut Random(7));
    generate(11, vec![(430, 100, Box::new(move |_, random| Some(zipf.page(random))))])
}

/// One tenant that uses a few of its pages, which lie anywhere, nearly always.
pub fn hot() -> Trace {
    let places = Zipf::new(430, &mut Random(9)).places;
    let page = move |_, random: &mut Random| {
        let index = if random.below(20) == 0 { random.below(430) } else { random.below(90) };
        Some(places[index as usize])
    };
    generate(16, vec![(430, 100, Box::new(page))])
}

/// One tenant that uses a third of its pages at a time, and then another.
pub fn phases() -> Trace {
    let page = |time_us: u64, random: &mut Random| Some(time_us / 1_000_000 % 3 * 140 + random.below(140));
    generate(12, vec![(420, 100, Box::new(page))])
}

/// One tenant that goes round and round through more than it can have.
pub fn endless_loop() -> Trace {
    generate(13, vec![(430, 100, Box::new(|time_us, _| Some(time_us / STEP_US % 430)))])
}

/// A tenant that filled its pages and sleeps, and one that works.
pub fn hoarder() -> Trace {
    let zipf = Zipf::new(200, &mut Random(8));
    let working = Box::new(move |_, random: &mut Random| Some(zipf.page(random)));
    generate(14, vec![(250, 100, Box::new(|_, _| None)), (200, 100, working)])
}

/// Two tenants that do the same, of which one counts three times as much.
pub fn weights() -> Trace {
    let of = |weight| -> Use<'static> { (215, weight, Box::new(|_, random| Some(random.below(215)))) };
    generate(15, vec![of(100), of(300)])
}
