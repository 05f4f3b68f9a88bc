//! Traces: what tenants do with their pages, as lines of text.
//!
//! ```text
//! tenant NUMBER guaranteed FRAMES weight WEIGHT pages PAGES
//! TIME_US NUMBER read|write PAGE
//! TIME_US NUMBER allocate|drop PAGE PAGES
//! ```
//!
//! Tenants come first, numbered from 0; times ascend. A recorded trace is replayed as a generated one is.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};

/// A tenant: a contract with one container, mapped into one address space.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenant {
    pub guaranteed: u64,
    pub weight: u64,
    pub pages: u64,
}

/// What a tenant does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Read(u64),
    Write(u64),
    Allocate(u64, u64),
    Drop(u64, u64),
}

/// A line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub time_us: u64,
    pub tenant: usize,
    pub action: Action,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    pub tenants: Vec<Tenant>,
    pub events: Vec<Event>,
}

impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Tenant { guaranteed, weight, pages }) in self.tenants.iter().enumerate() {
            writeln!(formatter, "tenant {number} guaranteed {guaranteed} weight {weight} pages {pages}")?;
        }
        for Event { time_us, tenant, action } in &self.events {
            match action {
                Action::Read(page) => writeln!(formatter, "{time_us} {tenant} read {page}")?,
                Action::Write(page) => writeln!(formatter, "{time_us} {tenant} write {page}")?,
                Action::Allocate(page, pages) => {
                    writeln!(formatter, "{time_us} {tenant} allocate {page} {pages}")?;
                }
                Action::Drop(page, pages) => writeln!(formatter, "{time_us} {tenant} drop {page} {pages}")?,
            }
        }
        Ok(())
    }
}

fn number(words: &mut SplitWhitespace<'_>) -> Result<u64, String> {
    let word = words.next().ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn labelled(words: &mut SplitWhitespace<'_>, label: &str) -> Result<u64, String> {
    if words.next() != Some(label) {
        return Err(format!("{label} is missing"));
    }
    number(words)
}

impl FromStr for Trace {
    type Err = String;

    fn from_str(text: &str) -> Result<Trace, String> {
        let mut trace = Trace::default();
        for line in text.lines() {
            let parsed = trace.take_line(line);
            parsed.map_err(|error| format!("{line}: {error}"))?;
        }
        Ok(trace)
    }
}

impl Trace {
    fn take_line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        if line.starts_with("tenant") {
            if labelled(&mut words, "tenant")? != self.tenants.len() as u64 {
                return Err("tenants are numbered from 0".into());
            }
            let guaranteed = labelled(&mut words, "guaranteed")?;
            let weight = labelled(&mut words, "weight")?;
            self.tenants.push(Tenant { guaranteed, weight, pages: labelled(&mut words, "pages")? });
        } else {
            let (time_us, tenant) = (number(&mut words)?, number(&mut words)? as usize);
            let pages = self.tenants.get(tenant).ok_or("there is no such tenant")?.pages;
            let kind = words.next().ok_or("an action is missing")?;
            let page = number(&mut words)?;
            let (action, last) = match kind {
                "read" => (Action::Read(page), page),
                "write" => (Action::Write(page), page),
                "allocate" | "drop" => {
                    let count = number(&mut words)?;
                    let of = if kind == "drop" { Action::Drop } else { Action::Allocate };
                    (of(page, count), page.saturating_add(count).checked_sub(1).ok_or("no pages")?)
                }
                _ => return Err("this is no action".into()),
            };
            if last >= pages || self.events.last().is_some_and(|event| event.time_us > time_us) {
                return Err("out of range".into());
            }
            self.events.push(Event { time_us, tenant, action });
        }
        words.next().map_or(Ok(()), |word| Err(format!("{word} is too much")))
    }
}

#[test]
fn a_trace_is_what_it_says_as_text() {
    let trace = super::generate::weights();
    assert_eq!(trace.to_string().parse::<Trace>(), Ok(trace));
    let head = "tenant 0 guaranteed 9 weight 5 pages 10\n";
    for bad in ["5 0 read 10", "5 1 read 1", "5 0 drop 1 10", "5 0 peek 1", "5 0 read 1 1", "5 0 read", "x"] {
        assert!(format!("{head}{bad}").parse::<Trace>().is_err(), "{bad}");
    }
    assert!(format!("{head}5 0 read 1\n4 0 read 1").parse::<Trace>().is_err(), "back in time");
}
