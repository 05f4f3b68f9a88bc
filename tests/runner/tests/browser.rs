//! The page that `report` makes, in a real browser: it fits every width, and every picture is there, in light and in dark.
//!
//! Without a browser (Debian's `chromium`) the test says so and checks nothing.
#![forbid(unsafe_code)]

use kernel_abi::boot::ClockPage;
use kernel_abi::trace::{Event, EventKind};
use std::path::Path;
use std::process::Command;
use tests_runner::trace::chrome::Writer;
use tests_runner::trace_report::report;

/// Names that the browser goes by.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Widths of a wide page and of a phone.
const WIDTHS: [u32; 2] = [1280, 390];

/// What is asked of the page in the browser: its widths, what is shown of the pictures, and the colour of the paper.
const QUESTIONS: &str = "<script>addEventListener('load', () => {
  const shown = [...document.querySelectorAll('svg')].filter(one => getComputedStyle(one).display !== 'none');
  const letters = shown.map(one => one.getBoundingClientRect().width / one.viewBox.baseVal.width * 12);
  const paper = getComputedStyle(document.body).backgroundColor;
  document.title = ['answer', document.documentElement.scrollWidth, innerWidth, shown.length,
    Math.min(...letters), document.querySelectorAll('svg [d*=NaN], svg [x*=NaN]').length, paper].join('|');
})</script>";

fn browser() -> Option<&'static str> {
    BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// A trace with calls, locks, faults and reads.
fn trace(file: &Path) {
    let clock = ClockPage { tsc_at_boot: 0, multiplier: 1 << 32 };
    let mut writer = Writer::new(std::fs::File::create(file).expect("the folder is there"));
    let name = u64::from_le_bytes(*b"borrower");
    for step in 0..100_u64 {
        let mut put = |offset: u64, kind, arguments| {
            let event = Event { time: step * 1_000_000 + offset, kind, processor: 0, subject: 7, arguments };
            writer.event(clock, &event).expect("there is room");
        };
        put(1, EventKind::Contract, [9, 500, 400 + step * 4, step * 3, name, 0]);
        put(2, EventKind::Memory, [8000, 300, 6000 - step * 4, 0, step, step]);
        put(3, EventKind::Fault, [0x1000, 0, 0, 0, 0, 0]);
        put(4000, EventKind::FaultAnswered, [0; 6]);
        put(5000, EventKind::Locked, [step, 3, 8, step * 1_000_000 + 900_000, 0, 0]);
        put(6000, EventKind::DiskRead, [1, 4096, 0, 0, 0, 0]);
        put(500_000, EventKind::DiskDone, [1, 4096, 0, 0, 0, 0]);
        put(600_000, EventKind::LockEnded, [step, 0, 0, 0, 0, 0]);
        if step % 10 == 5 {
            put(700_000, EventKind::ContractCalled, [9, step, 10, (step + 2) * 1_000_000, 0, 0]);
            put(900_000, EventKind::CallMet, [9, step, 0, 0, 0, 0]);
        }
    }
    writer.finish().expect("there is room");
}

/// What the page answers: widths of its contents and of the window, pictures shown, smallest letters, bad numbers, paper.
fn answers(browser: &str, folder: &Path, page: &Path, width: u32, is_dark: bool) -> Vec<String> {
    let mut command = Command::new(browser);
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]);
    // A window is never narrower than a desktop allows; what is inside a frame is.
    let frame = folder.join(format!("frame-{width}-{is_dark}.html"));
    let answer = "<script>setInterval(() => { const title = document.querySelector('iframe').contentDocument.title; \
        if (title.startsWith('answer')) document.title = title }, 20)</script>";
    let source = page.file_name().and_then(|name| name.to_str()).expect("it has a name");
    let text = format!(
        "<!doctype html><iframe src='{source}' width={width} height=800 style='border:0'></iframe>{answer}"
    );
    std::fs::write(&frame, text).expect("the folder is there");
    command
        .arg("--allow-file-access-from-files")
        .arg(format!("--user-data-dir={}", folder.join("profile").display()));
    if is_dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    let output = command.arg(format!("file://{}", frame.display())).output().expect("the browser starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = text.find("<title>answer|").unwrap_or_else(|| panic!("no answer from the browser:\n{text}"));
    let answer = text[start..].split_once("</title>").map_or("", |(answer, _)| answer);
    answer.split('|').skip(1).map(str::to_owned).collect()
}

#[test]
fn the_page_fits_every_width_and_suits_light_and_dark() {
    let Some(browser) = browser() else {
        eprintln!(
            "SKIPPED: no browser to look at the page with; install it: sudo apt-get install -y chromium"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, page) = (folder.path().join("trace.json"), folder.path().join("page.html"));
    trace(&file);
    assert_eq!(report(&file, &page), Ok(0));
    let text = std::fs::read_to_string(&page).expect("it was written");
    std::fs::write(&page, text.replace("</head>", &format!("{QUESTIONS}</head>")))
        .expect("it can be written");
    let mut papers = Vec::new();
    for width in WIDTHS {
        for is_dark in [false, true] {
            let answers = answers(browser, folder.path(), &page, width, is_dark);
            let number = |index: usize| answers[index].parse::<f64>().expect("a number");
            assert_eq!(number(1), f64::from(width), "the page has the width of a frame");
            assert!(number(0) <= number(1), "nothing sticks out at {width}: {answers:?}");
            assert_eq!(number(2), 5.0, "each picture is shown once: {answers:?}");
            assert!((11.0..=14.0).contains(&number(3)), "letters can be read at {width}: {answers:?}");
            assert_eq!(number(4), 0.0, "{answers:?}");
            papers.push(answers[5].clone());
        }
    }
    assert_ne!(papers[0], papers[1], "dark is another paper than light");
    assert_eq!((&papers[0], &papers[1]), (&papers[2], &papers[3]));
}
