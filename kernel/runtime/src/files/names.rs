//! Looking names up across mounts.
//!
//! The longest mount prefix decides which server is asked; the server walks the rest, symbolic links included.
//! An absolute link sends the lookup back here, to start anew at the client's own root; one that is too long for
//! the server's answer is followed here ([`super::walk`]). File servers know nothing of each other: `..` right
//! below a mount's prefix leads out of it, any other `..` stays within its file system.

use super::path::{self, NameTooLong};
use super::walk::{PATH_BYTES_MAX, Tree, walk};
use super::{FileCallError, Node, deadline};
use crate::ipc::{Answer, CallError, call_for_answer};
use crate::startup::Startup;
use crate::{Handle, KernelError};
use alloc::string::String;
use alloc::vec::Vec;
use filesystems_api::file::{DirLookup, FileError, LINKS_MAX, NodeKind};
use kernel_protocol::{Bytes, Refusal};

/// Why a name leads nowhere.
pub type LookupError = FileCallError;

impl From<FileError> for LookupError {
    fn from(error: FileError) -> Self {
        CallError::Refused(Refusal::new(error))
    }
}

impl From<NameTooLong> for LookupError {
    fn from(_: NameTooLong) -> Self {
        FileError::NameTooLong.into()
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

    /// The mount that an absolute path lies below, longest prefix first, and the rest of the path.
    fn mount(&self, path: &[u8]) -> Result<(Handle, Vec<u8>), LookupError> {
        let mut path = path.to_vec();
        loop {
            if path.len() > PATH_BYTES_MAX {
                return Err(FileError::NameTooLong.into());
            }
            let below = |(prefix, root): &'_ (String, Handle)| {
                path::below(&path, prefix).map(|rest| (prefix.clone(), *root, rest))
            };
            let mounts = self.mounts.iter().filter_map(below);
            let found = mounts.max_by_key(|(prefix, ..)| prefix.len());
            let (prefix, root, rest) = found.ok_or(FileError::NotFound)?;
            match path::above(&prefix, rest) {
                Some(above) => path = above,
                None => return Ok((root, rest.to_vec())),
            }
        }
    }

    /// Looks a name up. `follow`: a symbolic link as the last name leads on to its target.
    pub fn lookup(&self, name: &[u8], follow: bool) -> Result<Node, LookupError> {
        self.lookup_described(name, follow).map(|(node, ..)| node)
    }

    /// The same, with kind and size.
    pub fn lookup_described(&self, name: &[u8], follow: bool) -> Result<(Node, NodeKind, u64), LookupError> {
        if name.is_empty() {
            return Err(FileError::NotFound.into());
        }
        let mut path = path::absolute(&self.directory, name);
        for _ in 0..=LINKS_MAX {
            let (root, rest) = self.mount(&path)?;
            match walk_by_server(root, &rest, follow) {
                Ok(Step::Found(node, kind, bytes)) => return Ok((node, kind, bytes)),
                Ok(Step::Retry(target)) => path = target,
                Err(error) if error.refusal() == Some(FileError::NameTooLong) => {
                    return walk(self, &path, follow);
                }
                Err(error) => return Err(error),
            }
        }
        Err(FileError::LinkLoop.into())
    }
}

impl Tree for Names {
    type Node = Node;
    type Error = LookupError;

    fn start(&self, path: &[u8]) -> Result<(Node, Vec<u8>), LookupError> {
        let (root, rest) = self.mount(path)?;
        Ok((child(root, b"")?.0, rest))
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<(Node, NodeKind, u64), LookupError> {
        child(directory.handle(), name)
    }

    fn describe(&self, node: &Node) -> Result<(NodeKind, u64), LookupError> {
        node.status().map(|status| (status.kind, status.size))
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>, LookupError> {
        link.read_link()
    }
}

/// Walks a relative path from a node on, in parts that fit a message.
fn walk_by_server(root: Handle, path: &[u8], follow: bool) -> Result<Step, LookupError> {
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

/// A node in a directory, a symbolic link being itself; the directory itself for an empty name.
pub(super) fn child(directory: Handle, name: &[u8]) -> Result<(Node, NodeKind, u64), LookupError> {
    match step(directory, name, false)? {
        Step::Found(node, kind, size) => Ok((node, kind, size)),
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
        let mount = |path: &[u8]| names.mount(path).map_err(CallError::refusal);
        assert_eq!(mount(b"/etc/passwd"), Ok((Handle(1), b"etc/passwd".to_vec())));
        assert_eq!(mount(b"/.boot/bin"), Ok((Handle(2), b"bin".to_vec())));
        assert_eq!(mount(b"/.boot/deep"), Ok((Handle(3), b"".to_vec())));
        assert_eq!(mount(b"/.bootstrap"), Ok((Handle(1), b".bootstrap".to_vec())));
        assert_eq!(mount(b"/.boot/deep/../../.boot/./../x"), Ok((Handle(1), b"x".to_vec())));
        assert_eq!(mount(b"/.."), Ok((Handle(1), b"..".to_vec())));
        assert_eq!(mount(&[b'/'; 5000]), Err(Some(FileError::NameTooLong)));
        let none = Names::new(Vec::new(), b"/");
        assert_eq!(none.mount(b"/").map_err(CallError::refusal), Err(Some(FileError::NotFound)));
    }
}
