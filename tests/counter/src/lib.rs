//! A plugin for QEMU that counts the guest instructions that are executed, in all and between marks.
//!
//! The clock of `-icount` jumps over idle time; this counts what was executed, and nothing else. QEMU loads it by
//! `-plugin FILE,out=FILE[,profile=FILE[,region=NUMBER]][,processors=on]` (QEMU documentation, "QEMU TCG Plugins").
//!
//! - `out`: one line for each mark that is passed, and the totals at the end ([`record`]).
//! - `profile`: how often each instruction was executed, for whom reads symbols ([`profile`]); with `region` only
//!   what was executed within that region.
//! - `processors`: tell in `out` what each processor executed, in the kernel and in programs. Slow.
//!
//! A mark is an instruction without effect ([`instruction::mark`]), so it can stand anywhere in kernel and programs and
//! costs one instruction. A `rep` string instruction counts once for each iteration, as it does under `-icount`; these are
//! told apart too. An instruction that faults counts at each attempt.
//!
//! Counts are exact with one thread of the host for all processors, as under `-icount`. All unsafe code is in `qemu`, and in
//! `plugin`, where QEMU calls in; neither is part of the tests, which have no QEMU around them.

mod instruction;
mod profile;
#[cfg(not(test))]
mod qemu;
mod record;

#[cfg(not(test))]
mod plugin;
