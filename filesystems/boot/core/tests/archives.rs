//! Archives made by the `tar` crate, whole and damaged.
#![forbid(unsafe_code)]

use filesystems_api::file::{FileError, NodeKind};
use filesystems_boot_core::{ArchiveError, BootTree, MEMBERS_MAX, ROOT};

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in members {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append(&header, *contents).unwrap();
    }
    builder.into_inner().unwrap()
}

const SAMPLE: [(&str, &[u8]); 6] = [
    (".pad", &[0; 700]),
    ("physmem", b"first"),
    ("bin/ls", b"list"),
    ("bin/sha256sum", &[7; 5000]),
    ("etc/deep/er/file", b"x"),
    ("empty", b""),
];

fn names(tree: &BootTree, directory: u32) -> Vec<String> {
    let (mut all, mut cookie) = (Vec::new(), 0);
    loop {
        let entries = tree.entries(directory, cookie).unwrap();
        let Some(last) = entries.iter().last() else { return all };
        cookie = last.next;
        all.extend(entries.iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()));
    }
}

#[test]
fn members_are_found_where_they_lie() {
    let bytes = archive(&SAMPLE);
    let mut padded = bytes.clone();
    padded.resize(bytes.len().next_multiple_of(4096) + 4096, 0);
    for bytes in [bytes, padded] {
        let tree = BootTree::read(&bytes).unwrap();
        for (name, contents) in &SAMPLE[1..] {
            let number = tree.look_up(ROOT, name.as_bytes()).unwrap();
            let place = tree.node(number).unwrap().contents.unwrap();
            assert_eq!(&bytes[place.offset as usize..][..place.bytes as usize], *contents);
            let status = tree.status(number).unwrap();
            assert_eq!(
                (status.size, status.mode, status.kind),
                (contents.len() as u64, 0o755, NodeKind::File)
            );
        }
        assert_eq!(names(&tree, ROOT), [".", "..", "physmem", "bin", "etc", "empty"]);
        assert_eq!(tree.status(ROOT).unwrap().links, 4);
    }
}

#[test]
fn paths_are_walked() {
    let tree = BootTree::read(&archive(&SAMPLE)).unwrap();
    let bin = tree.look_up(ROOT, b"bin").unwrap();
    let ls = tree.look_up(ROOT, b"bin/ls").unwrap();
    for (from, path) in
        [(bin, "ls"), (bin, "/bin/ls"), (ROOT, "./etc//deep/../../bin/ls"), (ls, ""), (bin, "../../bin/ls")]
    {
        assert_eq!(tree.look_up(from, path.as_bytes()), Ok(ls), "{path}");
    }
    for (path, error) in [
        ("bin/none", FileError::NotFound),
        ("bin/ls/x", FileError::NotDirectory),
        ("bin/ls/", FileError::NotDirectory),
        (".pad", FileError::NotFound),
        ("a\0", FileError::Malformed),
    ] {
        assert_eq!(tree.look_up(ROOT, path.as_bytes()), Err(error), "{path:?}");
    }
    assert_eq!(tree.look_up(ROOT, &[b'n'; 256]), Err(FileError::NameTooLong));
    assert_eq!(tree.look_up(99, b"bin"), Err(FileError::Stale));
    assert_eq!(tree.status(0), Err(FileError::Stale));
    assert_eq!(tree.entries(ls, 0), Err(FileError::NotDirectory));
    assert!(tree.entries(bin, u64::MAX).unwrap().is_empty());
}

#[test]
fn a_large_directory_is_listed_in_parts() {
    let members: Vec<String> = (0..300).map(|number| format!("many/{number:090}")).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let tree = BootTree::read(&archive(&members)).unwrap();
    assert_eq!(names(&tree, tree.look_up(ROOT, b"many").unwrap()).len(), 302);
}

#[test]
fn names_that_are_no_paths_are_refused() {
    for name in ["/absolute", "a//b", "a/../b", "trailing/", ".."] {
        assert_eq!(BootTree::read(&archive(&[(name, b"x")])), Err(ArchiveError::Name), "{name}");
    }
    for names in [["same", "same"], ["a", "a/b"], ["a/b", "a"]] {
        let members = names.map(|name| (name, &b"x"[..]));
        assert_eq!(BootTree::read(&archive(&members)), Err(ArchiveError::Twice), "{names:?}");
    }
    let many: Vec<String> = (0..=MEMBERS_MAX).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(BootTree::read(&archive(&many)), Err(ArchiveError::TooMany));
    assert!(BootTree::read(&archive(&many[1..])).is_ok());
}

#[test]
fn damage_is_an_error_or_harmless() {
    let bytes = archive(&SAMPLE);
    assert!(BootTree::read(&[]).is_err() && BootTree::read(&[0; 100]).is_err());
    for end in (0..bytes.len()).step_by(512) {
        assert!(BootTree::read(&bytes[..end.min(bytes.len() - 1024)]).is_err());
    }
    let mut random = 42_u64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % bound
    };
    let mut refused = 0;
    for _ in 0..5000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + next(5) {
            let place = next(damaged.len());
            damaged[place] = next(256) as u8;
        }
        match BootTree::read(&damaged) {
            Ok(tree) => {
                for number in 1..=tree.count() as u32 {
                    let contents = tree.node(number).unwrap().contents;
                    assert!(contents.is_none_or(|at| at.offset + at.bytes <= damaged.len() as u64));
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_header_with_any_size_and_a_right_checksum_stays_in_bounds() {
    let mut bytes = archive(&[("one", b"1"), ("two", &[2; 600])]);
    for size in ["00000000000", "00000001000", "77777777777", "0000002400 ", "zzzzzzzzzzz", "-0000000001"] {
        bytes[124..135].copy_from_slice(size.as_bytes());
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        if let Ok(tree) = BootTree::read(&bytes) {
            for number in 1..=tree.count() as u32 {
                let contents = tree.node(number).unwrap().contents;
                assert!(contents.is_none_or(|at| at.offset + at.bytes <= bytes.len() as u64), "{size}");
            }
        }
    }
}
