//! The disks of the Linux that is measured: one with files, read-only, and one to swap to.

use crate::places::Places;
use crate::{Failure, Result, child, host};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of the large file.
const LARGE_BYTES: u64 = 64 << 20;
/// Files in the folder.
const NAMES: u32 = 64;
/// Size of the disk.
const SIZE: &str = "80M";

/// Bytes to swap to.
const SWAP_BYTES: u64 = 256 << 20;

/// The image with the files, made if it is not there.
pub fn image(places: &Places) -> Result<PathBuf> {
    let folder = places.own("disk")?;
    // The name says what is in it, so that another size is another file.
    let image = folder.join(format!("linux-{LARGE_BYTES}-{NAMES}.img"));
    if image.is_file() {
        return Ok(image);
    }
    let failed = |error: &std::io::Error| Failure::file("write to", &folder, error);
    let stage = tempfile::tempdir_in(&folder).map_err(|error| failed(&error))?;
    let tree = stage.path().join("tree");
    write_tree(&tree).map_err(|error| failed(&error))?;
    let part = stage.path().join("image");
    let mut mke2fs = host::command("mke2fs")?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-L", "linux"]);
    mke2fs.args(["-E", "root_owner=0:0,lazy_itable_init=0", "-d"]).arg(&tree).arg(&part).arg(SIZE);
    child::succeed(&mut mke2fs)?;
    std::fs::rename(&part, &image).map_err(|error| failed(&error))?;
    Ok(image)
}

fn write_tree(tree: &Path) -> std::io::Result<()> {
    let folder = tree.join("folder");
    std::fs::create_dir_all(&folder)?;
    for number in 0..NAMES {
        std::fs::write(folder.join(format!("name-{number}")), number.to_string())?;
    }
    let mut large = std::io::BufWriter::new(std::fs::File::create(tree.join("large"))?);
    for number in 0..LARGE_BYTES / 8 {
        large.write_all(&number.to_le_bytes())?;
    }
    large.flush()
}

/// An empty disk to swap to; it goes with the value.
pub fn swap(places: &Places) -> Result<tempfile::TempPath> {
    let folder = places.own("disk")?;
    let failed = |error: std::io::Error| Failure::file("write to", &folder, &error);
    let file = tempfile::Builder::new().prefix("swap-").tempfile_in(&folder).map_err(failed)?;
    file.as_file().set_len(SWAP_BYTES).map_err(failed)?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        write_tree(folder.path()).unwrap();
        assert_eq!(folder.path().join("large").metadata().unwrap().len(), LARGE_BYTES);
        assert_eq!(folder.path().join("folder").read_dir().unwrap().count(), NAMES as usize);
        assert_eq!(std::fs::read(folder.path().join("folder/name-17")).unwrap(), b"17");
    }
}
