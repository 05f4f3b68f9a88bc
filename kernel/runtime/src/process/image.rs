//! Programs as ELF files: what of them is loaded where. Every number in the file is checked, for the file may
//! be damaged or hostile; no kernel calls.
//!
//! Accepted: static 64-bit x86 executables whose segments lie between [`IMAGE_BASE`] and [`IMAGE_END`], do not
//! share pages, are not writable and executable at once, and lie alike within their pages in file and memory
//! (ELF-64 Object File Format, 1.5: `p_offset` and `p_vaddr` are congruent).

use crate::layout::{IMAGE_BASE, IMAGE_END};
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::fmt;
use core::ops::Range;
use kernel_abi::FRAME_BYTES;

/// Bytes of the ELF header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a program header.
const PROGRAM_HEADER_BYTES: usize = 56;
/// Program headers at most.
const PROGRAM_HEADERS_MAX: usize = 16;
/// End of the program headers, at most, within the file.
pub const HEADERS_END_MAX: usize = 4096;

const TYPE_EXECUTABLE: u16 = 2;
const MACHINE_X86_64: u16 = 62;
const SEGMENT_LOAD: u32 = 1;
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;

/// Why a file is no program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageError {
    /// It does not start as an ELF file.
    NotElf,
    /// It is for another machine, or not a static executable.
    WrongKind,
    /// It is shorter than its headers say.
    Truncated,
    /// A segment lies outside the room for programs, is larger in the file than in memory, or is not
    /// aligned alike in both.
    BadSegment,
    /// Two segments share a page.
    Overlap,
    /// A segment is writable and executable.
    WriteExecute,
    /// More program headers than a program can have, or too far into the file.
    TooManyHeaders,
    /// The entry does not lie in an executable segment.
    BadEntry,
}

impl fmt::Display for ImageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ImageError::NotElf => "not a program (no ELF file)",
            ImageError::WrongKind => "not a static program for this machine",
            ImageError::Truncated => "the program file is truncated",
            ImageError::BadSegment => "the program file is damaged (bad segment)",
            ImageError::Overlap => "the program file is damaged (overlapping segments)",
            ImageError::WriteExecute => "the program has a writable and executable segment",
            ImageError::TooManyHeaders => "the program has too many segments",
            ImageError::BadEntry => "the program file is damaged (bad entry)",
        })
    }
}

/// A part of the file that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Address of the first byte.
    pub address: u64,
    /// Bytes in memory; those beyond the file's are zero.
    pub memory_bytes: u64,
    /// First byte in the file.
    pub file_offset: u64,
    /// Bytes in the file.
    pub file_bytes: u64,
    /// What the program may do with it.
    pub protection: MapProtection,
}

impl Segment {
    /// Page-aligned addresses that it takes.
    pub fn pages(&self) -> Range<u64> {
        let end = self.address + self.memory_bytes;
        self.address - self.address % FRAME_BYTES..end.next_multiple_of(FRAME_BYTES)
    }

    /// Bytes of the file to put at the start of its first page, so that whole pages need no copying. They start on
    /// a page boundary of the file; a read-only segment takes whole pages of the file, its neighbours' bytes
    /// included, as far as the file goes.
    pub fn file_range(&self, file_size: u64) -> Range<u64> {
        let start = self.file_offset - self.file_offset % FRAME_BYTES;
        let end = self.file_offset + self.file_bytes;
        let is_whole = self.memory_bytes == self.file_bytes;
        let end = if is_whole && !self.protection.contains(MapProtection::WRITE) {
            end.next_multiple_of(FRAME_BYTES).min(file_size)
        } else {
            end
        };
        start..end
    }
}

/// What is to be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// First instruction.
    pub entry: u64,
    /// Parts, in address order.
    pub segments: Vec<Segment>,
}

/// How many bytes of the file [`parse`] needs, from the first [`HEADER_BYTES`].
pub fn headers_end(header: &[u8]) -> Result<usize, ImageError> {
    let header = Fields(header.get(..HEADER_BYTES).ok_or(ImageError::NotElf)?);
    if header.0[..4] != *b"\x7fELF" {
        return Err(ImageError::NotElf);
    }
    // Class 64, little-endian, version 1.
    let is_ours = header.0[4..7] == [2, 1, 1]
        && header.half(16)? == TYPE_EXECUTABLE
        && header.half(18)? == MACHINE_X86_64
        && usize::from(header.half(54)?) == PROGRAM_HEADER_BYTES;
    if !is_ours {
        return Err(ImageError::WrongKind);
    }
    let count = usize::from(header.half(56)?);
    let start = usize::try_from(header.wide(32)?).map_err(|_| ImageError::TooManyHeaders)?;
    if count > PROGRAM_HEADERS_MAX {
        return Err(ImageError::TooManyHeaders);
    }
    match start.checked_add(count * PROGRAM_HEADER_BYTES) {
        Some(end) if end <= HEADERS_END_MAX => Ok(end.max(HEADER_BYTES)),
        _ => Err(ImageError::TooManyHeaders),
    }
}

/// Reads the headers: `head` is the file's start, as long as [`headers_end`] says, or longer.
pub fn parse(head: &[u8], file_size: u64) -> Result<Image, ImageError> {
    let end = headers_end(head)?;
    let head = head.get(..end).ok_or(ImageError::Truncated)?;
    let header = Fields(head);
    let entry = header.wide(24)?;
    let table = head.get(header.wide(32)? as usize..).ok_or(ImageError::Truncated)?;
    let mut segments = Vec::new();
    for header in table.chunks_exact(PROGRAM_HEADER_BYTES).take(usize::from(header.half(56)?)) {
        let header = Fields(header);
        if header.word(0)? == SEGMENT_LOAD && header.wide(40)? != 0 {
            segments.push(segment(header, file_size)?);
        }
    }
    segments.sort_by_key(|segment| segment.address);
    if segments.windows(2).any(|pair| pair[0].pages().end > pair[1].pages().start) {
        return Err(ImageError::Overlap);
    }
    let is_code = |segment: &Segment| {
        segment.protection.contains(MapProtection::EXECUTE)
            && (segment.address..segment.address + segment.memory_bytes).contains(&entry)
    };
    if !segments.iter().any(is_code) {
        return Err(ImageError::BadEntry);
    }
    Ok(Image { entry, segments })
}

fn segment(header: Fields<'_>, file_size: u64) -> Result<Segment, ImageError> {
    let flags = header.word(4)?;
    let mut protection = MapProtection::empty();
    protection.set(MapProtection::WRITE, flags & FLAG_WRITE != 0);
    protection.set(MapProtection::EXECUTE, flags & FLAG_EXECUTE != 0);
    if protection == MapProtection::all() {
        return Err(ImageError::WriteExecute);
    }
    let segment = Segment {
        file_offset: header.wide(8)?,
        address: header.wide(16)?,
        file_bytes: header.wide(32)?,
        memory_bytes: header.wide(40)?,
        protection,
    };
    let end = segment.address.checked_add(segment.memory_bytes).ok_or(ImageError::BadSegment)?;
    let is_sound = segment.address >= IMAGE_BASE
        && end <= IMAGE_END
        && segment.file_bytes <= segment.memory_bytes
        && segment.address % FRAME_BYTES == segment.file_offset % FRAME_BYTES;
    if !is_sound {
        return Err(ImageError::BadSegment);
    }
    match segment.file_offset.checked_add(segment.file_bytes) {
        Some(end) if end <= file_size => Ok(segment),
        _ => Err(ImageError::Truncated),
    }
}

/// Little-endian numbers at byte offsets.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, offset: usize) -> Result<[u8; N], ImageError> {
        let bytes = self.0.get(offset..offset + N).ok_or(ImageError::Truncated)?;
        bytes.try_into().map_err(|_| ImageError::Truncated)
    }

    fn half(self, offset: usize) -> Result<u16, ImageError> {
        self.bytes(offset).map(u16::from_le_bytes)
    }

    fn word(self, offset: usize) -> Result<u32, ImageError> {
        self.bytes(offset).map(u32::from_le_bytes)
    }

    fn wide(self, offset: usize) -> Result<u64, ImageError> {
        self.bytes(offset).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
