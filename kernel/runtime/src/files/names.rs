//! Looking names up across mounts.
//!
//! The longest mount prefix decides which server is asked; the server walks the rest, symbolic links included.
//! An absolute link sends the lookup back here, to start anew at the client's own root. `..` at the top of a mount
//! stays there: file servers know nothing of each other.

use super::path::{self, NameTooLong};
use super::{FileCallError, Node, deadline};
use crate::ipc::{Answer, CallError, call_for_answer};
use crate::startup::Startup;
use crate::{Handle, KernelError};
use alloc::string::String;
use alloc::vec::Vec;
use filesystems_api::file::{DirLookup, FileError, LINKS_MAX, NodeKind};
use kernel_protocol::{Bytes, Refusal};

/// Bytes of a path at most, as in Linux.
pub const PATH_BYTES_MAX: usize = 4096;

/// Why a name leads nowhere.
pub type LookupError = FileCallError;

fn refused(error: FileError) -> LookupError {
    CallError::Refused(Refusal::new(error))
}

impl From<NameTooLong> for LookupError {
    fn from(_: NameTooLong) -> Self {
        refused(FileError::NameTooLong)
    }
}

/// Where names are looked up: mounts, and the directory at which relative ones start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    mounts: Vec<(String, Handle)>,
    directory: Vec<u8>,
}

/// A step of a lookup.
enum Step {
    /// The node, its kind and size.
    Found(Node, NodeKind, u64),
    /// Go on at the client's root.
    Retry(Vec<u8>),
}

impl Names {
    /// As the task was told at its start.
    pub fn from_startup(startup: &Startup<'_>) -> Names {
        let mounts = startup.mounts.iter().map(|&(prefix, entry)| (String::from(prefix), Handle(entry)));
        Names::new(mounts.collect(), startup.directory)
    }

    /// With these mounts: prefix and root node.
    pub fn new(mounts: Vec<(String, Handle)>, directory: &[u8]) -> Names {
        Names { mounts, directory: directory.to_vec() }
    }

    /// Prefixes and root nodes.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, Handle)> {
        self.mounts.iter().map(|(prefix, root)| (prefix.as_str(), *root))
    }

    /// Where relative names start.
    pub fn directory(&self) -> &[u8] {
        &self.directory
    }

    /// Changes where relative names start.
    pub fn set_directory(&mut self, directory: &[u8]) {
        self.directory = directory.to_vec();
    }

    /// The mount that a path lies below, longest prefix first, and the rest of the path.
    fn mount<'a>(&self, path: &'a [u8]) -> Option<(Handle, &'a [u8])> {
        self.mounts
            .iter()
            .filter_map(|(prefix, root)| Some((prefix.len(), *root, path::below(path, prefix)?)))
            .max_by_key(|&(length, ..)| length)
            .map(|(_, root, rest)| (root, rest))
    }

    /// Looks a name up. `follow`: a symbolic link as the last name leads on to its target.
    pub fn lookup(&self, name: &[u8], follow: bool) -> Result<Node, LookupError> {
        self.lookup_described(name, follow).map(|(node, ..)| node)
    }

    /// The same, with kind and size.
    pub fn lookup_described(&self, name: &[u8], follow: bool) -> Result<(Node, NodeKind, u64), LookupError> {
        if name.is_empty() {
            return Err(refused(FileError::NotFound));
        }
        let mut path = path::absolute(&self.directory, name);
        for _ in 0..=LINKS_MAX {
            if path.len() > PATH_BYTES_MAX {
                return Err(refused(FileError::NameTooLong));
            }
            let (root, rest) = self.mount(&path).ok_or_else(|| refused(FileError::NotFound))?;
            match walk(root, rest, follow)? {
                Step::Found(node, kind, bytes) => return Ok((node, kind, bytes)),
                Step::Retry(target) => path = target,
            }
        }
        Err(refused(FileError::LinkLoop))
    }
}

/// Walks a relative path from a node on, in parts that fit a message.
fn walk(root: Handle, path: &[u8], follow: bool) -> Result<Step, LookupError> {
    let mut at: Option<Node> = None;
    let mut rest = path;
    loop {
        let (part, after) = path::first_part(rest)?;
        let from = at.as_ref().map_or(root, Node::handle);
        match step(from, part, follow || !after.is_empty())? {
            Step::Retry(mut target) => {
                if !after.is_empty() {
                    target.push(b'/');
                    target.extend_from_slice(after);
                }
                return Ok(Step::Retry(target));
            }
            found if after.is_empty() => return Ok(found),
            Step::Found(node, ..) => at = Some(node),
        }
        rest = after;
    }
}

/// A node in a directory, a symbolic link being itself.
pub(super) fn child(directory: Handle, name: &[u8]) -> Result<Node, LookupError> {
    match step(directory, name, false)? {
        Step::Found(node, ..) => Ok(node),
        Step::Retry(_) => Err(CallError::Violation),
    }
}

fn step(from: Handle, path: &[u8], follow: bool) -> Result<Step, LookupError> {
    let path = Bytes::new(path).ok_or(NameTooLong)?;
    let Answer { reply, received } = call_for_answer(from, &DirLookup { path, follow }, &[], deadline())?;
    match reply.retry.as_slice() {
        [] => {}
        retry @ [b'/', ..] => return Ok(Step::Retry(retry.to_vec())),
        _ => return Err(CallError::Violation),
    }
    match received.take(0) {
        Ok(capability) => Ok(Step::Found(Node::new(capability), reply.kind, reply.size)),
        Err(KernelError::InvalidHandle) => Err(CallError::Violation),
        Err(error) => Err(CallError::Kernel(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins() {
        let mounts = [("/", 1), ("/.boot", 2), ("/.boot/deep", 3)];
        let mounts = mounts.iter().map(|&(name, entry)| (String::from(name), Handle(entry)));
        let names = Names::new(mounts.collect(), b"/");
        assert_eq!(names.mount(b"/etc/passwd"), Some((Handle(1), &b"etc/passwd"[..])));
        assert_eq!(names.mount(b"/.boot/bin"), Some((Handle(2), &b"bin"[..])));
        assert_eq!(names.mount(b"/.boot/deep"), Some((Handle(3), &b""[..])));
        assert_eq!(names.mount(b"/.bootstrap"), Some((Handle(1), &b".bootstrap"[..])));
        assert_eq!(Names::new(Vec::new(), b"/").mount(b"/"), None);
    }
}
