//! The tasks that misbehave: see [`tests_stress::misbehaving`].
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

kernel_runtime::program!(tests_stress::misbehaving::main);
