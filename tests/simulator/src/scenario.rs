//! The scenarios: who takes part, and what happens how often.

use crate::actors::liar::ALLOWANCE;
use crate::actors::pager;
use crate::device::Troubles;
use crate::random::Random;

/// Who takes part and what happens how often.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Name, for `--only`.
    pub name: &'static str,
    /// Witnesses at most; fewer where the machine is too small.
    pub witnesses: u64,
    /// Hostile clients at most.
    pub hostiles: u64,
    /// Weight of file reads among what a witness does (all else together: 100); 0: no file server, no driver.
    pub reads: u64,
    /// Longest that a witness waits for a file.
    pub patience_ns: u64,
    /// One step in so many is the death of a client; 0: never.
    pub client_deaths: u64,
    /// The same for the file server.
    pub server_deaths: u64,
    /// The same for the driver.
    pub driver_deaths: u64,
    /// One step in so many, everybody sleeps for long; 0: never.
    pub sleeps: u64,
    /// What the disk does wrong.
    pub troubles: Troubles,
    /// Pages of a witness's container at most.
    pub pages: u64,
    /// Frames of the machine at most.
    pub frames: u64,
    /// Longest that a step takes, in nanoseconds.
    pub step_ns: u64,
    /// One contract in so many has a term; 0: none.
    pub terms: u64,
    /// One step in so many, a guarantee is handed down or taken back; 0: never.
    pub politics: u64,
    /// One step in so many, another policy is in force; 0: never.
    pub swaps: u64,
    /// One file read in so many is a range lent to a lying server instead; 0: there is none.
    pub lies: u64,
    /// Parts of 16 of the machine that the file server's cache may take.
    pub cache: u64,
    /// Parts of 16 of the machine that are guaranteed to nobody.
    pub unguaranteed: u64,
    /// Whether clients have a swap limit and there is a default pager.
    pub pages_out: bool,
    /// One step in so many is the death of the default pager; 0: never.
    pub pager_deaths: u64,
}

const NO_TROUBLES: Troubles = Troubles { io_errors: 0, hangs: 0, lost_interrupts: 0 };

const QUIET: Mix = Mix {
    name: "memory",
    witnesses: 4,
    hostiles: 0,
    reads: 0,
    patience_ns: 60_000_000_000,
    client_deaths: 0,
    server_deaths: 0,
    driver_deaths: 0,
    sleeps: 0,
    troubles: NO_TROUBLES,
    pages: 16,
    frames: 1024,
    step_ns: 40_000,
    terms: 0,
    politics: 0,
    swaps: 0,
    lies: 0,
    cache: 2,
    unguaranteed: 1,
    pages_out: false,
    pager_deaths: 0,
};

const SWAP: Mix = Mix {
    name: "swap",
    witnesses: 5,
    pages: 60,
    step_ns: 100_000,
    unguaranteed: 0,
    pages_out: true,
    pager_deaths: 400,
    ..QUIET
};

/// All scenarios.
pub const SCENARIOS: &[Mix] = &[
    QUIET,
    Mix { name: "boot-read", reads: 60, ..QUIET },
    Mix {
        name: "locks",
        reads: 60,
        patience_ns: 40_000_000,
        sleeps: 150,
        troubles: Troubles { hangs: 10, ..NO_TROUBLES },
        ..QUIET
    },
    Mix {
        name: "deaths",
        reads: 40,
        client_deaths: 60,
        server_deaths: 150,
        driver_deaths: 120,
        sleeps: 400,
        hostiles: 1,
        ..QUIET
    },
    Mix { name: "trees", witnesses: 2, hostiles: 3, client_deaths: 40, unguaranteed: 0, ..QUIET },
    Mix { name: "hostile", witnesses: 2, hostiles: 4, reads: 20, client_deaths: 300, sleeps: 500, ..QUIET },
    Mix {
        name: "pressure",
        witnesses: 6,
        hostiles: 2,
        reads: 20,
        unguaranteed: 1,
        client_deaths: 200,
        politics: 40,
        swaps: 60,
        pages: 40,
        frames: 300,
        step_ns: 400_000,
        ..QUIET
    },
    Mix {
        name: "ladder",
        witnesses: 6,
        sleeps: 300,
        unguaranteed: 0,
        politics: 100,
        swaps: 40,
        pages: 60,
        frames: 256,
        step_ns: 1_000_000,
        client_deaths: 100,
        ..QUIET
    },
    Mix {
        name: "cache",
        reads: 120,
        sleeps: 200,
        client_deaths: 80,
        politics: 100,
        swaps: 100,
        pages: 40,
        frames: 384,
        step_ns: 300_000,
        cache: 10,
        unguaranteed: 0,
        ..QUIET
    },
    Mix { name: "liar", reads: 80, lies: 1, sleeps: 150, server_deaths: 400, client_deaths: 200, ..QUIET },
    Mix {
        name: "terms",
        witnesses: 5,
        hostiles: 1,
        reads: 20,
        terms: 2,
        sleeps: 150,
        client_deaths: 400,
        ..QUIET
    },
    Mix {
        name: "disk",
        reads: 80,
        patience_ns: 20_000_000_000,
        driver_deaths: 300,
        sleeps: 300,
        troubles: Troubles { io_errors: 6, hangs: 25, lost_interrupts: 5 },
        ..QUIET
    },
    SWAP,
    Mix {
        name: "pagers",
        hostiles: 1,
        client_deaths: 150,
        pager_deaths: 60,
        sleeps: 60,
        politics: 100,
        swaps: 100,
        terms: 8,
        ..SWAP
    },
    Mix {
        name: "everything",
        hostiles: 2,
        reads: 40,
        patience_ns: 3_000_000_000,
        client_deaths: 150,
        server_deaths: 250,
        driver_deaths: 250,
        sleeps: 250,
        terms: 5,
        politics: 150,
        swaps: 200,
        lies: 4,
        pages: 40,
        step_ns: 200_000,
        troubles: Troubles { io_errors: 12, hangs: 40, lost_interrupts: 10 },
        unguaranteed: 2,
        ..QUIET
    },
];

/// The scenario of a name.
pub fn named(name: &str) -> Option<&'static Mix> {
    SCENARIOS.iter().find(|mix| mix.name == name)
}

/// What a seed stands for: a scenario, and a machine of so many frames.
pub fn of_seed(seed: u64, only: Option<&'static Mix>) -> (Mix, usize) {
    let mut random = Random::of(seed, u64::MAX);
    let mix = random.pick(SCENARIOS);
    let size = random.pick(&[64_u64, 96, 128, 192, 256, 384, 512, 768, 1024]);
    let frames = size - if size == 64 { 0 } else { random.below(size / 4) };
    let mix = only.copied().unwrap_or(mix);
    let least = if mix.pages_out { PAGING_FRAMES } else { 0 };
    (mix, frames.min(mix.frames).max(least) as usize)
}

/// Frames for each party of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Guaranteed to nobody, whatever happens.
    pub reserve: u64,
    /// Guaranteed to nobody, to be lent.
    pub extra: u64,
    /// The driver: guarantee and pin limit.
    pub driver: (u64, u64),
    /// The file server: guarantee, extra limit and pin limit.
    pub server: (u64, u64, u64),
    /// Places in the file server's cache.
    pub places: u64,
    /// Witnesses.
    pub witnesses: usize,
    /// Hostile clients.
    pub hostiles: usize,
    /// A client: guarantee, extra limit and pin limit.
    pub client: (u64, u64, u64),
}

/// Frames of the smallest machine with a default pager.
const PAGING_FRAMES: u64 = pager::ALLOWANCE + 90;
/// Frames that the root contract keeps.
const ROOT_FRAMES: u64 = 8;
/// Frames that the smallest client can do with.
const CLIENT_FRAMES: u64 = 15;
/// Frames of the system's from the start.
const SYSTEM_FRAMES: u64 = 4;

impl Shares {
    /// How a machine is divided.
    pub fn of(mix: &Mix, frames: usize) -> Shares {
        let managed = frames as u64 - SYSTEM_FRAMES;
        let reserve = managed / 128 + 6;
        let extra = (managed - reserve) * mix.unguaranteed / 16;
        let guaranteed = managed - reserve - extra;
        let (mut driver, mut server, mut places) = ((0, 0), (0, 0, 0), 0);
        if mix.reads != 0 {
            let pins = (guaranteed / 16).clamp(3, 40);
            driver = (pins + 4, pins);
            places = (guaranteed * mix.cache / 16).clamp(4, 256);
            let certain = (places / 2).min((guaranteed / 16).max(2));
            server = (certain + 8, places, certain);
        }
        let liar = if mix.lies == 0 { 0 } else { ALLOWANCE.0.min(guaranteed / 4) };
        let paging = if mix.pages_out { pager::ALLOWANCE } else { 0 };
        let rest = guaranteed - ROOT_FRAMES - driver.0 - server.0 - liar - paging;
        let parties = (rest / CLIENT_FRAMES).clamp(1, mix.witnesses + mix.hostiles);
        let hostiles = (parties * mix.hostiles / (mix.witnesses + mix.hostiles))
            .max(u64::from(mix.hostiles != 0 && parties > 1));
        let each = rest / parties;
        Shares {
            reserve,
            extra,
            driver,
            server,
            places,
            witnesses: (parties - hostiles) as usize,
            hostiles: hostiles as usize,
            client: (each.min(120), (managed / 2).min(200), each.min(120) / 2),
        }
    }
}
