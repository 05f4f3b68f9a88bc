//! The shell on the serial line: editing, jobs, Ctrl-C, statuses, and programs that end badly.

use crate::Scenario;
use std::time::Duration;
use tests_runner::archive::Member;
use tests_runner::ending::Ending;
use tests_system::conversation::CTRL_C;
use tests_system::image::{Maker, noise};
use tests_system::machine_code::program;
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("statuses_are_passed_on", statuses_are_passed_on),
    ("commands_of_the_shell", commands_of_the_shell),
    ("scripts_run", scripts_run),
    ("jobs_are_waited_for", jobs_are_waited_for),
    ("lines_are_edited", lines_are_edited),
    ("ctrl_c_ends_the_running_program_and_only_it", ctrl_c_ends_the_running_program_and_only_it),
    ("programs_in_the_background_are_killed", programs_in_the_background_are_killed),
    ("programs_that_fault", programs_that_fault),
    ("damaged_programs", damaged_programs),
    ("a_program_that_hangs", a_program_that_hangs),
    ("a_system_that_waits", a_system_that_waits),
];

/// Goes round in circles.
const LOOP: [u8; 2] = [0xeb, 0xfe];

const NOTHING: &str = "a page fault (nothing is mapped there)";
const FORBIDDEN: &str = "a page fault (the mapping does not allow that)";
const PROTECTION: &str = "processor exception 13 (general protection)";

/// Programs that do what they must not, and how the shell says that they ended.
const FAULTS: [(&str, &[u8], &str); 12] = [
    // mov rax, [0]
    ("reads-nothing", &[0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], NOTHING),
    // mov [0x400000], eax: its own code
    ("writes-code", &[0x89, 0x04, 0x25, 0, 0, 0x40, 0], FORBIDDEN),
    // push rax; jmp rsp
    ("runs-data", &[0x50, 0xff, 0xe4], FORBIDDEN),
    // mov rax, -4096; mov rax, [rax]: the kernel's half
    ("reads-the-kernel", &[0x48, 0xc7, 0xc0, 0, 0xf0, 0xff, 0xff, 0x48, 0x8b, 0], NOTHING),
    // push rax; jmp to it
    ("overflows-its-stack", &[0x50, 0xeb, 0xfd], NOTHING),
    // xor ecx, ecx; xor edx, edx; div ecx
    ("divides-by-zero", &[0x31, 0xc9, 0x31, 0xd2, 0xf7, 0xf1], "processor exception 0 (divide error)"),
    // ud2
    ("runs-no-instruction", &[0x0f, 0x0b], "processor exception 6 (invalid opcode)"),
    // hlt
    ("stops-the-machine", &[0xf4], PROTECTION),
    // in al, 0x64
    ("reads-a-port", &[0xe4, 0x64], PROTECTION),
    // mov rax, 1 << 63; mov rax, [rax]: no address at all
    ("reads-no-address", &[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0], PROTECTION),
    // int 0x80
    ("calls-another-system", &[0xcd, 0x80], PROTECTION),
    // pushf; or word [rsp], 0x100; popf; nop: asks for single steps
    (
        "single-steps",
        &[0x9c, 0x66, 0x81, 0x0c, 0x24, 0, 1, 0x9d, 0x90, 0xeb, 0xfe],
        "processor exception 1 (debug)",
    ),
];

fn statuses_are_passed_on() {
    for status in [0, 1, 7, 99] {
        Boot::new().exec_alone(&format!("exit {status}")).prints("").status(status);
    }
    Boot::new().exec_alone("exit 200").status(99);
    let commands =
        "ls /.boot/bin/none; echo $?\nnonsense; echo $?\nls --nonsense; echo $?; true; echo $?\nfalse";
    let outcome = Boot::new().exec(commands).status(1);
    let statuses: Vec<String> =
        outcome.text().lines().filter(|line| line.len() <= 3).map(String::from).collect();
    assert_eq!(statuses, ["1", "127", "2", "0"], "{}", outcome.text());
    outcome.mentions("nonsense: command not found");
    Boot::new()
        .exec_alone("echo 'never ends")
        .prints("shell: syntax error: a quote is not closed\n")
        .status(2);
}

fn commands_of_the_shell() {
    let image = Maker::new("ext2", 1024).file("file", b"contents\n").make();
    let mut shell = Boot::new().disk(&image).talk();
    let help = shell.command("help");
    for name in ["cd", "history", "kill", "poweroff", "sha256sum", "contracts"] {
        assert!(help.contains(name), "{help}");
    }
    assert_eq!(shell.command("cd /.boot/bin"), "");
    assert_eq!(shell.command("pwd"), "/.boot/bin\n");
    assert!(shell.command("ls").starts_with("cat\ncontainers\n"));
    assert!(shell.command("cd nowhere").contains("no such file or directory"));
    assert_eq!(shell.command("cd"), "");
    assert_eq!(shell.command("cat file"), "contents\n");
    let time = shell.command("time echo x");
    assert!(time.starts_with("x\nreal ") && time.contains(" ticks\n"), "{time}");
    assert!(shell.command("kill 4711").contains("no such principal"));
    assert!(shell.command("kill me").contains("not a number"));
    assert!(shell.command("./nowhere").contains("no such file or directory"));
    assert!(shell.command("/.boot/bin").contains("not a program"));
    assert_eq!(shell.command("false || echo a && echo b; echo c"), "a\nb\nc\n");
    shell.close();
}

/// A script with everything that scripts have, run on the machine: what it says, and its status.
fn scripts_run() {
    let script = "\
# Arguments, branches, rounds, and programs.
if [ $# -ne 2 ]; then echo usage; exit 2; fi
for name in \"$@\"
do
    if test -d \"$name\"; then echo \"$name: folder\"; continue; fi
    [ -f \"$name\" ] || exit 3
    cat \"$name\" && count=x$count
done
until [ \"$count\" = xxx ]; do count=x$count; done
echo $count; nowhere=1
cd /folder
cat none; exit 7
";
    // As deep as scripts and commands can be in each other.
    let deep = format!("{}sh /deep x$1{}", "if true; then ".repeat(16), "; fi".repeat(16));
    let image = Maker::new("ext4", 4096)
        .file("script", script.as_bytes())
        .file("deep", deep.as_bytes())
        .file("two words", b"contents\n")
        .file("noise", &noise(3, 60_000))
        .folder("folder")
        .make();
    let commands = "\
sh /script; echo $?
sh /script /folder '/two words'; echo $? $nowhere; pwd
sh /script /none /none; echo $?
sh /none; echo $?
sh /folder; echo $?
sh /noise && echo noise ran
sh /deep
echo $?; time sh /script a b c";
    // Without the books: the shell's heap and stack keep the size that the deepest script gave them.
    let outcome = Boot::new().disk(&image).exec_alone(commands).status(2);
    let expected = [
        "usage\n2\n/folder: folder\ncontents\nxxx\ncat: none: no such file or directory\n7\n/\n3\n",
        "/none: no such file or directory\n126\n/folder: is a directory\n126\n/noise: syntax error: ",
    ];
    assert!(outcome.text().starts_with(&expected.concat()), "{}", outcome.text());
    outcome.mentions("\n/deep: too many scripts in each other\n1\nusage\nreal ");
}

/// Programs in the background, their numbers and statuses; Ctrl-C where nothing but the shell runs.
fn jobs_are_waited_for() {
    let quits = program(&[0x0f, 0x0b]);
    let mut shell = Boot::new()
        .member(Member::program("bin/loop", program(&LOOP)))
        .member(Member::program("bin/quits", quits))
        .talk();
    assert_eq!(shell.command("ls /nowhere & wait $!; echo $?").lines().last(), Some("1"));
    let said = shell.command("quits & wait 1; echo $?");
    assert!(said.ends_with("[1]: ended by processor exception 6 (invalid opcode)\n139\n"), "{said}");
    assert_eq!(
        shell.command("wait; echo $?; wait 4; echo $?").lines().collect::<Vec<_>>(),
        ["0", "[4]: no such program in the background", "127"]
    );
    assert_eq!(shell.command("loop & jobs"), "[1] started\n[1] loop: running\n");
    for line in ["wait", "while true; do true; done; echo not this", "fg"] {
        shell.say(&format!("{line}\r"));
        shell.hear(&format!("{line}\r\n"));
        std::thread::sleep(Duration::from_millis(100));
        shell.say(CTRL_C);
        assert_eq!(shell.answer(), "^C\n", "{line}");
        assert_eq!(shell.command("echo $?"), "130\n");
    }
    assert_eq!(shell.command("jobs; fg"), "fg: nothing runs in the background\n");
    shell.close();
}

fn lines_are_edited() {
    let mut shell = Boot::new().talk();
    // Backspace; Ctrl-A and a word before; Ctrl-W; Ctrl-U; left and right; delete.
    assert_eq!(shell.command("echo abx\x7fc"), "abc\n");
    assert_eq!(shell.command("one two\x01echo "), "one two\n");
    assert_eq!(shell.command("echo one two\x17three"), "one three\n");
    assert_eq!(shell.command("nonsense\x15echo fine"), "fine\n");
    assert_eq!(shell.command("echo ac\x1b[Db\x1b[Cd"), "abcd\n");
    assert_eq!(shell.command("echo xabc\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~"), "abc\n");
    // The last line but one comes back, and can be changed.
    assert_eq!(shell.command("\x1b[A\x1b[A"), "abcd\n");
    assert!(shell.command("history").contains("  echo fine\n"));
    // Ctrl-C gives a line up.
    shell.say("echo given up\x03");
    shell.answer();
    assert_eq!(shell.command("echo ü €"), "ü €\n");
    shell.close();
}

fn ctrl_c_ends_the_running_program_and_only_it() {
    let loops = || Member::program("bin/loop", program(&LOOP));
    let mut shell = Boot::new().member(loops()).talk();
    for _ in 0..3 {
        assert_eq!(shell.command("loop &"), "[1] started\n");
        shell.say("loop\r");
        shell.hear("loop\r\n");
        // It is the foreground program's turn before the key comes.
        std::thread::sleep(Duration::from_millis(100));
        shell.say(CTRL_C);
        shell.answer();
        assert_eq!(shell.command("echo $?"), "130\n");
        let principal = principal(&mut shell, "loop");
        let mut said = shell.command(&format!("kill {principal}"));
        while !said.contains("[1] loop: ") {
            said += &shell.command("true");
        }
    }
    shell.close();
}

fn programs_in_the_background_are_killed() {
    let image = Maker::new("ext4", 4096).file("file", &noise(1, 4 << 20)).make();
    let mut shell = Boot::new().disk(&image).member(Member::program("bin/loop", program(&LOOP))).talk();
    let mut started = 0;
    while shell.command("loop &").contains("started") {
        started += 1;
        assert!(started < 100, "there is a limit");
    }
    assert!(started >= 4, "{started}");
    // Reading goes on beside them.
    assert_eq!(shell.command("sha256sum /file"), image.sha256sum_line("/file"));
    for _ in 0..started {
        let principal = principal(&mut shell, "loop");
        shell.command(&format!("kill {principal}"));
    }
    shell.command("true");
    assert!(!shell.command("ps").contains("loop"), "all are gone");
    shell.close();
}

/// The principal of some task of this name.
#[track_caller]
fn principal(shell: &mut Conversation, name: &str) -> u64 {
    let tasks = shell.command("ps");
    let line = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in:\n{tasks}"))
}

fn programs_that_fault() {
    let mut boot = Boot::new();
    let mut commands = String::new();
    for (name, code, _) in FAULTS {
        boot = boot.member(Member::program(format!("bin/{name}"), program(code)));
        commands += &format!("{name}; echo $?\n");
    }
    let outcome = boot.limit(Duration::from_secs(40)).exec(&commands).success();
    let expected: String =
        FAULTS.iter().map(|(name, _, reason)| format!("{name}: ended by {reason}\n139\n")).collect();
    outcome.prints(&expected);
}

/// Bits of a program's headers are flipped: it is refused, or runs and ends somehow, and nothing is left of it.
fn damaged_programs() {
    let mut boot = Boot::new();
    let mut commands = String::new();
    // ud2
    let intact = program(&[0x0f, 0x0b]);
    for bit in 0..120 * 8 {
        if bit % 5 == 0 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            boot = boot.member(Member::program(format!("bin/d{bit}"), bytes));
            commands += &format!("d{bit}\n");
        }
    }
    for length in [0, 3, 63, 64, 119, 121] {
        boot = boot.member(Member::program(format!("bin/cut{length}"), intact[..length].to_vec()));
        commands += &format!("cut{length}\n");
    }
    let outcome = boot.limit(Duration::from_secs(60)).exec(&(commands + "echo alive")).success();
    outcome.mentions("alive\n").mentions("not a program");
}

/// The run ends, and the account says where the program stood, by its name and address.
fn a_program_that_hangs() {
    let boot = Boot::new().member(Member::program("bin/loop", program(&LOOP)));
    let outcome = boot.limit(Duration::from_secs(3)).exec_alone("echo before; loop");
    let explanation = outcome.explanation();
    let (_, backtrace) = explanation.split_once("backtrace:\n").unwrap_or_else(|| panic!("{explanation}"));
    let place = backtrace.lines().next().unwrap_or_default();
    assert!(place.contains("loop ") && place.contains(" 0x0000000000400078 "), "{explanation}");
    assert!(explanation.contains("log: "), "{explanation}");
    assert_eq!(outcome.ending.exec_status(), 124);
    outcome.ends(&Ending::TimedOut { answered: true }).prints("before\n");
}

/// A system in which nothing happens any more is asked where it stands, and answers by names.
fn a_system_that_waits() {
    let outcome = Boot::new().limit(Duration::from_secs(3)).run();
    let explanation = outcome.explanation();
    let (_, backtrace) = explanation.split_once("backtrace:\n").unwrap_or_else(|| panic!("{explanation}"));
    assert!(
        backtrace.contains("(kernel/arch/") && explanation.contains("processor 0 idles"),
        "{explanation}"
    );
    outcome.ends(&Ending::TimedOut { answered: true });
}
