//! Programs that are sound, and every way in which one can be unsound.

use super::*;

const READ: u32 = 4;

/// A program header: type, flags, offset, address, bytes in file and memory.
type Header = (u32, u32, u64, u64, u64, u64);

const TEXT: Header = (SEGMENT_LOAD, READ | FLAG_EXECUTE, 0x1000, 0x40_0000, 0x1800, 0x1800);
const DATA: Header = (SEGMENT_LOAD, READ | FLAG_WRITE, 0x3010, 0x40_2010, 0x20, 0x3000);
const FILE_SIZE: u64 = 0x4000;

fn file(headers: &[Header]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..18].copy_from_slice(&TYPE_EXECUTABLE.to_le_bytes());
    bytes[18..20].copy_from_slice(&MACHINE_X86_64.to_le_bytes());
    bytes[24..32].copy_from_slice(&0x40_0010_u64.to_le_bytes());
    bytes[32..40].copy_from_slice(&(HEADER_BYTES as u64).to_le_bytes());
    bytes[54..56].copy_from_slice(&(PROGRAM_HEADER_BYTES as u16).to_le_bytes());
    bytes[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
    for &(kind, flags, offset, address, in_file, in_memory) in headers {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for number in [offset, address, address, in_file, in_memory, 4096] {
            bytes.extend(u64::to_le_bytes(number));
        }
    }
    bytes
}

fn error(headers: &[Header]) -> ImageError {
    parse(&file(headers), FILE_SIZE).expect_err("it must be refused")
}

#[test]
fn segments_are_found_in_address_order() {
    let image = parse(&file(&[DATA, (7, 0, 0, 0, 0, 0), TEXT]), FILE_SIZE).unwrap();
    assert_eq!(image.entry, 0x40_0010);
    let [text, data] = image.segments[..] else { panic!("two segments") };
    assert_eq!((text.pages(), data.pages()), (0x40_0000..0x40_2000, 0x40_2000..0x40_6000));
    assert_eq!(text.file_range(FILE_SIZE), 0x1000..0x3000, "whole pages, for nobody writes to them");
    assert_eq!(text.file_range(0x2900), 0x1000..0x2900, "as far as the file goes");
    assert_eq!(data.file_range(FILE_SIZE), 0x3000..0x3030, "exactly, for zeros follow");
    assert_eq!(text.protection, MapProtection::EXECUTE);
    assert_eq!(data.protection, MapProtection::WRITE);
}

#[test]
fn what_is_no_program_is_refused() {
    assert_eq!(parse(b"#!/bin/sh\n", 10), Err(ImageError::NotElf));
    assert_eq!(parse(&[0; 4096], 4096), Err(ImageError::NotElf));
    for (offset, value) in [(4, 1), (5, 2), (16, 3), (18, 3), (54, 32)] {
        let mut bytes = file(&[TEXT]);
        bytes[offset] = value;
        assert_eq!(parse(&bytes, FILE_SIZE), Err(ImageError::WrongKind), "offset {offset}");
    }
}

#[test]
fn unsound_segments_are_refused() {
    let (load, flags) = (SEGMENT_LOAD, READ | FLAG_EXECUTE);
    let code = |offset, address, in_file, in_memory| (load, flags, offset, address, in_file, in_memory);
    assert_eq!(error(&[code(0x1000, 0x1000, 16, 16)]), ImageError::BadSegment, "below the room");
    assert_eq!(error(&[code(0, IMAGE_END - 0x1000, 16, 0x1001)]), ImageError::BadSegment, "beyond it");
    assert_eq!(error(&[code(0, 0x40_0000, 0, u64::MAX)]), ImageError::BadSegment, "wraps");
    assert_eq!(error(&[code(0, 0x40_0000, 32, 16)]), ImageError::BadSegment, "more in the file");
    assert_eq!(error(&[code(1, 0x40_0000, 16, 16)]), ImageError::BadSegment, "not aligned alike");
    assert_eq!(error(&[code(0x3000, 0x40_0000, 0x1001, 0x1001)]), ImageError::Truncated);
    assert_eq!(error(&[code(u64::MAX - 0xfff, 0x40_0000, 0x1001, 0x1001)]), ImageError::Truncated);
    assert_eq!(error(&[TEXT, (load, READ, 0, 0x40_1000, 1, 1)]), ImageError::Overlap);
    assert_eq!(error(&[(load, 7, 0, 0x40_0000, 16, 16)]), ImageError::WriteExecute);
}

#[test]
fn the_entry_must_be_code() {
    assert_eq!(error(&[]), ImageError::BadEntry);
    assert_eq!(error(&[(SEGMENT_LOAD, READ, 0, 0x40_0000, 0x100, 0x100)]), ImageError::BadEntry);
    assert_eq!(error(&[(SEGMENT_LOAD, 5, 0, 0x40_0000, 0x10, 0x10)]), ImageError::BadEntry);
}

#[test]
fn headers_have_bounds() {
    let mut bytes = file(&[TEXT]);
    bytes[56] = 17;
    assert_eq!(headers_end(&bytes), Err(ImageError::TooManyHeaders));
    let mut bytes = file(&[TEXT]);
    bytes[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(headers_end(&bytes), Err(ImageError::TooManyHeaders));
    bytes[32..40].copy_from_slice(&4096_u64.to_le_bytes());
    assert_eq!(headers_end(&bytes), Err(ImageError::TooManyHeaders));
    let bytes = file(&[TEXT, DATA]);
    assert_eq!(headers_end(&bytes), Ok(bytes.len()));
    assert_eq!(parse(&bytes[..bytes.len() - 1], FILE_SIZE), Err(ImageError::Truncated));
}

/// Any damage is answered, never a panic, and what is accepted keeps the promises that loading relies on.
#[test]
fn flipped_bytes_never_panic() {
    let sound = file(&[TEXT, DATA]);
    for offset in 0..sound.len() {
        for bit in 0..8 {
            let mut bytes = sound.clone();
            bytes[offset] ^= 1 << bit;
            let Ok(image) = parse(&bytes, FILE_SIZE) else { continue };
            for segment in &image.segments {
                let (pages, file) = (segment.pages(), segment.file_range(FILE_SIZE));
                assert!(pages.start >= IMAGE_BASE && pages.end <= IMAGE_END);
                assert!(file.end <= FILE_SIZE && file.start <= file.end);
                assert!(file.end - file.start <= pages.end - pages.start);
            }
        }
    }
}
