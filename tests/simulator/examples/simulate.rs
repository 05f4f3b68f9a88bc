//! The program behind `cargo run -- simulate`: see the library's `program`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tests_simulator::program::main()
}
