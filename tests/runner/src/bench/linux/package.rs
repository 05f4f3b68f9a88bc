//! The kernel that Tenure is compared with: Debian's cloud kernel, from its package.
//!
//! What is taken out of the package is kept in a folder of its own and used from then on. Without it, a package that lies in
//! the folder is unpacked (so one can be put there by hand); without that, one is downloaded. Nothing is installed.

use crate::{Failure, Result, child, host, interrupt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package that depends on the newest kernel.
const NEWEST: &str = "linux-image-cloud-amd64";
/// How the name of every kernel's package begins.
const PREFIX: &str = "linux-image-";

/// The modules for the disk, each after those that it needs. The file system is part of the kernel.
const MODULES: [&str; 6] =
    ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"];

/// Names within the folder of a kernel.
const IMAGE: &str = "vmlinuz";

/// A kernel that can be booted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// Name and version of its package.
    pub name: String,
    /// The kernel itself.
    pub image: PathBuf,
    /// Its modules, in the order in which they are loaded.
    pub modules: Vec<PathBuf>,
}

/// Where packages come from.
pub trait Source {
    /// Name of the package with the newest kernel.
    fn newest(&self) -> Result<String>;
    /// Downloads a package into a folder that is empty.
    fn download(&self, name: &str, folder: &Path) -> Result<()>;
    /// Unpacks a package into a folder.
    fn unpack(&self, package: &Path, folder: &Path) -> Result<()>;
}

/// Finds a kernel in the folder, or gets one there.
pub fn find(source: &dyn Source, folder: &Path) -> Result<Kernel> {
    let kept = |path: &Path| Kernel::kept(path);
    if let Some(kernel) = entries(folder)?.iter().rev().find_map(|path| kept(path)) {
        return Ok(kernel);
    }
    if newest_package(folder)?.is_none() {
        download(source, folder)?;
    }
    let package = newest_package(folder)?.ok_or_else(|| Failure::new("apt-get downloaded no package"))?;
    keep(source, &package, folder)
}

impl Kernel {
    /// The kernel in a folder where one is kept.
    fn kept(folder: &Path) -> Option<Kernel> {
        let name = folder.file_name()?.to_str()?.to_owned();
        let image = folder.join(IMAGE);
        let modules: Vec<PathBuf> = MODULES.iter().map(|name| folder.join(module_file(name))).collect();
        let is_whole = image.is_file() && modules.iter().all(|module| module.is_file());
        (is_whole && name.starts_with(PREFIX)).then_some(Kernel { name, image, modules })
    }
}

fn module_file(name: &str) -> String {
    format!("{name}.ko")
}

/// What lies in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::file("read the folder", folder, &error);
    let entries = folder.read_dir().map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn newest_package(folder: &Path) -> Result<Option<PathBuf>> {
    let is_package = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX) && name.ends_with(".deb")
    };
    Ok(entries(folder)?.into_iter().rfind(is_package))
}

/// Downloads the newest kernel; the package appears in the folder whole or not at all.
fn download(source: &dyn Source, folder: &Path) -> Result<()> {
    let remedy = |failure: Failure| {
        let shown = folder.display();
        failure.hint(format!("with a network: sudo apt-get update\nor put a package linux-image-*-cloud-amd64_*.deb into {shown}"))
    };
    let name = source.newest().map_err(remedy)?;
    eprintln!("downloading {name} (apt-get download)");
    let stage = stage(folder)?;
    source.download(&name, stage.path()).map_err(remedy)?;
    let package =
        newest_package(stage.path())?.ok_or_else(|| Failure::new("apt-get downloaded no package"))?;
    let place = folder.join(package.file_name().unwrap_or_default());
    std::fs::rename(&package, &place).map_err(|error| Failure::file("write", &place, &error))
}

/// Takes kernel and modules out of a package, and removes the package.
fn keep(source: &dyn Source, package: &Path, folder: &Path) -> Result<Kernel> {
    let stage = stage(folder)?;
    let all = stage.path().join("all");
    std::fs::create_dir(&all).map_err(|error| Failure::file("create", &all, &error))?;
    source.unpack(package, &all).map_err(|failure| unusable(package, &failure.what))?;
    let taken = stage.path().join("taken");
    std::fs::create_dir(&taken).map_err(|error| Failure::file("create", &taken, &error))?;
    let mut wanted: Vec<(String, String)> =
        MODULES.iter().map(|name| (module_file(name), module_file(name))).collect();
    wanted.push((String::from("vmlinuz-*"), IMAGE.into()));
    for (pattern, name) in wanted {
        let found =
            find_file(&all, &pattern).ok_or_else(|| unusable(package, &format!("no {pattern} in it")))?;
        std::fs::rename(&found, taken.join(name)).map_err(|error| Failure::file("move", &found, &error))?;
    }
    let stem = package.file_stem().unwrap_or_default();
    let place = folder.join(stem);
    // What lies there is not whole.
    let _ = std::fs::remove_dir_all(&place);
    std::fs::rename(&taken, &place).map_err(|error| Failure::file("write", &place, &error))?;
    let _ = std::fs::remove_file(package);
    Kernel::kept(&place).ok_or_else(|| unusable(package, "its name is not that of a kernel"))
}

fn unusable(package: &Path, why: &str) -> Failure {
    Failure::new(format!("the package {} cannot be used: {why}", package.display()))
        .hint(format!("remove it, and another one is downloaded: rm {}", package.display()))
}

/// The first file below a folder that has this name; `*` at its end stands for anything.
fn find_file(folder: &Path, pattern: &str) -> Option<PathBuf> {
    let matches = |name: &str| match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    };
    for path in entries(folder).ok()? {
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_folder {
            if let Some(found) = find_file(&path, pattern) {
                return Some(found);
            }
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(matches) {
            return Some(path);
        }
    }
    None
}

fn stage(folder: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("part-")
        .tempdir_in(folder)
        .map_err(|error| Failure::file("write to", folder, &error))
}

/// Debian's own programs.
pub struct Debian;

impl Source for Debian {
    fn newest(&self) -> Result<String> {
        let mut command = host::command("apt-cache")?;
        command.args(["show", "--no-all-versions", NEWEST]).env("LC_ALL", "C");
        let shown = child::succeed(&mut command)?;
        dependency(&String::from_utf8_lossy(&shown))
            .ok_or_else(|| Failure::new(format!("apt-cache tells no kernel of {NEWEST}")))
    }

    fn download(&self, name: &str, folder: &Path) -> Result<()> {
        let mut command = host::command("apt-get")?;
        command.args([
            "-q",
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Retries=1",
            "-o",
            "Acquire::http::Timeout=30",
            "download",
            name,
        ]);
        run(command.current_dir(folder), folder)
    }

    fn unpack(&self, package: &Path, folder: &Path) -> Result<()> {
        let package = std::path::absolute(package).map_err(|error| Failure::file("find", package, &error))?;
        run(host::command("dpkg-deb")?.arg("--extract").arg(package).arg("."), folder)
    }
}

/// The first kernel that a package depends on, from its description.
fn dependency(description: &str) -> Option<String> {
    let fields = description.lines().find_map(|line| line.strip_prefix("Depends:"))?;
    let mut names = fields.split([',', '|']).filter_map(|one| one.split_whitespace().next());
    names.find(|name| name.starts_with(PREFIX)).map(str::to_owned)
}

/// Runs a command that may take long, in the folder; a failure shows what it said. An interrupt ends it.
fn run(command: &mut Command, folder: &Path) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let said = tempfile::NamedTempFile::new().map_err(|error| Failure::file("write to", folder, &error))?;
    let output = said.reopen().map_err(|error| Failure::file("write to", said.path(), &error))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).env("LC_ALL", "C");
    let status = child::wait(&mut child::start(command)?)?;
    if interrupt::requested() {
        return Err(interrupt::failure());
    }
    if !status.success() {
        let said = std::fs::read(said.path()).unwrap_or_default();
        return Err(Failure::new(format!(
            "{name} failed ({status}): {}",
            String::from_utf8_lossy(&said).trim()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
