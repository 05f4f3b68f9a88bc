//! Page faults and disk reads over time, and the tables of how long things took.

use super::bars::pairs;
use super::figure::{Figure, Plane, escaped, number, picture};
use super::read::Trace;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Parts into which the time is divided.
const PARTS: usize = 120;
/// Programs in the table of processor time.
const PROGRAMS_MAX: usize = 10;
/// Bytes of a MiB.
const MIB: f64 = 1048576.0;

/// A picture of how much of something there was a second.
fn rate(trace: &Trace, events: &[(f64, f64)], unit: &str, class: &str, description: &str) -> String {
    if events.is_empty() {
        return String::from("<p>There were none.</p>");
    }
    let (begin, end) = (trace.entries.first().map_or(0.0, |one| one.time), trace.end());
    let part = ((end - begin) / PARTS as f64).max(1.0);
    let mut parts = vec![0.0; PARTS];
    for &(time, amount) in events {
        parts[(((time - begin) / part) as usize).min(PARTS - 1)] += amount / (part / 1e6);
    }
    let most = parts.iter().copied().fold(0.0, f64::max);
    let moment = |index: usize| (begin + part * (index as f64 + 0.5)) / 1000.0;
    let plane = Plane { height: 120.0, begin: begin / 1000.0, end: end / 1000.0, most };
    picture(plane, description, |figure: &mut Figure| {
        figure.axes(Some(unit));
        let points: Vec<_> =
            parts.iter().enumerate().map(|(index, &value)| (moment(index), 0.0, value)).collect();
        figure.area(&format!("soft {class}"), description, &points);
        figure.line(class, points.iter().map(|&(moment, _, value)| (moment, value)));
    })
}

/// Page faults a second.
pub fn faults(trace: &Trace) -> String {
    let faults = trace.entries.iter().filter(|one| one.category == "fault" && one.phase == 'X');
    let faults: Vec<_> = faults.map(|one| (one.time, 1.0)).collect();
    rate(trace, &faults, "faults/s", "faults", "Page faults a second over time")
}

/// Bytes that the disk delivered a second.
pub fn disk(trace: &Trace) -> String {
    let done = trace.entries.iter().filter(|one| one.category == "disk" && one.phase == 'e');
    let done: Vec<_> = done.map(|one| (one.time, one.number("arrived") / MIB)).collect();
    rate(trace, &done, "MiB/s", "disk", "Mebibytes read from the disk a second over time")
}

/// A row of a table: what, and how many milliseconds it took each time.
fn row(name: &str, mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let share = |part: f64| times.get(((times.len() as f64 - 1.0) * part).round() as usize).copied();
    let shown = |value: Option<f64>| value.map_or(String::from("-"), |value| format!("{value:.3}"));
    let (count, median, most) = (times.len(), shown(share(0.5)), shown(times.last().copied()));
    let most_of = shown(share(0.95));
    format!(
        "<tr><th scope=row>{name}</th><td>{count}</td><td>{median}</td><td>{most_of}</td><td>{most}</td></tr>"
    )
}

/// How long taking frames back took, and what else has a beginning and an end.
pub fn latencies(trace: &Trace) -> String {
    let calls = pairs(trace, "call");
    let with = |outcome: &str| -> Vec<f64> {
        let ended = calls.iter().filter(|call| call.end.is_some_and(|end| end.text("outcome") == outcome));
        ended.filter_map(|call| call.duration()).collect()
    };
    let all = |category| pairs(trace, category).iter().filter_map(|one| one.duration()).collect();
    let spans = |category: &str| -> Vec<f64> {
        let spans = trace.entries.iter().filter(|one| one.category == category && one.phase == 'X');
        spans.map(|one| one.duration / 1000.0).collect()
    };
    let mut text = String::from(
        "<div class=scroll><table><thead><tr><th scope=col>from, to</th><th scope=col>times</th><th scope=col>median, ms</th>\
        <th scope=col>95 %, ms</th><th scope=col>longest, ms</th></tr></thead><tbody>",
    );
    text += &row("call to frames given back (met)", with("met"));
    text += &row("call to deadline passed (missed)", with("missed"));
    text += &row("deadline passed to frames seized", all("seizure"));
    text += &row("lock to its end", all("lock"));
    text += &row("page fault to its answer", spans("fault"));
    text += &row("disk read", all("disk"));
    text += &row("file read", all("file"));
    text + "</tbody></table></div>"
}

/// Who ran for how long.
pub fn processors(trace: &Trace) -> String {
    let mut time: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
    for one in trace.entries.iter().filter(|one| one.category == "run") {
        let sum = time.entry(&one.name).or_default();
        *sum = (sum.0 + one.duration / 1000.0, sum.1 + 1);
    }
    let mut order: Vec<_> = time.into_iter().collect();
    order.sort_by(|one, other| other.1.0.total_cmp(&one.1.0));
    let mut text = String::from(
        "<div class=scroll><table><thead><tr><th scope=col>program</th><th scope=col>ran, ms</th><th scope=col>times</th></tr></thead><tbody>",
    );
    for (name, (time, count)) in order.into_iter().take(PROGRAMS_MAX) {
        let (name, count) = (escaped(name), number(count as f64));
        let _ = write!(text, "<tr><th scope=row>{name}</th><td>{time:.2}</td><td>{count}</td></tr>");
    }
    text + "</tbody></table></div>"
}
