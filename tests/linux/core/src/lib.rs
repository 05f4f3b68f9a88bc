//! What the Linux side of the benchmark and the runner have in common: the rows, how a figure comes from samples, and the
//! lines by which figures travel.
#![forbid(unsafe_code)]

mod line;
mod row;
mod samples;

pub use line::{BOOT_REGION, DONE, FAILED, Figure, Line, STAMPS, WAITS};
pub use row::{About, Clock, Row};
pub use samples::Samples;
