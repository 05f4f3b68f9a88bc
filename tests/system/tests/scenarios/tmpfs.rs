//! Files in memory: written by one program and read by another, paid for by who made them, and gone with them.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Maker, noise};
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("files_are_written_and_read", files_are_written_and_read),
    ("who_makes_a_file_pays_for_it", who_makes_a_file_pays_for_it),
    ("the_server_holds_no_more", the_server_holds_no_more),
    ("the_end_of_tmpfs", the_end_of_tmpfs),
];

fn files_are_written_and_read() {
    let contents = noise(9, 70_000);
    let script = b"echo one; cat /tmp/a; echo two > /tmp/b; echo three";
    let image = Maker::new("ext4", 4096).file("file", &contents).file("script", script).make();
    let sum = image.sha256sum_line("/file").replace("  /file", "  /tmp/copy");
    let commands = "\
cat /file > /tmp/copy && sha256sum /tmp/copy && ls /tmp
echo first > /tmp/a; echo second >> /tmp/a; sh /script > /tmp/all; cat /tmp/all /tmp/b
echo x > /tmp/a; cat /tmp/a; cat /none > /tmp/empty || [ -f /tmp/empty ] && echo made
cat /tmp/none; echo x > /tmp/a/b; echo x > /tmp/..; echo x > /tmp; rm /tmp/none /file /tmp
for name in a all b copy empty; do rm /tmp/$name || exit 1; done
ls /tmp; cat /tmp/a";
    let outcome = Boot::new().disk(&image).exec(commands).status(1);
    let expected = format!(
        "{sum}copy\none\nfirst\nsecond\nthree\ntwo\nx\ncat: /none: no such file or directory\nmade\n\
         cat: /tmp/none: no such file or directory\n/tmp/a/b: not a directory\n/tmp/..: is a directory\n\
         /tmp: is a directory\nrm: /tmp/none: no such file or directory\nrm: /file: read-only file system\n\
         rm: /tmp: read-only file system\ncat: /tmp/a: no such file or directory\n"
    );
    outcome.prints(&expected);
}

/// What a program makes under its own contract is charged there, ends there, and then says so.
fn who_makes_a_file_pays_for_it() {
    let image = Maker::new("ext4", 4096).make();
    let commands = "/.boot/test/temporary /tmp/own && ls /tmp; cat /tmp/own; rm /tmp/own";
    let outcome = Boot::new().disk(&image).exec(commands).success();
    outcome.mentions("temporary: ok\nown\ncat: /tmp/own: the file's memory is gone\n");
}

/// Clients ask the server for everything, and bombard it: it holds no frame more than before.
fn the_server_holds_no_more() {
    let image = Maker::new("ext4", 4096).file("file", &noise(4, 300_000)).make();
    let boot = Boot::new().disk(&image).limit(Duration::from_secs(120));
    let commands = "cat /file > /tmp/file; /.boot/test/law-one /tmp/file 1000 && \
        /.boot/test/messages 3 4000 /tmp/file && rm /tmp/file";
    boot.exec(commands).success().mentions("law-one: ok").mentions("messages: ok");
}

/// Names are lost with the server, nothing else hangs or is mistaken for something new.
fn the_end_of_tmpfs() {
    let mut shell = Boot::new().limit(Duration::from_secs(120)).talk();
    for round in 0..3 {
        assert_eq!(shell.command("echo old > /tmp/old && cat /tmp/old"), "old\n");
        let end = principal(&mut shell, "tmpfs");
        let answer = shell
            .command(&format!("kill {end}; cat /tmp/old; echo new > /tmp/new; cat /tmp/new; rm /tmp/new"));
        let expected = "cat: /tmp/old: no such file or directory\nnew\n";
        assert_eq!(answer, expected, "round {round}");
    }
    // Without the books: what the names lost is the shell's until its end.
    shell.say("poweroff\r");
    shell.end().success().logs("tmpfs was ended with its contract; it is started again in 10 ms");
}

fn principal(shell: &mut Conversation, name: &str) -> String {
    let tasks = shell.command("ps");
    let line = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{tasks}"));
    line.split_whitespace().next().unwrap_or_default().to_owned()
}
