//! Events as a file of Chrome's trace event format (the "JSON Array Format" of its specification), one event a line.
//!
//! The array's end may be missing by that specification, so a file that was cut short opens all the same; a last line that is
//! cut in half is the only one that is lost. What spans time is written when it is over, or at the end as unfinished.
//!
//! | process in the file | its threads | what lies there |
//! |---|---|---|
//! | processors | one each | which thread runs |
//! | threads | one each | calls and page faults, from their beginning to their answer |
//! | physmem | - | calls of contracts, seizures, locks, copies |
//! | disk, files | - | reads |
//! | memory | - | counters: each contract, the whole |

use kernel_abi::boot::ClockPage;
use kernel_abi::trace::{Event, EventKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Processes of the file.
const PROCESSORS: u32 = 1;
const THREADS: u32 = 2;
const PHYSMEM: u32 = 3;
const DISK: u32 = 4;
const FILES: u32 = 5;
const MEMORY: u32 = 6;
const NAMES: [(u32, &str); 6] = [
    (PROCESSORS, "processors"),
    (THREADS, "threads"),
    (PHYSMEM, "physmem"),
    (DISK, "disk"),
    (FILES, "files"),
    (MEMORY, "memory"),
];

/// The thread of an event that is of none.
const NOBODY: u32 = u32::MAX;

/// Modes of a lock, by their numbers.
const MODES: [&str; 3] = ["fill", "stable", "dma"];

/// Something that has begun.
struct Open {
    since: u64,
    name: String,
    arguments: Value,
}

/// A call that was not met, and whose frames are being seized.
struct Seizing {
    id: String,
    left: u64,
}

/// Writes a file.
pub struct Writer<W> {
    output: W,
    is_begun: bool,
    /// Names of threads, and of contracts.
    threads: BTreeMap<u32, String>,
    contracts: BTreeMap<u64, String>,
    /// What each processor runs, the call and the fault that each thread is in.
    running: BTreeMap<u8, Open>,
    calls: BTreeMap<u32, Open>,
    faults: BTreeMap<u32, Open>,
    seizing: BTreeMap<u64, Seizing>,
    /// What overlaps others and is not over: its category and what it is joined by, and its name.
    halves: BTreeMap<(&'static str, String), String>,
    now: u64,
}

/// Events that an event says are lost.
pub fn lost(event: &Event) -> u64 {
    if event.kind == EventKind::Lost { event.arguments[0] } else { 0 }
}

/// Nanoseconds as the microseconds that the format wants.
fn microseconds(nanoseconds: u64) -> Value {
    json!(nanoseconds as f64 / 1000.0)
}

fn text(words: [u64; 2]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_le_bytes()).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl<W: Write> Writer<W> {
    /// Nothing is written yet.
    pub fn new(output: W) -> Writer<W> {
        Writer {
            output,
            is_begun: false,
            threads: BTreeMap::new(),
            contracts: BTreeMap::new(),
            running: BTreeMap::new(),
            calls: BTreeMap::new(),
            faults: BTreeMap::new(),
            seizing: BTreeMap::new(),
            halves: BTreeMap::new(),
            now: 0,
        }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        let before = if self.is_begun { ",\n" } else { "[\n" };
        self.is_begun = true;
        self.output.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut self.output, value).map_err(io::Error::from)
    }

    fn begin(&mut self) -> io::Result<()> {
        for (process, name) in NAMES {
            let order = json!({"name": "process_sort_index", "ph": "M", "pid": process, "args": {"sort_index": process}});
            self.line(&json!({"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}}))?;
            self.line(&order)?;
        }
        Ok(())
    }

    fn name_thread(&mut self, process: u32, thread: u32, name: &str) -> io::Result<()> {
        let arguments = json!({"name": name});
        self.line(
            &json!({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": arguments}),
        )
    }

    /// Something that took time.
    fn span(&mut self, process: u32, thread: u32, category: &str, open: Open, end: u64) -> io::Result<()> {
        let Open { since, name, arguments } = open;
        self.line(&json!({
            "name": name, "cat": category, "ph": "X", "pid": process, "tid": thread,
            "ts": microseconds(since), "dur": microseconds(end.saturating_sub(since)), "args": arguments,
        }))
    }

    /// Something that overlaps others begins.
    fn half_begin(
        &mut self,
        process: u32,
        category: &'static str,
        id: String,
        name: String,
        arguments: Value,
    ) -> io::Result<()> {
        self.half("b", process, (category, &id), &name, arguments)?;
        self.halves.insert((category, id), name);
        Ok(())
    }

    /// It ends, under the name that it began with: viewers join the two by it. What began before the file did is left out.
    fn half_end(
        &mut self,
        process: u32,
        category: &'static str,
        id: String,
        arguments: Value,
    ) -> io::Result<()> {
        let key = (category, id);
        match self.halves.remove(&key) {
            None => Ok(()),
            Some(name) => self.half("e", process, (category, &key.1), &name, arguments),
        }
    }

    fn half(
        &mut self,
        phase: &str,
        process: u32,
        (category, id): (&str, &str),
        name: &str,
        arguments: Value,
    ) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": phase, "id": id, "pid": process, "tid": 0,
            "ts": microseconds(self.now), "args": arguments,
        }))
    }

    fn instant(&mut self, place: (u32, u32), category: &str, name: &str, arguments: Value) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": "i", "s": "t", "pid": place.0, "tid": place.1,
            "ts": microseconds(self.now), "args": arguments,
        }))
    }

    fn counter(&mut self, category: &str, name: &str, arguments: Value) -> io::Result<()> {
        self.line(&json!({
            "name": name, "cat": category, "ph": "C", "pid": MEMORY, "tid": 0, "ts": microseconds(self.now),
            "args": arguments,
        }))
    }

    fn contract(&self, principal: u64) -> String {
        self.contracts.get(&principal).cloned().unwrap_or_else(|| format!("#{principal}"))
    }

    /// Writes what an event tells.
    pub fn event(&mut self, clock: ClockPage, event: &Event) -> io::Result<()> {
        if !self.is_begun {
            self.begin()?;
        }
        // An event that was written a little before the clock page's moment is as good as at it.
        let ticks = event.time.max(clock.tsc_at_boot);
        self.now = clock.nanoseconds(ticks);
        match event.kind as u8 {
            0..16 => self.of_kernel(event),
            16..32 => self.of_physmem(event),
            32..48 => self.of_server(event),
            _ => self.of_collector(event),
        }
    }

    fn of_kernel(&mut self, event: &Event) -> io::Result<()> {
        let (thread, [a, b, c, d, ..]) = (event.subject, event.arguments);
        match event.kind {
            EventKind::Switch => self.switch(event),
            EventKind::Call => {
                let name = format!("call {c} of {b:#x}");
                let arguments = json!({"endpoint": format!("{a:#x}"), "badge": format!("{b:#x}"), "label": c,
                    "deadline_us": microseconds(d)});
                self.calls.insert(thread, Open { since: self.now, name, arguments });
                Ok(())
            }
            EventKind::Reply => self.answered(a as u32, json!({"label": b})),
            EventKind::CallFailed => self.answered(thread, json!({"error": a})),
            EventKind::Fault => {
                let arguments = json!({"address": format!("{a:#x}"), "access": b, "at": format!("{c:#x}")});
                let open = Open { since: self.now, name: format!("fault {a:#x}"), arguments };
                self.faults.insert(thread, open);
                Ok(())
            }
            EventKind::FaultAnswered => match self.faults.remove(&thread) {
                None => Ok(()),
                Some(mut open) => {
                    open.arguments["result"] = json!(a);
                    let now = self.now;
                    self.span(THREADS, thread, "fault", open, now)
                }
            },
            EventKind::Interrupt => {
                let place = (PROCESSORS, event.processor.into());
                self.instant(place, "interrupt", &format!("interrupt {a}"), json!({"line": a}))
            }
            _ => {
                self.calls.remove(&thread);
                self.faults.remove(&thread);
                self.instant((THREADS, thread), "end", "ends", json!({}))
            }
        }
    }

    fn switch(&mut self, event: &Event) -> io::Result<()> {
        let (processor, thread, [task, first, second, priority, ..]) =
            (event.processor, event.subject, event.arguments);
        let now = self.now;
        if let Some(open) = self.running.remove(&processor) {
            self.span(PROCESSORS, processor.into(), "run", open, now)?;
        }
        if thread == NOBODY {
            return Ok(());
        }
        let task_name = text([first, second]);
        let name = format!("{task_name} {thread:#x}");
        if self.threads.get(&thread) != Some(&name) {
            self.name_thread(THREADS, thread, &name)?;
            self.threads.insert(thread, name);
        }
        let arguments =
            json!({"thread": format!("{thread:#x}"), "task": format!("{task:#x}"), "priority": priority});
        self.running.insert(processor, Open { since: now, name: task_name, arguments });
        Ok(())
    }

    /// A thread's call is over.
    fn answered(&mut self, thread: u32, result: Value) -> io::Result<()> {
        let Some(mut open) = self.calls.remove(&thread) else { return Ok(()) };
        open.arguments["result"] = result;
        let now = self.now;
        self.span(THREADS, thread, "ipc", open, now)
    }

    fn of_physmem(&mut self, event: &Event) -> io::Result<()> {
        let [a, b, c, d, ..] = event.arguments;
        match event.kind {
            EventKind::ContractCalled => {
                let name = self.contract(a);
                let arguments =
                    json!({"principal": a, "contract": name, "frames": c, "deadline_us": microseconds(d)});
                self.half_begin(PHYSMEM, "call", format!("call-{a}-{b}"), format!("call {name}"), arguments)
            }
            EventKind::CallMet | EventKind::CallMissed => self.call_is_over(event),
            EventKind::Seized => {
                let name = self.contract(a);
                let arguments = json!({"principal": a, "contract": name, "container": b, "frames": c,
                    "discardable": d == 1});
                self.instant((PHYSMEM, 0), "seized", &format!("seized {c} of {name}"), arguments)?;
                self.seized(a, c)
            }
            EventKind::Locked => {
                let mode = MODES.get((c >> 56) as usize).copied().unwrap_or("?");
                let arguments = json!({"container": b, "pages": c & !(0xff << 56), "mode": mode,
                    "until_us": microseconds(d)});
                self.half_begin(PHYSMEM, "lock", format!("lock-{a:x}"), format!("lock {mode}"), arguments)
            }
            EventKind::LockEnded => self.half_end(PHYSMEM, "lock", format!("lock-{a:x}"), json!({})),
            _ => {
                let arguments = json!({"from": a, "to": b, "pages": c, "moved_bytes": d});
                self.instant((PHYSMEM, 0), "copy", "copy", arguments)
            }
        }
    }

    fn call_is_over(&mut self, event: &Event) -> io::Result<()> {
        let [principal, number, missing, ..] = event.arguments;
        let is_met = event.kind == EventKind::CallMet;
        let outcome = if is_met { "met" } else { "missed" };
        let arguments = json!({"outcome": outcome, "missing": missing});
        self.half_end(PHYSMEM, "call", format!("call-{principal}-{number}"), arguments)?;
        if !is_met {
            let (id, name) = (format!("seizure-{principal}-{number}"), self.contract(principal));
            let arguments = json!({"principal": principal, "contract": name, "frames": missing});
            self.half_begin(PHYSMEM, "seizure", id.clone(), format!("seizure {name}"), arguments)?;
            self.seizing.insert(principal, Seizing { id, left: missing });
        }
        Ok(())
    }

    /// Frames of a contract were seized: the seizure may be over.
    fn seized(&mut self, principal: u64, frames: u64) -> io::Result<()> {
        let Some(seizing) = self.seizing.get_mut(&principal) else { return Ok(()) };
        seizing.left = seizing.left.saturating_sub(frames);
        if seizing.left != 0 {
            return Ok(());
        }
        let id = self.seizing.remove(&principal).map(|seizing| seizing.id).unwrap_or_default();
        self.half_end(PHYSMEM, "seizure", id, json!({}))
    }

    fn of_server(&mut self, event: &Event) -> io::Result<()> {
        let [a, b, c, d, ..] = event.arguments;
        match event.kind {
            EventKind::DiskRead => self.half_begin(
                DISK,
                "disk",
                format!("disk-{a}"),
                String::from("disk read"),
                json!({"bytes": b}),
            ),
            EventKind::DiskDone => {
                self.half_end(DISK, "disk", format!("disk-{a}"), json!({"arrived": b, "failed": c == 1}))
            }
            EventKind::FileRead => {
                let arguments = json!({"inode": b, "offset": c, "bytes": d});
                self.half_begin(FILES, "file", format!("file-{a}"), format!("read inode {b}"), arguments)
            }
            _ => {
                let arguments = json!({"valid": b, "by_device": c, "moved": d});
                self.half_end(FILES, "file", format!("file-{a}"), arguments)
            }
        }
    }

    fn of_collector(&mut self, event: &Event) -> io::Result<()> {
        let [a, b, c, d, e, f] = event.arguments;
        match event.kind {
            EventKind::Contract => {
                let (principal, name) = (a & u64::from(u32::MAX), text([e, f]));
                let (held, extra) = (c, d.min(c));
                let counter = format!("contract {name} #{principal}");
                self.contracts.insert(principal, name);
                self.counter("contract", &counter, json!({"guaranteed": held - extra, "extra": extra}))
            }
            EventKind::ContractEnded => {
                let name = format!("contract {} #{a}", self.contract(a));
                self.contracts.remove(&a);
                self.counter("contract", &name, json!({"guaranteed": 0, "extra": 0}))
            }
            EventKind::Memory => {
                self.counter("frames", "frames", json!({"free": c, "kernel": b, "quarantined": d}))?;
                self.counter("faults", "faults so far", json!({"faults": e}))?;
                self.counter("device", "bytes by device so far", json!({"bytes": f}))
            }
            _ => {
                let place = (PROCESSORS, event.processor.into());
                self.instant(place, "lost", &format!("{a} events lost"), json!({"events": a}))
            }
        }
    }

    /// What is written so far can be read by others.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the file, and in it whatever is not over.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.is_begun {
            self.begin()?;
        }
        let now = self.now;
        for (processor, open) in std::mem::take(&mut self.running) {
            self.span(PROCESSORS, processor.into(), "run", open, now)?;
        }
        for (all, category) in
            [(std::mem::take(&mut self.calls), "ipc"), (std::mem::take(&mut self.faults), "fault")]
        {
            for (thread, mut open) in all {
                open.arguments["unfinished"] = json!(true);
                self.span(THREADS, thread, category, open, now)?;
            }
        }
        self.output.write_all(b"\n]\n")?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: ClockPage = ClockPage { tsc_at_boot: 100, multiplier: 1 << 32 };

    fn written(events: &[(u64, EventKind, u32, [u64; 6])], finish: bool) -> String {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        for &(time, kind, subject, arguments) in events {
            let event = Event { time: 100 + time, kind, processor: 1, subject, arguments };
            writer.event(CLOCK, &event).unwrap();
        }
        if finish {
            writer.finish().unwrap()
        } else {
            writer.flush().unwrap()
        }
        String::from_utf8(bytes).unwrap()
    }

    fn parsed(events: &[(u64, EventKind, u32, [u64; 6])]) -> Vec<Value> {
        let all: Value = serde_json::from_str(&written(events, true)).unwrap();
        all.as_array().unwrap().iter().filter(|one| one["ph"] != "M").cloned().collect()
    }

    fn name(text: &str) -> [u64; 2] {
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        [
            u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            u64::from_le_bytes(bytes[8..].try_into().unwrap()),
        ]
    }

    #[test]
    fn what_takes_time_spans_it() {
        let [first, second] = name("shell/child");
        let events = parsed(&[
            (1000, EventKind::Switch, 7, [5, first, second, 9, 0, 0]),
            (1500, EventKind::Call, 7, [1, 2, 3, 0, 0, 0]),
            (2000, EventKind::Switch, NOBODY, [0; 6]),
            (4500, EventKind::Reply, 8, [7, 0, 0, 0, 0, 0]),
            (5000, EventKind::Fault, 7, [0x1000, 1, 2, 3, 0, 0]),
        ]);
        let facts: Vec<_> = events
            .iter()
            .map(|one| {
                (one["cat"].as_str().unwrap(), one["ts"].as_f64().unwrap(), one["dur"].as_f64().unwrap())
            })
            .collect();
        assert_eq!(facts, [("run", 1.0, 1.0), ("ipc", 1.5, 3.0), ("fault", 5.0, 0.0)]);
        assert_eq!((&events[0]["name"], &events[0]["tid"]), (&json!("shell/child"), &json!(1)));
        assert_eq!(events[2]["args"]["unfinished"], json!(true));
    }

    #[test]
    fn a_call_that_is_missed_ends_in_a_seizure() {
        let [first, second] = name("borrower");
        let events = parsed(&[
            (0, EventKind::Contract, NOBODY, [9, 10, 20, 5, first, second]),
            (1, EventKind::ContractCalled, 1, [9, 4, 30, 20_000_000, 0, 0]),
            (2, EventKind::CallMissed, 1, [9, 4, 30, 0, 0, 0]),
            (3, EventKind::Seized, 1, [9, 77, 20, 1, 0, 0]),
            (4, EventKind::Seized, 1, [9, 77, 10, 0, 0, 0]),
        ]);
        let facts: Vec<_> =
            events.iter().map(|one| (one["cat"].as_str().unwrap(), one["ph"].as_str().unwrap())).collect();
        let expected = [
            ("contract", "C"),
            ("call", "b"),
            ("call", "e"),
            ("seizure", "b"),
            ("seized", "i"),
            ("seized", "i"),
            ("seizure", "e"),
        ];
        assert_eq!(facts, expected);
        assert_eq!(events[0]["args"], json!({"guaranteed": 15, "extra": 5}));
        assert_eq!(events[2]["args"]["outcome"], "missed");
        assert_eq!((&events[3]["id"], &events[3]["name"]), (&events[6]["id"], &json!("seizure borrower")));
    }

    /// Viewers join a beginning and an end by category, what joins them, and name.
    #[test]
    fn ends_have_the_names_of_their_beginnings() {
        let events = parsed(&[
            (1, EventKind::Locked, 1, [5, 3, 8 | 2 << 56, 900, 0, 0]),
            (2, EventKind::FileRead, 1, [0, 12, 0, 4096, 0, 0]),
            (3, EventKind::LockEnded, 1, [5, 0, 0, 0, 0, 0]),
            (4, EventKind::FileReadDone, 1, [0, 4096, 0, 0, 0, 0]),
            (5, EventKind::LockEnded, 1, [6, 0, 0, 0, 0, 0]),
        ]);
        let facts: Vec<_> =
            events.iter().map(|one| (one["ph"].clone(), one["id"].clone(), one["name"].clone())).collect();
        let expected = [
            ("b", "lock-5", "lock dma"),
            ("b", "file-0", "read inode 12"),
            ("e", "lock-5", "lock dma"),
            ("e", "file-0", "read inode 12"),
        ];
        assert_eq!(facts, expected.map(|(phase, id, name)| (json!(phase), json!(id), json!(name))));
    }

    #[test]
    fn every_kind_has_a_line_or_a_reason_to_have_none() {
        for &kind in EventKind::ALL {
            let text = written(&[(1, kind, 3, [1, 2, 3, 4, 5, 6]), (2, kind, 3, [1, 2, 3, 4, 5, 6])], true);
            let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            let silent = matches!(
                kind,
                EventKind::Reply
                    | EventKind::CallFailed
                    | EventKind::FaultAnswered
                    | EventKind::CallMet
                    | EventKind::LockEnded
                    | EventKind::DiskDone
                    | EventKind::FileReadDone
            );
            let count = all.as_array().unwrap().iter().filter(|one| one["ph"] != "M").count();
            assert_eq!(count == 0, silent, "{kind:?}: nothing was open");
        }
    }

    #[test]
    fn a_file_that_is_not_finished_has_whole_lines() {
        let text = written(&[(1, EventKind::Interrupt, NOBODY, [4, 0, 0, 0, 0, 0])], false);
        let last = text.lines().last().unwrap();
        assert!(serde_json::from_str::<Value>(last).is_ok(), "{last}");
        assert!(!written(&[], true).is_empty(), "an empty run is a file, too");
    }
}
