//! Lines are run in a world that writes down what it is asked for.

use super::*;
use crate::syntax::{NESTING_MAX, commands};
use std::collections::HashMap;
use std::format;
use std::string::String;

/// A world with some scripts. `false` fails, `off` switches off, `stop` is ended by Ctrl-C; all else succeeds.
#[derive(Default)]
struct Sample {
    said: String,
    scripts: HashMap<&'static str, String>,
    directory: Vec<u8>,
    jobs: usize,
    /// So many questions after Ctrl-C are answered by no; then there was one.
    patience: Option<usize>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World for Sample {
    type Moment = ();

    fn run(&mut self, words: &[&[u8]], background: bool) -> Ran {
        if background {
            self.jobs += 1;
            return Ran::Started(self.jobs);
        }
        match words {
            [b"false"] => return Ran::Status(1),
            [b"status", number] => return Ran::Status(text(number).parse().unwrap()),
            [b"off"] => return Ran::Ended(5),
            [b"stop"] => return Ran::Interrupted,
            [b"cd", directory] => self.directory = directory.to_vec(),
            [b"is", one, other] => return Ran::Status(u8::from(one != other)),
            words => self.said += &(text(&words.join(&b'|')) + " "),
        }
        Ran::Status(0)
    }

    fn complain(&mut self, subject: &[u8], what: &dyn Display) {
        self.said += &format!("<{}: {what}> ", text(subject));
    }

    fn write(&mut self, bytes: &[u8]) {
        self.said += &text(bytes);
    }

    fn script(&mut self, name: &[u8]) -> Result<Vec<u8>, u8> {
        self.scripts.get(text(name).as_str()).map(|script| script.clone().into_bytes()).ok_or(127)
    }

    fn output_to(&mut self, name: &[u8], append: bool) -> Result<(), u8> {
        if name == b"none" {
            return Err(1);
        }
        self.said += &format!("{}{}( ", text(name), if append { "+" } else { "" });
        Ok(())
    }

    fn output_back(&mut self) -> Result<(), u8> {
        self.said += ") ";
        if self.said.contains("full( ") { Err(4) } else { Ok(()) }
    }

    fn directory(&self) -> Vec<u8> {
        self.directory.clone()
    }

    fn set_directory(&mut self, directory: &[u8]) {
        self.directory = directory.to_vec();
    }

    fn interrupted(&mut self) -> bool {
        match &mut self.patience {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn now(&mut self) {}

    fn tell_time(&mut self, (): ()) {
        self.said += "(time) ";
    }
}

/// Runs lines; what was said, the last status, and with what the shell ends.
fn run_in(world: &mut Sample, lines: &str) -> (String, u8, Option<u8>) {
    let mut interpreter = Interpreter::default();
    let end = interpreter.run(world, &commands(lines.as_bytes()).unwrap());
    (core::mem::take(&mut world.said).trim_end().into(), interpreter.status(), end)
}

fn run(lines: &str) -> (String, u8, Option<u8>) {
    run_in(&mut Sample::default(), lines)
}

/// What was said, of lines that end well.
fn said(lines: &str) -> String {
    let (said, status, end) = run(lines);
    assert_eq!((status, end), (0, None), "{lines}: {said}");
    said
}

#[test]
fn conditions_follow_the_last_status() {
    assert_eq!(said("true && a || b"), "true a");
    assert_eq!(said("false && a || b"), "b");
    assert_eq!(said("false && a ; b"), "b");
    assert_eq!(run("a || b && false"), ("a".into(), 1, None));
    assert_eq!(said("false; x $?; ! false; x $?; ! a; x $?; ! ! a"), "x|1 x|0 a x|1 a");
}

#[test]
fn branches_are_taken_by_statuses() {
    let lines = "for n in 1 2 3; do if is $n 1; then a; elif is $n 2; then b; else c; fi; done";
    assert_eq!(said(lines), "a b c");
    assert_eq!(run("if false; then a; fi"), (String::new(), 0, None));
    assert_eq!(run("if true; then status 7; fi").1, 7);
}

#[test]
fn rounds_are_left_and_gone_on_with() {
    assert_eq!(
        said("for x in a b c d; do is $x b && continue; is $x d && break; y $x; done; z"),
        "y|a y|c z"
    );
    assert_eq!(said("n=; while ! is \"$n\" xxx; do n=x$n; y $n; done"), "y|x y|xx y|xxx");
    assert_eq!(said("until is $? 0; do false; done; until false; do break; done; x"), "x");
    assert_eq!(said("for x in 1 2; do for y in a b; do z $x$y; break; done; done"), "z|1a z|2a");
    assert_eq!(said("for x in; do y; done"), "");
    assert_eq!(run("break").0, "<break: there are no rounds here>");
    assert_eq!(run("while false; do a; done").1, 0);
}

#[test]
fn variables_are_set_listed_and_forgotten() {
    assert_eq!(said("a='x  y' b=$a; z $a; z \"$b\"; unset a; z \"$a\""), "z|x|y z|x  y z|");
    assert_eq!(said("b=2; a=1; set"), "a=1\nb=2");
    assert_eq!(said("c='y z'; $c; $nothing"), "y|z");
    assert_eq!(run("a=1 b").0, "<b: variables are not passed to commands>");
    assert_eq!(run("unset 1").0, "<usage: unset NAME...>");
    let twice = "$x".repeat(2);
    let (said, status, _) = run(&format!("x=0123456789abcdef; while x={twice}; do y; done; false"));
    assert!(said.ends_with("<x: too long with its values>") && status == 1, "{said}");
}

#[test]
fn output_goes_elsewhere_and_comes_back() {
    assert_eq!(said("f='a b'; x > $f y; z; x >>\"$f\""), "a b( x|y ) z a b+( x )");
    let mut world = Sample::default();
    world.scripts.insert("s", "x; y > in; exit 0; z".into());
    assert_eq!(run_in(&mut world, "sh s > out").0, "out( x in( y ) )");
    assert_eq!(run_in(&mut world, "x > none; z $?"), ("z|1".into(), 0, None));
    assert_eq!(run_in(&mut world, "x > full").1, 4, "what was lost is failure");
    assert_eq!(run_in(&mut world, "exit 3 > out; z"), ("out( )".into(), 0, Some(3)));
    assert_eq!(run_in(&mut world, "stop > out; z"), ("out( )".into(), INTERRUPTED, None));
}

#[test]
fn jobs_have_numbers() {
    assert_eq!(said("a & b & x $!"), "x|2");
    assert_eq!(run("sh a &").0, "<sh: runs in the shell itself, not in the background>");
}

#[test]
fn scripts_have_their_own_arguments_variables_and_directory() {
    let mut world = Sample { directory: b"/".to_vec(), ..Sample::default() };
    world.scripts.insert("s", "x $0 $# $1 \"$a\"; a=2; cd /b; shift; x $1; z & exit 3; y".into());
    let (said, status, end) = run_in(&mut world, "a=1; cd /a; sh s one 'two words'; x $? $a $!");
    assert_eq!((said.as_str(), status, end), ("x|s|2|one| x|two|words x|3|1|1", 0, None));
    assert_eq!(world.directory, b"/a");
    assert_eq!(run_in(&mut world, "sh none").1, 127);
    world.scripts.insert("bad", "'".into());
    assert_eq!(run_in(&mut world, "sh bad").0, "<bad: syntax error: a quote is not closed>");
    world.scripts.insert("b", "break".into());
    assert!(run_in(&mut world, "for x in 1 2; do sh b; done").0.contains("no rounds"));
}

#[test]
fn scripts_in_each_other_have_an_end() {
    let mut world = Sample::default();
    let deep = "if true; then ".repeat(NESTING_MAX);
    world.scripts.insert("again", format!("{deep} sh again {}", "; fi".repeat(NESTING_MAX)));
    let (said, status, _) = run_in(&mut world, "sh again");
    assert_eq!(said.matches("true").count(), (SCRIPTS_MAX - 1) * NESTING_MAX);
    assert!(said.ends_with("<again: too many scripts in each other>") && status == FAILED, "{said}");
}

#[test]
fn ctrl_c_and_the_end_come_through_everything() {
    let mut world = Sample::default();
    for (what, status, end) in [("stop", INTERRUPTED, None), ("off", 0, Some(5))] {
        world.scripts.insert("s", format!("for x in 1 2; do if true; then {what}; fi; done; y"));
        let (said, last, ended) = run_in(&mut world, "while true; do sh s; done; z");
        assert_eq!((said.as_str(), ended), ("true true", end), "{what}");
        assert!(end.is_some() || last == status);
    }
    let mut world = Sample { patience: Some(5), ..Sample::default() };
    assert_eq!(run_in(&mut world, "while is 1 1; do is 2 2; done; z"), (String::new(), INTERRUPTED, None));
}

#[test]
fn exit_gives_a_status_and_time_is_told() {
    assert_eq!(run("exit"), (String::new(), 0, Some(0)));
    assert_eq!(run("false; exit").2, Some(1));
    assert_eq!(run("if true; then exit 200; fi").2, Some(99));
    assert_eq!(run("exit x").0, "<usage: exit [STATUS]>");
    assert_eq!(said("time x y"), "x|y (time)");
    assert_eq!(run("time exit 3"), ("(time)".into(), 0, Some(3)));
    assert_eq!(run("time").0, "<usage: time COMMAND>");
}

/// Whatever the bytes, running them ends: rounds by Ctrl-C.
#[test]
fn any_commands_come_to_an_end() {
    const PIECES: [&str; 23] = [
        " > x ",
        "a",
        ";",
        "&&",
        "||",
        "\n",
        "! ",
        "$x ",
        "\"$@\" ",
        "x=",
        "1 ",
        " if ",
        " then ",
        " fi ",
        " while ",
        " do ",
        " done ",
        " for x in ",
        "; break;",
        "; continue;",
        " sh s ",
        " false ",
        "exit ",
    ];
    let (mut random, mut ran) = (9_u32, 0);
    let mut below = |limit: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % limit
    };
    for _ in 0..30_000 {
        let mut world = Sample { patience: Some(20), ..Sample::default() };
        let lines: String = (0..below(16)).map(|_| PIECES[below(23)]).collect();
        world.scripts.insert("s", lines.clone());
        if let Ok(commands) = commands(lines.as_bytes()) {
            let mut interpreter = Interpreter::default();
            interpreter.run(&mut world, &commands);
            assert_eq!((interpreter.depth, interpreter.rounds), (0, 0), "{lines}");
            ran += 1;
        }
    }
    assert!(ran > 1_000, "{ran}");
}
