//! Set-up of a fresh Debian machine that has Rust: QEMU, e2fsprogs, the bare-metal target.
//!
//! Nothing is done that is not needed and nothing without saying so. Where this program may not install
//! (not root, no password-less sudo) or the installation fails, the failure names the exact commands.
//! The target comes from rustup where rustup can fetch it, else from Debian's compiler, whose standard
//! library is then built from source.

use crate::host::{GUEST_TARGET, Host};
use crate::{Failure, Result};

/// The compiler that builds the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toolchain {
    /// The one that built this program; it has the target.
    Current,
    /// Debian's, with the standard library built from source.
    DebianSources,
}

/// Debian's packages with a compiler, its cargo, the sources of the standard library, and the linker.
const DEBIAN_TOOLCHAIN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// Programs that are needed, and the package that has each.
const PROGRAMS: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
];

/// Makes sure of everything that building and booting need.
pub fn set_up(host: &mut dyn Host) -> Result<Toolchain> {
    let mut packages = missing_program_packages(host);
    let mut toolchain = find_toolchain(host);
    if toolchain.is_none() && host.has_program("rustup") {
        toolchain = add_target_by_rustup(host)?;
    }
    if toolchain.is_none() {
        packages.extend(DEBIAN_TOOLCHAIN);
    }
    if packages.is_empty() {
        return toolchain.ok_or_else(|| Failure::new("no compiler for the guest"));
    }
    install(host, &packages)?;
    let still_missing = missing_program_packages(host);
    match find_toolchain(host) {
        Some(toolchain) if still_missing.is_empty() => Ok(toolchain),
        _ => {
            Err(Failure::new(format!("after installing {}, something is still missing", packages.join(", ")))
                .hint(commands_for(&packages)))
        }
    }
}

fn missing_program_packages(host: &dyn Host) -> Vec<&'static str> {
    let mut packages: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !host.has_program(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    packages
}

fn find_toolchain(host: &dyn Host) -> Option<Toolchain> {
    if host.has_guest_target() {
        Some(Toolchain::Current)
    } else if host.has_debian_sources() && host.has_program("ld.lld") {
        Some(Toolchain::DebianSources)
    } else {
        None
    }
}

fn add_target_by_rustup(host: &mut dyn Host) -> Result<Option<Toolchain>> {
    host.say(&format!("set-up: adding the Rust target {GUEST_TARGET} (rustup target add {GUEST_TARGET})"));
    if host.run(&["rustup", "target", "add", GUEST_TARGET])? && host.has_guest_target() {
        return Ok(Some(Toolchain::Current));
    }
    host.say("set-up: rustup could not add it; using Debian's compiler for the guest instead");
    Ok(find_toolchain(host))
}

/// Installs Debian packages, refreshing the package lists only if the first attempt fails.
fn install(host: &mut dyn Host, packages: &[&str]) -> Result<()> {
    let cannot = |why: &str| {
        Err(Failure::new(format!("missing: {}; {why}", packages.join(", "))).hint(commands_for(packages)))
    };
    if !host.has_program("apt-get") {
        return cannot("this machine has no apt-get to install with");
    }
    let prefix: &[&str] = if host.is_root() {
        &[]
    } else if host.has_program("sudo") && host.run(&["sudo", "-n", "true"])? {
        &["sudo", "-n"]
    } else {
        return cannot("installing needs root, and there is no sudo without a password");
    };
    host.say(&format!("set-up: installing {} (apt-get install)", packages.join(", ")));
    let quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
    let install = [prefix, &quiet, &["install", "-y", "--no-install-recommends"], packages].concat();
    if host.run(&install)? {
        return Ok(());
    }
    host.say("set-up: refreshing the package lists (apt-get update)");
    host.run(&[prefix, &quiet, &["update"]].concat())?;
    if host.run(&install)? { Ok(()) } else { cannot("apt-get could not install them (no network?)") }
}

/// What a person types to get these packages.
fn commands_for(packages: &[&str]) -> String {
    let mut commands =
        String::from("run these commands (as root, where there is no sudo), then try again:\n");
    commands += &format!("sudo apt-get update\nsudo apt-get install -y {}", packages.join(" "));
    if packages.contains(&DEBIAN_TOOLCHAIN[0]) {
        commands += &format!(
            "\n(with rustup, instead of {}: rustup target add {GUEST_TARGET})",
            DEBIAN_TOOLCHAIN.join(", ")
        );
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A machine that is only an idea: programs, what installing does, and what was done.
    #[derive(Default)]
    struct Fake {
        programs: BTreeSet<&'static str>,
        target: bool,
        sources: bool,
        root: bool,
        sudo_works: bool,
        rustup_works: bool,
        apt_failures: usize,
        ran: Vec<String>,
        said: Vec<String>,
    }

    impl Host for Fake {
        fn has_program(&self, name: &str) -> bool {
            self.programs.contains(name)
        }
        fn has_guest_target(&self) -> bool {
            self.target
        }
        fn has_debian_sources(&self) -> bool {
            self.sources
        }
        fn is_root(&self) -> bool {
            self.root
        }
        fn run(&mut self, command: &[&str]) -> Result<bool> {
            self.ran.push(command.join(" "));
            if command == ["sudo", "-n", "true"] {
                return Ok(self.sudo_works);
            }
            if command[0] == "rustup" {
                self.target = self.rustup_works;
                return Ok(self.rustup_works);
            }
            if !command.contains(&"install") {
                return Ok(true);
            }
            if self.apt_failures > 0 {
                self.apt_failures -= 1;
                return Ok(false);
            }
            for (program, package) in PROGRAMS {
                if command.contains(&package) {
                    self.programs.insert(program);
                }
            }
            if command.contains(&"rust-web-src") {
                self.sources = true;
                self.programs.insert("ld.lld");
            }
            Ok(true)
        }
        fn say(&mut self, line: &str) {
            self.said.push(line.to_owned());
        }
    }

    fn complete() -> Fake {
        let programs = ["qemu-system-x86_64", "mke2fs", "debugfs", "e2fsck", "apt-get"];
        Fake { programs: programs.into(), target: true, ..Fake::default() }
    }

    fn bare() -> Fake {
        Fake { programs: ["apt-get"].into(), root: true, ..Fake::default() }
    }

    #[test]
    fn a_machine_that_has_everything_is_left_alone_in_silence() {
        let mut host = complete();
        assert_eq!(set_up(&mut host), Ok(Toolchain::Current));
        assert!(host.ran.is_empty() && host.said.is_empty());
    }

    #[test]
    fn the_target_comes_from_rustup_where_that_works() {
        let mut host = Fake { target: false, rustup_works: true, ..complete() };
        host.programs.insert("rustup");
        assert_eq!(set_up(&mut host), Ok(Toolchain::Current));
        assert_eq!(host.ran, ["rustup target add x86_64-unknown-none"]);
        assert!(host.said[0].contains("rustup target add"));
    }

    #[test]
    fn the_target_comes_from_debian_where_rustup_fails() {
        let mut host = Fake { target: false, root: true, ..complete() };
        host.programs.insert("rustup");
        assert_eq!(set_up(&mut host), Ok(Toolchain::DebianSources));
        assert!(host.ran[1].contains("install -y") && host.ran[1].contains("rust-web-src"), "{:?}", host.ran);
    }

    #[test]
    fn debian_s_toolchain_is_used_without_installing_if_it_is_there() {
        let mut host = Fake { target: false, sources: true, ..complete() };
        host.programs.insert("ld.lld");
        assert_eq!(set_up(&mut host), Ok(Toolchain::DebianSources));
        assert!(host.ran.is_empty());
        host.programs.remove("ld.lld");
        host.root = true;
        assert_eq!(set_up(&mut host), Ok(Toolchain::DebianSources));
        assert_eq!(host.ran.len(), 1);
    }

    #[test]
    fn root_installs_directly_and_others_by_sudo() {
        let mut host = bare();
        assert_eq!(set_up(&mut host), Ok(Toolchain::DebianSources));
        let packages = "qemu-system-x86 e2fsprogs rustc-web cargo-web rust-web-src lld";
        let install = "env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends";
        assert_eq!(host.ran, [format!("{install} {packages}")]);

        let mut host = Fake { root: false, sudo_works: true, target: true, ..bare() };
        host.programs.insert("sudo");
        assert_eq!(set_up(&mut host), Ok(Toolchain::Current));
        assert_eq!(host.ran[1], format!("sudo -n {install} qemu-system-x86 e2fsprogs"));
    }

    #[test]
    fn stale_package_lists_are_refreshed_once() {
        let mut host = Fake { apt_failures: 1, ..bare() };
        assert_eq!(set_up(&mut host), Ok(Toolchain::DebianSources));
        assert_eq!(host.ran.len(), 3);
        assert!(host.ran[1].ends_with("apt-get -q update"));
    }

    #[test]
    fn who_may_not_install_is_told_the_commands() {
        for sudo in [false, true] {
            let mut host = Fake { root: false, ..bare() };
            if sudo {
                host.programs.insert("sudo");
            }
            let failure = set_up(&mut host).unwrap_err();
            assert!(failure.what.contains("qemu-system-x86") && failure.what.contains("root"), "{failure}");
            let remedy = failure.remedy.unwrap();
            assert!(
                remedy.contains("sudo apt-get install -y qemu-system-x86 e2fsprogs rustc-web"),
                "{remedy}"
            );
            assert!(remedy.contains("rustup target add x86_64-unknown-none"), "{remedy}");
        }
    }

    #[test]
    fn without_a_network_the_commands_are_named_too() {
        let mut host = Fake { apt_failures: 9, ..bare() };
        let failure = set_up(&mut host).unwrap_err();
        assert!(failure.what.contains("network") && failure.remedy.unwrap().contains("apt-get update"));
    }

    #[test]
    fn another_system_than_debian_is_told_what_is_missing() {
        let mut host = Fake { root: true, target: true, ..Fake::default() };
        let failure = set_up(&mut host).unwrap_err();
        assert!(failure.what.contains("no apt-get"), "{failure}");
        assert!(host.ran.is_empty());
    }

    #[test]
    fn an_installation_that_does_not_help_is_a_failure() {
        struct Useless(Fake);
        impl Host for Useless {
            fn has_program(&self, name: &str) -> bool {
                self.0.has_program(name)
            }
            fn has_guest_target(&self) -> bool {
                true
            }
            fn has_debian_sources(&self) -> bool {
                false
            }
            fn is_root(&self) -> bool {
                true
            }
            fn run(&mut self, _command: &[&str]) -> Result<bool> {
                Ok(true)
            }
            fn say(&mut self, _line: &str) {}
        }
        assert!(set_up(&mut Useless(bare())).unwrap_err().what.contains("still missing"));
    }
}
