//! `cargo run -- simulate`: builds the simulator, optimised whatever the profile of this program, and runs it.

use crate::places::Places;
use crate::{Failure, Result, child, host, interrupt};
use std::ffi::OsString;
use std::process::Command;

/// Hands the arguments on. The exit status of the simulator.
pub fn simulate(arguments: &[OsString]) -> Result<u8> {
    let places = Places::find()?;
    interrupt::catch();
    let mut command = Command::new(host::cargo());
    command.current_dir(&places.root).args(["build", "--quiet", "--locked", "--profile", "simulator"]);
    command
        .args(["--package", "tests-simulator", "--example", "simulate", "--target-dir"])
        .arg(&places.target);
    if !child::wait(&mut child::start(&mut command)?)?.success() {
        return Err(Failure::new("the simulator does not build (see above)"));
    }
    let program = places.target.join("simulator").join("examples").join("simulate");
    let status = child::wait(&mut child::start(Command::new(program).args(arguments))?)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| Failure::new(format!("the simulator was ended ({status})")))
}
