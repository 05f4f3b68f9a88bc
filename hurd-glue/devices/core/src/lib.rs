//! The devices `null`, `zero` and `full`: their names, and what reading and writing them does.
//!
//! | device | reads | writes |
//! |---|---|---|
//! | `null` | nothing | are taken and forgotten |
//! | `zero` | zeros without an end | are taken and forgotten |
//! | `full` | zeros without an end | are refused: no space left |
//!
//! Nothing here changes, so a server that is started again is the one that ended. Zeros are no memory: the server copies holes to its
//! clients, who get pages that are absent.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use filesystems_api::directory::{Entries, EntriesBuilder, Entry};
use filesystems_api::file::{FileError, FileSystemStatus, NAME_BYTES, NodeKind, NodeStatus};
use kernel_protocol::Text;

/// Number of the directory.
pub const ROOT: u32 = 1;

/// Number of the first device; the others follow.
const FIRST_DEVICE: u32 = 2;

/// Bytes that one read of a device brings at most: bounds the time for which others wait.
pub const READ_BYTES_MAX: u64 = 16 << 20;

/// A device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// Nothing.
    Null,
    /// Zeros.
    Zero,
    /// Zeros, and no room.
    Full,
}

const DEVICES: [(Device, &str); 3] = [(Device::Null, "null"), (Device::Zero, "zero"), (Device::Full, "full")];

impl Device {
    /// Of so many bytes that somebody wants to read, how many there are: all of them zeros.
    pub const fn zeros(self, wanted: u64) -> u64 {
        match self {
            Device::Null => 0,
            Device::Zero | Device::Full => {
                if wanted < READ_BYTES_MAX {
                    wanted
                } else {
                    READ_BYTES_MAX
                }
            }
        }
    }

    /// Of so many bytes that somebody writes, how many are taken.
    pub const fn takes(self, bytes: u64) -> Result<u64, FileError> {
        match self {
            Device::Full if bytes > 0 => Err(FileError::NoSpace),
            _ => Ok(bytes),
        }
    }
}

/// The device with this number.
pub fn device(number: u32) -> Result<Device, FileError> {
    match number.checked_sub(FIRST_DEVICE).map(|place| DEVICES.get(place as usize)) {
        Some(Some(&(device, _))) => Ok(device),
        None if number == ROOT => Err(FileError::IsDirectory),
        _ => Err(FileError::Stale),
    }
}

fn devices() -> impl Iterator<Item = (u32, &'static str)> {
    (FIRST_DEVICE..).zip(DEVICES.iter().map(|(_, name)| *name))
}

/// What a node is.
pub fn kind(number: u32) -> Result<NodeKind, FileError> {
    match device(number) {
        Ok(_) => Ok(NodeKind::CharacterDevice),
        Err(FileError::IsDirectory) => Ok(NodeKind::Directory),
        Err(error) => Err(error),
    }
}

/// The node that a path from a node leads to.
pub fn look_up(from: u32, path: &[u8]) -> Result<u32, FileError> {
    if path.contains(&0) {
        return Err(FileError::Malformed);
    }
    let mut at = if path.first() == Some(&b'/') { ROOT } else { from };
    kind(at)?;
    if path.is_empty() {
        return Ok(at);
    }
    for name in path.split(|&byte| byte == b'/') {
        if at != ROOT {
            return Err(FileError::NotDirectory);
        }
        at = match name {
            b"" | b"." | b".." => ROOT,
            name if name.len() > NAME_BYTES => return Err(FileError::NameTooLong),
            name => {
                let found = devices().find(|(_, device)| device.as_bytes() == name);
                found.ok_or(FileError::NotFound)?.0
            }
        };
    }
    Ok(at)
}

/// Entries of the directory from a cookie on.
pub fn entries(number: u32, cookie: u64) -> Result<Entries, FileError> {
    if kind(number)? != NodeKind::Directory {
        return Err(FileError::NotDirectory);
    }
    let mut builder = EntriesBuilder::new();
    let all = [(ROOT, "."), (ROOT, "..")].into_iter().chain(devices());
    for (place, (inode, name)) in all.enumerate().skip(usize::try_from(cookie).unwrap_or(usize::MAX)) {
        let entry =
            Entry { inode: inode.into(), kind: kind(inode)?, next: place as u64 + 1, name: name.as_bytes() };
        if !builder.push(entry) {
            break;
        }
    }
    Ok(builder.finish())
}

/// What a node tells of itself.
pub fn status(number: u32) -> Result<NodeStatus, FileError> {
    let kind = kind(number)?;
    let is_directory = kind == NodeKind::Directory;
    Ok(NodeStatus {
        inode: number.into(),
        kind,
        mode: if is_directory { 0o555 } else { 0o666 },
        links: if is_directory { 2 } else { 1 },
        user: 0,
        group: 0,
        size: 0,
        blocks: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    })
}

/// What the file system of the devices tells of itself.
pub fn file_system() -> FileSystemStatus {
    FileSystemStatus {
        format: Text::truncated("devices"),
        label: Text::truncated(""),
        block_bytes: 4096,
        blocks: 0,
        free_blocks: 0,
        inodes: 1 + DEVICES.len() as u64,
        free_inodes: 0,
        read_only: false,
        cached_pages: 0,
        hits: 0,
        misses: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn names_lead_to_devices() {
        for (path, device) in [("null", Device::Null), ("/zero", Device::Zero), (".././/full", Device::Full)]
        {
            assert_eq!(look_up(ROOT, path.as_bytes()).and_then(super::device), Ok(device), "{path}");
        }
        for path in ["", "/", ".", "..", "./"] {
            assert_eq!(look_up(ROOT, path.as_bytes()), Ok(ROOT), "{path:?}");
        }
        let zero = look_up(ROOT, b"zero").unwrap();
        assert_eq!((look_up(zero, b""), look_up(zero, b"/null")), (Ok(zero), look_up(ROOT, b"null")));
        for (path, error) in [
            ("none", FileError::NotFound),
            ("null/", FileError::NotDirectory),
            ("null/x", FileError::NotDirectory),
            ("nu\0ll", FileError::Malformed),
            (&"x".repeat(256), FileError::NameTooLong),
        ] {
            assert_eq!(look_up(ROOT, path.as_bytes()), Err(error), "{path:?}");
        }
    }

    #[test]
    fn what_is_no_node_is_stale() {
        for number in [0, FIRST_DEVICE + DEVICES.len() as u32, u32::MAX] {
            assert_eq!(device(number), Err(FileError::Stale));
            assert_eq!(kind(number), Err(FileError::Stale));
            assert_eq!(look_up(number, b""), Err(FileError::Stale));
            assert!(status(number).is_err() && entries(number, 0).is_err());
        }
        assert_eq!(device(ROOT), Err(FileError::IsDirectory));
    }

    #[test]
    fn devices_give_and_take() {
        let expected = [
            (Device::Null, 0, 0, Ok(7)),
            (Device::Zero, 7, READ_BYTES_MAX, Ok(7)),
            (Device::Full, 7, READ_BYTES_MAX, Err(FileError::NoSpace)),
        ];
        for (device, few, many, taken) in expected {
            assert_eq!((device.zeros(7), device.zeros(u64::MAX), device.takes(7)), (few, many, taken));
            assert_eq!(device.takes(0), Ok(0), "nothing always fits");
        }
    }

    #[test]
    fn the_directory_is_listed_from_any_cookie() {
        let names = |cookie| {
            let entries = entries(ROOT, cookie).unwrap();
            let names: Vec<_> = entries.iter().map(|entry| entry.name.to_vec()).collect();
            names
        };
        assert_eq!(names(0), [&b"."[..], b"..", b"null", b"zero", b"full"]);
        assert_eq!(names(4), [b"full"]);
        assert!(names(5).is_empty() && names(u64::MAX).is_empty());
        for entry in entries(ROOT, 2).unwrap().iter() {
            assert_eq!(status(entry.inode as u32).unwrap().kind, entry.kind);
        }
        assert_eq!(entries(FIRST_DEVICE, 0).err(), Some(FileError::NotDirectory));
        assert_eq!(file_system().inodes, names(0).len() as u64 - 1);
    }

    #[test]
    fn any_path_is_a_node_or_refused() {
        let mut random = 5_u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        for _ in 0..50_000 {
            let pieces = ["null", "/", ".", "..", "zero", "x", "\0", "\u{fe}"];
            let path: std::string::String = (0..next() % 8).map(|_| pieces[next() as usize % 8]).collect();
            if let Ok(node) = look_up(next() % 7, path.as_bytes()) {
                assert!(status(node).is_ok(), "{path:?}");
            }
        }
    }
}
