//! The supervisor of a stress run: see [`tests_stress::supervisor`].
//!
//! Arguments: `seed=N seconds=N`, and `only=NAME` for one misbehaving task beside the good ones. It holds what its tasks
//! hold, so the shell must give it memory: `with all /.boot/stress/stress seed=1 seconds=10`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

kernel_runtime::program!(tests_stress::supervisor::main);
