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

mod lines;

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

    fn begin(&mut self) -> io::Result<()> {
        for (process, name) in NAMES {
            let order = json!({"name": "process_sort_index", "ph": "M", "pid": process, "args": {"sort_index": process}});
            self.line(&json!({"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}}))?;
            self.line(&order)?;
        }
        Ok(())
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
                String::from(if c == 1 { "disk write" } else { "disk read" }),
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
mod tests;
