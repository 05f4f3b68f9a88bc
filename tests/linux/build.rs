//! The program that does nothing has no C library in it: no start-up code either.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bin=nothing=-nostdlib");
}
