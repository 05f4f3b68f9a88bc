//! The headers for C, the table in `docs/mach-vm.md` and the functions behind them say the same; a program that includes only the headers
//! compiles.

use hurd_glue_vm_core::{Inheritance, KernError, Protection};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("it lies three deep").to_path_buf()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Words with one space between them, and none inside of brackets.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The prototypes of the table: the first cell of rows that begin with a call.
fn documented() -> Vec<String> {
    let page = text("docs/mach-vm.md");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `vm_")?.split('`').next());
    cells.map(|cell| format!("vm_{cell}")).collect()
}

#[test]
fn every_call_is_documented_declared_and_there() {
    let header = plain(&text("hurd-glue/vm/include/mach/mach_interface.h"));
    let functions = plain(&text("hurd-glue/vm/src/c.rs"));
    let documented = documented();
    assert_eq!(documented.len(), 14, "{documented:?}");
    assert_eq!(header.matches("kern_return_t vm_").count(), documented.len());
    for prototype in documented {
        assert!(header.contains(&format!("kern_return_t {prototype};")), "not declared: {prototype}");
        let (name, arguments) = prototype.split_once('(').expect("a call has arguments");
        let function = functions.split(&format!("extern \"C\" fn {name}(")).nth(1);
        let function = function.and_then(|rest| rest.split(") -> Kern").next());
        let function = function.unwrap_or_else(|| panic!("{name} is not there"));
        let count = function.split(',').filter(|argument| !argument.trim().is_empty()).count();
        assert_eq!(count, arguments.split(',').count(), "{name} has other arguments: {function}");
    }
}

#[test]
fn numbers_are_machs() {
    let headers: String = ["kern_return", "vm_prot", "vm_inherit"]
        .iter()
        .map(|name| text(&format!("hurd-glue/vm/include/mach/{name}.h")))
        .collect();
    let headers = plain(&headers);
    let says = |name: &str, number: &str| {
        assert!(headers.contains(&format!("#define {name} {number} ")), "{name} is not {number}");
    };
    for (name, error) in [
        ("KERN_INVALID_ADDRESS", KernError::InvalidAddress),
        ("KERN_PROTECTION_FAILURE", KernError::ProtectionFailure),
        ("KERN_NO_SPACE", KernError::NoSpace),
        ("KERN_INVALID_ARGUMENT", KernError::InvalidArgument),
        ("KERN_FAILURE", KernError::Failure),
        ("KERN_RESOURCE_SHORTAGE", KernError::ResourceShortage),
        ("KERN_MEMORY_ERROR", KernError::MemoryError),
    ] {
        says(name, &error.code().to_string());
    }
    for (name, protection) in [
        ("VM_PROT_READ", Protection::READ),
        ("VM_PROT_WRITE", Protection::WRITE),
        ("VM_PROT_EXECUTE", Protection::EXECUTE),
    ] {
        says(name, &format!("((vm_prot_t) 0x{:02x})", protection.bits()));
    }
    for (name, inheritance) in [
        ("VM_INHERIT_SHARE", Inheritance::Share),
        ("VM_INHERIT_COPY", Inheritance::Copy),
        ("VM_INHERIT_NONE", Inheritance::Nothing),
    ] {
        says(name, &format!("((vm_inherit_t) {})", inheritance as u32));
    }
}

#[test]
fn a_program_that_includes_only_these_headers_compiles() {
    let compiler = || Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    if !compiler().arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("not checked, for want of a C compiler");
        return;
    }
    let output = compiler()
        .args(["-std=c11", "-ffreestanding", "-nostdinc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"])
        .arg("-I")
        .arg(root().join("hurd-glue/vm/include"))
        .arg(root().join("hurd-glue/vm/core/tests/mach/program.c"))
        .output()
        .expect("it was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
