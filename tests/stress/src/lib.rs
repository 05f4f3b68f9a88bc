//! The guest side of `cargo run -- stress`: good tasks and misbehaving ones under one supervisor.
//!
//! ```text
//! supervisor ── starts, ends, starts again ──> good tasks          misbehaving tasks
//!     │                                          │ check what is theirs   │ attack
//!     └── reads a page of counters of each <─────┴────────────────────────┘
//! ```
//!
//! Each task is a process under a contract split off the supervisor's. A task knows of the supervisor nothing but the page
//! it counts in ([`page`]). Breaches of laws are found in three places: by the good tasks, who check what they own and
//! were promised; by the misbehaving ones, where an attack succeeds; by the supervisor, who checks the books of all.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod good;
pub mod hoard;
pub mod misbehaving;
pub mod numbered;
pub mod page;
pub mod rest;
pub mod supervisor;
