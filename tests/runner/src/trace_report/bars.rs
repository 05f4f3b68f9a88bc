//! Calls with their deadlines and outcomes, and locks, as bars over time.

use super::figure::{Figure, Plane, number, picture};
use super::read::{Entry, Trace};
use std::collections::BTreeMap;

/// Height of a row, and of the bar in it.
const ROW: f64 = 22.0;
const BAR: f64 = 13.0;
/// Rows of contracts that are shown.
const ROWS_MAX: usize = 14;
/// Rows of locks, and how high one is; locks that find no row, or are too many, are counted.
const LANES_MAX: usize = 20;
const LANE: f64 = 9.0;
/// Bars in a picture at most.
const BARS_MAX: usize = 3000;
/// Letters of a row's name.
const NAME_LETTERS: usize = 9;

/// Something with a beginning and perhaps an end, in milliseconds.
pub struct Pair<'a> {
    /// How it began.
    pub begin: &'a Entry,
    /// How it ended.
    pub end: Option<&'a Entry>,
}

impl Pair<'_> {
    /// From when to when; what has not ended goes on to `last`.
    fn span(&self, last: f64) -> (f64, f64) {
        (self.begin.time / 1000.0, self.end.map_or(last, |end| end.time / 1000.0))
    }

    /// How long it took, in milliseconds.
    pub fn duration(&self) -> Option<f64> {
        self.end.map(|end| (end.time - self.begin.time) / 1000.0)
    }
}

/// Beginnings and ends of a category, joined by what the file says belongs together, in the order of their beginnings.
pub fn pairs<'a>(trace: &'a Trace, category: &str) -> Vec<Pair<'a>> {
    let mut all: Vec<Pair<'a>> = Vec::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for one in trace.entries.iter().filter(|one| one.category == category) {
        match one.phase {
            'b' => {
                open.insert(&one.id, all.len());
                all.push(Pair { begin: one, end: None });
            }
            'e' => {
                if let Some(index) = open.remove(one.id.as_str()) {
                    all[index].end = Some(one);
                }
            }
            _ => {}
        }
    }
    all
}

fn short(name: &str) -> String {
    name.chars().take(NAME_LETTERS).collect()
}

/// Calls: a row for each contract.
pub fn calls(trace: &Trace) -> String {
    let calls = pairs(trace, "call");
    if calls.is_empty() {
        return String::from("<p>No contract was called.</p>");
    }
    let mut rows: Vec<String> = Vec::new();
    for call in &calls {
        let name = call.begin.text("contract");
        if !rows.contains(&name) {
            rows.push(name);
        }
    }
    let unseen = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let last = trace.end() / 1000.0;
    let (begin, end) = bounds(calls.iter().map(|call| call.span(last)));
    let plane = Plane { height: ROW * rows.len() as f64, begin, end, most: 0.0 };
    let draw = |figure: &mut Figure| {
        figure.axes(None);
        let top = |name: &str| rows.iter().position(|row| row == name).map(|row| row as f64 * ROW + 10.0);
        for (row, name) in rows.iter().enumerate() {
            figure.row_name(row as f64 * ROW + 10.0 + ROW / 2.0, &short(name));
        }
        for call in calls.iter().take(BARS_MAX) {
            let Some(y) = top(&call.begin.text("contract")) else { continue };
            let outcome = call.end.map_or(String::from("open"), |end| end.text("outcome"));
            let class = match outcome.as_str() {
                "met" => "met",
                "missed" => "missed",
                _ => "open",
            };
            let (frames, span) = (number(call.begin.number("frames")), call.span(last));
            let title = format!(
                "{}: {frames} frames called, {outcome} after {:.2} ms",
                call.begin.text("contract"),
                span.1 - span.0
            );
            figure.bar(class, &title, span, y + (ROW - BAR) / 2.0, BAR);
            figure.mark("deadline", call.begin.number("deadline_us") / 1000.0, y + 2.0, ROW - 4.0);
        }
        for one in trace.entries.iter().filter(|one| one.category == "seized").take(BARS_MAX) {
            if let Some(y) = top(&one.text("contract")) {
                figure.mark("seized", one.time / 1000.0, y + 2.0, ROW - 4.0);
            }
        }
    };
    let mut text =
        picture(plane, "Calls of contracts for frames: from the call to its outcome, with deadlines", draw);
    text += "<ul class=legend><li><span class='swatch met'></span>met</li><li><span class='swatch missed'></span>missed</li>\
        <li><span class='swatch open'></span>not over</li><li><span class='swatch deadline'></span>deadline</li>\
        <li><span class='swatch seized'></span>frames seized</li></ul>";
    if unseen != 0 {
        text += &format!("<p class=note>{unseen} more contracts were called and are not shown.</p>");
    }
    text
}

/// Locks, each in the first row that is free.
pub fn locks(trace: &Trace) -> String {
    let locks = pairs(trace, "lock");
    if locks.is_empty() {
        return String::from("<p>Nothing was locked.</p>");
    }
    let last = trace.end() / 1000.0;
    let mut lanes: Vec<f64> = Vec::new();
    let mut shown = Vec::new();
    for lock in &locks {
        let span = lock.span(last);
        let free = lanes.iter().position(|&until| until <= span.0);
        let lane = free.or((lanes.len() < LANES_MAX).then_some(lanes.len()));
        if let (Some(lane), true) = (lane, shown.len() < BARS_MAX) {
            if lane == lanes.len() {
                lanes.push(0.0);
            }
            lanes[lane] = span.1;
            shown.push((lock, lane, span));
        }
    }
    let (begin, end) = bounds(shown.iter().map(|&(_, _, span)| span));
    let plane = Plane { height: LANE * lanes.len().max(3) as f64, begin, end, most: 0.0 };
    let draw = |figure: &mut Figure| {
        figure.axes(None);
        for (lock, lane, span) in &shown {
            let mode = lock.begin.text("mode");
            let class = match mode.as_str() {
                "fill" => "fill",
                "stable" => "stable",
                _ => "dma",
            };
            let (pages, container) =
                (number(lock.begin.number("pages")), number(lock.begin.number("container")));
            let title = format!("{mode}: {pages} pages of container {container}, {:.3} ms", span.1 - span.0);
            figure.bar(class, &title, *span, 10.0 + *lane as f64 * LANE + 1.0, LANE - 2.0);
        }
    };
    let mut text = picture(plane, "Locks on ranges of containers over time", draw);
    text += "<ul class=legend><li><span class='swatch fill'></span>fill</li><li><span class='swatch dma'></span>dma</li>\
        <li><span class='swatch stable'></span>stable</li></ul>";
    if shown.len() < locks.len() {
        text += &format!("<p class=note>{} of {} locks are shown.</p>", shown.len(), locks.len());
    }
    text
}

/// From the first moment to the last.
fn bounds(spans: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    spans.fold((f64::MAX, 0.0), |(begin, end), span| (begin.min(span.0), f64::max(end, span.1)))
}
