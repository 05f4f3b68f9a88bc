//! The disk of a stress run: one file whose every word is known by its number.

use crate::places::Places;
use crate::{Failure, Result, child, host};
use std::io::Write;
use std::path::{Path, PathBuf};
use tests_stress_core::numbered::{FILE_BYTES, WORD_BYTES, word};

/// Size of the disk.
const SIZE: &str = "48M";
/// The file on it, as the guest's readers know it.
const FILE: &str = "numbered";

/// The image, made if it is not there.
pub fn image(places: &Places) -> Result<PathBuf> {
    let folder = places.own("disk")?;
    // The name says what is in it, so that another size is another file.
    let image = folder.join(format!("stress-{FILE_BYTES}.img"));
    if image.is_file() {
        return Ok(image);
    }
    let failed = |error: &std::io::Error| Failure::file("write to", &folder, error);
    let stage = tempfile::tempdir_in(&folder).map_err(|error| failed(&error))?;
    let tree = stage.path().join("tree");
    std::fs::create_dir_all(&tree)
        .and_then(|()| write_numbered(&tree.join(FILE)))
        .map_err(|error| failed(&error))?;
    let part = stage.path().join("image");
    let mut mke2fs = host::command("mke2fs")?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-L", "stress"]);
    mke2fs.args(["-E", "root_owner=0:0,lazy_itable_init=0", "-d"]).arg(&tree).arg(&part).arg(SIZE);
    child::succeed(&mut mke2fs)?;
    std::fs::rename(&part, &image).map_err(|error| failed(&error))?;
    Ok(image)
}

fn write_numbered(path: &Path) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in 0..FILE_BYTES / WORD_BYTES as u64 {
        file.write_all(&word(number).to_le_bytes())?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_words_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_numbered(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, FILE_BYTES);
        let last = FILE_BYTES / 8 - 1;
        for number in [0, 1, 12_345, last] {
            let place = number as usize * WORD_BYTES;
            assert_eq!(bytes[place..place + WORD_BYTES], word(number).to_le_bytes());
        }
    }
}
