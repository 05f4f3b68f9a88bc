//! The disk for pages that do not fit in memory: a file that the user names, or one made for this run.
//!
//! What is on it when a boot begins is of no use to anybody: each boot encrypts under a key of its own. But a file that the user
//! names by mistake would be lost. So a file is taken only if its first page is zeros, as in a new file, or says that it is for
//! swap, as the guest writes it.

use crate::machine::Disk;
use crate::places::Places;
use crate::{Failure, Result};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What `--swap` names if there is to be none.
pub const NONE: &str = "none";

/// Bytes of the file that is made if none is named; it takes as much of the host's disk as was written to it.
pub const SWAP_BYTES: u64 = 512 << 20;

/// Least bytes of a file: the header's page and one transfer of the guest's.
pub const SWAP_BYTES_MIN: u64 = (1 + 64) * PAGE_BYTES;

/// What a file for swap begins with (`default_pager_core::header`).
pub const MAGIC: &[u8; 16] = b"TENURE SWAP 1\n\0\0";

const PAGE_BYTES: u64 = 4096;

/// A disk for swap, and the file if it is to go when the run is over.
pub struct Swap {
    /// What the machine is given.
    pub disk: Disk,
    _made: Option<tempfile::TempPath>,
}

/// What the option says.
pub fn choose(option: Option<&Path>, places: &Places) -> Result<Option<Swap>> {
    match option {
        Some(name) if name == Path::new(NONE) => Ok(None),
        Some(image) => named(image).map(Some),
        None => made(places).map(Some),
    }
}

/// A file for this run alone: two runs at a time must not have the same.
fn made(places: &Places) -> Result<Swap> {
    let folder = places.own("swap")?;
    let failed = |error| Failure::file("write to", &folder, &error);
    let file =
        tempfile::Builder::new().prefix("swap-").suffix(".img").tempfile_in(&folder).map_err(failed)?;
    file.as_file().set_len(SWAP_BYTES).map_err(failed)?;
    let made = file.into_temp_path();
    Ok(Swap { disk: Disk::writable(made.to_path_buf()), _made: Some(made) })
}

/// The file that the user named. One that cannot be written is a disk that cannot be written: the guest says what it thinks of it.
fn named(image: &Path) -> Result<Swap> {
    let failed = |error| Failure::file("open the swap image", image, &error);
    let make = |name: &dyn Display| format!("make one: truncate -s {}M {name}", SWAP_BYTES >> 20);
    // The command would spoil a file that is something else, so it names none that exists.
    let how_to_make = make(&"NEW_FILE");
    let metadata = image.metadata().map_err(|error| {
        let hint = if image.exists() { how_to_make.clone() } else { make(&image.display()) };
        failed(error).hint(hint)
    })?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("the swap image {} is a folder", image.display())).hint(how_to_make));
    }
    if metadata.is_file() && metadata.len() < SWAP_BYTES_MIN {
        let what = format!(
            "the swap image {} is too small: {} bytes, at least {SWAP_BYTES_MIN}",
            image.display(),
            metadata.len()
        );
        return Err(Failure::new(what).hint(how_to_make));
    }
    let mut first = [0; PAGE_BYTES as usize];
    File::open(image).and_then(|mut file| file.read_exact(&mut first)).map_err(failed)?;
    if !is_for_swap(&first) {
        return Err(Failure::new(format!("the swap image {} holds something else", image.display()))
            .hint("it would be overwritten; clear its first 4096 bytes if that is meant"));
    }
    let path: PathBuf = std::path::absolute(image).map_err(failed)?;
    let is_writable = File::options().write(true).open(&path).is_ok();
    let disk = if is_writable { Disk::writable(path) } else { Disk::new(path) };
    Ok(Swap { disk, _made: None })
}

fn is_for_swap(page: &[u8]) -> bool {
    page.starts_with(MAGIC) || page.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn refusal(image: &Path) -> String {
        named(image).err().expect("it is refused").to_string()
    }

    #[test]
    fn what_is_no_swap_image_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refusal(&folder.path().join("missing")).contains("cannot open the swap image"));
        assert!(refusal(folder.path()).contains("is a folder"));
        let small = file(&folder, "small", &vec![0; SWAP_BYTES_MIN as usize - 1]);
        assert!(refusal(&small).contains("is too small: 266239 bytes, at least 266240"));
        assert!(refusal(&small).contains("truncate -s 512M NEW_FILE"), "not the file that is there");
        let precious = file(&folder, "precious", &vec![7; SWAP_BYTES_MIN as usize]);
        assert!(refusal(&precious).contains("holds something else"));
        assert!(refusal(&folder.path().join("missing")).contains("truncate -s 512M"));
    }

    #[test]
    fn a_new_file_and_one_that_was_used_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = vec![0; SWAP_BYTES_MIN as usize];
        let new = named(&file(&folder, "new", &bytes)).unwrap();
        assert!(new.disk.is_writable && new.disk.image.is_absolute());
        bytes.fill(9);
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        assert!(named(&file(&folder, "used", &bytes)).is_ok());
    }

    #[test]
    fn each_run_has_a_sparse_file_of_its_own_that_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { root: folder.path().into(), target: folder.path().join("target") };
        let (one, other) = (made(&places).unwrap(), made(&places).unwrap());
        assert_ne!(one.disk, other.disk);
        assert_eq!(one.disk.image.metadata().unwrap().len(), SWAP_BYTES);
        drop((one, other));
        assert_eq!(places.own("swap").unwrap().read_dir().unwrap().count(), 0);
        assert!(choose(Some(Path::new(NONE)), &places).unwrap().is_none());
        assert!(choose(None, &places).unwrap().is_some());
    }
}
