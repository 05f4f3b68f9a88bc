//! The program behind `cargo run`, as far as it goes without booting.
#![forbid(unsafe_code)]

use std::process::{Command, Output};

fn tenure(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenure")).args(arguments).output().expect("it starts")
}

fn complaint(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "standard output is the guest's alone");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_arguments_end_with_status_2_and_say_what_is_bad() {
    for (arguments, word) in [
        (&["--memory", "64X"][..], "unknown suffix"),
        (&["--memory", "1M"], "at least 16M"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--kvm", "--icount"], "--icount"),
        (&["--timeout", "3"], "--exec"),
    ] {
        let output = tenure(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = complaint(&output);
        assert!(said.starts_with("error:") && said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn a_disk_that_is_not_there_is_named_before_anything_is_built() {
    let output = tenure(&["--disk", "/no/such/image", "--exec", "ls"]);
    assert_eq!(output.status.code(), Some(125));
    let said = complaint(&output);
    assert!(said.starts_with("error: cannot open the disk image /no/such/image"), "{said}");
}

#[test]
fn help_names_every_option_and_the_exit_statuses() {
    let output = tenure(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let options = ["exec", "disk", "no-disk", "memory", "gdb", "icount", "kvm", "verbose", "timeout"]
        .map(|name| format!("--{name}"));
    for word in options.iter().map(String::as_str).chain(["Exit status", "cargo run --"]) {
        assert!(help.contains(word), "{word}: {help}");
    }
}
