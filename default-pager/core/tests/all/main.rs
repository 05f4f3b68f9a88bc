//! Tests of the default pager's logic: against a plain map, cut off at every write, with disks that fail.
#![forbid(unsafe_code)]

mod basics;
mod crashes;
mod faults;
mod limits;
mod model;
mod service;
mod support;
