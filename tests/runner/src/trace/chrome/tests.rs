//! Tests of what is written.

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
    [u64::from_le_bytes(bytes[..8].try_into().unwrap()), u64::from_le_bytes(bytes[8..].try_into().unwrap())]
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
        .map(|one| (one["cat"].as_str().unwrap(), one["ts"].as_f64().unwrap(), one["dur"].as_f64().unwrap()))
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
