//! The devices below `/dev`, output that goes to them, and their server's end.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Maker, noise};
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("devices_give_and_take", devices_give_and_take),
    ("nobody_pays_for_zeros", nobody_pays_for_zeros),
    ("the_end_of_the_devices", the_end_of_the_devices),
];

fn devices_give_and_take() {
    let image = Maker::new("ext4", 4096)
        .file("file", &noise(1, 3000))
        .file("s", b"echo a; cat /file; cat /none")
        .make();
    let commands = "\
ls /dev
hexdump /dev/zero 5 32 && sha256sum /dev/null
cat /file > /dev/null && echo echo > /dev/zero && sh /s > /dev/null; echo $?
cat /file >> /dev/full; echo $?
echo x > /dev/full; echo $?
pwd >/dev/full || echo refused
echo x > /file; echo x > /dev; echo x > /dev/none; echo $?
cat /dev/null/x; echo out";
    let outcome = Boot::new().disk(&image).exec(commands).success();
    let expected = "\
full
null
zero
00000005  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000025
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /dev/null
cat: /none: no such file or directory
1
cat: output: no space left
1
output: no space left
1
output: no space left
refused
/file: read-only file system
/dev: is a directory
/dev/none: read-only file system
1
cat: /dev/null/x: not a directory
out
";
    outcome.prints(expected);
}

/// Clients ask the server for everything, again and again, and die half-way: it holds no frame more than before.
fn nobody_pays_for_zeros() {
    let image = Maker::new("ext4", 4096).make();
    let boot = Boot::new().disk(&image).limit(Duration::from_secs(120));
    boot.exec("/.boot/test/law-one /dev/zero 3000").success().mentions("law-one: ok");
}

/// A client that is at the server all the time, and others that come, find it again.
fn the_end_of_the_devices() {
    let mut shell = Boot::new().limit(Duration::from_secs(120)).talk();
    for round in 0..3 {
        assert_eq!(shell.command("cat /dev/zero > /dev/null &"), "[1] started\n");
        std::thread::sleep(Duration::from_millis(200));
        let end = principal(&mut shell, "devices").unwrap();
        let answer = shell.command(&format!("kill {end}; echo x > /dev/null && echo again"));
        assert!(answer.ends_with("again\n"), "round {round}: {answer}");
        // The client has ended if its call was in progress, and reads on if it was not.
        if let Some(client) = principal(&mut shell, "cat") {
            shell.command(&format!("kill {client}"));
        }
        shell.command("wait");
    }
    shell.close_after_restarts().logs("devices was ended with its contract; it is started again in 10 ms");
}

/// The principal of a task of this name, if there is one.
fn principal(shell: &mut Conversation, name: &str) -> Option<String> {
    let tasks = shell.command("ps");
    let line = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some(name))?;
    line.split_whitespace().next().map(str::to_owned)
}
