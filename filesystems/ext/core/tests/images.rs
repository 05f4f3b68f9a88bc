//! Images made by `mke2fs` read as what went into them, and as an independent reader sees them.
#![forbid(unsafe_code)]

mod support;

use filesystems_api::file::NodeKind;
use filesystems_ext_core::{Inode, LookupError, Resolved, Source, Volume, VolumeError};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use support::{Memory, images};

fn entries(volume: &mut Volume<Memory>, directory: &Inode) -> BTreeMap<Vec<u8>, u32> {
    let mut found = BTreeMap::new();
    volume
        .read_directory(directory, 0, &mut |entry| {
            assert!(found.insert(entry.name.to_vec(), entry.inode).is_none(), "a name twice");
            true
        })
        .unwrap();
    found
}

fn node(volume: &mut Volume<Memory>, path: &[u8], follow: bool) -> Result<Inode, LookupError> {
    let root = volume.inode(2)?;
    match volume.lookup(&root, path, follow)? {
        Resolved::Node(inode) => Ok(inode),
        Resolved::Retry(path) => panic!("absolute: {path:?}"),
    }
}

/// Compares a directory of the image with the one that it was made from.
fn compare(volume: &mut Volume<Memory>, directory: &Inode, original: &Path) {
    let mut found = entries(volume, directory);
    assert!(found.remove(&b"."[..]).is_some() && found.remove(&b".."[..]).is_some());
    found.remove(&b"lost+found"[..]);
    for entry in fs::read_dir(original).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let number = found.remove(name.as_bytes()).unwrap_or_else(|| panic!("{name:?} is missing"));
        assert_eq!(volume.find(directory, name.as_bytes()).unwrap(), Some(number), "{name:?}");
        let inode = volume.inode(number).unwrap();
        compare_node(volume, &inode, &entry.path());
    }
    assert!(found.is_empty(), "too much: {found:?}");
    assert_eq!(volume.find(directory, b"no such name").unwrap(), None);
}

fn compare_node(volume: &mut Volume<Memory>, inode: &Inode, original: &Path) {
    let metadata = fs::symlink_metadata(original).unwrap();
    let status = inode.status();
    assert_eq!(u32::from(status.mode), metadata.mode() & 0o7777, "{original:?}");
    assert_eq!((status.user, status.group), (metadata.uid(), metadata.gid()), "{original:?}");
    assert_eq!(status.modified, metadata.mtime() as u64, "{original:?}");
    if metadata.is_dir() {
        assert_eq!(status.kind, NodeKind::Directory);
        return compare(volume, inode, original);
    }
    assert_eq!(status.size, metadata.len(), "{original:?}");
    if metadata.is_symlink() {
        let mut target = [0; 4095];
        let length = volume.read_link(inode, &mut target).unwrap();
        assert_eq!(&target[..length], fs::read_link(original).unwrap().as_os_str().as_bytes());
    } else {
        assert_eq!(status.kind, NodeKind::File);
        compare_contents(volume, inode, original);
    }
}

fn compare_contents(volume: &mut Volume<Memory>, inode: &Inode, original: &Path) {
    let file = fs::File::open(original).unwrap();
    let mut windows = vec![(0, inode.size.min(8 << 20))];
    for start in [70 << 20, 100 << 20, (4_u64 << 30) - 8192, (5 << 30) - 4096, (6_u64 << 30) - 100] {
        windows.push((start, 20_000.min(inode.size.saturating_sub(start))));
    }
    for (start, length) in windows.into_iter().filter(|(_, length)| *length > 0) {
        let (mut ours, mut theirs) = (vec![1; length as usize], vec![2; length as usize]);
        assert_eq!(volume.read(inode, start, &mut ours).unwrap(), length as usize);
        file.read_exact_at(&mut theirs, start).unwrap();
        assert!(ours == theirs, "{original:?} from {start}");
    }
    assert_eq!(volume.read(inode, inode.size, &mut [0; 10]).unwrap(), 0);
    assert_eq!(volume.read(inode, u64::MAX, &mut [0; 10]).unwrap(), 0);
}

#[test]
fn images_read_as_what_went_into_them() {
    for image in images() {
        println!("{:?}", image.kind);
        let mut volume = image.volume();
        let root = volume.inode(2).unwrap();
        compare(&mut volume, &root, image.tree);
        let status = volume.status();
        assert_eq!((status.format.as_str(), status.label.as_str()), (image.kind.format, "tenure"));
        assert!(status.read_only && status.free_blocks > 0 && status.free_blocks < status.blocks);
    }
}

#[test]
fn a_second_reader_agrees() {
    for image in images() {
        println!("{:?}", image.kind);
        let mut volume = image.volume();
        let bytes = image.disk.0.to_vec();
        let Ok(other) = ext4_view::Ext4::load(Box::new(bytes)) else {
            assert_eq!(image.kind.options, "none", "it wants kinds in directory entries");
            continue;
        };
        for entry in other.read_dir("/").unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let inode = node(&mut volume, path.as_ref(), false).unwrap();
            let metadata = other.symlink_metadata(&path).unwrap();
            assert_eq!((metadata.len(), metadata.mode()), (inode.size, inode.status().mode), "{path:?}");
            if metadata.is_symlink() {
                let mut target = [0; 4095];
                let length = volume.read_link(&inode, &mut target).unwrap();
                assert_eq!(other.read_link(&path).unwrap().as_ref(), &target[..length]);
            }
            // It takes a hole beside an indirect block for damage.
            let comparable = metadata.file_type().is_regular_file() && inode.size <= 1 << 20;
            if comparable && let Ok(theirs) = other.read(&path) {
                let mut ours = vec![0; inode.size as usize];
                volume.read(&inode, 0, &mut ours).unwrap();
                assert!(ours == theirs, "{path:?}");
            }
        }
    }
}

#[test]
fn directories_are_hashed_where_e2fsck_makes_them_so() {
    let mut hashed = 0;
    for image in images().iter().filter(|image| image.kind.options != "none") {
        let path = support::scratch().join("hashed.img");
        fs::write(&path, &image.disk.0[..]).unwrap();
        let shown = support::run("debugfs", &["-R", "htree_dump /many", path.to_str().unwrap()]);
        hashed += usize::from(shown.contains("Root node dump"));
    }
    assert!(hashed >= 7, "only {hashed} images with a hashed directory");
}

#[test]
fn a_hash_index_of_two_levels_is_searched() {
    let (disk, names) = support::deep_directory();
    let mut volume = Volume::mount(disk).unwrap();
    let root = volume.inode(2).unwrap();
    let linked = volume.find(&root, b"first").unwrap().unwrap();
    for name in names {
        assert_eq!(volume.find(&root, name.as_bytes()).unwrap(), Some(linked), "{name}");
    }
    assert_eq!(volume.find(&root, b"0-").unwrap(), None);
}

#[test]
fn unsigned_hashes_are_found_too() {
    let image = images().iter().find(|image| image.kind.format == "ext3").unwrap();
    let path = support::scratch().join("unsigned.img");
    fs::write(&path, &image.disk.0[..]).unwrap();
    let target = path.to_str().unwrap();
    support::run("debugfs", &["-w", "-R", "set_super_value flags 2", target]);
    let status = std::process::Command::new("e2fsck").args(["-fyD", target]).output().unwrap().status;
    assert!(status.code().unwrap() < 4);
    let mut volume = Volume::mount(support::load(&path)).unwrap();
    let many = node(&mut volume, b"many", true).unwrap();
    for (name, number) in entries(&mut volume, &many) {
        assert_eq!(volume.find(&many, &name).unwrap(), Some(number));
    }
}

#[test]
fn unwritten_blocks_read_as_zeros() {
    for image in images().iter().filter(|image| image.kind.format == "ext4") {
        let path = support::scratch().join("unwritten.img");
        fs::write(&path, &image.disk.0[..]).unwrap();
        let target = path.to_str().unwrap();
        support::run("debugfs", &["-w", "-R", "fallocate /nothing 10 40", target]);
        let mut volume = Volume::mount(support::load(&path)).unwrap();
        let nothing = node(&mut volume, b"nothing", true).unwrap();
        assert!(nothing.status().blocks > 0);
        let mut bytes = vec![1; 300_000];
        volume.read(&nothing, 0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn paths_follow_links_as_the_protocol_says() {
    for image in images() {
        let mut volume = image.volume();
        let file = node(&mut volume, b"deep/er/est/file", true).unwrap().number;
        for path in [
            "relative",
            "slow",
            "/relative",
            "directory/er/est/file",
            "deep//er/./est/file",
            "deep/er/est/../../../relative",
            "../../deep/er/est/file",
        ] {
            assert_eq!(node(&mut volume, path.as_bytes(), true).unwrap().number, file, "{path}");
        }
        assert_eq!(node(&mut volume, b"short", false).unwrap().kind, NodeKind::Link);
        assert_eq!(node(&mut volume, b"directory/", false).unwrap().kind, NodeKind::Directory);
        assert_eq!(node(&mut volume, b"", true).unwrap().number, 2);
        let refused = |volume: &mut _, path: &[u8]| node(volume, path, true).unwrap_err();
        assert_eq!(refused(&mut volume, b"deep/none"), LookupError::NotFound);
        assert_eq!(refused(&mut volume, b"dangling"), LookupError::NotFound);
        assert_eq!(refused(&mut volume, b"loop-a"), LookupError::LinkLoop);
        assert_eq!(refused(&mut volume, b"a\0b"), LookupError::BadPath);
        assert_eq!(refused(&mut volume, &[b'x'; 256]), LookupError::NameTooLong);
        for path in ["size-1/", "size-1/x", "short/"] {
            let expected = LookupError::Volume(VolumeError::NotDirectory);
            assert_eq!(refused(&mut volume, path.as_bytes()), expected, "{path}");
        }
        let root = volume.inode(2).unwrap();
        match volume.lookup(&root, b"directory/../absolute/more", true).unwrap() {
            Resolved::Retry(path) => assert_eq!(path, b"/etc/passwd/more"),
            Resolved::Node(node) => panic!("{node:?}"),
        }
    }
}

#[test]
fn a_directory_reads_alike_in_pieces() {
    for image in images() {
        let mut volume = image.volume();
        let many = node(&mut volume, b"many", true).unwrap();
        let whole = entries(&mut volume, &many);
        let (mut cookie, mut pieces) = (0, BTreeMap::new());
        loop {
            let mut count = 0;
            volume
                .read_directory(&many, cookie, &mut |entry| {
                    pieces.insert(entry.name.to_vec(), entry.inode);
                    cookie = entry.next;
                    count += 1;
                    count < 7
                })
                .unwrap();
            if count == 0 {
                break;
            }
        }
        assert_eq!(whole, pieces);
        for cookie in [many.size, u64::MAX, 13] {
            volume.read_directory(&many, cookie, &mut |entry| entry.next > cookie).unwrap();
        }
    }
}

#[test]
fn a_source_that_fails_is_an_error_of_its_own() {
    struct Failing(Memory, u64);
    impl Source for Failing {
        fn sectors(&self) -> u64 {
            self.0.sectors()
        }
        fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), filesystems_ext_core::SourceError> {
            self.1 = self.1.checked_sub(1).ok_or(filesystems_ext_core::SourceError::Io { sector })?;
            self.0.read(sector, into)
        }
    }
    for image in images() {
        let mut failed = 0;
        for reads in 0..40 {
            let Ok(mut volume) = Volume::mount(Failing(image.disk.clone(), reads)) else {
                failed += 1;
                continue;
            };
            let root = volume.inode(2).unwrap();
            match volume.lookup(&root, b"deep/er/est/file", true) {
                Ok(_) => break,
                Err(LookupError::Volume(VolumeError::Source(_))) => failed += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(failed >= 3, "{failed}");
    }
}
