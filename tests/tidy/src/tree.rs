//! The files of a source tree, and the rules about which there may be.

use crate::Complaints;
use std::path::{Path, PathBuf};

/// What the top of the repository may hold, besides names that begin with a dot.
const TOP_LEVEL: [&str; 18] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "containers",
    "default-pager",
    "docs",
    "filesystems",
    "hurd-glue",
    "kernel",
    "physmem",
    "rustfmt.toml",
    "target",
    "tests",
];

/// A file: its path from the root with slashes, and its bytes.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the root.
    pub path: String,
    /// Bytes.
    pub bytes: Vec<u8>,
}

impl File {
    /// A file.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> File {
        File { path: path.into(), bytes: bytes.into() }
    }

    /// Whether it is Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its lines, numbered from one; none if it is not text.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        std::str::from_utf8(&self.bytes)
            .unwrap_or_default()
            .split_inclusive('\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line.strip_suffix('\n').unwrap_or(line)))
    }
}

/// Root of this repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Every file below a root but those that git and cargo make.
pub fn files(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(root, "", &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let made = prefix.is_empty() && (name == ".git" || name == "target");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !made => collect(&entry.path(), &format!("{path}/"), files),
            // A file that vanishes while it is read was not part of the tree.
            Ok(kind) if kind.is_file() => {
                files.extend(std::fs::read(entry.path()).map(|bytes| File { path, bytes }))
            }
            _ => {}
        }
    }
}

/// The top of the tree is what newcomers see first: only what the layout says may be there.
pub fn top_level(files: &[File]) -> Complaints {
    let mut tops: Vec<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    tops.dedup();
    tops.retain(|top| !top.starts_with('.') && !TOP_LEVEL.contains(top));
    tops.iter().map(|top| format!("{top}: not an entry that the top level may have")).collect()
}

/// Everything is text: no NUL byte, and UTF-8.
pub fn no_binaries(files: &[File]) -> Complaints {
    let is_text = |file: &&File| !file.bytes.contains(&0) && std::str::from_utf8(&file.bytes).is_ok();
    files.iter().filter(|file| !is_text(file)).map(|file| format!("{}: not text", file.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_at_the_top_are_found() {
        let files = ["README.md", "kernel/abi/src/lib.rs", ".github/x.yml"].map(|path| File::new(path, ""));
        assert_eq!(top_level(&files), Complaints::new());
        let files = ["scripts/x.sh", "notes.txt"].map(|path| File::new(path, ""));
        assert_eq!(top_level(&files).len(), 2);
    }

    #[test]
    fn binaries_are_found() {
        assert_eq!(no_binaries(&[File::new("a", "grün\n")]), Complaints::new());
        assert_eq!(no_binaries(&[File::new("a", "\0"), File::new("b", [0xff])]).len(), 2);
    }

    #[test]
    fn the_files_of_a_tree_are_those_that_people_write() {
        let paths: Vec<String> = files(&root()).into_iter().map(|file| file.path).collect();
        assert!(paths.contains(&"tests/tidy/src/tree.rs".to_owned()));
        assert!(!paths.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
    }
}
