//! Every recording of a server's event stream reads into the right transcripts, in any chunking.

// A test reads its recordings.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use bytes::Bytes;
use opencode_proto::{
    AskId, ServerEvent, ServerEventKind, SseEvent, SseFramer, Transcript, Transcripts,
};
use proptest::prelude::*;

/// Recording, number of sessions, and what the first of them said.
struct Row(&'static str, usize, &'static [Said]);

/// Full text, text, `tool:status` of every call, errors, asks, total tokens, steps, how often idle,
/// whether at work.
struct Said(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
    usize,
    u64,
    Activity,
);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Activity {
    Open,
    Settled,
}
use Activity::{Open, Settled};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("ev_text", 1, &[Said("Hello Hello Hello Hello Hello Hello Hello Hello ", "Hello Hello Hello ", "", "", "", 240, 2, 2, Settled)]),
    Row("srv_20sessions_cold", 20, &[Said("answer 0", "answer 0", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_20sessions_warm", 20, &[Said("answer 0", "answer 0", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_abort_during_retry", 1, &[Said("", "", "", "", "", 0, 1, 1, Settled)]),
    Row("srv_abort_permission2", 1, &[Said("", "", "bash:error", "MessageAbortedError", "permission", 0, 1, 2, Settled)]),
    Row("srv_abandoned", 1, &[Said("The answer is 42.", "The answer is 42.", "", "", "", 110, 1, 1, Settled)]),
    Row("srv_abandoned_then_401", 1, &[Said("", "", "", "APIError", "", 0, 1, 2, Settled)]),
    Row("srv_abandoned_tool", 1, &[Said("Whole.After tool.", "After tool.", "bash:completed", "", "", 220, 2, 1, Settled)]),
    Row("srv_abort_text", 1, &[Said("w w w w w w w ", "w w w w w w w ", "", "MessageAbortedError", "", 0, 1, 2, Settled)]),
    Row("srv_abort_tool", 1, &[Said("", "", "bash:completed", "MessageAbortedError", "", 0, 1, 2, Settled)]),
    Row("srv_command", 1, &[Said("hello cmd", "hello cmd", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_command_unknown", 1, &[Said("", "", "", "UnknownError", "", 0, 0, 0, Settled)]),
    Row("srv_crossdir_A", 1, &[Said("a a a a a a a a a a ", "a a a a a ", "", "", "", 240, 2, 2, Settled)]),
    Row("srv_crossdir_B", 0, &[]),
    Row("srv_dirfilter_A", 1, &[Said("a a a a a ", "a a a a a ", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_dirfilter_B", 1, &[Said("b b b b b ", "b b b b b ", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_dirfilter_api", 2, &[Said("", "", "", "", "", 0, 0, 0, Settled), Said("", "", "", "", "", 0, 0, 0, Settled)]),
    Row("srv_dirfilter_none", 1, &[Said("a a a a a ", "a a a a a ", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_dispose", 0, &[]),
    Row("srv_dispose_global", 0, &[]),
    Row("srv_err_401", 1, &[Said("", "", "", "APIError", "", 0, 1, 2, Settled)]),
    Row("srv_err_429_retry", 1, &[Said("ok now", "ok now", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_err_unknown_agent", 1, &[Said("", "", "", "UnknownError UnknownError", "", 0, 0, 0, Settled)]),
    Row("srv_err_unknown_model", 1, &[Said("", "", "", "UnknownError UnknownError", "", 0, 0, 1, Settled)]),
    Row("srv_file_part", 1, &[Said("ok", "ok", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_file_part_image", 1, &[Said("ok", "ok", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_file_part_missing", 1, &[Said("ok", "ok", "", "UnknownError", "", 120, 1, 1, Settled)]),
    Row("srv_json_schema", 1, &[Said("", "", "StructuredOutput:completed", "", "", 120, 1, 1, Settled)]),
    Row("srv_json_schema_badargs", 1, &[Said("", "", "StructuredOutput:completed", "", "", 120, 1, 1, Settled)]),
    Row("srv_kill_SIGHUP", 1, &[Said("", "", "bash:running", "", "", 0, 1, 0, Open)]),
    Row("srv_kill_SIGINT", 1, &[Said("", "", "bash:running", "", "", 0, 1, 0, Open)]),
    Row("srv_kill_SIGKILL", 1, &[Said("", "", "bash:running", "", "", 0, 1, 0, Open)]),
    Row("srv_kill_SIGTERM", 1, &[Said("", "", "bash:running", "", "", 0, 1, 0, Open)]),
    Row("srv_noreply", 1, &[Said("", "", "", "", "", 0, 0, 0, Settled)]),
    Row("srv_perm_always_new", 1, &[Said("after", "after", "bash:completed bash:completed", "", "permission", 360, 3, 1, Settled)]),
    Row("srv_perm_always_othersession", 1, &[Said("after", "after", "bash:completed bash:completed", "", "", 360, 3, 1, Settled)]),
    Row("srv_perm_once_new", 1, &[Said("after", "after", "bash:completed bash:completed", "", "permission permission", 360, 3, 1, Settled)]),
    Row("srv_perm_once_old", 1, &[Said("after", "after", "bash:completed bash:completed", "", "permission permission", 360, 3, 1, Settled)]),
    Row("srv_perm_reject_new", 1, &[Said("", "", "bash:error", "", "permission", 120, 1, 1, Settled)]),
    Row("srv_perm_reject_with_message", 1, &[Said("after", "after", "bash:error bash:completed", "", "permission permission", 360, 3, 1, Settled)]),
    Row("srv_perm_two_parallel", 1, &[Said("", "", "bash:error bash:completed", "", "permission", 120, 1, 1, Settled)]),
    Row("srv_perm_v2", 1, &[Said("after", "after", "bash:completed bash:completed", "", "permission permission", 360, 3, 1, Settled)]),
    Row("srv_question_reject", 1, &[Said("", "", "question:error", "", "question", 120, 1, 1, Settled)]),
    Row("srv_question_v2reply", 1, &[Said("after", "after", "question:completed", "", "question", 240, 2, 1, Settled)]),
    Row("srv_reasoning", 1, &[Said("ans ans ans ans ", "ans ans ans ans ", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_resume_after_kill", 1, &[Said("resumed", "resumed", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_shell", 1, &[Said("", "", "bash:completed", "", "", 0, 1, 1, Settled)]),
    Row("srv_sse_late", 1, &[Said("w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w ", "w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w ", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_task", 2, &[Said("parent done", "parent done", "task:completed", "", "", 240, 2, 1, Settled), Said("sub result", "sub result", "bash:completed", "", "", 240, 2, 1, Settled)]),
    Row("srv_tool", 1, &[Said("I run.Ran.", "Ran.", "bash:completed", "", "", 240, 2, 1, Settled)]),
    Row("srv_warm", 1, &[Said("x", "x", "", "", "", 120, 1, 1, Settled)]),
    Row("srv_warm3", 1, &[Said("x", "x", "", "", "", 120, 1, 1, Settled)]),
];

#[test]
fn every_recording_has_a_row() {
    let recorded: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected: BTreeSet<_> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(recorded, expected);
    assert!(recorded.len() > 45);
}

#[test]
fn whole_recordings_read_right() {
    for row in ROWS {
        check(row, &read([load(row.0)]));
    }
}

#[test]
fn recordings_read_alike_byte_by_byte() {
    for row in ROWS.iter().filter(|row| row.1 < 20) {
        let body = load(row.0);
        check(row, &read((0..body.len()).map(|at| body.slice(at..=at))));
    }
}

proptest! {
    #[test]
    fn recordings_read_alike_in_random_chunks(
        row in 0..ROWS.len(),
        sizes in prop::collection::vec(1usize..3000, 1..40),
    ) {
        let mut rest = load(ROWS[row].0);
        let mut sizes = sizes.into_iter().cycle();
        let chunks = iter::from_fn(|| {
            let size = sizes.next()?.min(rest.len());
            (size > 0).then(|| rest.split_to(size))
        });
        check(&ROWS[row], &read(chunks));
    }
}

#[test]
fn subagents_name_their_parent() {
    let transcripts = read([load("srv_task")]);
    let sessions: Vec<_> = transcripts.iter().collect();
    assert_eq!(sessions[0].parent(), None);
    assert_eq!(sessions[1].parent(), Some(sessions[0].id()));
    assert!(sessions[1].title().unwrap().contains("subagent"), "{:?}", sessions[1].title());
}

#[test]
fn reasoning_is_not_text() {
    let transcripts = read([load("srv_reasoning")]);
    let session = transcripts.iter().next().unwrap();
    assert_eq!(session.reasoning(), "think think think think ");
}

#[test]
fn the_global_stream_reads_like_that_of_its_directory() {
    // Some recordings are of the global stream already.
    let is_global = |row: &Row| load(row.0).starts_with(b"data: {\"payload\"");
    assert!(ROWS.iter().any(is_global));
    for row in ROWS.iter().filter(|row| !is_global(row)) {
        // Every event in its envelope, and once more as `sync` repeats it.
        let mut body = String::new();
        for event in events([load(row.0)]) {
            let event = str::from_utf8(&event).unwrap();
            let sync = r#"{"type":"sync","syncEvent":{"type":"message.updated.1","data":{}}}"#;
            for payload in [event, sync] {
                body += &format!("data: {{\"directory\":\"/w\",\"payload\":{payload}}}\n\n");
            }
        }
        check(row, &read([body.into()]));
    }
}

fn check(Row(name, count, said): &Row, transcripts: &Transcripts) {
    assert_eq!(transcripts.iter().count(), *count, "{name}");
    for (said, session) in said.iter().zip(transcripts.iter()) {
        let Said(full_text, text, tools, errors, asks, tokens, steps, idle, activity) = said;
        assert_eq!(session.full_text(), *full_text, "{name}");
        assert_eq!(session.text(), *text, "{name}");
        assert_eq!(tool_list(session), *tools, "{name}");
        let names: Vec<_> = session.errors().iter().map(|error| error.name.as_str()).collect();
        assert_eq!(names.join(" "), *errors, "{name}");
        let kinds: Vec<_> = session.asks().iter().map(kind).collect();
        assert_eq!(kinds.join(" "), *asks, "{name}");
        assert_eq!(session.tokens().total, *tokens, "{name}");
        assert_eq!(session.cost() > 0.0, *tokens > 0, "{name}");
        assert_eq!(session.steps(), *steps, "{name}");
        assert_eq!(session.idle_count(), *idle, "{name}");
        assert_eq!(session.is_open(), *activity == Open, "{name}");
    }
}

fn tool_list(session: &Transcript) -> String {
    let tools: Vec<_> =
        session.tools().map(|tool| format!("{}:{}", tool.tool, tool.state.status())).collect();
    tools.join(" ")
}

fn kind(ask: &AskId) -> &'static str {
    match ask {
        AskId::Permission(_) => "permission",
        AskId::Question(_) => "question",
    }
}

fn read(chunks: impl IntoIterator<Item = Bytes>) -> Transcripts {
    let mut transcripts = Transcripts::new();
    for data in events(chunks) {
        let event = ServerEvent::decode(data);
        let is_read = !matches!(
            event.kind,
            ServerEventKind::Malformed { .. } | ServerEventKind::Unknown { .. }
        );
        assert!(is_read, "{event:?}");
        transcripts.apply(&event);
    }
    transcripts
}

fn events(chunks: impl IntoIterator<Item = Bytes>) -> impl Iterator<Item = Bytes> {
    let mut framer = SseFramer::new(64 << 20);
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(event) = framer.next_event() {
            if let SseEvent::Message { data, .. } = event {
                events.push(data);
            }
        }
    }
    events.into_iter()
}

fn load(name: &str) -> Bytes {
    fs::read(folder().join(name).with_extension("sse")).unwrap().into()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/1.18.33/server")
}
