//! The boot archive: an uncompressed ustar file in which the contents of every member start on a page
//! boundary, so that the guest can map them without copying.
//!
//! The space before a member's header is taken by a member named [`PAD`], which readers skip. The same
//! members give the same bytes: no times, no owners.

use crate::{Failure, Result};

/// Name of the members that only take up space.
pub const PAD: &str = ".pad";

/// Most bytes of an archive that the kernel accepts.
pub const BYTES_MAX: usize = 64 << 20;

const PAGE: usize = 4096;
const BLOCK: usize = 512;
const NAME_BYTES: usize = 100;

/// What a member is to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A program (0755).
    Program,
    /// Anything else (0644).
    Plain,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Path in the archive, without a leading slash.
    pub name: String,
    /// What it is.
    pub mode: Mode,
    /// Its bytes.
    pub contents: Vec<u8>,
}

impl Member {
    /// A program.
    pub fn program(name: impl Into<String>, contents: Vec<u8>) -> Member {
        Member { name: name.into(), mode: Mode::Program, contents }
    }

    /// A plain file.
    pub fn plain(name: impl Into<String>, contents: impl Into<Vec<u8>>) -> Member {
        Member { name: name.into(), mode: Mode::Plain, contents: contents.into() }
    }
}

/// Members in order. A later member with the same name replaces the earlier one.
#[derive(Clone, Default, Debug)]
pub struct Archive {
    members: Vec<Member>,
}

impl Archive {
    /// An archive without members.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds a member, or replaces the one of that name.
    pub fn put(&mut self, member: Member) {
        match self.members.iter_mut().find(|present| present.name == member.name) {
            Some(present) => *present = member,
            None => self.members.push(member),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Member> {
        let index = self.members.iter().position(|member| member.name == name)?;
        Some(self.members.remove(index))
    }

    /// The contents of a member, to look at or to damage.
    pub fn contents_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.members.iter_mut().find(|member| member.name == name).map(|member| &mut member.contents)
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The file.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for member in &self.members {
            pad_before_header(&mut bytes);
            append(&mut bytes, member)?;
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        if bytes.len() > BYTES_MAX {
            return Err(Failure::new(format!(
                "the boot archive has {} MiB, the kernel accepts {} MiB",
                bytes.len() >> 20,
                BYTES_MAX >> 20
            )));
        }
        Ok(bytes)
    }
}

/// Adds a [`PAD`] member where it is needed for the next header to end at a page boundary.
fn pad_before_header(bytes: &mut Vec<u8>) {
    let missing = (2 * PAGE - BLOCK - bytes.len() % PAGE) % PAGE;
    if missing > 0 {
        bytes.extend(header(PAD, missing - BLOCK, Mode::Plain));
        bytes.resize(bytes.len() + missing - BLOCK, 0);
    }
}

fn append(bytes: &mut Vec<u8>, member: &Member) -> Result<()> {
    let name = &member.name;
    if name.is_empty() || name.len() > NAME_BYTES || name.starts_with('/') || name.contains('\0') {
        return Err(Failure::new(format!("`{name}` cannot be a member of the boot archive")));
    }
    bytes.extend(header(name, member.contents.len(), member.mode));
    bytes.extend(&member.contents);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// One ustar header (POSIX.1-2017, pax, "ustar Interchange Format").
fn header(name: &str, size: usize, mode: Mode) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut field = |start: usize, text: &[u8]| header[start..start + text.len()].copy_from_slice(text);
    field(0, name.as_bytes());
    field(100, if mode == Mode::Program { b"0000755\0" } else { b"0000644\0" });
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{size:011o}\0").as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    field(329, b"0000000\0");
    field(337, b"0000000\0");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn sample() -> Archive {
        let mut archive = Archive::new();
        for (name, bytes) in
            [("physmem", 5000), ("empty", 0), ("bin/ls", 512), ("bin/cat", 3584), ("exec", 1)]
        {
            archive.put(Member::program(name, vec![bytes as u8 ^ 0x5a; bytes]));
        }
        archive.put(Member::plain("motd", "hello\n"));
        archive
    }

    #[test]
    fn an_independent_reader_finds_every_member_on_a_page_boundary() {
        let archive = sample();
        let bytes = archive.bytes().unwrap();
        let mut found = Archive::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            if name == PAD {
                continue;
            }
            assert_eq!(entry.raw_file_position() % PAGE as u64, 0, "{name}");
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let program = entry.header().mode().unwrap() == 0o755;
            let mode = if program { Mode::Program } else { Mode::Plain };
            found.put(Member { name, mode, contents });
        }
        assert_eq!(found.members, archive.members);
    }

    #[test]
    fn the_reader_of_the_guest_finds_the_same() {
        let archive = sample();
        let bytes = archive.bytes().unwrap();
        let reader = tar_no_std::TarArchiveRef::new(&bytes).unwrap();
        let found: Vec<(String, Vec<u8>)> = reader
            .entries()
            .map(|entry| (entry.filename().as_str().unwrap().to_owned(), entry.data().to_vec()))
            .filter(|(name, _)| name != PAD)
            .collect();
        let put: Vec<_> =
            archive.members.iter().map(|one| (one.name.clone(), one.contents.clone())).collect();
        assert_eq!(found, put);
    }

    #[test]
    fn the_same_members_give_the_same_bytes() {
        assert_eq!(sample().bytes(), sample().bytes());
    }

    #[test]
    fn members_are_replaced_removed_and_damaged_by_name() {
        let mut archive = sample();
        archive.put(Member::plain("exec", "ls /"));
        archive.contents_mut("physmem").unwrap()[0] = 0xff;
        assert!(archive.remove("motd").is_some() && archive.remove("motd").is_none());
        assert_eq!(archive.names().collect::<Vec<_>>(), ["physmem", "empty", "bin/ls", "bin/cat", "exec"]);
        assert_eq!(archive.contents_mut("exec").unwrap(), b"ls /");
    }

    #[test]
    fn what_no_reader_would_accept_is_refused() {
        for name in ["", "/absolute", "a\0b", &"x".repeat(101)] {
            let mut archive = Archive::new();
            archive.put(Member::plain(name, ""));
            assert!(archive.bytes().is_err(), "{name:?}");
        }
        let mut archive = Archive::new();
        archive.put(Member::plain("big", vec![0; BYTES_MAX]));
        assert!(archive.bytes().is_err());
    }
}
