//! Where things are: the root of the source tree and the folders that the runner writes to.
//!
//! Everything written lies under cargo's target folder; sockets alone lie in the system's folder for
//! temporary files, because their names may not be long.

use crate::{Failure, Result};
use std::path::{Path, PathBuf};

/// The source tree and the target folder.
#[derive(Clone, Debug)]
pub struct Places {
    /// Root of the workspace.
    pub root: PathBuf,
    /// Cargo's target folder for the host side.
    pub target: PathBuf,
}

impl Places {
    /// As cargo told this program, or as they were when it was compiled.
    pub fn find() -> Result<Places> {
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = compiled_in.ancestors().nth(2).unwrap_or(compiled_in).to_path_buf();
        if !root.join("Cargo.toml").is_file() {
            return Err(Failure::new(format!("the source tree is no longer at {}", root.display()))
                .hint("start it with `cargo run` at the root of the source tree"));
        }
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Ok(Places { root, target })
    }

    /// Target folder of the guest build.
    pub fn guest_target(&self) -> PathBuf {
        self.target.join("guest")
    }

    /// The runner's own folder: logs, the demonstration disk, stripped programs, boot archives.
    pub fn own(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("tenure").join(name);
        std::fs::create_dir_all(&folder).map_err(|error| Failure::file("create", &folder, &error))?;
        Ok(folder)
    }

    /// A path as a person at the root of the tree would type it.
    pub fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// Writes a file so that other processes see the old contents or the new, never half.
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    std::fs::write(&part, contents)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| Failure::file("write", path, &error))
}
