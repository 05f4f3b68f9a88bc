//! What init knows without a kernel call: which servers there are and what each is given ([`servers`]), how the
//! system's memory is divided among them ([`shares`]), which are started again when they end ([`restarts`]), and what lies
//! where in the boot archive ([`archive`]).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod archive;
pub mod pci;
pub mod restarts;
pub mod servers;
pub mod shares;
