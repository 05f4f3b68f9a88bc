//! A recorded run: a folder with kernel, boot archive, disk, the memory's size and QEMU's own record of everything that
//! came from outside. With the same QEMU it replays to the last instruction, whatever has become of the source tree.

use crate::machine::Replay;
use crate::places::write_whole;
use crate::{Failure, Result};
use std::path::{Path, PathBuf};

/// Names in the folder.
const FILES: [&str; 3] = ["kernel", "archive.tar", "disk.img"];
/// QEMU's record.
const RECORD: &str = "record";
/// The memory's size in bytes.
const MEMORY: &str = "memory";

/// A folder with a recorded run, or one that is being recorded.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// What QEMU is to do.
    pub replay: Replay,
}

impl Recording {
    /// Copies kernel, archive and disk into a new folder, for a run that is to be recorded.
    pub fn create(folder: &Path, files: [&Path; 3], memory_bytes: u64) -> Result<Recording> {
        let failed = |error: std::io::Error| Failure::file("make the folder", folder, &error);
        std::fs::create_dir(folder).map_err(failed)?;
        for (name, file) in FILES.iter().zip(files) {
            std::fs::copy(file, folder.join(name)).map_err(|error| Failure::file("copy", file, &error))?;
        }
        write_whole(&folder.join(MEMORY), memory_bytes.to_string().as_bytes())?;
        Recording::open_as(folder, Replay::Record)
    }

    /// A run that was recorded.
    pub fn open(folder: &Path) -> Result<Recording> {
        let recording = Recording::open_as(folder, Replay::Replay)?;
        for name in FILES.iter().chain([&RECORD]) {
            let file = recording.folder.join(name);
            std::fs::File::open(&file).map_err(|error| Failure::file("open", &file, &error))?;
        }
        Ok(recording)
    }

    fn open_as(folder: &Path, replay: fn(PathBuf) -> Replay) -> Result<Recording> {
        let folder = std::path::absolute(folder).map_err(|error| Failure::file("find", folder, &error))?;
        let file = folder.join(MEMORY);
        let text = std::fs::read_to_string(&file).map_err(|error| Failure::file("read", &file, &error))?;
        let memory_bytes = text.trim().parse();
        let memory_bytes =
            memory_bytes.map_err(|_| Failure::new(format!("{} holds no size", file.display())))?;
        let replay = replay(folder.join(RECORD));
        Ok(Recording { folder, memory_bytes, replay })
    }

    /// Kernel, archive and disk.
    pub fn files(&self) -> [PathBuf; 3] {
        FILES.map(|name| self.folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let place = folder.path().join("run");
        let made = Recording::create(&place, [&file, &file, &file], 64 << 20).unwrap();
        assert!(matches!(made.replay, Replay::Record(_)));
        assert!(Recording::open(&place).unwrap_err().what.contains("record"), "QEMU has not written yet");
        std::fs::write(place.join(RECORD), "").unwrap();
        let opened = Recording::open(&place).unwrap();
        assert_eq!((opened.memory_bytes, opened.files()), (64 << 20, made.files()));
        assert!(Recording::create(&place, [&file, &file, &file], 1).is_err(), "nothing is overwritten");
        assert!(Recording::open(folder.path()).is_err());
    }
}
