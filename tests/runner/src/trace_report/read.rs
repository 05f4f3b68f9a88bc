//! Reading a trace file back, whatever has become of it.
//!
//! The file has one event a line ([`crate::trace::chrome`]). A line that is no event is counted and told with its number;
//! everything else is read. Nothing in the file is trusted: names are cut, numbers that are none are left out.

use serde_json::Value;
use std::io::{self, BufRead};

/// Lines that are told of, with their numbers, at most.
const TOLD: usize = 8;
/// Bytes of a line that are looked at; a longer one is no event.
const LINE_BYTES: usize = 1 << 16;
/// Characters of a name that are kept.
const NAME_CHARACTERS: usize = 48;
/// Latest moment that is believed, in microseconds: nine years.
const TIME_MAX: f64 = 3e14;

/// An event of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// `X`, `b`, `e`, `i` or `C`: see the format.
    pub phase: char,
    /// What joins a beginning and an end.
    pub id: String,
    /// Thread of the file.
    pub thread: u64,
    /// When, in microseconds since boot.
    pub time: f64,
    /// How long, in microseconds; 0 where it has no length.
    pub duration: f64,
    /// What it is about.
    pub arguments: Value,
}

impl Entry {
    /// A number among what it is about; 0 if there is none.
    pub fn number(&self, name: &str) -> f64 {
        self.arguments[name].as_f64().filter(|number| number.is_finite() && *number >= 0.0).unwrap_or(0.0)
    }

    /// A text among what it is about.
    pub fn text(&self, name: &str) -> String {
        short(self.arguments[name].as_str().unwrap_or_default())
    }
}

/// What was read, and what was not.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    /// Events, by their time.
    pub entries: Vec<Entry>,
    /// Names of threads.
    pub threads: std::collections::BTreeMap<u64, String>,
    /// Lines that are no events.
    pub bad_lines: u64,
    /// Numbers of the first of them.
    pub bad_numbers: Vec<u64>,
    /// Events that the guest says were lost.
    pub lost: u64,
    /// The array of events has its end.
    pub is_whole: bool,
    /// Reading ended before the file did.
    pub failure: Option<String>,
}

fn short(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(NAME_CHARACTERS).collect()
}

impl Trace {
    /// Reads everything that can be read.
    pub fn read(mut input: impl BufRead) -> Trace {
        let mut trace = Trace::default();
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            match read_line(&mut input, &mut line) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) => {
                    trace.failure = Some(error.to_string());
                    break;
                }
            }
            number += 1;
            trace.line(number, &line);
        }
        trace.entries.sort_by(|one, other| one.time.total_cmp(&other.time));
        trace
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        let text = line.trim_ascii();
        let text = text.strip_suffix(b",").unwrap_or(text);
        match text {
            b"" | b"[" => return,
            b"]" => {
                self.is_whole = true;
                return;
            }
            _ => {}
        }
        let is_read = serde_json::from_slice(text).is_ok_and(|value| self.take(&value));
        if !is_read {
            self.bad_lines += 1;
            if self.bad_numbers.len() < TOLD {
                self.bad_numbers.push(number);
            }
        }
    }

    /// Takes an event in. False: it is none.
    fn take(&mut self, value: &Value) -> bool {
        let text = |name: &str| value[name].as_str().map(short).unwrap_or_default();
        let number = |name: &str| value[name].as_f64().filter(|number| (0.0..TIME_MAX).contains(number));
        let mut phase = value["ph"].as_str().unwrap_or_default().chars();
        let (Some(phase), None) = (phase.next(), phase.next()) else { return false };
        let thread = value["tid"].as_u64().unwrap_or(0);
        if phase == 'M' {
            if value["name"] == "thread_name" {
                self.threads.insert(thread, short(value["args"]["name"].as_str().unwrap_or_default()));
            }
            return true;
        }
        let Some(time) = number("ts") else { return false };
        if !"XbeiC".contains(phase) || value["args"].as_object().is_none() {
            return false;
        }
        let entry = Entry {
            name: text("name"),
            category: text("cat"),
            phase,
            id: text("id"),
            thread,
            time,
            duration: number("dur").unwrap_or(0.0),
            arguments: value["args"].clone(),
        };
        if entry.category == "lost" {
            self.lost += entry.number("events") as u64;
        }
        self.entries.push(entry);
        true
    }

    /// When the last event ended, in microseconds since boot.
    pub fn end(&self) -> f64 {
        self.entries.iter().map(|one| one.time + one.duration).fold(0.0, f64::max)
    }

    /// What the file lacks, said to a person; nothing, if it lacks nothing.
    pub fn complaints(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(failure) = &self.failure {
            all.push(format!("The file could not be read to its end ({failure})."));
        }
        if !self.is_whole {
            all.push(String::from("The file was cut short: its end is missing. What lies before is shown."));
        }
        if self.bad_lines != 0 {
            let numbers: Vec<_> = self.bad_numbers.iter().map(u64::to_string).collect();
            let more = if self.bad_lines as usize > numbers.len() { ", ..." } else { "" };
            let (count, numbers) = (self.bad_lines, numbers.join(", "));
            all.push(format!("{count} lines are no events and were left out: line {numbers}{more}."));
        }
        if self.lost != 0 {
            let lost = self.lost;
            all.push(format!(
                "{lost} events were lost in the guest, because they came faster than they were taken away."
            ));
        }
        if self.entries.is_empty() {
            all.push(String::from("There is no event in the file: is it a trace?"));
        }
        all
    }
}

/// Reads a line, of which a part too long is left out. False: there is none.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut any = false;
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = part.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(part.len());
        // One byte more than is allowed makes it too long to parse.
        let room = (LINE_BYTES + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..taken.min(room)]);
        input.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::trace::chrome::Writer;
    use kernel_abi::boot::ClockPage;
    use kernel_abi::trace::{Event, EventKind};

    /// A little of everything, as the runner writes it.
    pub fn sample() -> Vec<u8> {
        let clock = ClockPage { tsc_at_boot: 0, multiplier: 1 << 32 };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        let word = |text: &[u8; 8]| u64::from_le_bytes(*text);
        for step in 0..200_u64 {
            let mut put = |offset: u64, kind, subject, arguments| {
                let time = step * 1_000_000 + offset;
                writer
                    .event(clock, &Event { time, kind, processor: (step % 2) as u8, subject, arguments })
                    .unwrap();
            };
            let (shell, ext) = (word(b"shell\0\0\0"), word(b"ext\0\0\0\0\0"));
            put(1, EventKind::Contract, u32::MAX, [7, 4000, 1000 + step * 10, step * 5, shell, 0]);
            put(2, EventKind::Contract, u32::MAX, [8, 600, 2000 - step * 5, 1400 - step * 5, ext, 0]);
            put(3, EventKind::Memory, u32::MAX, [8192, 500, 4000 - step, 0, step * 30, step << 16]);
            put(4, EventKind::Switch, 7, [1, shell, 0, 5, 0, 0]);
            put(5, EventKind::Fault, 7, [0x1000, 0, 0, 0, 0, 0]);
            put(90_000, EventKind::FaultAnswered, 7, [0; 6]);
            put(100_000, EventKind::Locked, 9, [step, 3, 16 | 2 << 56, step * 1_000_000 + 5_000_000, 0, 0]);
            put(110_000, EventKind::DiskRead, 9, [step % 4, 65_536, 0, 0, 0, 0]);
            put(700_000, EventKind::DiskDone, 9, [step % 4, 65_536, 0, 0, 0, 0]);
            put(800_000, EventKind::LockEnded, 9, [step, 0, 0, 0, 0, 0]);
            if step % 40 == 20 {
                put(850_000, EventKind::ContractCalled, 9, [8, step, 64, (step + 20) * 1_000_000, 0, 0]);
            }
            if step % 40 == 30 {
                let kind = if step < 100 { EventKind::CallMet } else { EventKind::CallMissed };
                put(860_000, kind, 9, [8, step - 10, 64, 0, 0, 0]);
                put(900_000, EventKind::Seized, 9, [8, 3, 64, 1, 0, 0]);
            }
        }
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let trace = Trace::read(&sample()[..]);
        assert!(trace.is_whole && trace.complaints().is_empty(), "{:?}", trace.complaints());
        let count = |category: &str| trace.entries.iter().filter(|one| one.category == category).count();
        assert_eq!((count("contract"), count("fault"), count("lock"), count("disk")), (400, 200, 400, 400));
        assert_eq!((count("call"), count("seizure")), (10, 6));
        assert!(trace.entries.is_sorted_by(|one, other| one.time <= other.time));
        assert!(trace.end() > 199_000.0 && trace.threads[&7].starts_with("shell"));
    }

    #[test]
    fn a_file_cut_anywhere_is_read_up_to_there() {
        let whole = sample();
        let all = Trace::read(&whole[..]).entries.len();
        for end in (0..whole.len()).step_by(997) {
            let trace = Trace::read(&whole[..end]);
            assert!(!trace.is_whole && trace.bad_lines <= 1);
            assert!(trace.entries.len() + 8 >= all * end / whole.len() / 2);
            assert!(!trace.complaints().is_empty());
        }
    }

    #[test]
    fn what_is_no_event_is_counted_and_the_rest_is_read() {
        let long = format!("{{\"ph\":\"i\",\"ts\":1,\"args\":{{}},\"name\":\"{}\"}}", "x".repeat(LINE_BYTES));
        let lines = [
            "[",
            "garbage,",
            r#"{"ph":"i","ts":1,"args":{},"name":"a\u0007"},"#,
            r#"{"ph":"i","ts":-1,"args":{}},"#,
            r#"{"ph":"i","ts":1e300,"args":{}},"#,
            r#"{"ph":"i","args":{}},"#,
            r#"{"ph":"ii","ts":1,"args":{}},"#,
            r#"{"ph":"Q","ts":1,"args":{}},"#,
            r#"{"ph":"i","ts":1,"args":[]},"#,
            "null,",
            "[[[[",
            &long,
            "]",
        ];
        let trace = Trace::read(lines.join("\n").as_bytes());
        assert_eq!((trace.entries.len(), trace.bad_lines, trace.is_whole), (1, 10, true));
        assert_eq!(trace.entries[0].name, "a");
        assert_eq!(trace.bad_numbers[..3], [2, 4, 5]);
        assert!(trace.complaints()[0].contains("line 2, 4, 5"), "{:?}", trace.complaints());
    }

    #[test]
    fn an_empty_file_is_said_to_be_none() {
        assert!(Trace::read(&b""[..]).complaints().iter().any(|one| one.contains("no event")));
    }
}
