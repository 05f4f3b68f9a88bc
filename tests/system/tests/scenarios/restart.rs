//! Servers that end, idle and at work: init starts them again, clients get a clear error and go on, and every frame comes
//! back.

use crate::Scenario;
use std::time::Duration;
use tests_runner::archive::Archive;
use tests_system::conversation::CTRL_C;
use tests_system::image::{Image, Maker, noise};
use tests_system::{Boot, Conversation, Outcome};

pub const SCENARIOS: &[Scenario] = &[
    ("idle_servers", idle_servers),
    ("ext_in_the_middle_of_reads", ext_in_the_middle_of_reads),
    ("block_in_the_middle_of_reads", block_in_the_middle_of_reads),
    ("bootfs_in_the_middle_of_reads", bootfs_in_the_middle_of_reads),
    ("console_in_the_middle_of_reads", console_in_the_middle_of_reads),
    ("ctrl_c_after_the_end_of_the_console", ctrl_c_after_the_end_of_the_console),
    ("a_server_that_cannot_live", a_server_that_cannot_live),
];

/// How often a server is killed while it works.
const ROUNDS: usize = 6;

/// Bytes a second that the disk brings: so few that there is always a request in progress.
const BYTES_PER_SECOND: u64 = 16 << 20;

/// Readers at a time, so that there is always one whose call is in progress.
const READERS: usize = 3;

/// Deaths, one quickly after the other, that init bears: see its `restarts`.
const QUICK_DEATHS_MAX: usize = 10;

/// Time between two ends of a server that has work.
const INTO_THE_READ: Duration = Duration::from_millis(250);

/// Bytes of the file that is read in the background: more than the cache holds, so that the disk works all the time.
const LARGE: usize = 48 << 20;

/// How long it is read.
const SECONDS: u64 = 4;

fn image(size: usize) -> Image {
    Maker::new("ext4", 4096)
        .size("80M")
        .file("large", &noise(1, size))
        .file("file", &noise(2, 700_000))
        .make()
}

/// The principal of a server, as `ps` shows it.
fn principal(shell: &mut Conversation, name: &str) -> String {
    let tasks = shell.command("ps");
    let line = tasks.lines().find(|line| line.split_whitespace().any(|word| word == name));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{tasks}"));
    let number = line.split_whitespace().find(|word| word.parse::<u64>().is_ok());
    number.unwrap_or_else(|| panic!("no principal in {line:?}")).to_owned()
}

/// Ends a server.
pub fn kill(shell: &mut Conversation, name: &str) {
    let number = principal(shell, name);
    let answer = shell.command(&format!("kill {number}"));
    assert!(answer.is_empty(), "killing {name}: {answer}");
}

fn idle_servers() {
    let image = image(5000);
    let sum = image.sha256sum_line("/file");
    let mut shell = Boot::new().disk(&image).limit(Duration::from_secs(120)).talk();
    assert_eq!(shell.command("sha256sum /file"), sum);
    for name in ["bootfs", "ext", "block", "console", "console"] {
        kill(&mut shell, name);
        assert_eq!(shell.command("sha256sum /file"), sum, "after the end of {name}");
    }
    let mut outcome = shell.close_after_restarts();
    for name in ["bootfs", "ext", "block", "console"] {
        outcome = outcome.logs(&format!("{name} was ended with its contract; it is started again in 10 ms"));
    }
    outcome.logs("console was ended with its contract; it is started again in 20 ms");
}

/// Readers get an error and go on, another file is right all the same, and nothing stays in quarantine.
fn in_the_middle_of_reads(name: &str, file: &str) -> Outcome {
    let image = image(LARGE);
    let sum = image.sha256sum_line("/file");
    let boot = Boot::new().disk(&image).disk_speed(BYTES_PER_SECOND);
    let mut shell = boot.limit(Duration::from_secs(120)).talk();
    for _ in 0..READERS {
        shell.command(&format!("/.boot/test/again {file} {SECONDS} &"));
    }
    for round in 0..ROUNDS {
        std::thread::sleep(INTO_THE_READ);
        let number = principal(&mut shell, name);
        let answer = shell.command(&format!("kill {number}; sha256sum /file"));
        assert!(answer.contains(&sum), "round {round}: {answer}");
    }
    while shell.command("ps").contains("again") {}
    // A file cache in use has frames in places that several readers filled at once; a new one has none.
    kill(&mut shell, "ext");
    assert_eq!(shell.command("sha256sum /file"), sum);
    let started = format!("{name} was ended with its contract; it is started again in 10 ms");
    shell.close_after_restarts().mentions("again: ok").logs(&started)
}

/// The disk was writing when its driver ended, and the next driver says when it has stopped.
fn block_in_the_middle_of_reads() {
    in_the_middle_of_reads("block", "/large")
        .mentions("again: the disk's driver has ended")
        .logs("of the last driver's are out of quarantine");
}

fn ext_in_the_middle_of_reads() {
    in_the_middle_of_reads("ext", "/large").mentions("again: the server has ended");
}

fn bootfs_in_the_middle_of_reads() {
    in_the_middle_of_reads("bootfs", "/.boot/ext");
}

fn console_in_the_middle_of_reads() {
    in_the_middle_of_reads("console", "/large");
}

/// A console that was started again knows nothing of Ctrl-C until the shell tells it.
fn ctrl_c_after_the_end_of_the_console() {
    let image = image(LARGE);
    let mut shell = Boot::new().disk(&image).limit(Duration::from_secs(60)).talk();
    kill(&mut shell, "console");
    shell.say("sha256sum /large\r");
    shell.hear("\r\n");
    std::thread::sleep(Duration::from_millis(50));
    shell.say(CTRL_C);
    assert_eq!(shell.answer(), "^C\n");
    shell.close_after_restarts();
}

/// A server whose program ends at once every time is given up, and the others serve.
fn a_server_that_cannot_live() {
    let broken = |archive: &mut Archive| {
        let other = archive.contents_mut("bin/mounts").expect("it is in the archive").clone();
        *archive.contents_mut("ext").expect("it is in the archive") = other;
    };
    let outcome = Boot::new().change_archive(broken).limit(Duration::from_secs(60));
    // Long enough, and by then it is given up.
    let commands = "cat /anything; sha256sum /.boot/exec && ps && true";
    let outcome = outcome.exec_alone(commands).success();
    let ends = outcome.log().matches("ext exited with status").count();
    assert_eq!(ends, QUICK_DEATHS_MAX, "ends in the log");
    outcome
        .logs("after 10 quick ends it is given up")
        .mentions("/anything: the server did not answer in time")
        .mentions("bootfs");
}
