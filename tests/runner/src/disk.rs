//! The disk that the guest sees: an image that the user names, or a demonstration disk made of this repository.

use crate::places::{Places, write_whole};
use crate::{Failure, Result, child, host};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// What goes on the demonstration disk: name in the repository, folder on the disk.
const CONTENTS: [(&str, &str); 13] = [
    ("README.md", ""),
    ("LICENSE-MIT", ""),
    ("LICENSE-APACHE", ""),
    ("docs", ""),
    ("Cargo.toml", "source"),
    ("Cargo.lock", "source"),
    ("kernel", "source"),
    ("physmem", "source"),
    ("containers", "source"),
    ("default-pager", "source"),
    ("filesystems", "source"),
    ("hurd-glue", "source"),
    ("tests", "source"),
];

/// Size of the demonstration disk.
const SIZE: &str = "48M";

/// Checks an image that the user named, as far as the host can: QEMU's own words for these are worse.
pub fn check_image(image: &Path) -> Result<PathBuf> {
    let metadata = image.metadata().map_err(|error| Failure::file("open the disk image", image, &error))?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("the disk image {} is a folder", image.display()))
            .hint("make an image of it: mke2fs -t ext4 -d FOLDER disk.img 64M"));
    }
    std::fs::File::open(image).map_err(|error| Failure::file("open the disk image", image, &error))?;
    std::path::absolute(image).map_err(|error| Failure::file("find", image, &error))
}

/// The demonstration disk, made anew if what is on it has changed.
pub fn demonstration(places: &Places) -> Result<PathBuf> {
    let folder = places.own("disk")?;
    let image = folder.join("demonstration.img");
    let note = folder.join("demonstration.fingerprint");
    let mut files = Vec::new();
    for (name, destination) in CONTENTS {
        list(&places.root.join(name), &Path::new(destination).join(name), &mut files)?;
    }
    let fingerprint = fingerprint(&files)?;
    if image.is_file() && std::fs::read_to_string(&note).is_ok_and(|known| known == fingerprint) {
        return Ok(image);
    }
    eprintln!("making the demonstration disk ({} files, mke2fs)", files.len());
    let stage = tempfile::tempdir_in(&folder).map_err(|error| Failure::file("write to", &folder, &error))?;
    for (source, destination) in &files {
        copy(source, &stage.path().join("tree").join(destination))?;
    }
    add_curiosities(&stage.path().join("tree"))?;
    let part = stage.path().join("image");
    make_image(&stage.path().join("tree"), &part)?;
    std::fs::rename(&part, &image).map_err(|error| Failure::file("write", &image, &error))?;
    write_whole(&note, fingerprint.as_bytes())?;
    Ok(image)
}

/// Lists the files below a place, in order, without what begins with a dot.
fn list(source: &Path, destination: &Path, files: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    if source.is_file() {
        files.push((source.to_owned(), destination.to_owned()));
    }
    let Ok(entries) = source.read_dir() else { return Ok(()) };
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.sort();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        list(&source.join(name), &destination.join(name), files)?;
    }
    Ok(())
}

fn fingerprint(files: &[(PathBuf, PathBuf)]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    SIZE.hash(&mut hasher);
    for (source, destination) in files {
        destination.hash(&mut hasher);
        std::fs::read(source).map_err(|error| Failure::file("read", source, &error))?.hash(&mut hasher);
    }
    // What this file puts on the disk besides depends on this file, which is itself among the files.
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn copy(source: &Path, destination: &Path) -> Result<()> {
    let folder = destination.parent().unwrap_or(destination);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::copy(source, destination))
        .map(drop)
        .map_err(|error| Failure::file("copy", source, &error))
}

/// A few things worth looking at: symbolic links, a name that is not ASCII, a file with a hole.
fn add_curiosities(tree: &Path) -> Result<()> {
    let folder = tree.join("curiosities");
    let hole = folder.join("mostly-hole");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::os::unix::fs::symlink("../README.md", folder.join("link")))
        .and_then(|()| std::os::unix::fs::symlink("../source/kernel/abi", folder.join("link-to-folder")))
        .and_then(|()| std::fs::write(folder.join("grüße.txt"), "Grüße aus dem Hurd.\n"))
        .and_then(|()| std::fs::write(&hole, "first bytes\n"))
        .and_then(|()| std::fs::OpenOptions::new().write(true).open(&hole))
        .and_then(|file| file.set_len(16 << 20))
        .map_err(|error| Failure::file("write to", &folder, &error))
}

fn make_image(tree: &Path, image: &Path) -> Result<()> {
    let mut mke2fs = host::command("mke2fs")?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-L", "tenure"]);
    mke2fs.args(["-E", "root_owner=0:0,lazy_itable_init=0", "-d"]).arg(tree).arg(image).arg(SIZE);
    child::succeed(&mut mke2fs).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_none_is_refused_before_qemu_sees_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            check_image(&folder.path().join("none")).unwrap_err().what.contains("cannot open the disk image")
        );
        assert!(check_image(folder.path()).unwrap_err().remedy.unwrap().contains("mke2fs"));
        let image = folder.path().join("a,b.img");
        std::fs::write(&image, "").unwrap();
        assert_eq!(check_image(&image), Ok(image));
    }

    #[test]
    fn the_demonstration_disk_is_remade_when_a_source_changes_and_only_then() {
        crate::setup::set_up(&mut host::ThisMachine).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let places = Places { root: folder.path().into(), target: folder.path().join("target") };
        std::fs::create_dir_all(folder.path().join("docs/.hidden")).unwrap();
        std::fs::write(folder.path().join("README.md"), "one").unwrap();
        let image = demonstration(&places).unwrap();
        let made = |image: &Path| image.metadata().unwrap().modified().unwrap();
        let first = made(&image);
        demonstration(&places).unwrap();
        assert_eq!(made(&image), first);
        std::fs::write(folder.path().join("README.md"), "two").unwrap();
        demonstration(&places).unwrap();
        assert!(made(&image) > first);
        let mut debugfs = host::command("debugfs").unwrap();
        let read = child::succeed(debugfs.args(["-R", "cat /README.md"]).arg(&image)).unwrap();
        assert_eq!(read, b"two");
        let left: Vec<_> = places.own("disk").unwrap().read_dir().unwrap().collect();
        assert_eq!(left.len(), 2, "nothing but image and fingerprint stays: {left:?}");
    }
}
