//! The tasks that keep to the rules: see [`tests_stress::good`].
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

kernel_runtime::program!(tests_stress::good::main);
