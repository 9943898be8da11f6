use super::*;

fn notices(chunks: &[&str]) -> Vec<Notice> {
    let mut stderr = Stderr::new(1 << 16);
    let mut notices: Vec<_> = chunks
        .iter()
        .flat_map(|chunk| stderr.push(Bytes::copy_from_slice(chunk.as_bytes())))
        .collect();
    notices.extend(stderr.finish());
    notices.into_iter().map(|(_, notice)| notice).collect()
}

fn rejected(permission: &str, patterns: &str) -> Notice {
    Notice::PermissionRejected { permission: permission.into(), patterns: patterns.into() }
}

#[test]
fn a_rejected_permission_is_noticed_whole_and_byte_by_byte() {
    let line =
        "\u{1b}[93m\u{1b}[1m! \u{1b}[0mpermission requested: bash (echo hi); auto-rejecting\n";
    assert_eq!(notices(&[line]), [rejected("bash", "echo hi")]);
    let bytes: Vec<String> = line.chars().map(String::from).collect();
    let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
    assert_eq!(notices(&bytes), [rejected("bash", "echo hi")]);
}

#[test]
fn a_rejected_command_of_several_lines_is_one_notice() {
    let lines = "! permission requested: bash (cat <<E\nhello\nE); auto-rejecting\n! permission requested: edit (a, b); auto-rejecting\n";
    assert_eq!(
        notices(&[lines]),
        [rejected("bash", "cat <<E\nhello\nE"), rejected("edit", "a, b")]
    );
    let negated = "! permission requested: bash (if\n! true\nthen x); auto-rejecting\n";
    assert_eq!(notices(&[negated]), [rejected("bash", "if\n! true\nthen x")]);
    let torn =
        "! permission requested: bash (a\n! permission requested: edit (b); auto-rejecting\n";
    assert_eq!(notices(&[torn]), [rejected("edit", "b")]);
}

#[test]
fn a_replaced_agent_is_noticed() {
    let line =
        "\u{1b}[93m\u{1b}[1m! \u{1b}[0m agent \"nope\" not found. Falling back to default agent\n";
    let reason = "agent \"nope\" not found".to_owned();
    assert_eq!(notices(&[line]), [Notice::AgentReplaced { reason }]);
}

#[test]
fn a_share_is_noticed() {
    let url = "https://example.test/s/abc".to_owned();
    assert_eq!(notices(&["~  https://example.test/s/abc"]), [Notice::Shared { url }]);
}

#[test]
fn the_tail_is_bounded_and_keeps_the_end() {
    let mut stderr = Stderr::new(10);
    stderr.push("0123456789".into());
    stderr.push("ab".into());
    assert_eq!(stderr.tail(), "23456789ab");
    stderr.push("a very long chunk of text".into());
    assert_eq!(stderr.tail(), "nk of text");
}

#[test]
fn a_cause_is_found_by_its_reference() {
    let mut stderr = Stderr::new(1 << 16);
    stderr.push(
        "timestamp=2026-11-21T08:57:51.079Z level=ERROR run=d60b4704 message=failed ref=err_bc9df4b0 \
         error=\"ProviderModelNotFoundError: Model \\\"x\\\" not found\" cause=\"a\\n b\"\n"
            .into(),
    );
    let cause = stderr.cause("err_bc9df4b0").map(|cause| cause.error.as_str());
    assert_eq!(cause, Some("ProviderModelNotFoundError: Model \"x\" not found"));
    assert_eq!(stderr.cause("err_other"), None);
}

#[test]
fn a_cause_that_says_nothing_is_none() {
    let mut stderr = Stderr::new(1 << 16);
    let line = "timestamp=1 level=ERROR run=1 message=failed ref=err_1 error=\"UnknownError: UnknownError\"\n";
    stderr.push(line.into());
    assert_eq!(stderr.cause("err_1"), None);
}

#[test]
fn startup_messages_are_freed_of_everything_around_them() {
    let cases = [
        ("Error: Session not found\n", "Session not found"),
        ("! agent \"x\" not found. Falling back to default agent\nError: a\nb\n", "a\nb"),
        (
            "timestamp=1 level=ERROR x=y\nError: You must provide a message\n",
            "You must provide a message",
        ),
        ("TypeError: x\n  at y\n", "TypeError: x\n  at y"),
        ("opencode run [message..]\n\nrun opencode", "the command line was not understood"),
        ("", ""),
    ];
    for (tail, message) in cases {
        assert_eq!(startup_message(tail), message);
    }
}

#[test]
fn stack_traces_are_no_part_of_a_message() {
    let tail = "\
1234 | const file = await read(path)
                              ^
Error: Unexpected error

ENOENT: no such file, open '/x/a.png'
    at open (unknown:1:11)
    at async <anonymous> (/$bunfs/root/src/index.js:7:3)
To send a redacted crash report to Bun's team: https://bun.report/1.3
";
    let message = startup_message(tail);
    assert_eq!(message, "Unexpected error\n\nENOENT: no such file, open '/x/a.png'");
    assert_eq!(startup_message("Error: look at (this)"), "look at (this)");
}

#[test]
fn only_database_races_are_worth_another_try() {
    for race in [
        "SqliteError: database is locked",
        "error code SQLITE_BUSY returned",
        "Failed query: CREATE TABLE `workspace`",
        "failed to set PRAGMA journal_mode = WAL",
        "SqliteError: disk I/O error",
    ] {
        assert!(is_database_race(race), "{race}");
    }
    for other in ["Error: File not found: zz.txt", "", "Error: database or disk is full"] {
        assert!(!is_database_race(other), "{other}");
    }
}

#[test]
fn escapes_are_removed_and_nothing_else() {
    for (text, plain) in [
        ("plain", "plain"),
        ("\u{1b}[91m\u{1b}[1mError: \u{1b}[0mx", "Error: x"),
        ("a\u{1b}[", "a"),
        ("a\u{1b}b", "ab"),
        ("a\u{1b}[31\nb", "a\nb"),
        ("ä\u{1b}[1mö", "äö"),
    ] {
        assert_eq!(without_escapes(text), plain, "{text:?}");
    }
}
