//! The tasks of a stress run: what each tries, against which law of the design, and what it may hold.
//!
//! To add one that misbehaves: a module in `tests/stress/src/misbehaving`, a row here, a row in `docs/stress.md`.

/// What a task is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Keeps to the rules, and checks that the rules are kept towards it.
    Good,
    /// Attacks.
    Misbehaving,
    /// Runs only when it is named: proves that the checks can fail.
    OnRequest,
}

/// A task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Task {
    /// Its name, and its program's first argument.
    pub name: &'static str,
    /// What it is there for.
    pub part: Part,
    /// The laws that it attacks, or watches over.
    pub laws: &'static [u8],
    /// What it does, in a few words.
    pub tries: &'static str,
    /// Frames that it is guaranteed.
    pub guaranteed: u64,
    /// Frames beyond them that it may hold; at most what the supervisor may.
    pub extra_limit: u64,
    /// Frames of the guarantee that it may pin.
    pub pin_limit: u64,
    /// Thousandths of the supervisor's processor time that are set aside for it, in a schedule of its own.
    pub time: u64,
}

/// Thousandths of its time that the supervisor keeps for itself, at least. Starting and ending tasks, and the books of
/// all contracts twenty times a second, take a part of that on one processor.
pub const SUPERVISOR_TIME: u64 = 200;

/// Frames that a task is guaranteed unless it needs more.
const FRAMES: u64 = 256;

/// Time of a task whose waits are measured. It rests between its rounds, and never runs out: else its wait for the next period would
/// be part of what it measures.
const MEASURED_TIME: u64 = 200;
/// Time of another good task.
const GOOD_TIME: u64 = 50;
/// Time of one that is to take all the memory there is.
const HOARDER_TIME: u64 = 15;
/// Time of one that misbehaves: beyond that it gets what nobody else wants, which is most of its life.
const BAD_TIME: u64 = 4;

const fn good(name: &'static str, laws: &'static [u8], tries: &'static str) -> Task {
    Task {
        name,
        part: Part::Good,
        laws,
        tries,
        guaranteed: 2 * FRAMES,
        extra_limit: 0,
        pin_limit: FRAMES / 2,
        time: GOOD_TIME,
    }
}

/// One that measures how long physmem and the kernel take.
const fn measured(name: &'static str, laws: &'static [u8], tries: &'static str) -> Task {
    Task { time: MEASURED_TIME, ..good(name, laws, tries) }
}

const fn bad(name: &'static str, laws: &'static [u8], tries: &'static str) -> Task {
    Task {
        part: Part::Misbehaving,
        guaranteed: FRAMES,
        pin_limit: FRAMES / 4,
        time: BAD_TIME,
        ..good(name, laws, tries)
    }
}

/// One that takes all the memory that it is lent.
const fn hoarder(name: &'static str, laws: &'static [u8], tries: &'static str) -> Task {
    Task { extra_limit: u64::MAX, time: HOARDER_TIME, ..bad(name, laws, tries) }
}

/// All tasks, good ones first.
pub const TASKS: &[Task] = &[
    good("witness", &[3, 4], "keeps secrets, allocates within its guarantee"),
    measured("faulter", &[5], "touches unmapped pages, measures how long that takes"),
    measured("toucher", &[4], "touches absent pages of its guarantee"),
    Task {
        guaranteed: 1536,
        ..good("lender", &[4, 6], "leaves its guarantee idle, then wants all of it at once")
    },
    good("reader", &[5, 7], "reads a file whose every word is known"),
    good("client", &[7], "lends memory to a server that lies"),
    hoarder("ignores-calls", &[4, 6], "takes all that is lent, ignores every call for it"),
    hoarder("answers-late", &[6], "answers calls when their deadline is over"),
    hoarder("claims-returned", &[6], "claims to have given back, hides, pins, renews"),
    bad("asks-small", &[4], "asks for more than its contract, page by page"),
    bad("asks-huge", &[4, 9], "asks for more than any machine has, at once"),
    bad("touches-returned", &[3], "returns frames and goes on touching them"),
    bad("pins-all", &[4, 6], "pins all it may, tries to pin more, sleeps"),
    bad("never-unlocks", &[7], "locks everything, never unlocks"),
    bad("absurd-terms", &[7], "grants and takes locks of absurd length"),
    bad("poisons-cache", &[3, 7], "breaks its lock in mid fill, rewrites the data"),
    bad("races-fill", &[7], "writes from a second thread during a fill"),
    bad("forges", &[3, 9], "uses stale, revoked, foreign, forged capabilities"),
    bad("floods-physmem", &[5, 8], "calls physmem without end from many threads"),
    bad("floods-files", &[1, 5], "calls the file servers without end"),
    Task { guaranteed: 3 * FRAMES, ..bad("floods-driver", &[5], "keeps the disk as busy as a program can") },
    bad("floods-signals", &[5, 8], "signals and timers without end"),
    bad("half-calls", &[5, 9], "gives up calls half-way"),
    bad("garbles", &[9], "sends messages that make no sense"),
    Task { guaranteed: 4 * FRAMES, ..bad("breeds", &[1, 4], "starts children that start children") },
    bad("makes-threads", &[8], "makes threads until it is refused"),
    bad("makes-tables", &[8], "makes page tables until it is refused"),
    bad("dies", &[7, 9], "dies at every step of each protocol"),
    bad("hogs", &[5, 6], "burns all processor time that it gets"),
    bad("splits-time", &[2, 4, 8], "makes more of its processor time than it is"),
    bad("faults", &[5, 9], "faults, recursively, in every way"),
    bad("maps-often", &[5, 8], "maps one container thousands of times"),
    bad("deep-trees", &[5, 8], "makes deep and wide trees of contracts"),
    Task {
        guaranteed: 2 * FRAMES,
        ..bad("deep-terms", &[6, 8], "deep trees of contracts that end at different moments")
    },
    Task {
        guaranteed: 2 * FRAMES,
        ..bad("outlives-term", &[6, 7], "holds on to a contract whose term is over")
    },
    Task {
        guaranteed: 2 * FRAMES,
        ..bad("hands-around", &[2, 4], "hands down, takes back and merges wrongly")
    },
    bad("rides", &[1, 2], "shares frames to ride on others' accounts"),
    bad("probes", &[3], "looks for secrets in every frame it gets"),
    bad("lies", &[7], "a server: fills too much, too little, late, never"),
    Task {
        part: Part::OnRequest,
        ..bad("false-witness", &[3], "damages its own secrets, so that its check must fail")
    },
];

/// The task of this name.
pub fn find(name: &str) -> Option<&'static Task> {
    TASKS.iter().find(|task| task.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_contract() {
        for (index, task) in TASKS.iter().enumerate() {
            assert!(TASKS[..index].iter().all(|other| other.name != task.name), "{}", task.name);
            assert!(task.name.len() <= 16 && !task.name.contains([' ', '=']), "{}", task.name);
            assert_eq!(find(task.name), Some(task));
        }
        assert_eq!(find("nobody"), None);
    }

    #[test]
    fn every_task_has_a_law_and_pins_within_its_guarantee() {
        for task in TASKS {
            assert!(!task.laws.is_empty() && task.laws.iter().all(|law| (1..=9).contains(law)));
            assert!(task.pin_limit <= task.guaranteed);
        }
    }

    /// So that no start is refused for want of time, even while the share of an ended task is still on its way back.
    #[test]
    fn the_time_of_all_is_there() {
        let sum: u64 = TASKS.iter().map(|task| task.time).sum();
        let longest = TASKS.iter().map(|task| task.time).max().unwrap();
        assert!(sum + SUPERVISOR_TIME <= 1000, "{sum} thousandths");
        assert!(longest <= SUPERVISOR_TIME && TASKS.iter().all(|task| task.time > 0));
    }

    #[test]
    fn every_law_is_attacked() {
        for law in 1..=9 {
            let attacks = |task: &&Task| task.part == Part::Misbehaving && task.laws.contains(&law);
            assert!(TASKS.iter().any(|task| attacks(&task)), "law {law}");
        }
    }
}
