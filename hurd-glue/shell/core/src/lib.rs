//! What the shell does without a kernel call: editing a line ([`editor`]), remembering lines ([`history`]),
//! taking lines apart into words ([`words`]) and commands ([`syntax`]), and running these in a [`World`](run::World)
//! that starts programs ([`run`]) with the variables that it keeps ([`variables`]).
//!
//! Text is bytes throughout: names on a disk need not be UTF-8. A script is input like any other: whatever its bytes, it
//! is commands or a [`SyntaxError`](words::SyntaxError), and running it takes no more memory than named limits allow.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod conditions;
pub mod editor;
pub mod history;
pub mod keys;
pub mod line;
pub mod run;
pub mod syntax;
pub mod variables;
pub mod words;
