//! Links the kernel by its own script.

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-T{directory}/kernel.ld");
    println!("cargo:rerun-if-changed=kernel.ld");
}
