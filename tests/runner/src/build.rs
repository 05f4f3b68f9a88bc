//! Builds the guest with a cargo of its own, optimised whatever the profile of the host side, and packs it.
//!
//! The flags of the guest target live in `.cargo/config.toml`, so variables that would override them are
//! kept from the nested cargo. Programs keep their symbols under cargo's target folder, where backtraces are
//! read; the archive gets stripped copies where `objcopy` is there to make them.

use crate::archive::{Archive, Member};
use crate::host::{self, DEBIAN_CARGO, DEBIAN_RUSTC, GUEST_TARGET};
use crate::places::Places;
use crate::programs::{GUEST_CRATES, GuestCrate, Place};
use crate::setup::Toolchain;
use crate::{Failure, Result, child};
use serde_json::Value;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The guest, built.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The kernel, with symbols.
    pub kernel: PathBuf,
    /// Archive members that are programs: name, and file with symbols.
    pub programs: Vec<(String, PathBuf)>,
    /// The boot archive with all programs, for the caller to add to.
    pub archive: Archive,
}

/// Variables by which the surroundings could change how the guest is built.
pub(crate) const VARIABLES_KEPT_OUT: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS",
    "LD_LIBRARY_PATH",
];

/// Builds everything in [`GUEST_CRATES`].
pub fn build(places: &Places, toolchain: Toolchain) -> Result<Guest> {
    let mut command = cargo_command(places, toolchain);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut cargo = child::start(&mut command)?;
    let progress = cargo.0.stderr.take().map(|pipe| std::thread::spawn(move || forward_progress(pipe)));
    let messages = cargo.0.stdout.take().map(|pipe| std::thread::spawn(move || executables(pipe)));
    let status = child::wait(&mut cargo)?;
    progress.map(std::thread::JoinHandle::join);
    let executables = messages.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(Failure::new("the guest does not build (see above)"));
    }
    let (kernel, programs) = assign(&places.root, &executables)?;
    let mut archive = Archive::new();
    for (name, path) in &programs {
        archive.put(Member::program(name, stripped(places, name, path)?));
    }
    Ok(Guest { kernel, programs, archive })
}

fn cargo_command(places: &Places, toolchain: Toolchain) -> Command {
    let mut command = match toolchain {
        Toolchain::Current => Command::new(host::cargo()),
        Toolchain::DebianSources => Command::new(DEBIAN_CARGO),
    };
    for variable in VARIABLES_KEPT_OUT {
        command.env_remove(variable);
    }
    command.current_dir(&places.root).args([
        "build",
        "--locked",
        "--profile",
        "guest",
        "--target",
        GUEST_TARGET,
    ]);
    command.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(places.guest_target());
    for guest_crate in GUEST_CRATES {
        command.arg("--package").arg(guest_crate.package());
    }
    if toolchain == Toolchain::DebianSources {
        command.args(["-Z", "build-std=core,alloc,compiler_builtins"]);
        command.args(["-Z", "build-std-features=compiler-builtins-mem"]);
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC);
        command.env("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", "ld.lld");
    }
    if std::io::stderr().is_terminal() {
        let width = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col.max(20));
        command.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", width.to_string());
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Copies cargo's progress to standard error, without the one line that it prints when there was nothing to do.
fn forward_progress(pipe: impl Read) {
    let mut line = Vec::new();
    for byte in BufReader::new(pipe).bytes().map_while(std::result::Result::ok) {
        line.push(byte);
        if byte != b'\n' && byte != b'\r' {
            continue;
        }
        if !String::from_utf8_lossy(&line).contains("Finished") {
            let _ = std::io::stderr().write_all(&line);
        }
        line.clear();
    }
    let _ = std::io::stderr().write_all(&line);
}

/// A program that cargo has built.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Executable {
    manifest: PathBuf,
    name: String,
    file: PathBuf,
}

/// Reads cargo's messages (The Cargo Book, "External tools", "JSON messages").
fn executables(messages: impl Read) -> Vec<Executable> {
    let lines = BufReader::new(messages).lines().map_while(std::result::Result::ok);
    lines.filter_map(|line| executable(&serde_json::from_str(&line).ok()?)).collect()
}

fn executable(message: &Value) -> Option<Executable> {
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    Some(Executable {
        manifest: message["manifest_path"].as_str()?.into(),
        name: message["target"]["name"].as_str()?.to_owned(),
        file: message["executable"].as_str()?.into(),
    })
}

/// Finds the kernel and the archive members among what was built.
fn assign(root: &Path, executables: &[Executable]) -> Result<(PathBuf, Vec<(String, PathBuf)>)> {
    let mut kernel = None;
    let mut programs = Vec::new();
    for guest_crate in GUEST_CRATES {
        let built = programs_of(root, guest_crate, executables);
        match (guest_crate.place, &built[..]) {
            (Place::Kernel, [one]) => kernel = Some(one.file.clone()),
            (Place::Member(name), [one]) => programs.push((name.to_owned(), one.file.clone())),
            (Place::Folder(folder), built) => {
                programs.extend(built.iter().map(|one| (format!("{folder}/{}", one.name), one.file.clone())));
            }
            _ => {
                let count = built.len();
                return Err(Failure::new(format!("{} has {count} programs, not one", guest_crate.package())));
            }
        }
    }
    let kernel = kernel.ok_or_else(|| Failure::new("no kernel was built"))?;
    Ok((kernel, programs))
}

fn programs_of<'a>(root: &Path, guest_crate: &GuestCrate, all: &'a [Executable]) -> Vec<&'a Executable> {
    let manifest = root.join(guest_crate.folder).join("Cargo.toml");
    let mut found: Vec<_> = all.iter().filter(|one| one.manifest == manifest).collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

/// The program without symbols, from a copy that is remade when the program is newer.
pub(crate) fn stripped(places: &Places, name: &str, program: &Path) -> Result<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::file("read", path, &error));
    let Ok(mut objcopy) = host::command("objcopy") else { return read(program) };
    let copy = places.own("stripped")?.join(name.replace('/', "-"));
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if changed(&copy).is_none() || changed(&copy) <= changed(program) {
        let part = copy.with_extension(format!("part-{}", std::process::id()));
        child::succeed(objcopy.arg("--strip-all").arg(program).arg(&part))?;
        std::fs::rename(&part, &copy).map_err(|error| Failure::file("write", &copy, &error))?;
    }
    read(&copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(folder: &str, name: &str) -> Executable {
        let file = format!("/target/{name}").into();
        Executable { manifest: Path::new("/root").join(folder).join("Cargo.toml"), name: name.into(), file }
    }

    fn everything() -> Vec<Executable> {
        let mut all: Vec<_> = GUEST_CRATES
            .iter()
            .filter(|one| !matches!(one.place, Place::Folder(_)))
            .map(|one| built(one.folder, one.folder.rsplit('/').next().unwrap()))
            .collect();
        all.extend([
            built("hurd-glue/programs", "ls"),
            built("hurd-glue/programs", "cat"),
            built("other", "x"),
        ]);
        all
    }

    #[test]
    fn programs_get_their_names_from_the_table() {
        let (kernel, programs) = assign(Path::new("/root"), &everything()).unwrap();
        assert_eq!(kernel, Path::new("/target/boot"));
        let names: Vec<_> = programs.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "physmem",
            "init",
            "trace",
            "console",
            "block",
            "default-pager",
            "ext",
            "bootfs",
            "devices",
            "tmpfs",
            "shell",
            "bin/cat",
            "bin/ls",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_crate_with_no_program_or_two_is_refused() {
        let mut all = everything();
        all.remove(1);
        assert!(assign(Path::new("/root"), &all).unwrap_err().what.contains("physmem-server has 0"));
        all.extend([built("physmem/server", "a"), built("physmem/server", "b")]);
        assert!(assign(Path::new("/root"), &all).unwrap_err().what.contains("physmem-server has 2"));
    }

    #[test]
    fn cargo_s_messages_are_read() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/r/k/Cargo.toml","target":{"name":"kernel"},"#,
            r#""executable":"/t/kernel"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/r/l/Cargo.toml","target":{"name":"l"},"#,
            r#""executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].file.as_path()), ("kernel", Path::new("/t/kernel")));
    }

    #[test]
    fn the_guest_is_built_by_the_guest_profile_and_the_flags_of_the_tree_alone() {
        let places = Places { root: "/root".into(), target: "/target".into() };
        let command = cargo_command(&places, Toolchain::DebianSources);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        assert!(arguments.windows(2).any(|pair| pair == ["--profile", "guest"]), "{arguments:?}");
        assert!(arguments.windows(2).any(|pair| pair == ["--package", "kernel-boot"]));
        assert!(arguments.contains(&"build-std=core,alloc,compiler_builtins"));
        assert!(command.get_envs().any(|(name, value)| name == "RUSTFLAGS" && value.is_none()));
        assert_eq!(command.get_program(), DEBIAN_CARGO);
    }
}
