//! The lines that a run prints.

use super::run::Findings;
use super::worker::Worker;
use containers_api::control::{Latencies, RevocationStatus, SystemStatus};
use tests_stress_core::histogram::told_quantile;
use tests_stress_core::tally::Counter;
use tests_stress_core::{Histogram, Line};

/// While it runs.
pub fn progress(elapsed_ns: u64, running: usize, workers: &[Worker], findings: &Findings) -> Line {
    let sum = |counter| workers.iter().map(|worker| worker.tally().get(counter)).sum::<u64>();
    Line::new("progress")
        .with("milliseconds", elapsed_ns / 1_000_000)
        .with("running", running)
        .with("starts", workers.iter().map(|worker| worker.starts).sum::<u64>())
        .with("tried", sum(Counter::Tried))
        .with("checked", findings.checked + sum(Counter::Checked))
        .with("broken", findings.broken + sum(Counter::Broken))
}

/// What one task did.
pub fn task(worker: &Worker) -> Line {
    let tally = worker.tally();
    let laws = worker.task.laws.iter().map(|law| char::from(b'0' + law)).collect::<alloc::string::String>();
    let line = Line::new("task")
        .with("name", worker.task.name)
        .with("laws", laws)
        .with("good", u8::from(worker.is_good()))
        .with("starts", worker.starts)
        .with("ends", worker.ends);
    let line = Counter::ALL.iter().fold(line, |line, &counter| line.with(counter.name(), tally.get(counter)));
    line.with_text(worker.task.tries)
}

/// How long something took.
pub fn latency(name: &str, latencies: &Histogram) -> Line {
    Line::new("latency")
        .with("name", name)
        .with("count", latencies.count())
        .with("median", latencies.quantile(500))
        .with("p99", latencies.quantile(990))
        .with("worst", latencies.worst)
}

/// Times that physmem itself has measured since boot, in nanoseconds.
pub fn told_latency(name: &str, told: &Latencies) -> Line {
    let quantile = |thousandths| told_quantile(told.buckets.as_slice(), told.longest, thousandths);
    Line::new("latency")
        .with("name", name)
        .with("unit", "ns")
        .with("count", told.count)
        .with("median", quantile(500))
        .with("p99", quantile(990))
        .with("worst", told.longest)
}

/// How frames were taken back between two looks.
pub fn revocation(before: &RevocationStatus, after: &RevocationStatus) -> Line {
    Line::new("revocation")
        .with("calls", after.calls - before.calls)
        .with("met", after.met - before.met)
        .with("missed", after.missed - before.missed)
        .with("excused", after.excused - before.excused)
        .with("seized", after.seized - before.seized)
        .with("discarded", after.discarded - before.discarded)
        .with("locks-broken", after.locks_broken - before.locks_broken)
        .with("contracts-expired", after.terminations - before.terminations)
        .with("waited", after.waited - before.waited)
        .with("pages-scanned", after.scanned - before.scanned)
        .with("renewals", after.renewals - before.renewals)
}

/// What physmem counted between two looks.
pub fn counts(before: &SystemStatus, after: &SystemStatus) -> Line {
    Line::new("frames")
        .with("zeroed", after.zeroed - before.zeroed)
        .with("pre-zeroed", after.pre_zeroed - before.pre_zeroed)
        .with("zeroing-skipped", after.zeroing_skipped - before.zeroing_skipped)
        .with("moved-bytes", after.moved_bytes - before.moved_bytes)
        .with("shared-pages", after.shared_pages - before.shared_pages)
        .with("dma-bytes", after.dma_bytes - before.dma_bytes)
        .with("faults", after.faults - before.faults)
        .with("requests", after.requests - before.requests)
}

/// A law is broken.
pub fn breach(who: &str, text: &str) -> Line {
    Line::new("breach").with("task", who).with_text(text)
}
