//! What the host's `debugfs` says of the files of an image, and the same in the words of the guest's `stat` and `ls`.

use crate::image::Image;
use filesystems_api::file::{NodeKind, NodeStatus};
use hurd_glue_programs_core::date::date;
use hurd_glue_programs_core::node::{Listed, letter, long_listing, mode, words};
use std::collections::BTreeMap;

/// A file of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostNode {
    /// Everything but its name.
    pub status: NodeStatus,
    /// Where it leads, if it is a symbolic link.
    pub target: Option<Vec<u8>>,
}

/// The files of these paths, asked for all at once.
pub fn nodes(image: &Image, paths: &[String]) -> Vec<HostNode> {
    let requests: String = paths.iter().map(|path| format!("stat \"{path}\"\n")).collect();
    let answer = image.debugfs_script(&requests);
    // Each answer follows the echo of its request.
    let answers: Vec<&str> = answer.split("debugfs: stat ").skip(1).collect();
    assert_eq!(answers.len(), paths.len(), "debugfs answers each request:\n{answer}");
    let nodes = paths.iter().zip(answers);
    nodes.map(|(path, answer)| parse(image, path, answer)).collect()
}

fn parse(image: &Image, path: &str, answer: &str) -> HostNode {
    let word = |label: &str| {
        let (_, rest) = answer.split_once(label).unwrap_or_else(|| panic!("no {label} in:\n{answer}"));
        rest.split_whitespace().next().expect("a word follows")
    };
    let number = |label: &str| word(label).parse::<u64>().expect("a number");
    let time = |label: &str| u64::from_str_radix(&word(label)[2..10], 16).expect("a time");
    let kind = match word("Type: ") {
        "regular" => NodeKind::File,
        "directory" => NodeKind::Directory,
        "symlink" => NodeKind::Link,
        "character" => NodeKind::CharacterDevice,
        "block" => NodeKind::BlockDevice,
        "FIFO" => NodeKind::Pipe,
        other => panic!("unknown type {other}"),
    };
    let status = NodeStatus {
        inode: number("Inode: "),
        kind,
        mode: u16::from_str_radix(word("Mode: "), 8).expect("an octal number"),
        links: number("Links: ") as u32,
        user: number("User: ") as u32,
        group: number("Group: ") as u32,
        size: if kind == NodeKind::CharacterDevice || kind == NodeKind::Pipe { 0 } else { number("Size: ") },
        blocks: number("Blockcount: "),
        accessed: time(" atime: "),
        modified: time(" mtime: "),
        changed: time(" ctime: "),
    };
    HostNode { status, target: (kind == NodeKind::Link).then(|| target(image, path, answer)) }
}

/// A short target is shown by `stat`; a long one is the file's contents.
fn target(image: &Image, path: &str, answer: &str) -> Vec<u8> {
    match answer.split_once("Fast link dest: \"") {
        Some((_, rest)) => rest.split('"').next().unwrap_or_default().into(),
        None => image.read(path),
    }
}

/// What the guest's `stat PATH` must print.
pub fn stat_text(path: &str, node: &HostNode) -> String {
    let status = &node.status;
    let arrow = node.target.as_ref().map_or(String::new(), |target| format!(" -> {}", lossy(target)));
    let links = if status.links == 1 { "link" } else { "links" };
    format!(
        "  File: {path}{arrow}\n  Kind: {}\n  Size: {} bytes, {} blocks of 512\n Inode: {}, {} {links}\n  Mode: \
         {:04o} {}\n Owner: user {}, group {}\nAccess: {}\nModify: {}\nChange: {}\n",
        words(status.kind),
        status.size,
        status.blocks,
        status.inode,
        status.links,
        status.mode,
        mode(status.kind, status.mode),
        status.user,
        status.group,
        date(status.accessed),
        date(status.modified),
        date(status.changed),
    )
}

/// What the guest's `ls -l -a DIRECTORY` must print.
pub fn listing(image: &Image, directory: &str) -> String {
    let answer = String::from_utf8(image.debugfs(&format!("ls -p \"{directory}\""))).expect("names in UTF-8");
    let mut names = BTreeMap::new();
    for line in answer.lines().filter(|line| line.starts_with('/')) {
        let fields: Vec<&str> = line.split('/').collect();
        names.insert(fields[5].to_owned(), fields[2].to_owned());
    }
    let join = |name: &String| format!("{}/{name}", directory.trim_end_matches('/'));
    let paths: Vec<String> = names.keys().map(join).collect();
    let listed: Vec<Listed> = names
        .keys()
        .zip(nodes(image, &paths))
        .map(|(name, node)| Listed {
            name: name.clone().into_bytes(),
            status: Some(node.status),
            target: node.target,
        })
        .collect();
    for ((name, kind_and_mode), one) in names.iter().zip(&listed) {
        let kind = one.status.as_ref().map(|status| letter(status.kind));
        let expected = if kind_and_mode.starts_with("04") { Some('d') } else { kind };
        assert_eq!(kind, expected, "debugfs contradicts itself about {name}");
    }
    lossy(&long_listing(&listed))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Maker;

    #[test]
    fn files_are_described_as_debugfs_sees_them() {
        let image = Maker::new("ext4", 1024)
            .file("f", b"12345")
            .symlink("short", "f")
            .symlink("long", &"x".repeat(100))
            .make();
        let paths = ["/f", "/short", "/long", "/"].map(String::from);
        let nodes = nodes(&image, &paths);
        assert_eq!((nodes[0].status.kind, nodes[0].status.size), (NodeKind::File, 5));
        assert_eq!(nodes[1].target.as_deref(), Some(&b"f"[..]));
        assert_eq!(nodes[2].target, Some(vec![b'x'; 100]));
        assert_eq!((nodes[3].status.kind, nodes[3].status.inode), (NodeKind::Directory, 2));
        assert!(stat_text("/f", &nodes[0]).contains("  Size: 5 bytes, 2 blocks of 512\n"));
        let listing = listing(&image, "/");
        let names = listing.lines().map(|line| line.split(' ').nth_back(0).unwrap_or_default());
        assert!(names.eq([".", "..", "f", "x".repeat(100).as_str(), "lost+found", "f"]), "{listing}");
    }
}
