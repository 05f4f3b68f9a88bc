//! Processes that come and go.

use crate::report::Report;
use crate::sys::{execute, fork, spawn};
use std::ffi::CStr;
use tests_linux_core::Row;

/// Samples of each row.
const COUNT: usize = 100;

/// The program that ends at once.
const NOTHING: &CStr = c"/nothing";

/// Measures all rows of this module.
pub fn measure(report: &mut Report) {
    report.each(Row::Spawn, COUNT, |_| spawn(NOTHING)?.wait());
    report.each(Row::ForkExec, COUNT, |_| fork(|| execute(NOTHING))?.wait());
    report.each(Row::ForkExit, COUNT, |_| fork(|| Ok(()))?.wait());
}
