//! Where instructions go, by function: the counter's profile, joined with the symbols of kernel and programs.
//!
//! Programs lie at the same addresses, so a block's code tells which one it belongs to: the one that has these bytes at
//! that address. Blocks of one page belong together, which settles those that several programs have alike.

use crate::build::Guest;
use crate::programs::KERNEL;
use crate::symbols::Symbols;
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// A program that cannot be told.
const UNKNOWN: &str = "?";
/// Functions that a table shows.
const SHOWN: usize = 100;

/// Instructions executed, by function.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ByFunction {
    /// By the function they were compiled into: program, name, count; most first.
    pub outer: Vec<(String, String, u64)>,
    /// By the innermost function that was inlined there.
    pub inner: Vec<(String, String, u64)>,
}

/// A line of the counter's profile.
struct Block {
    address: u64,
    page: u64,
    code: Vec<u8>,
    counts: Vec<(u64, u64)>,
}

/// Code of a program: where it lies, and its bytes.
struct Segment {
    program: String,
    address: u64,
    code: Vec<u8>,
}

/// Joins a profile with a guest's symbols.
pub fn fold(profile: &str, guest: &Guest) -> ByFunction {
    let blocks: Vec<Block> = profile.lines().filter_map(Block::parse).collect();
    let segments = segments(guest);
    let mut programs: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for block in &blocks {
        let candidates = programs.entry(block.group()).or_insert_with(|| (0..segments.len()).collect());
        candidates.retain(|&index| segments[index].holds(block));
    }
    let mut symbols = Symbols::new(guest);
    let (mut outer, mut inner) = (HashMap::new(), HashMap::new());
    for block in &blocks {
        let program = programs[&block.group()].first().map_or(UNKNOWN, |&index| &segments[index].program);
        for &(address, count) in block.counts.iter().filter(|(_, count)| *count > 0) {
            let (compiled, inlined) = symbols.functions(program, address);
            *outer.entry((program.to_owned(), compiled)).or_insert(0) += count;
            *inner.entry((program.to_owned(), inlined)).or_insert(0) += count;
        }
    }
    ByFunction { outer: sorted(outer), inner: sorted(inner) }
}

fn sorted(counts: HashMap<(String, String), u64>) -> Vec<(String, String, u64)> {
    let mut all: Vec<_> = counts.into_iter().map(|((program, name), count)| (program, name, count)).collect();
    all.sort_by(|left, right| right.2.cmp(&left.2).then_with(|| left.cmp(right)));
    all
}

impl ByFunction {
    /// Two tables.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (title, rows) in [("compiled into", &self.outer), ("inlined from", &self.inner)] {
            let total: u64 = rows.iter().map(|(_, _, count)| count).sum();
            let _ = writeln!(text, "{total:>14}  instructions, by the function that they were {title}");
            for (program, name, count) in rows.iter().take(SHOWN) {
                let _ = writeln!(text, "{count:>14}  {program:10}  {name}");
            }
        }
        text
    }
}

impl Block {
    fn parse(line: &str) -> Option<Block> {
        let mut words = line.strip_prefix("block ")?.split(' ');
        let hexadecimal = |word: &str| u64::from_str_radix(word, 16).ok();
        let address = hexadecimal(words.next()?)?;
        let page = hexadecimal(words.next()?)?;
        let digits = words.next()?;
        let byte = |index| u8::from_str_radix(digits.get(index..index + 2)?, 16).ok();
        let code = (0..digits.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        let count = |word: &str| {
            let (offset, count) = word.split_once(':')?;
            Some((address.checked_add(hexadecimal(offset)?)?, count.parse().ok()?))
        };
        Some(Block { address, page, code, counts: words.map(count).collect::<Option<_>>()? })
    }

    /// What all blocks of one page of a program have alike.
    fn group(&self) -> (u64, u64) {
        (self.page, self.address >> 12)
    }
}

impl Segment {
    fn holds(&self, block: &Block) -> bool {
        let Some(begin) = block.address.checked_sub(self.address) else { return false };
        let Ok(begin) = usize::try_from(begin) else { return false };
        let end = begin.saturating_add(block.code.len());
        self.code.get(begin..end) == Some(&block.code[..])
    }
}

fn segments(guest: &Guest) -> Vec<Segment> {
    let kernel = (KERNEL.to_owned(), guest.kernel.clone());
    let files = std::iter::once(&kernel).chain(&guest.programs);
    files.flat_map(|(program, file)| code_of(program, file).unwrap_or_default()).collect()
}

/// What a program's file says is to be executed; `None` if it cannot be read.
fn code_of(program: &str, file: &Path) -> Option<Vec<Segment>> {
    let bytes = std::fs::read(file).ok()?;
    let elf = ElfBytes::<LittleEndian>::minimal_parse(&bytes).ok()?;
    let executable =
        |header: &elf::segment::ProgramHeader| header.p_type == PT_LOAD && header.p_flags & PF_X != 0;
    let segment = |header: elf::segment::ProgramHeader| {
        let code = elf.segment_data(&header).ok()?.to_vec();
        Some(Segment { program: program.to_owned(), address: header.p_vaddr, code })
    };
    elf.segments()?.iter().filter(executable).map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(program: &str, address: u64, code: &[u8]) -> Segment {
        Segment { program: program.into(), address, code: code.into() }
    }

    #[test]
    fn a_block_is_read_with_the_addresses_of_its_instructions() {
        let block = Block::parse("block 401000 7f00 90f3a4c3 0:2 1:7 3:2").unwrap();
        assert_eq!((block.group(), &block.code[..]), ((0x7f00, 0x401), &[0x90, 0xf3, 0xa4, 0xc3][..]));
        assert_eq!(block.counts, [(0x40_1000, 2), (0x40_1001, 7), (0x40_1003, 2)]);
        for line in ["", "block", "block x 0 90 0:1", "block 1 0 9 0:1", "block 1 0 90 0", "block 1 0 90 0:x"]
        {
            assert!(Block::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_block_belongs_where_its_code_lies() {
        let block = Block::parse("block 401001 0 f3a4 0:1").unwrap();
        assert!(segment("a", 0x40_1000, &[0x90, 0xf3, 0xa4]).holds(&block));
        assert!(!segment("b", 0x40_1000, &[0x90, 0xf3, 0xa5]).holds(&block), "other code");
        assert!(!segment("c", 0x40_1000, &[0x90, 0xf3]).holds(&block), "it ends too early");
        assert!(!segment("d", 0x40_1002, &[0xf3, 0xa4]).holds(&block), "it begins too late");
    }

    #[test]
    fn most_executed_comes_first_in_the_table() {
        let counts = [(("a", "little"), 1), (("b", "much"), 100)];
        let counts = counts.map(|((program, name), count)| ((program.to_owned(), name.to_owned()), count));
        let folded = ByFunction { outer: sorted(counts.into()), inner: Vec::new() };
        let table = folded.table();
        assert!(table.starts_with("           101  instructions"), "{table}");
        assert!(table.find("much") < table.find("little"), "{table}");
    }
}
