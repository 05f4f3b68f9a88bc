//! The file that the guest's debug console writes: the log of kernel and servers.
//!
//! A log outlives its run only if the run went wrong, or the user was told its name.

use crate::places::Places;
use crate::{Failure, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Logs that are kept; older ones are removed when a new one is made.
const KEPT: usize = 40;

/// One log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    reader: File,
}

impl Log {
    /// A new, empty log.
    pub fn create(places: &Places) -> Result<Log> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = places.own("logs")?;
        remove_oldest(&folder);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.log", std::process::id()));
        let create = File::create(&path).and_then(|_| File::open(&path));
        let reader = create.map_err(|error| Failure::file("create", &path, &error))?;
        Ok(Log { path, reader })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was added since the last call. For those who show the log while the guest runs.
    pub fn read_news(&mut self) -> Vec<u8> {
        let mut news = Vec::new();
        // A log that cannot be read has no news; the run itself is not at fault.
        let _ = self.reader.read_to_end(&mut news);
        news
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// Whether the guest has written anything.
    pub fn is_empty(&self) -> bool {
        self.path.metadata().map_or(true, |metadata| metadata.len() == 0)
    }

    /// Removes the file, for a run that nobody will ask about.
    pub fn discard(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn remove_oldest(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    let mut logs: Vec<_> = entries
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    logs.sort();
    for (_, path) in logs.iter().rev().skip(KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_its_news_once_and_its_text_always() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { root: folder.path().into(), target: folder.path().join("target") };
        let mut log = Log::create(&places).unwrap();
        assert!(log.is_empty());
        std::fs::write(log.path(), "one\n").unwrap();
        assert_eq!(log.read_news(), b"one\n");
        assert_eq!(log.read_news(), b"");
        assert_eq!(log.text(), "one\n");
        let path = log.path().to_owned();
        log.discard();
        assert!(!path.exists());
    }

    #[test]
    fn logs_do_not_pile_up() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { root: folder.path().into(), target: folder.path().join("target") };
        for _ in 0..KEPT + 10 {
            Log::create(&places).unwrap();
        }
        assert!(places.own("logs").unwrap().read_dir().unwrap().count() <= KEPT + 1);
    }
}
