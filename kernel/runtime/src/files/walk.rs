//! Looking a path up name by name, for links whose targets are too long for a file server's answer.
//!
//! Usually the server walks; it answers `NameTooLong` where a link's target, with what follows it, does not fit
//! one message. Then the client walks: it asks for one name at a time and reads links itself.

use super::path::NameTooLong;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use filesystems_api::file::{FileError, LINKS_MAX, NAME_BYTES, NodeKind};

/// Bytes of a path at most, as in Linux.
pub const PATH_BYTES_MAX: usize = 4096;

/// What a walk asks for.
pub(super) trait Tree {
    /// A node of it.
    type Node;
    /// Why it refuses.
    type Error: From<FileError>;

    /// The node at which an absolute path starts, and the rest of the path.
    fn start(&self, path: &[u8]) -> Result<(Self::Node, Vec<u8>), Self::Error>;

    /// A node in a directory, a symbolic link being itself; its kind and size.
    fn child(&self, directory: &Self::Node, name: &[u8]) -> Result<(Self::Node, NodeKind, u64), Self::Error>;

    /// What a node is, without a name.
    fn describe(&self, node: &Self::Node) -> Result<(NodeKind, u64), Self::Error>;

    /// The target of a symbolic link.
    fn target(&self, link: &Self::Node) -> Result<Vec<u8>, Self::Error>;
}

/// Names that are still to be walked.
type Names = VecDeque<Vec<u8>>;

fn split(path: &[u8]) -> Result<Names, NameTooLong> {
    let names: Names =
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect();
    if names.iter().any(|name| name.len() > NAME_BYTES) { Err(NameTooLong) } else { Ok(names) }
}

fn bytes(names: &Names) -> usize {
    names.iter().map(|name| name.len() + 1).sum()
}

/// Walks an absolute path. `follow`: a symbolic link as the last name leads on to its target.
pub(super) fn walk<T: Tree>(
    tree: &T,
    path: &[u8],
    follow: bool,
) -> Result<(T::Node, NodeKind, u64), T::Error> {
    let follow = follow || path.ends_with(b"/");
    let too_long = |_| T::Error::from(FileError::NameTooLong);
    let (mut at, rest) = tree.start(path)?;
    let (mut names, mut links, mut described) = (split(&rest).map_err(too_long)?, 0, None);
    while let Some(name) = names.pop_front() {
        let (node, kind, size) = tree.child(&at, &name)?;
        if kind != NodeKind::Link || (names.is_empty() && !follow) {
            (at, described) = (node, Some((kind, size)));
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(FileError::LinkLoop.into());
        }
        let target = tree.target(&node)?;
        let mut ahead = if target.starts_with(b"/") {
            let (start, rest) = tree.start(&target)?;
            (at, described) = (start, None);
            split(&rest).map_err(too_long)?
        } else {
            split(&target).map_err(too_long)?
        };
        ahead.append(&mut names);
        names = ahead;
        if bytes(&names) > PATH_BYTES_MAX {
            return Err(FileError::NameTooLong.into());
        }
    }
    let (kind, size) = match described {
        Some(described) => described,
        None => tree.describe(&at)?,
    };
    Ok((at, kind, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Nodes are absolute paths without a slash at the end.
    #[derive(Default)]
    struct Sample(HashMap<String, NodeKind>, HashMap<String, String>);

    impl Sample {
        fn new() -> Sample {
            let mut sample = Sample::default();
            for directory in ["", "/a", "/a/b"] {
                sample.0.insert(directory.into(), NodeKind::Directory);
            }
            sample.0.insert("/a/b/file".into(), NodeKind::File);
            for (link, target) in [
                ("/abs", "/a/b"),
                ("/a/up", "../a/b/file"),
                ("/chain", "abs/../up"),
                ("/loop", "/loop"),
                ("/top", "/"),
                ("/long", &"x/".repeat(3000)),
            ] {
                sample.0.insert(link.into(), NodeKind::Link);
                sample.1.insert(link.into(), target.into());
            }
            sample
        }

        fn walk(&self, path: &str, follow: bool) -> Result<(String, NodeKind), FileError> {
            walk(self, path.as_bytes(), follow).map(|(node, kind, _)| (node, kind))
        }
    }

    impl Tree for Sample {
        type Node = String;
        type Error = FileError;

        fn start(&self, path: &[u8]) -> Result<(String, Vec<u8>), FileError> {
            Ok((String::new(), path.to_vec()))
        }

        fn child(&self, directory: &String, name: &[u8]) -> Result<(String, NodeKind, u64), FileError> {
            if self.0[directory] != NodeKind::Directory {
                return Err(FileError::NotDirectory);
            }
            let path = match core::str::from_utf8(name).unwrap() {
                ".." => directory.rsplit_once('/').map_or("", |(parent, _)| parent).into(),
                name => format!("{directory}/{name}"),
            };
            let kind = *self.0.get(&path).ok_or(FileError::NotFound)?;
            Ok((path, kind, 0))
        }

        fn describe(&self, node: &String) -> Result<(NodeKind, u64), FileError> {
            Ok((self.0[node], 0))
        }

        fn target(&self, link: &String) -> Result<Vec<u8>, FileError> {
            Ok(self.1[link].as_bytes().to_vec())
        }
    }

    #[test]
    fn links_are_followed_where_they_stand() {
        let sample = Sample::new();
        let file = Ok(("/a/b/file".into(), NodeKind::File));
        for path in ["/a/b/file", "/abs/file", "/a/up", "/chain", "//a//up", "/top/a/up", "/top/top/abs/file"]
        {
            assert_eq!(sample.walk(path, true), file, "{path}");
        }
        assert_eq!(sample.walk("/a/up", false), Ok(("/a/up".into(), NodeKind::Link)));
        assert_eq!(sample.walk("/abs/", false), Ok(("/a/b".into(), NodeKind::Directory)));
        assert_eq!(sample.walk("/top", true), Ok(("".into(), NodeKind::Directory)));
        assert_eq!(sample.walk("/", true), Ok(("".into(), NodeKind::Directory)));
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let sample = Sample::new();
        assert_eq!(sample.walk("/loop", true), Err(FileError::LinkLoop));
        assert_eq!(sample.walk("/loop/x", false), Err(FileError::LinkLoop));
        assert_eq!(sample.walk("/nix", true), Err(FileError::NotFound));
        assert_eq!(sample.walk("/a/up/x", true), Err(FileError::NotDirectory));
        assert_eq!(sample.walk("/long", true), Err(FileError::NameTooLong));
        assert_eq!(sample.walk(&format!("/{}", "x".repeat(256)), true), Err(FileError::NameTooLong));
    }
}
