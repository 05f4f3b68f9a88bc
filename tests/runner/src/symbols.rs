//! Turns the addresses of a backtrace into functions and lines.
//!
//! Kernel and servers log one line a frame, `backtrace: NAME 0xADDRESS`, innermost first; NAME is `kernel` or
//! a member of the boot archive. The address is a return address, so the call is looked up one byte before
//! it; where the word `fault` follows, it is that of an instruction that faulted, and is looked up itself.

use crate::build::Guest;
use crate::programs::KERNEL;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const MARK: &str = "backtrace: ";
const FAULT: &str = "fault";

/// One line of a backtrace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Program that it lies in.
    pub program: String,
    /// Address as logged.
    pub address: u64,
    /// The address follows a call; otherwise it is that of the instruction itself.
    pub is_return: bool,
}

/// The frames that a log holds, in its order.
pub fn frames(log: &str) -> Vec<Frame> {
    log.lines().filter_map(parse).collect()
}

/// The frame of a line, if it is one of a backtrace.
fn parse(line: &str) -> Option<Frame> {
    let (_, rest) = line.split_once(MARK)?;
    let mut words = rest.split_whitespace();
    let program = words.next()?.to_owned();
    let digits = words.next()?.strip_prefix("0x")?;
    let address = u64::from_str_radix(digits, 16).ok()?;
    Some(Frame { program, address, is_return: words.next() != Some(FAULT) })
}

/// The programs that addresses are looked up in.
pub struct Symbols {
    files: HashMap<String, PathBuf>,
    loaded: HashMap<String, Option<addr2line::Loader>>,
}

impl Symbols {
    /// Of everything in a guest.
    pub fn new(guest: &Guest) -> Symbols {
        // A task is called like its program, without the folder that the program lies in.
        let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        let mut files: HashMap<_, _> =
            guest.programs.iter().map(|(name, file)| (short(name), file.clone())).collect();
        files.extend(guest.programs.iter().cloned());
        files.insert(KERNEL.to_owned(), guest.kernel.clone());
        Symbols { files, loaded: HashMap::new() }
    }

    /// One line a function, inlined ones included: `program  function (file:line)`.
    pub fn describe(&mut self, frame: &Frame, root: &Path) -> Vec<String> {
        let place = |what: &str| format!("{:10} {:#018x}  {what}", frame.program, frame.address);
        let address = frame.address - u64::from(frame.is_return && frame.address > 0);
        let Some(loader) = self.loader(&frame.program) else { return vec![place("?")] };
        let nameless = || symbol(loader, address).unwrap_or_else(|| String::from("?"));
        let mut lines = Vec::new();
        if let Ok(mut found) = loader.find_frames(address) {
            while let Ok(Some(function)) = found.next() {
                let name = function.function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
                let location =
                    function.location.and_then(|at| Some((at.file?.to_owned(), at.line.unwrap_or(0))));
                lines.push(place(&format!("{}{}", name.unwrap_or_else(nameless), shown(location, root))));
            }
        }
        if lines.is_empty() {
            lines.push(place(&nameless()));
        }
        lines
    }

    /// The function that an instruction was compiled into, and the innermost inlined one that it comes from.
    pub fn functions(&mut self, program: &str, address: u64) -> (String, String) {
        let Some(loader) = self.loader(program) else { return (String::from("?"), String::from("?")) };
        let outer = symbol(loader, address).unwrap_or_else(|| String::from("?"));
        let mut frames = loader.find_frames(address).ok();
        let first = frames.as_mut().and_then(|frames| frames.next().ok().flatten());
        let name = first.and_then(|frame| Some(frame.function?.demangle().ok()?.into_owned()));
        let inner = name.unwrap_or_else(|| outer.clone());
        (outer, inner)
    }

    fn loader(&mut self, program: &str) -> Option<&addr2line::Loader> {
        let file = self.files.get(program)?;
        let load = || addr2line::Loader::new(file).ok();
        self.loaded.entry(program.to_owned()).or_insert_with(load).as_ref()
    }
}

fn shown(location: Option<(String, u32)>, root: &Path) -> String {
    let Some((file, line)) = location else { return String::new() };
    let file = Path::new(&file);
    format!(" ({}:{line})", file.strip_prefix(root).unwrap_or(file).display())
}

fn symbol(loader: &addr2line::Loader, address: u64) -> Option<String> {
    let name = loader.find_symbol(address)?;
    Some(addr2line::demangle_auto(name.into(), None).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;

    fn frame(program: &str, address: u64, is_return: bool) -> Frame {
        Frame { program: program.into(), address, is_return }
    }

    #[test]
    fn lines_of_a_backtrace_are_found_among_others() {
        let log = "panic: at the disco\n\
                   [kernel] backtrace: kernel 0xffffffff80100010 fault\n\
                   backtrace: kernel 0xffffffff80100020 extra\n\
                   nothing\n\
                   backtrace: bin/ls 0x401000\r\n";
        let expected = [
            frame("kernel", 0xffff_ffff_8010_0010, false),
            frame("kernel", 0xffff_ffff_8010_0020, true),
            frame("bin/ls", 0x40_1000, true),
        ];
        assert_eq!(frames(log), expected);
    }

    #[test]
    fn what_only_looks_like_a_backtrace_is_skipped() {
        for line in [
            "",
            "backtrace: ",
            "backtrace: kernel",
            "backtrace: kernel 12",
            "backtrace: kernel 0xg",
            "kernel 0x1",
        ] {
            assert_eq!(frames(line), [], "{line}");
        }
    }

    #[test]
    fn an_address_in_this_very_program_has_a_name_and_a_line() {
        let myself = std::env::current_exe().unwrap();
        let loader = addr2line::Loader::new(&myself).unwrap();
        let name = "an_address_in_this_very_program";
        let bytes = std::fs::read(&myself).unwrap();
        assert!(!bytes.is_empty());
        let guest = Guest { kernel: myself, programs: Vec::new(), archive: Archive::new() };
        let mut symbols = Symbols::new(&guest);
        let found = (0..1 << 24)
            .step_by(64)
            .map(|address| loader.relative_address_base() + address)
            .find(|&address| loader.find_symbol(address).is_some_and(|symbol| symbol.contains(name)));
        let address = found.expect("this test has a symbol");
        let lines = symbols.describe(&frame("kernel", address, false), Path::new("/"));
        assert!(lines.iter().any(|line| line.contains("symbols.rs:") || line.contains(name)), "{lines:?}");
    }

    #[test]
    fn unknown_programs_and_addresses_are_shown_as_they_are() {
        let guest = Guest { kernel: "/no/such/file".into(), programs: Vec::new(), archive: Archive::new() };
        let mut symbols = Symbols::new(&guest);
        for program in ["kernel", "bin/none"] {
            let lines = symbols.describe(&frame(program, 0, true), Path::new("/"));
            assert_eq!(lines.len(), 1);
            assert!(lines[0].contains(program) && lines[0].ends_with('?'), "{lines:?}");
        }
    }
}
