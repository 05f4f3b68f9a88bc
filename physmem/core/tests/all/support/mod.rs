//! What the tests stand on: a simulated kernel with real bytes, and a world of contracts around physmem.

pub mod kernel;
pub mod pager;
pub mod world;

pub use kernel::{FakeKernel, HostRecords, Ram};
pub use world::{Call, Space, Touch, World};
