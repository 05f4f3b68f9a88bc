//! Ends at once. With an argument it begins a sample as it does, whose moment is its status.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use kernel_runtime::startup::Startup;
use tests_bench::Begun;

kernel_runtime::program!(main);

fn main(startup: Startup<'static>) -> i32 {
    if startup.arguments.is_empty() { 0 } else { Begun::now().to_number() as i32 }
}
