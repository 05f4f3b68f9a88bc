//! Rules about the text of files.

use crate::Complaints;
use crate::tree::File;

/// Lines that a Rust file may have.
const LINES_MAX: usize = 600;

/// Marks of unfinished work. Written in halves, so that this file does not hold them.
const UNFINISHED: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// How unsafe code begins that needs a reason. Written in halves, so that this file does not hold them.
const UNSAFE_BEGINS: [&str; 2] = [concat!("unsafe", " {"), concat!("unsafe", " impl")];

/// Lines above unsafe code in which its reason is looked for.
const SAFETY_REACH: usize = 8;

/// Every module begins with a header that says what it is.
pub fn headers(files: &[File]) -> Complaints {
    let begins = |file: &File| file.lines().next().is_some_and(|(_, line)| line.starts_with("//! "));
    let rust = files.iter().filter(|file| file.is_rust());
    rust.filter(|file| !begins(file))
        .map(|file| format!("{}: begins without a `//!` header", file.path))
        .collect()
}

/// A file is about one subject, and not longer than one can hold in one's head.
pub fn lengths(files: &[File]) -> Complaints {
    let counted = files.iter().filter(|file| file.is_rust()).map(|file| (file, file.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(file, lines)| format!("{}: {lines} lines, at most {LINES_MAX}", file.path)).collect()
}

/// What is committed is finished.
pub fn unfinished(files: &[File]) -> Complaints {
    let mut complaints = Complaints::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        for (number, line) in file.lines() {
            let marks = UNFINISHED.iter().filter(|mark| line.contains(**mark));
            complaints.extend(marks.map(|mark| format!("{}:{number}: {mark}", file.path)));
        }
    }
    complaints
}

/// Every unsafe block and unsafe implementation says, just above, why it is sound. (Clippy denies the same, but
/// `cargo test` does not run it.)
pub fn undocumented_unsafe(files: &[File]) -> Complaints {
    let mut complaints = Complaints::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines: Vec<&str> = file.lines().map(|(_, line)| line.trim()).collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| begins_unsafe(line)) {
            let above = lines[..index].iter().rev().take(SAFETY_REACH).take_while(|above| !above.is_empty());
            if !line.contains("SAFETY:") && !above.into_iter().any(|above| above.contains("SAFETY:")) {
                complaints.push(format!("{}:{}: unsafe without a SAFETY comment", file.path, index + 1));
            }
        }
    }
    complaints
}

/// Whether a line begins unsafe code that needs a reason.
pub(crate) fn begins_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    UNSAFE_BEGINS.iter().any(|begin| code.contains(begin))
}

/// No tabs, nothing behind the end of a line, a line feed at the end of the file.
pub fn whitespace(files: &[File]) -> Complaints {
    let mut complaints = Complaints::new();
    for file in files {
        for (number, line) in file.lines() {
            if line.contains('\t') {
                complaints.push(format!("{}:{number}: tab", file.path));
            }
            if line.ends_with([' ', '\r']) {
                complaints.push(format!("{}:{number}: whitespace at the end of the line", file.path));
            }
        }
        if file.bytes.last().is_some_and(|&byte| byte != b'\n') || file.bytes.ends_with(b"\n\n") {
            complaints.push(format!("{}: must end with one line feed", file.path));
        }
    }
    complaints
}

/// The tree works wherever it is put: no file names the folder that it happens to lie in.
pub fn machine_paths(files: &[File], root: &str) -> Complaints {
    if root.matches('/').count() < 2 {
        return Complaints::new();
    }
    let mut complaints = Complaints::new();
    for file in files {
        let named = file.lines().filter(|(_, line)| line.contains(root));
        complaints.extend(named.map(|(number, _)| format!("{}:{number}: names {root}", file.path)));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> Vec<File> {
        vec![File::new("a.rs", text)]
    }

    #[test]
    fn a_missing_header_is_found() {
        assert_eq!(headers(&rust("//! A module.\n")), Complaints::new());
        for text in ["", "\n//! Late.\n", "#![no_std]\n//! Late.\n", "use x;\n"] {
            assert_eq!(headers(&rust(text)).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(lengths(&rust(&"\n".repeat(LINES_MAX))), Complaints::new());
        assert_eq!(lengths(&rust(&"\n".repeat(LINES_MAX + 1))).len(), 1);
        assert_eq!(lengths(&[File::new("a.md", "\n".repeat(LINES_MAX + 1))]), Complaints::new());
    }

    #[test]
    fn unfinished_work_is_found() {
        for mark in UNFINISHED {
            assert_eq!(
                unfinished(&rust(&format!("//! X.\nfn x() {{ {mark} }}\n"))),
                [format!("a.rs:2: {mark}")]
            );
        }
    }

    #[test]
    fn unsafe_code_without_a_reason_is_found() {
        let [block, implementation] = UNSAFE_BEGINS;
        for good in [
            format!("// SAFETY: x.\n{block} f() }}\n"),
            format!("// SAFETY: x,\n// and y.\nlet a = g(\n    {block} f() }});\n"),
            format!("// {block} is only talked about\n"),
        ] {
            assert_eq!(undocumented_unsafe(&rust(&good)), Complaints::new(), "{good}");
        }
        for bad in [
            format!("{block} f() }}\n"),
            format!("// SAFETY: of something else.\n\n{block} f() }}\n"),
            format!("{implementation} Send for X {{}}\n"),
        ] {
            assert_eq!(undocumented_unsafe(&rust(&bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn stray_whitespace_is_found() {
        assert_eq!(whitespace(&rust("fine\n\n    fine\n")), Complaints::new());
        for text in ["a\tb\n", "a \n", "a\r\n", "a", "a\n\n"] {
            assert_eq!(whitespace(&rust(text)).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_path_of_this_machine_is_found() {
        assert_eq!(machine_paths(&rust("cd /home/me/tree\n"), "/home/me/tree").len(), 1);
        assert_eq!(machine_paths(&rust("/src of a folder\n"), "/src"), Complaints::new());
    }
}
