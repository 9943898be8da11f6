//! The tokenizer of policies against real shells: they split every accepted line into the same
//! words.
#![cfg(unix)]
#![allow(clippy::disallowed_types, reason = "the shells are processes")]
#![allow(clippy::unwrap_used, reason = "a shell that does not run fails the test")]

use std::process::Command;

use opencode_proto::fuzzing::command_words;
use proptest::prelude::*;

/// Pieces of lines. `p` is a command that prints its words.
const PIECES: [&str; 52] = [
    "p",
    "p",
    "p",
    "p ",
    "p ",
    " ",
    " ",
    " ",
    "x",
    "y",
    "z/",
    "'",
    "'",
    "'a b'",
    "\"",
    "\"",
    "\"c d\"",
    "''",
    "$",
    "$x",
    "$(p q)",
    "`",
    "\\",
    "*",
    "?",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    "~",
    "!",
    "#",
    "&",
    "&&",
    "|",
    ";",
    "> /dev/null",
    ">",
    "<",
    "2>&1",
    "=",
    "-",
    "2",
    "_",
    "\n",
    "\t",
    "\u{e9}",
    ":",
    "%",
];

/// The words of all commands of a line as a shell sees them, one command after another, in any
/// order: commands of a pipeline run at once.
fn run(shell: &str, line: &str) -> Vec<Vec<String>> {
    let script = format!("exec 9>&1\np() {{ printf '%s\\035' p \"$@\" '\\036' >&9; }}\n{line}");
    let output = Command::new(shell)
        .args(["-c", &script])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let commands = text.split_terminator("\\036\u{1d}");
    let words = |command: &str| command.split_terminator('\u{1d}').map(str::to_owned).collect();
    let mut commands: Vec<Vec<String>> = commands.map(words).collect();
    commands.sort();
    commands
}

fn assert_agrees(line: &str) {
    let Some(mut commands) = command_words(line) else { return };
    // Only `p` can run here, and nothing is skipped.
    if line.contains("||") || commands.iter().any(|words| words[0] != "p") {
        return;
    }
    commands.sort();
    for shell in ["bash", "sh"] {
        assert_eq!(run(shell, line), commands, "{shell}: {line:?}");
    }
}

#[test]
fn shells_split_typical_lines_alike() {
    for line in [
        "p",
        "p 'a  b' \"c 'd'\" ''",
        "p a'b'\"c\" >/dev/null",
        "p a && p b; p c | p d",
        "p z/* 'x y'/?",
        "p 2>&1 | p 2",
        "p a=b c:d,e@f%g+h-i_j",
    ] {
        assert!(command_words(line).is_some(), "{line}");
        assert_agrees(line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn shells_split_accepted_lines_alike(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..10),
    ) {
        let line = format!("p {}", pieces.concat());
        assert_agrees(&line);
    }
}
