//! The table at the end of a stress run.

use super::findings::{Findings, Verdict};
use std::fmt::Write;
use tests_stress_core::Line;

/// Nanoseconds of a tick of the kernel's timer, which deadlines are rounded up to.
const TIMER_TICK_NS: u64 = 1 << 16;

/// Columns of a task's counters: field, and what stands above.
const COLUMNS: &[(&str, &str)] = &[
    ("starts", "STARTS"),
    ("ends", "ENDED"),
    ("tried", "TRIED"),
    ("granted", "GRANTED"),
    ("refused", "REFUSED"),
    ("unanswered", "UNANSWERED"),
    ("unable", "UNABLE"),
    ("calls", "CALLS"),
    ("met", "MET"),
    ("seized", "SEIZED"),
    ("checked", "CHECKED"),
    ("broken", "BROKEN"),
];

/// What the latencies mean.
const MEANINGS: &[(&str, &str)] = &[
    ("termination", "a contract's end to its frames being free"),
    ("call", "a call of frames to their being free"),
    ("seizure", "a missed deadline to the frames being free"),
    ("wait", "waiting for a frame of one's guarantee"),
    ("witness", "an allocation within the guarantee"),
    ("faulter", "a page fault, the page being there"),
    ("toucher", "a page fault within the guarantee"),
    ("reader", "a read of a file"),
    ("client", "taking memory back from a server that lies"),
    ("never-unlocks", "taking memory back from who never unlocks"),
    ("lender", "the same, of memory that is lent out"),
];

/// What is said of a breach.
pub fn breach_line(breach: &Line) -> String {
    format!("BROKEN by {}: {}", breach.get("task").unwrap_or("?"), breach.text)
}

/// The whole table.
pub fn table(findings: &Findings) -> String {
    let mut text = String::new();
    tasks(&mut text, &findings.tasks);
    latencies(&mut text, findings);
    counts(&mut text, findings);
    for breach in &findings.breaches {
        let _ = writeln!(text, "{}", breach_line(breach));
    }
    let checked = findings.end.as_ref().map_or(0, |end| end.number("checked"));
    let _ = match findings.verdict() {
        Verdict::Kept => writeln!(text, "laws: {checked} checks, none broken"),
        Verdict::Broken(broken) => writeln!(text, "laws: {checked} checks, {broken} BROKEN"),
        Verdict::Unfinished => writeln!(text, "laws: the run did not come to its end"),
    };
    text
}

fn tasks(text: &mut String, tasks: &[Line]) {
    let width = |name: &str, head: &str| {
        let longest = tasks.iter().map(|line| line.get(name).unwrap_or("").len()).max().unwrap_or(0);
        longest.max(head.len())
    };
    let _ = write!(text, "{:<17} {:<4}", "TASK", "LAWS");
    for (name, head) in COLUMNS {
        let _ = write!(text, " {head:>0$}", width(name, head));
    }
    let _ = writeln!(text, "  WHAT IT DOES");
    for line in tasks {
        let name = line.get("name").unwrap_or("?");
        let _ = write!(text, "{name:<17} {:<4}", line.get("laws").unwrap_or(""));
        for (field, head) in COLUMNS {
            let _ = write!(text, " {:>1$}", line.get(field).unwrap_or(""), width(field, head));
        }
        let _ = writeln!(text, "  {}", line.text);
    }
    text.push('\n');
}

fn latencies(text: &mut String, findings: &Findings) {
    let (ticks, nanoseconds) = (findings.count("clock-ticks"), findings.count("clock-nanoseconds"));
    let _ = writeln!(
        text,
        "{:<15} {:>9}  {:>12} {:>12} {:>12}  {:>10} {:>10} {:>10}  IN TIMER TICKS",
        "LATENCY", "COUNT", "MEDIAN", "99 %", "WORST", "MEDIAN us", "99 % us", "WORST us"
    );
    for line in &findings.latencies {
        let name = line.get("name").unwrap_or("?");
        let values = ["median", "p99", "worst"].map(|field| line.number(field));
        let (values, nanoseconds) = match line.get("unit") {
            Some("ns") => (values.map(|value| scaled(value, ticks, nanoseconds)), values),
            _ => (values, values.map(|value| scaled(value, nanoseconds, ticks))),
        };
        let [median, p99, worst] = values;
        let us = nanoseconds.map(|value| format!("{}.{}", value / 1000, value / 100 % 10));
        let timer = nanoseconds.map(|value| value.div_ceil(TIMER_TICK_NS).to_string()).join(", ");
        let meaning = MEANINGS.iter().find(|(known, _)| *known == name).map_or("", |(_, meaning)| meaning);
        let _ = writeln!(
            text,
            "{name:<15} {:>9}  {median:>12} {p99:>12} {worst:>12}  {:>10} {:>10} {:>10}  {timer}  {meaning}",
            line.number("count"),
            us[0],
            us[1],
            us[2]
        );
    }
    let _ = writeln!(
        text,
        "(the first three in ticks of the time-stamp counter: under --icount, guest instructions)\n"
    );
}

/// A number counted by one clock, as another one counts it; 0 where a clock is not known.
fn scaled(value: u64, by: u64, one: u64) -> u64 {
    let wide = u128::from(value) * u128::from(by);
    wide.checked_div(u128::from(one)).map_or(0, |value| u64::try_from(value).unwrap_or(u64::MAX))
}

fn counts(text: &mut String, findings: &Findings) {
    for line in &findings.counts {
        let numbers: Vec<String> = line
            .numbers()
            .filter(|(name, _)| !name.starts_with("clock-"))
            .map(|(name, value)| format!("{} {value}", name.replace('-', " ")))
            .collect();
        if !numbers.is_empty() {
            let _ = writeln!(text, "{}: {}", line.kind, numbers.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(broken: u64) -> Findings {
        let mut findings = Findings::default();
        let lines = format!(
            "#stress task name=hogs laws=56 starts=3 tried=1234567 :burns time\n\
             #stress clock clock-ticks=3000 clock-nanoseconds=1000\n\
             #stress latency name=faulter count=5 median=30000 p99=60000 worst=600000000\n\
             #stress latency name=call unit=ns count=1 median=1000 p99=1000 worst=1000\n\
             #stress counts zeroed=7 zeroing-skipped=3\n\
             #stress end broken={broken} checked=99\n"
        );
        findings.take(lines.as_bytes());
        findings
    }

    #[test]
    fn the_table_shows_tasks_times_and_counters() {
        let text = table(&findings(0));
        assert!(text.contains("hogs              56        3"), "{text}");
        assert!(text.contains(" 1234567 ") && text.contains("burns time"), "{text}");
        assert!(text.contains("10.0       20.0   200000.0  1, 1, 3052  a page fault"), "{text}");
        assert!(
            text.contains("call                    1          3000         3000         3000         1.0"),
            "{text}"
        );
        assert!(text.contains("counts: zeroed 7, zeroing skipped 3\n"), "{text}");
        assert!(text.ends_with("laws: 99 checks, none broken\n"), "{text}");
    }

    #[test]
    fn breaches_stand_at_the_end() {
        let mut broken = findings(2);
        broken.take(b"#stress breach task=probes :a secret\n");
        let text = table(&broken);
        assert!(text.ends_with("BROKEN by probes: a secret\nlaws: 99 checks, 2 BROKEN\n"), "{text}");
        assert!(table(&Findings::default()).ends_with("did not come to its end\n"));
    }
}
