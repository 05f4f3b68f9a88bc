//! `cargo run -- report TRACE FILE.html`: one self-contained page with pictures of what a trace tells.
//!
//! [`read`] reads the trace, whatever has become of it; the page says what could not be read and shows the rest. The page
//! needs no network and runs no script: pictures are SVG, with texts that appear under the pointer.

mod bars;
mod figure;
mod memory;
mod rates;
pub mod read;

use crate::places::write_whole;
use crate::{Failure, Result};
use figure::{escaped, number};
use read::Trace;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The style sheet: colours for light and dark, letters of one size.
const STYLE: &str = include_str!("page.css");

/// Makes the page. The exit status of the runner: 0, also of a file that could be read only in part.
pub fn report(trace: &Path, page: &Path) -> Result<u8> {
    let file = File::open(trace).map_err(|error| {
        Failure::file("open", trace, &error).hint("make a trace: cargo run -- --trace FILE --exec COMMANDS")
    })?;
    let read = Trace::read(BufReader::new(file));
    let complaints = read.complaints();
    for complaint in &complaints {
        eprintln!("{}: {complaint}", trace.display());
    }
    let name = trace.file_name().unwrap_or_default().to_string_lossy();
    write_whole(page, html(&read, &name).as_bytes())?;
    eprintln!("{}: {} events", page.display(), read.entries.len());
    Ok(0)
}

/// The page.
pub fn html(trace: &Trace, name: &str) -> String {
    let mut body = String::new();
    for complaint in trace.complaints() {
        body += &format!("<p class=complaint>{}</p>", escaped(&complaint));
    }
    let count = |category: &str, phase: char| {
        let all = trace.entries.iter().filter(|one| one.category == category && one.phase == phase);
        number(all.count() as f64)
    };
    let whole = trace.end() - trace.entries.first().map_or(0.0, |one| one.time);
    let facts = [
        (format!("{} s", number(whole / 1e6)), "of time"),
        (count("fault", 'X'), "page faults"),
        (count("call", 'b'), "calls for frames"),
        (count("seized", 'i'), "seizures"),
        (count("lock", 'b'), "locks"),
        (count("disk", 'b'), "disk reads"),
    ];
    body += "<dl class=facts>";
    for (value, what) in facts {
        body += &format!("<div><dt>{what}</dt><dd>{value}</dd></div>");
    }
    body += "</dl>";
    let sections = [
        (
            "Who owned memory",
            "Frames held under each contract, one above the other: full colour within the guarantee, pale beyond it (extra). \
             A page that several contracts share counts for each of them.",
            memory::section(trace),
        ),
        (
            "Calls for frames",
            "From the call to its outcome, a row for each contract, with the moment at which the frames had to be back.",
            bars::calls(trace),
        ),
        (
            "How long it took",
            "Times of taking frames back, and of what else has a beginning and an end.",
            rates::latencies(trace),
        ),
        (
            "Locks",
            "Each bar is a range of a container that somebody else than its owner held.",
            bars::locks(trace),
        ),
        ("Page faults", "Faults that physmem answered.", rates::faults(trace)),
        ("Disk", "Bytes that arrived from the disk.", rates::disk(trace)),
        (
            "Processors",
            "Who ran for how long, all processors together; what is idle is left out.",
            rates::processors(trace),
        ),
    ];
    for (title, caption, content) in sections {
        body += &format!("<section><h2>{title}</h2><p class=caption>{caption}</p>{content}</section>");
    }
    let name = escaped(name);
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width, initial-scale=1'>\
         <meta name=color-scheme content='light dark'><title>{name}: what Tenure did</title><style>{STYLE}</style></head>\
         <body><main><h1>What Tenure did</h1><p class=caption>{name}</p>{body}</main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::read::Trace;
    use super::read::tests::sample;
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let page = html(&Trace::read(&sample()[..]), "a<b>.json");
        for needed in [
            "Who owned memory",
            "shell #7: guaranteed",
            "ext #8: cache, extra",
            "frames of 4 KiB",
            "MiB/s",
            "ms</text>",
        ] {
            assert!(page.contains(needed), "{needed}");
        }
        for needed in ["class='met'", "class='missed'", "class='dma'", "deadline", "a&lt;b&gt;.json"] {
            assert!(page.contains(needed), "{needed}");
        }
        for outside in ["http://", "https://", "src=", "<link", "@import", "url(", "<script", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!page.contains("class=complaint"));
    }

    #[test]
    fn a_damaged_file_makes_a_page_that_says_so() {
        let mut seed = 11_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % below
        };
        for _ in 0..60 {
            let mut bytes = sample();
            for _ in 0..1 + random(40) {
                if bytes.is_empty() {
                    break;
                }
                let place = random(bytes.len());
                match random(3) {
                    0 => bytes[place] = random(256) as u8,
                    1 => drop(bytes.drain(place..(place + random(500)).min(bytes.len()))),
                    _ => bytes.truncate(place),
                }
            }
            let trace = Trace::read(&bytes[..]);
            let page = html(&trace, "damaged");
            assert_eq!(page.matches("class=complaint").count(), trace.complaints().len());
            assert!(!page.contains("NaN") && page.ends_with("</html>\n"));
        }
        assert!(html(&Trace::read(&b"\xff\xfe\0"[..]), "x").contains("class=complaint"));
    }
}
