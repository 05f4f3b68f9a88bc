//! What the shell does without a kernel call: editing a line ([`editor`]), remembering lines ([`history`]),
//! and taking a line apart into commands ([`script`]).
//!
//! Text is bytes throughout: names on a disk need not be UTF-8.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod editor;
pub mod history;
pub mod keys;
pub mod line;
pub mod script;
pub mod words;
