//! The books of the guest, as its program `/.boot/test/books` prints them, and what may not have changed between two looks.

use std::collections::BTreeMap;

/// The program that prints the books.
pub const PROGRAM: &str = "/.boot/test/books";
/// Its last line.
pub const LAST_LINE: &str = "books end";
/// How its lines begin.
const MARK: &str = "books ";
/// The server whose contract pays for the file cache.
const CACHE_OWNER: &str = "ext";
/// The shell: its heap may grow with what it remembers, its kernel objects and records may not.
const SHELL: &str = "shell";
/// Pages by which the shell may grow.
const SHELL_PAGES: u64 = 16;
/// Cached pages for which one more frame of a page array is enough.
const ARRAY_PAGES: u64 = 256;

/// All frames by state, and what each contract holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    /// Frames of RAM.
    pub frames: u64,
    /// The kernel's and physmem's own.
    pub kernel: u64,
    /// Free.
    pub free: u64,
    /// Held by contracts.
    pub held: u64,
    /// Waiting for a device.
    pub quarantined: u64,
    /// Pages of the file cache.
    pub cached: u64,
    /// By principal.
    pub contracts: BTreeMap<u64, Holding>,
}

/// What a contract holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Its name.
    pub name: String,
    /// Pages of containers, without the file cache.
    pub pages: u64,
    /// Frames with records.
    pub records: u64,
    /// Frames with kernel objects and page tables.
    pub kernel: u64,
}

/// Takes the books out of an output: what the other programs wrote, and all books in their order.
pub fn separate(output: &[u8]) -> (Vec<u8>, Vec<Books>) {
    let mut rest = Vec::new();
    let mut all = Vec::new();
    let mut open = Books::default();
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        let text = std::str::from_utf8(line).unwrap_or_default().trim_end();
        if text == LAST_LINE {
            all.push(std::mem::take(&mut open));
        } else if text.strip_prefix(MARK).and_then(|line| open.add(line)).is_none() {
            rest.extend_from_slice(line);
        }
    }
    (rest, all)
}

impl Books {
    fn add(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index)?.parse::<u64>().ok();
        match *words.first()? {
            "frames" => {
                (self.frames, self.kernel, self.free) = (number(1)?, number(3)?, number(5)?);
                (self.held, self.quarantined, self.cached) = (number(7)?, number(9)?, number(11)?);
            }
            "contract" => {
                let name = words.get(8..)?.join(" ");
                let holding = Holding { name, pages: number(3)?, records: number(5)?, kernel: number(7)? };
                self.contracts.insert(number(1)?, holding);
            }
            _ => return None,
        }
        Some(())
    }

    /// The same books with the principals of an earlier look, where a contract has taken another's place: for servers
    /// that were started again on purpose.
    pub fn with_principals_of(&self, before: &Books) -> Books {
        let mut books = self.clone();
        for (principal, was) in &before.contracts {
            let is_new = |number: &u64| !before.contracts.contains_key(number);
            let mut of_its_name = self.contracts.iter().filter(|(_, is)| is.name == was.name);
            let Some((number, holding)) = of_its_name.find(|(number, _)| is_new(number)) else { continue };
            if !books.contracts.contains_key(principal) {
                books.contracts.remove(number);
                books.contracts.insert(*principal, holding.clone());
            }
        }
        books
    }

    /// Checks that every frame is somewhere, and that nobody holds more or less than at an earlier look, the file cache
    /// apart.
    pub fn check_same(&self, before: &Books) -> Result<(), String> {
        let sum = self.kernel + self.free + self.held + self.quarantined;
        if sum != self.frames || self.frames != before.frames {
            return Err(format!(
                "of {} frames (before: {}) {sum} are in some state",
                self.frames, before.frames
            ));
        }
        if (self.kernel, self.quarantined) != (before.kernel, 0) {
            return Err(format!(
                "the kernel and physmem have {} frames (before: {}), {} are in quarantine",
                self.kernel, before.kernel, self.quarantined
            ));
        }
        for (principal, was) in &before.contracts {
            let Some(is) = self.contracts.get(principal) else {
                return Err(format!("the contract of {} is gone", was.name));
            };
            if !is.is_as_good_as(was, self.cached.abs_diff(before.cached)) {
                return Err(format!("a contract held {was:?} and holds {is:?}"));
            }
        }
        match self.contracts.iter().find(|(principal, _)| !before.contracts.contains_key(principal)) {
            Some((_, new)) => Err(format!("a contract was left over: {new:?}")),
            None => Ok(()),
        }
    }
}

impl Holding {
    fn is_as_good_as(&self, was: &Holding, cached: u64) -> bool {
        let array_frames = if cached == 0 { 0 } else { 2 + cached / ARRAY_PAGES };
        let (pages, records) = match self.name.as_str() {
            CACHE_OWNER => (0, array_frames),
            SHELL => (SHELL_PAGES, 0),
            _ => (0, 0),
        };
        self.name == was.name
            && self.kernel == was.kernel
            && self.pages.abs_diff(was.pages) <= pages
            && self.records.abs_diff(was.records) <= records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "first\n\
        books frames 100 kernel 10 free 60 held 30 quarantined 0 cached 5\n\
        books contract 1 pages 9 records 3 kernel 4 root\n\
        books contract 4 pages 9 records 2 kernel 3 ext\n\
        books end\n\
        second\n";

    fn sample() -> Books {
        separate(OUTPUT.as_bytes()).1.remove(0)
    }

    #[test]
    fn books_are_told_from_other_output() {
        let (rest, books) = separate(OUTPUT.repeat(2).as_bytes());
        assert_eq!(rest, b"first\nsecond\nfirst\nsecond\n");
        assert_eq!(books.len(), 2);
        assert_eq!((books[0].frames, books[0].cached, books[0].contracts.len()), (100, 5, 2));
        let ext = Holding { name: "ext".into(), pages: 9, records: 2, kernel: 3 };
        assert_eq!(books[0].contracts[&4], ext);
        assert_eq!(separate(b"books are good\n\xff").0, b"books are good\n\xff");
    }

    #[test]
    fn every_kind_of_leak_is_found() {
        let before = sample();
        assert_eq!(before.check_same(&before), Ok(()));
        let leaks: [fn(&mut Books); 9] = [
            |books| books.free -= 1,
            |books| (books.free, books.quarantined) = (59, 1),
            |books| (books.free, books.kernel) = (59, 11),
            |books| drop(books.contracts.remove(&1)),
            |books| drop(books.contracts.insert(7, Holding::default())),
            |books| books.contracts.get_mut(&1).unwrap().pages += 1,
            |books| books.contracts.get_mut(&1).unwrap().records += 1,
            |books| books.contracts.get_mut(&4).unwrap().kernel += 1,
            |books| books.contracts.get_mut(&4).unwrap().records += 1,
        ];
        for (index, leak) in leaks.iter().enumerate() {
            let mut after = before.clone();
            leak(&mut after);
            assert!(after.check_same(&before).is_err(), "leak {index} was not found");
        }
    }

    #[test]
    fn a_server_that_was_started_again_takes_the_place_of_the_old_one() {
        let (before, mut after) = (sample(), sample());
        let ext = after.contracts.remove(&4).unwrap();
        after.contracts.insert(9, ext.clone());
        assert!(after.check_same(&before).is_err());
        assert_eq!(after.with_principals_of(&before).check_same(&before), Ok(()));
        after.contracts.insert(10, ext);
        assert!(after.with_principals_of(&before).check_same(&before).is_err(), "one more is one too many");
        after.contracts.retain(|&principal, _| principal < 9);
        assert!(after.with_principals_of(&before).check_same(&before).is_err(), "and one must be there");
    }

    #[test]
    fn the_cache_may_grow_with_its_page_array() {
        let (before, mut after) = (sample(), sample());
        (after.cached, after.free, after.held) = (600, 30, 60);
        after.contracts.get_mut(&4).unwrap().records += 4;
        assert_eq!(after.check_same(&before), Ok(()));
        after.contracts.get_mut(&4).unwrap().records += 1;
        assert!(after.check_same(&before).is_err());
    }
}
