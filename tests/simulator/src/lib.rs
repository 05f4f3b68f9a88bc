//! The simulator: physmem, containers, a file server, a driver and clients in one process, on a simulated clock, kernel and
//! disk, from one seed. What runs is the logic that boots; what is simulated is everything below and around it.
//!
//! A run is a seed and a list of steps. Each step draws its decisions from random numbers of its own ([`random`]), acts
//! ([`sim`]), and is checked ([`laws`]). A failing run replays exactly, and is shrunk by leaving steps out ([`shrink`]).
//! `docs/simulator.md` tells how to use it.
#![forbid(unsafe_code)]

pub mod actors;
pub mod contents;
pub mod device;
pub mod env;
pub mod image;
pub mod laws;
pub mod machine;
pub mod program;
pub mod random;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod sim;
pub mod violation;
pub mod world;
