//! Links the program by the linker script of native tasks.
#![forbid(unsafe_code)]

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../kernel/runtime/user.ld");
    println!("cargo:rerun-if-changed={script}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{script}");
    }
}
