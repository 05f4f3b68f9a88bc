//! What runs in Linux: the programs of `tests/linux`, built for it, packed with the kernel's modules.

use super::cpio::Archive;
use super::package::Kernel;
use crate::build::{VARIABLES_KEPT_OUT, stripped};
use crate::places::Places;
use crate::{Failure, Result, child, host};
use std::process::{Command, Stdio};

/// What the programs are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Their package.
const PACKAGE: &str = "tests-linux";
/// Statically linked, at a fixed address: there is no loader.
const FLAGS: (&str, &str) = (
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
    "-C target-feature=+crt-static -C relocation-model=static",
);

/// The first process, and the program that it spawns.
const INIT: &str = "init";
const NOTHING: &str = "nothing";

/// Device numbers (Linux `Documentation/admin-guide/devices.txt`).
const CONSOLE: (u32, u32) = (5, 1);
const NULL: (u32, u32) = (1, 3);

/// Builds the programs and packs the first file system.
pub fn pack(places: &Places, kernel: &Kernel) -> Result<Vec<u8>> {
    build(places)?;
    let built = places.guest_target().join(TARGET).join("guest");
    let program = |name: &str| stripped(places, &format!("linux-{name}"), &built.join(name));
    let mut archive = Archive::new();
    archive.folder("dev");
    archive.device("dev/console", CONSOLE);
    archive.device("dev/null", NULL);
    archive.program(INIT, &program(INIT)?);
    archive.program(NOTHING, &program(NOTHING)?);
    archive.folder("modules");
    for (number, module) in kernel.modules.iter().enumerate() {
        let contents = std::fs::read(module).map_err(|error| Failure::file("read", module, &error))?;
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        // They are loaded in the order of their names.
        archive.plain(&format!("modules/{number:02}-{name}"), &contents);
    }
    Ok(archive.finish())
}

fn build(places: &Places) -> Result<()> {
    let mut command = Command::new(host::cargo());
    for variable in VARIABLES_KEPT_OUT {
        command.env_remove(variable);
    }
    command.current_dir(&places.root).env(FLAGS.0, FLAGS.1).stdin(Stdio::null()).stdout(Stdio::null());
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        "guest",
        "--target",
        TARGET,
        "--package",
        PACKAGE,
    ]);
    command.arg("--target-dir").arg(places.guest_target());
    if child::wait(&mut child::start(&mut command)?)?.success() {
        return Ok(());
    }
    Err(Failure::new("the programs for Linux do not build (see above)")
        .hint(format!("they need Rust for {TARGET}, and a C library to link statically")))
}
