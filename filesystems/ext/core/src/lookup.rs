//! From a path to an inode, following symbolic links within the volume.

use crate::content::LINK_BYTES;
use crate::{Inode, ROOT_INODE, Source, Volume, VolumeError};
use alloc::vec::Vec;
use filesystems_api::file::{FileError, LINKS_MAX, NAME_BYTES, NodeKind, PATH_BYTES};

/// Bytes that may be left to look up at a time, links put in.
const REST_BYTES: usize = 2 * LINK_BYTES;

/// Where a lookup ended.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// At this inode.
    Node(Inode),
    /// At an absolute link: this path, from the client's own root, leads on. At most [`PATH_BYTES`].
    Retry(Vec<u8>),
}

/// Why a lookup failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupError {
    /// The volume did not answer.
    Volume(VolumeError),
    /// No such name.
    NotFound,
    /// A name or a path is too long.
    NameTooLong,
    /// Too many symbolic links.
    LinkLoop,
    /// The path holds a 0.
    BadPath,
}

impl From<VolumeError> for LookupError {
    fn from(error: VolumeError) -> Self {
        LookupError::Volume(error)
    }
}

impl LookupError {
    /// As the file protocol says it, with the detail word.
    pub fn file_error(self) -> (FileError, u64) {
        match self {
            LookupError::Volume(error) => error.file_error(),
            LookupError::NotFound => (FileError::NotFound, 0),
            LookupError::NameTooLong => (FileError::NameTooLong, 0),
            LookupError::LinkLoop => (FileError::LinkLoop, 0),
            LookupError::BadPath => (FileError::Malformed, 0),
        }
    }
}

/// Splits the first name off a path: the name, and the rest with the slashes that follow.
fn first_name(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    path.split_at(end)
}

fn skip_slashes(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    &path[start..]
}

impl<S: Source> Volume<S> {
    /// Looks `path` up from the inode `start`. A link in the last place is followed only if `follow` says so, or if a
    /// slash comes after it.
    pub fn lookup(&mut self, start: &Inode, path: &[u8], follow: bool) -> Result<Resolved, LookupError> {
        if path.contains(&0) {
            return Err(LookupError::BadPath);
        }
        let mut current = if path.first() == Some(&b'/') { self.inode(ROOT_INODE)? } else { *start };
        let mut rest = path.to_vec();
        let mut links = 0;
        loop {
            let names = skip_slashes(&rest);
            let must_be_directory = names.len() < rest.len();
            if !current.is_directory() && (must_be_directory || !names.is_empty()) {
                return Err(VolumeError::NotDirectory.into());
            }
            if names.is_empty() {
                return Ok(Resolved::Node(current));
            }
            let (name, after) = first_name(names);
            let next = self.child(&current, name)?;
            if next.kind == NodeKind::Link && (follow || !after.is_empty()) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(LookupError::LinkLoop);
                }
                rest = self.substitute(&next, after)?;
                if rest.first() == Some(&b'/') {
                    return if rest.len() <= PATH_BYTES {
                        Ok(Resolved::Retry(rest))
                    } else {
                        Err(LookupError::NameTooLong)
                    };
                }
            } else {
                rest = after.to_vec();
                current = next;
            }
        }
    }

    fn child(&mut self, directory: &Inode, name: &[u8]) -> Result<Inode, LookupError> {
        if name.len() > NAME_BYTES {
            return Err(LookupError::NameTooLong);
        }
        let number = self.find(directory, name)?.ok_or(LookupError::NotFound)?;
        Ok(self.inode(number)?)
    }

    /// The target of a link, followed by what was left of the path.
    fn substitute(&mut self, link: &Inode, after: &[u8]) -> Result<Vec<u8>, LookupError> {
        let mut target = [0; LINK_BYTES];
        let length = self.read_link(link, &mut target)?;
        if length + after.len() > REST_BYTES {
            return Err(LookupError::NameTooLong);
        }
        Ok([&target[..length], after].concat())
    }
}
