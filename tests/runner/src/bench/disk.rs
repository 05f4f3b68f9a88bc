//! The disk that is read: an ext4 image with files of known size, none of which has a hole.

use crate::places::Places;
use crate::{Failure, Result, child, host};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Size of the disk.
const SIZE: &str = "288M";
/// Folder of the files.
pub const FOLDER: &str = "/bench";
/// Files: name, and MiB.
const FILES: [(&str, usize); 4] = [("cached", 64), ("sequential", 64), ("random", 64), ("small", 8)];
/// Empty files in the folder `names`; with `.` and `..` a folder has two entries more.
const NAMES: usize = 64;

/// The image, made if it is not there.
pub fn image(places: &Places) -> Result<PathBuf> {
    let folder = places.own("disk")?;
    let image = folder.join("bench-1.img");
    if image.is_file() {
        return Ok(image);
    }
    eprintln!("making the benchmark's disk (mke2fs)");
    let failed = |error: std::io::Error| Failure::file("write to", &folder, &error);
    let stage = tempfile::tempdir_in(&folder).map_err(failed)?;
    let tree = stage.path().join("tree");
    write_files(&tree.join(&FOLDER[1..])).map_err(failed)?;
    let part = stage.path().join("image");
    let mut mke2fs = host::command("mke2fs")?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-L", "bench"]);
    mke2fs.args(["-E", "root_owner=0:0,lazy_itable_init=0", "-d"]).arg(&tree).arg(&part).arg(SIZE);
    child::succeed(&mut mke2fs)?;
    std::fs::rename(&part, &image).map_err(failed)?;
    Ok(image)
}

fn write_files(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("names"))?;
    for number in 0..NAMES {
        std::fs::write(folder.join("names").join(format!("file-{number:02}")), "")?;
    }
    for (name, mebibytes) in FILES {
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(name))?);
        for word in 0..mebibytes << 17 {
            file.write_all(&(word as u64 + 1).to_le_bytes())?;
        }
        file.flush()?;
    }
    Ok(())
}
