//! What `top` shows: tasks with what their contracts hold, the busiest first, cut to the terminal; and what its keys mean.

use crate::table::{Align, Table};
use crate::units;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A terminal that does not say how large it is.
pub const SIZE: Size = Size { rows: 24, columns: 80 };
/// Sizes that are believed.
const SIZE_MIN: usize = 4;
const SIZE_MAX: usize = 1000;
/// Bytes of an answer of the terminal at most.
const ANSWER_BYTES: usize = 16;

/// Columns and rows of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Lines.
    pub rows: usize,
    /// Characters in a line.
    pub columns: usize,
}

/// A task at one moment, and what its contract holds then.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Task {
    /// Names it.
    pub number: u64,
    /// Who pays.
    pub principal: u64,
    /// For people.
    pub name: String,
    /// Processor time used so far.
    pub used_ns: u64,
    /// Page faults so far.
    pub faults: u64,
    /// Frames held under its contract, and of these beyond the guarantee, and pinned.
    pub held: u64,
    /// Beyond the guarantee.
    pub extra: u64,
    /// Pinned.
    pub pinned: u64,
    /// Pages that are with the default pager.
    pub swapped: u64,
    /// Calls made to the contract, and of these met.
    pub calls: u64,
    /// Met.
    pub met: u64,
    /// Calls that it may still ignore.
    pub standing: u64,
}

/// The whole at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Frames of RAM.
    pub frames: u64,
    /// Free ones.
    pub free: u64,
    /// Lent beyond guarantees.
    pub extra: u64,
    /// Callers that wait for frames.
    pub waiting: u64,
}

/// What was shown last, to tell what has happened since.
#[derive(Default)]
pub struct Screen {
    last: BTreeMap<u64, (u64, u64)>,
    last_ns: u64,
}

impl Screen {
    /// The text for a moment, no line longer and no more lines than the terminal has.
    pub fn show(&mut self, now_ns: u64, summary: &Summary, mut tasks: Vec<Task>, size: Size) -> String {
        let passed = now_ns.saturating_sub(self.last_ns).max(1);
        let is_first = self.last.is_empty();
        let since = |task: &Task| {
            let (faults, used) = self.last.get(&task.number).copied().unwrap_or_default();
            (task.faults.saturating_sub(faults), task.used_ns.saturating_sub(used))
        };
        tasks.sort_by_cached_key(|task| {
            let (faults, used) = since(task);
            (core::cmp::Reverse((used, faults, task.held)), task.number)
        });
        let mut heading = alloc::vec![("ID", Align::Right), ("NAME", Align::Left)];
        for name in
            ["CPU%", "MS", "WITHIN", "EXTRA", "PINS", "OUT", "FAULTS", "/s", "CALLS", "MET", "STANDING"]
        {
            heading.push((name, Align::Right));
        }
        let mut table = Table::new(&heading);
        for task in &tasks {
            let (faults, used) = since(task);
            let rate = |number: u64, unit: u64| number.saturating_mul(unit) / passed;
            let mut row = alloc::vec![task.principal.to_string(), task.name.clone()];
            let share = if is_first { 0 } else { rate(used, 100) };
            let time = task.used_ns / 1_000_000;
            let faults = if is_first { 0 } else { rate(faults, 1_000_000_000) };
            let within = task.held.saturating_sub(task.extra);
            let numbers = [
                share,
                time,
                within,
                task.extra,
                task.pinned,
                task.swapped,
                task.faults,
                faults,
                task.calls,
                task.met,
                task.standing,
            ];
            row.extend(numbers.map(|number| number.to_string()));
            table.row(row);
        }
        self.last = tasks.iter().map(|task| (task.number, (task.faults, task.used_ns))).collect();
        self.last_ns = now_ns;
        let Summary { frames, free, extra, waiting } = *summary;
        let first = format!(
            "up {}.{} s, {} tasks; frames: {frames} ({}), {free} free, {extra} extra; {waiting} callers wait\n\n",
            now_ns / 1_000_000_000,
            now_ns / 100_000_000 % 10,
            tasks.len(),
            units::frames(frames),
        );
        cut(&(first + &table.text()), size)
    }
}

/// As much of a text as a terminal shows; its last line stays free for the cursor.
fn cut(text: &str, size: Size) -> String {
    let mut shown = String::new();
    for line in text.lines().take(size.rows.saturating_sub(1)) {
        shown.extend(line.chars().take(size.columns));
        shown.push('\n');
    }
    shown
}

/// What came from the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// `q`, or Ctrl-C where it is input: to end.
    Quit,
    /// The terminal's answer to where its cursor is: its size, when the cursor was sent to the last corner.
    Size(Size),
    /// Any other key.
    Other,
}

/// Reads what the terminal sends, byte by byte.
#[derive(Default)]
pub struct Keys {
    /// An answer under way: `ESC [ rows ; columns R` (ECMA-48, CPR).
    answer: Vec<u8>,
}

impl Keys {
    /// Takes a byte in; what it completes.
    pub fn byte(&mut self, byte: u8) -> Option<Typed> {
        if byte == 0x1b {
            self.answer = alloc::vec![byte];
            return None;
        }
        if self.answer.is_empty() {
            return Some(if matches!(byte, b'q' | b'Q' | 3) { Typed::Quit } else { Typed::Other });
        }
        self.answer.push(byte);
        match byte {
            b'[' if self.answer.len() == 2 => None,
            b'0'..=b'9' | b';' if self.answer.len() < ANSWER_BYTES => None,
            _ => {
                let answer = core::mem::take(&mut self.answer);
                Some(size_of(&answer).map_or(Typed::Other, Typed::Size))
            }
        }
    }
}

fn size_of(answer: &[u8]) -> Option<Size> {
    let text = core::str::from_utf8(answer).ok()?;
    let (rows, columns) = text.strip_prefix("\x1b[")?.strip_suffix('R')?.split_once(';')?;
    let number = |text: &str| text.parse().ok().filter(|number| (SIZE_MIN..=SIZE_MAX).contains(number));
    Some(Size { rows: number(rows)?, columns: number(columns)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64, faults: u64) -> Task {
        Task {
            number,
            principal: number + 10,
            name: format!("task{number}"),
            faults,
            held: 9,
            extra: 2,
            swapped: 6,
            ..Task::default()
        }
    }

    #[test]
    fn the_busiest_is_first_and_rates_are_of_the_time_since() {
        let mut screen = Screen::default();
        let summary = Summary { frames: 1000, free: 900, extra: 3, waiting: 0 };
        let first = screen.show(1_000_000_000, &summary, alloc::vec![task(1, 50), task(2, 70)], SIZE);
        assert!(first.starts_with("up 1.0 s, 2 tasks; frames: 1000 ("), "{first}");
        let second = screen.show(3_000_000_000, &summary, alloc::vec![task(1, 450), task(2, 70)], SIZE);
        let lines: Vec<_> = second.lines().collect();
        assert!(lines[3].contains("task1") && lines[4].contains("task2"), "{second}");
        let cells: Vec<_> = lines[3].split_whitespace().collect();
        assert_eq!(cells, ["11", "task1", "0", "0", "7", "2", "0", "6", "450", "200", "0", "0", "0"]);
    }

    #[test]
    fn who_uses_most_processor_time_comes_first() {
        let mut screen = Screen::default();
        let used = |number, used_ns| Task { used_ns, ..task(number, 0) };
        screen.show(0, &Summary::default(), alloc::vec![used(1, 0), used(2, 0)], SIZE);
        let tasks = alloc::vec![used(1, 1_000_000), used(2, 500_000_000)];
        let text = screen.show(1_000_000_000, &Summary::default(), tasks, SIZE);
        let cells: Vec<_> = text.lines().nth(3).unwrap().split_whitespace().collect();
        assert_eq!(cells[..4], ["12", "task2", "50", "500"], "{text}");
    }

    #[test]
    fn no_more_is_shown_than_fits() {
        let tasks: Vec<_> = (0..50).map(|number| task(number, number)).collect();
        for size in [Size { rows: 10, columns: 30 }, Size { rows: 4, columns: 4 }, SIZE] {
            let text = Screen::default().show(1, &Summary::default(), tasks.clone(), size);
            assert!(text.lines().count() < size.rows);
            assert!(text.lines().all(|line| line.chars().count() <= size.columns));
        }
    }

    #[test]
    fn keys_and_answers_are_told_apart() {
        let typed = |bytes: &[u8]| {
            let mut keys = Keys::default();
            bytes.iter().filter_map(|&byte| keys.byte(byte)).collect::<Vec<_>>()
        };
        assert_eq!(typed(b"xq\x03"), [Typed::Other, Typed::Quit, Typed::Quit]);
        assert_eq!(typed(b"\x1b[50;132Rq"), [Typed::Size(Size { rows: 50, columns: 132 }), Typed::Quit]);
        assert_eq!(typed(b"\x1b[Aq"), [Typed::Other, Typed::Quit], "an arrow");
        assert_eq!(typed(b"\x1b[0;5R"), [Typed::Other], "no terminal is so small");
        assert_eq!(typed(b"\x1b[99999;5R"), [Typed::Other]);
        assert_eq!(typed(&[b"\x1b[" as &[u8], &[b'1'; 40], b"q"].concat()).last(), Some(&Typed::Quit));
    }
}
