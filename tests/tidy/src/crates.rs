//! Rules about crates: who may use unsafe code, who may depend on whom. Read from `cargo metadata`.

use crate::Complaints;
use crate::tree::File;
use serde_json::Value;

/// The crates that may hold unsafe code, and why.
pub const MAY_USE_UNSAFE: &[(&str, &str)] = &[
    ("kernel-arch", "page tables, traps, context switches, copies from and to user memory"),
    ("kernel-boot", "the entry point, before there is a kernel to call"),
    ("kernel-runtime", "system calls, and views of mapped pages"),
    ("physmem-server", "views of the frames that hold its own records, in one module"),
    ("physmem-stacked-server", "views of the pages that hold its own records, in one module"),
    ("hurd-glue-vm", "names for C, and bytes of the task's own map, in one module"),
    ("filesystems-block-server", "memory that the disk reads and writes by itself, in one module"),
    ("tests-linux", "system calls of Linux, as what Tenure is compared with; runs in its own machine"),
    ("tests-counter", "calls from and to QEMU; runs on the host"),
];

/// A crate of this workspace.
#[derive(Clone, Default, Debug)]
pub struct Crate {
    /// Name.
    pub name: String,
    /// Folder, from the root.
    pub folder: String,
    /// First files of all its libraries, programs, tests and build scripts, from the root.
    pub roots: Vec<String>,
    /// Number of programs that `cargo run` could mean.
    pub programs: usize,
    /// It is a default member.
    pub is_default: bool,
    /// What it links, tests aside.
    pub dependencies: Vec<String>,
}

/// The crates, from what `cargo metadata --no-deps` prints.
pub fn crates(metadata: &Value) -> Vec<Crate> {
    let root = text(&metadata["workspace_root"]).to_owned() + "/";
    let defaults = list(&metadata["workspace_default_members"]);
    let packages = list(&metadata["packages"]).iter();
    let one = |package: &Value| {
        let relative = |path: &Value| text(path).strip_prefix(&root).unwrap_or(text(path)).to_owned();
        let manifest = relative(&package["manifest_path"]);
        let targets = list(&package["targets"]);
        let is_program = |target: &&Value| list(&target["kind"]).contains(&"bin".into());
        let linked = |dependency: &&Value| dependency["kind"].is_null();
        Crate {
            name: text(&package["name"]).to_owned(),
            folder: manifest.strip_suffix("/Cargo.toml").unwrap_or_default().to_owned(),
            roots: targets.iter().map(|target| relative(&target["src_path"])).collect(),
            programs: targets.iter().filter(is_program).count(),
            is_default: defaults.contains(&package["id"]),
            dependencies: list(&package["dependencies"])
                .iter()
                .filter(linked)
                .map(|dependency| text(&dependency["name"]).to_owned())
                .collect(),
        }
    };
    packages.map(one).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Unsafe code lives where the list says and nowhere else; who is on the list needs to be.
pub fn unsafe_code(crates: &[Crate], files: &[File]) -> Complaints {
    let mut complaints = Complaints::new();
    let forbids = |path: &String| {
        let file = files.iter().find(|file| file.path == *path);
        file.is_some_and(|file| file.lines().any(|(_, line)| line == "#![forbid(unsafe_code)]"))
    };
    for one in crates {
        let allowed = MAY_USE_UNSAFE.iter().any(|(name, _)| *name == one.name);
        if !allowed {
            let bad = one.roots.iter().filter(|path| !forbids(path));
            complaints.extend(bad.map(|path| format!("{path}: must say #![forbid(unsafe_code)]")));
        } else if one.roots.iter().all(forbids) {
            complaints
                .push(format!("{}: forbids unsafe code, so it need not be listed as using it", one.name));
        }
    }
    complaints
}

/// Lints are chosen once, for the workspace.
pub fn workspace_lints(crates: &[Crate], files: &[File]) -> Complaints {
    let inherits = |one: &&Crate| {
        let path = format!("{}/Cargo.toml", one.folder);
        let manifest = files.iter().find(|file| file.path == path);
        let lines: Vec<&str> = manifest.iter().flat_map(|file| file.lines().map(|(_, line)| line)).collect();
        lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"])
    };
    let bad = crates.iter().filter(|one| !inherits(one));
    bad.map(|one| format!("{}/Cargo.toml: must have `[lints]` with `workspace = true`", one.folder)).collect()
}

/// A crate is named like its folder.
pub fn names(crates: &[Crate]) -> Complaints {
    let bad = crates.iter().filter(|one| one.name != one.folder.replace('/', "-"));
    bad.map(|one| format!("{}: the crate in {} must be named like it", one.name, one.folder)).collect()
}

/// Arrows point one way: logic knows no kernel calls, nobody depends on a program, the interface of the kernel
/// depends on nothing of ours.
pub fn arrows(crates: &[Crate]) -> Complaints {
    let mut complaints = Complaints::new();
    let ours = |name: &str| crates.iter().any(|one| one.name == name);
    for one in crates {
        for dependency in &one.dependencies {
            let wrong = (one.name.ends_with("-core") && dependency == "kernel-runtime")
                || (one.name.ends_with("-core") && dependency == "kernel-arch")
                || (one.name == "kernel-abi" && ours(dependency))
                || dependency.ends_with("-server");
            if wrong {
                complaints.push(format!("{} must not depend on {dependency}", one.name));
            }
        }
    }
    complaints
}

/// `cargo run` at the root means one program.
pub fn one_program(crates: &[Crate]) -> Complaints {
    let with_programs: Vec<&Crate> = crates.iter().filter(|one| one.is_default && one.programs > 0).collect();
    match with_programs[..] {
        [one] if one.programs == 1 => Complaints::new(),
        _ => vec![format!(
            "cargo run must mean one program, not those of {:?}",
            with_programs.iter().map(|one| one.name.as_str()).collect::<Vec<_>>()
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(name: &str, dependencies: &[&str]) -> Crate {
        let folder = name.replace('-', "/");
        Crate {
            name: name.into(),
            roots: vec![format!("{folder}/src/lib.rs")],
            folder,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Crate::default()
        }
    }

    #[test]
    fn metadata_is_understood() {
        let metadata = json!({
            "workspace_root": "/r",
            "workspace_default_members": ["id-a"],
            "packages": [{
                "id": "id-a", "name": "a-b", "manifest_path": "/r/a/b/Cargo.toml",
                "targets": [{"kind": ["bin"], "src_path": "/r/a/b/src/main.rs"},
                            {"kind": ["custom-build"], "src_path": "/r/a/b/build.rs"}],
                "dependencies": [{"name": "x", "kind": null}, {"name": "y", "kind": "dev"}],
            }],
        });
        let found = &crates(&metadata)[0];
        assert_eq!((found.name.as_str(), found.folder.as_str()), ("a-b", "a/b"));
        assert_eq!(found.roots, ["a/b/src/main.rs", "a/b/build.rs"]);
        assert_eq!((found.programs, found.is_default), (1, true));
        assert_eq!(found.dependencies, ["x"]);
    }

    #[test]
    fn a_root_that_does_not_forbid_unsafe_code_is_found() {
        let crates = [one("physmem-core", &[])];
        let with = |text: &str| unsafe_code(&crates, &[File::new("physmem/core/src/lib.rs", text)]);
        assert_eq!(with("//! X.\n#![forbid(unsafe_code)]\n"), Complaints::new());
        assert_eq!(with("//! X.\n#![deny(unsafe_code)]\n").len(), 1);
        assert_eq!(with("//! #![forbid(unsafe_code)]\n").len(), 1);
        assert_eq!(unsafe_code(&crates, &[]).len(), 1);
    }

    #[test]
    fn a_listed_crate_may_use_unsafe_code_and_must_need_to() {
        let crates = [one("kernel-arch", &[])];
        let with = |text: &str| unsafe_code(&crates, &[File::new("kernel/arch/src/lib.rs", text)]);
        assert_eq!(with("//! X.\n"), Complaints::new());
        assert_eq!(with("//! X.\n#![forbid(unsafe_code)]\n").len(), 1);
    }

    #[test]
    fn a_manifest_with_lints_of_its_own_is_found() {
        let crates = [one("physmem-core", &[])];
        let with = |text: &str| workspace_lints(&crates, &[File::new("physmem/core/Cargo.toml", text)]);
        assert_eq!(with("[package]\n\n[lints]\nworkspace = true\n"), Complaints::new());
        assert_eq!(with("[package]\n\n[lints.rust]\nunsafe_code = \"allow\"\n").len(), 1);
    }

    #[test]
    fn arrows_that_point_back_are_found() {
        let good = [one("kernel-abi", &["bitflags"]), one("physmem-core", &["kernel-abi"])];
        assert_eq!(arrows(&good), Complaints::new());
        let bad = [
            one("kernel-abi", &["kernel-core"]),
            one("kernel-core", &[]),
            one("physmem-core", &["kernel-runtime"]),
            one("hurd-glue-init", &["physmem-server"]),
        ];
        assert_eq!(arrows(&bad).len(), 3);
    }

    #[test]
    fn a_second_program_or_a_second_name_is_found() {
        let program = |name| Crate { programs: 1, is_default: true, ..one(name, &[]) };
        assert_eq!(one_program(&[program("tests-runner"), one("a", &[])]), Complaints::new());
        assert_eq!(one_program(&[program("tests-runner"), program("b")]).len(), 1);
        assert_eq!(one_program(&[]).len(), 1);
        assert_eq!(names(&[one("a-b", &[])]), Complaints::new());
        assert_eq!(names(&[Crate { name: "c".into(), ..one("a-b", &[]) }]).len(), 1);
    }
}
