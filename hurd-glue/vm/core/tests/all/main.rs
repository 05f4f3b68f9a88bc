//! The library over a plain physmem: random calls against a model, refusals in the middle, limits.
#![forbid(unsafe_code)]

mod cases;
mod fake;
mod headers;
mod model;
mod random;
mod refusals;
mod sequences;
