//! Files and directories in words: kinds, modes, and the lines of `ls -l`.

use crate::date::date;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use filesystems_api::file::{NodeKind, NodeStatus};

/// The letter of a kind, as in `ls -l`.
pub fn letter(kind: NodeKind) -> char {
    match kind {
        NodeKind::File => '-',
        NodeKind::Directory => 'd',
        NodeKind::Link => 'l',
        NodeKind::CharacterDevice => 'c',
        NodeKind::BlockDevice => 'b',
        NodeKind::Pipe => 'p',
        NodeKind::Socket => 's',
    }
}

/// A kind in words.
pub fn words(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::File => "regular file",
        NodeKind::Directory => "directory",
        NodeKind::Link => "symbolic link",
        NodeKind::CharacterDevice => "character device",
        NodeKind::BlockDevice => "block device",
        NodeKind::Pipe => "named pipe",
        NodeKind::Socket => "socket",
    }
}

/// Kind and permissions, as in `drwxr-xr-t`.
pub fn mode(kind: NodeKind, mode: u16) -> String {
    let mut text = String::from(letter(kind));
    // Set-user-id, set-group-id and sticky stand in the place of the execute bit.
    for (shift, special, marks) in [(6, 0o4000, "sS"), (3, 0o2000, "sS"), (0, 0o1000, "tT")] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        let executable = bits & 1 != 0;
        text.push(match (mode & special != 0, executable) {
            (true, true) => marks.as_bytes()[0] as char,
            (true, false) => marks.as_bytes()[1] as char,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// One line of `ls -l`: a name, what is known of it, and a link's target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: Vec<u8>,
    /// What it is; `None` where it could not be asked.
    pub status: Option<NodeStatus>,
    /// Where a symbolic link leads.
    pub target: Option<Vec<u8>>,
}

/// The lines of `ls -l`, with columns aligned.
pub fn long_listing(all: &[Listed]) -> Vec<u8> {
    let numbers = |status: &NodeStatus| {
        [status.links.into(), status.user.into(), status.group.into(), status.size]
            .map(|number: u64| format!("{number}"))
    };
    let mut widths = [0; 4];
    for status in all.iter().filter_map(|listed| listed.status.as_ref()) {
        for (width, number) in widths.iter_mut().zip(numbers(status)) {
            *width = number.len().max(*width);
        }
    }
    let mut out = Vec::new();
    for listed in all {
        let head = match &listed.status {
            Some(status) => {
                let [links, user, group, size] = numbers(status);
                let [w0, w1, w2, w3] = widths;
                format!(
                    "{} {links:>w0$} {user:>w1$} {group:>w2$} {size:>w3$} {} ",
                    mode(status.kind, status.mode),
                    date(status.modified)
                )
            }
            None => {
                // The columns, a blank before each, and the date.
                let blanks = widths.iter().sum::<usize>() + 4 + 1 + 19;
                format!("??????????{:blanks$} ", "")
            }
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&listed.name);
        if let Some(target) = &listed.target {
            out.extend_from_slice(b" -> ");
            out.extend_from_slice(target);
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(kind: NodeKind, bits: u16, size: u64) -> NodeStatus {
        NodeStatus {
            inode: 2,
            kind,
            mode: bits,
            links: 1,
            user: 0,
            group: 1000,
            size,
            blocks: 8,
            accessed: 0,
            modified: 86_400,
            changed: 0,
        }
    }

    #[test]
    fn modes_read_as_ls_shows_them() {
        assert_eq!(mode(NodeKind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(NodeKind::File, 0o4640), "-rwSr-----");
        assert_eq!(mode(NodeKind::File, 0o6755), "-rwsr-sr-x");
        assert_eq!(mode(NodeKind::Link, 0o777), "lrwxrwxrwx");
        assert_eq!(mode(NodeKind::Socket, 0o1000), "s--------T");
    }

    #[test]
    fn columns_of_a_long_listing_are_aligned() {
        let listed = |name: &[u8], status, target: Option<&[u8]>| Listed {
            name: name.to_vec(),
            status,
            target: target.map(<[u8]>::to_vec),
        };
        let all = [
            listed(b"a", Some(status(NodeKind::File, 0o644, 5)), None),
            listed(b"l\xff", Some(status(NodeKind::Link, 0o777, 1234)), Some(b"/x")),
            listed(b"gone", None, None),
        ];
        let text = long_listing(&all);
        let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        assert_eq!(lines[0], b"-rw-r--r-- 1 0 1000    5 1970-01-02 00:00:00 a");
        assert_eq!(lines[1], b"lrwxrwxrwx 1 0 1000 1234 1970-01-02 00:00:00 l\xff -> /x");
        assert!(lines[2].starts_with(b"?") && lines[2].ends_with(b" gone"));
        let column = |line: &[u8], name: &[u8]| line.windows(name.len()).position(|part| part == name);
        assert_eq!(column(lines[0], b" a"), column(lines[2], b" gone"));
    }
}
