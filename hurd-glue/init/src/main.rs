//! Not written yet.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

fn main(startup: Startup<'static>) -> i32 {
    log::info!("started as {} with {:?}", startup.name, startup.arguments);
    0
}
