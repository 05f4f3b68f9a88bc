//! Paths as bytes: joining, mount prefixes, cutting into parts that fit a message. No kernel calls.

use alloc::vec::Vec;
use filesystems_api::file::{NAME_BYTES, PATH_BYTES};

/// An absolute path: `path` itself, or from `directory` on.
pub fn absolute(directory: &[u8], path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    let mut joined = directory.to_vec();
    if !joined.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(path);
    joined
}

/// An absolute path without empty names, `.` and `..`, as a shell shows its directory: `..` takes the name
/// before it away, whatever that is.
pub fn tidy(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(is_separator) {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let mut tidied = Vec::with_capacity(path.len() + 1);
    tidied.push(b'/');
    tidied.extend_from_slice(&names.join(&b'/'));
    tidied
}

/// The rest of an absolute path below a mount's prefix (`/`, or `/name/name`), without leading `/`; `None` if
/// the path does not lie below it.
pub fn below<'a>(path: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let mut rest = trim(path);
    for name in prefix.split('/').filter(|name| !name.is_empty()) {
        loop {
            let end = rest.iter().position(is_separator).unwrap_or(rest.len());
            let (first, after) = rest.split_at(end);
            rest = trim(after);
            match first {
                b"." => {}
                first if first == name.as_bytes() => break,
                _ => return None,
            }
        }
    }
    Some(rest)
}

/// Where `..` as the first name below a mount's prefix leads: the path from the prefix's parent on. `None` where it
/// does not stand there, or the prefix has no parent.
pub fn above(prefix: &str, rest: &[u8]) -> Option<Vec<u8>> {
    let mut rest = rest;
    while let Some(after) = rest.strip_prefix(b".").filter(|after| after.first().is_none_or(is_separator)) {
        if after.is_empty() {
            return None;
        }
        rest = trim(after);
    }
    let rest = rest.strip_prefix(b"..").filter(|after| after.first().is_none_or(is_separator))?;
    let (parent, _) = prefix.trim_end_matches('/').rsplit_once('/')?;
    Some([parent.as_bytes(), b"/", trim(rest)].concat())
}

/// A name in the path is longer than names can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameTooLong;

/// Cuts a relative path: as many whole names as fit one lookup, and the rest. The rest is empty where all of
/// it fits.
pub fn first_part(path: &[u8]) -> Result<(&[u8], &[u8]), NameTooLong> {
    if path.split(is_separator).any(|name| name.len() > NAME_BYTES) {
        return Err(NameTooLong);
    }
    if path.len() <= PATH_BYTES {
        return Ok((path, b""));
    }
    // No name is longer than NAME_BYTES, so there is a separator.
    let cut = path[..=PATH_BYTES].iter().rposition(is_separator).ok_or(NameTooLong)?;
    Ok((&path[..cut], trim(&path[cut..])))
}

fn is_separator(byte: &u8) -> bool {
    *byte == b'/'
}

fn trim(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| !is_separator(byte)).unwrap_or(path.len());
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_directory() {
        assert_eq!(absolute(b"/", b"bin/ls"), b"/bin/ls");
        assert_eq!(absolute(b"/home/me", b"../x"), b"/home/me/../x");
        assert_eq!(absolute(b"/home", b"/etc"), b"/etc");
    }

    #[test]
    fn tidy_paths_have_no_detours() {
        assert_eq!(tidy(b"/"), b"/");
        assert_eq!(tidy(b"//a/./b//../c/"), b"/a/c");
        assert_eq!(tidy(b"/../../a/.."), b"/");
    }

    #[test]
    fn mounts_match_whole_names() {
        assert_eq!(below(b"/.boot/bin/ls", "/.boot"), Some(&b"bin/ls"[..]));
        assert_eq!(below(b"/.boot", "/.boot"), Some(&b""[..]));
        assert_eq!(below(b"/.boot/", "/.boot"), Some(&b""[..]));
        assert_eq!(below(b"//./.boot//x", "/.boot"), Some(&b"x"[..]));
        assert_eq!(below(b"/.boots", "/.boot"), None);
        assert_eq!(below(b"/.boots", "/"), Some(&b".boots"[..]));
        assert_eq!(below(b"/", "/"), Some(&b""[..]));
        assert_eq!(below(b"/a/b/c", "/a/b"), Some(&b"c"[..]));
        assert_eq!(below(b"/a", "/a/b"), None);
    }

    #[test]
    fn dots_lead_out_of_a_mount() {
        assert_eq!(above("/.boot", b"../x"), Some(b"/x".to_vec()));
        assert_eq!(above("/a/b", b"./..//c"), Some(b"/a/c".to_vec()));
        assert_eq!(above("/.boot", b".."), Some(b"/".to_vec()));
        assert_eq!(above("/", b".."), None);
        for rest in [&b""[..], b".", b"./", b"...", b"..x", b"x/.."] {
            assert_eq!(above("/.boot", rest), None, "{rest:?}");
        }
    }

    #[test]
    fn long_paths_are_cut_between_names() {
        assert_eq!(first_part(b"a/b"), Ok((&b"a/b"[..], &b""[..])));
        let long = [[b'x'; 200], [b'y'; 200]].join(&b'/');
        let long = [&long[..], b"z"].join(&b'/');
        let (first, rest) = first_part(&long).unwrap();
        assert_eq!((first.len(), rest.len()), (200, 202));
        assert_eq!([first, rest].join(&b'/'), long);
        let exact = [&[b'x'; 199][..], &[b'y'; 200][..]].join(&b'/');
        assert_eq!(first_part(&exact), Ok((&exact[..], &b""[..])));
        let full = [&exact[..], b"z"].join(&b'/');
        assert_eq!(first_part(&full), Ok((&exact[..], &b"z"[..])), "as much as fits");
        assert_eq!(first_part(&[b'/'; 1000]).map(|(_, rest)| rest), Ok(&b""[..]));
        assert_eq!(first_part(&[b'x'; 256]), Err(NameTooLong));
        assert!(first_part(&[b'x'; 255]).is_ok());
        let longest = [[b'x'; 255], [b'y'; 255], [0xff; 255]].join(&b'/');
        assert_eq!(first_part(&longest).map(|(first, rest)| (first.len(), rest.len())), Ok((255, 511)));
    }
}
