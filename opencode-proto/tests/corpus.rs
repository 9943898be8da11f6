//! Every recording of `opencode run` replays to the right outcome, in any chunking.

// A test reads its recordings and needs an `Instant` to start from.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, iter};

use bytes::Bytes;
use opencode_proto::{Exit, Run, RunAction, RunEvent, RunEventKind, RunOutcome, RunSettings};
use proptest::prelude::*;
use serde::Deserialize;

/// Recording, end, text, full text, `tool:status` of every call, total tokens, steps.
struct Row(&'static str, &'static str, &'static str, &'static str, &'static str, u64, usize);

/// Stands for the text of `run_many_deltas`.
const AB: &str = "ab × 2000";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("run_200k_argv", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_abandoned", "completed", "The answer is 42.", "The answer is 42.", "", 110, 1),
    Row("run_abandoned_tool", "completed", "Whole.", "Whole.", "bash:error", 110, 1),
    Row("run_attach", "torn", "attached", "attached", "bash:completed", 120, 1),
    Row("run_attach_dead", "startup_error", "", "", "", 0, 0),
    Row("run_attach_dir", "completed", "end", "end", "bash:completed", 240, 2),
    Row("run_bad_config_json", "startup_error", "", "", "", 0, 0),
    Row("run_bad_config_schema", "startup_error", "", "", "", 0, 0),
    Row("run_bad_model_format", "agent_error", "", "", "", 0, 0),
    Row("run_close_nodone", "interrupted", "", "", "", 0, 1),
    Row("run_command", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_command_unknown", "agent_error", "", "", "", 0, 0),
    Row("run_compacted_after_answer", "completed", "Late answer.", "Early answer.Late answer.", "", 170_230, 3),
    Row("run_compacted_after_tools", "completed", "The answer.", "Looking.The answer.", "bash:completed", 170_230, 3),
    Row("run_dash_prompt", "startup_error", "", "", "", 0, 0),
    Row("run_dash_prompt_sep", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_dir_missing", "startup_error", "", "", "", 0, 0),
    Row("run_empty_answer", "completed", "", "", "", 120, 1),
    Row("run_empty_prompt", "startup_error", "", "", "", 0, 0),
    Row("run_err_401", "agent_error", "", "", "", 0, 0),
    Row("run_err_429_forever", "interrupted", "", "", "", 0, 0),
    Row("run_err_429_retryafter", "completed", "ok now", "ok now", "", 120, 1),
    Row("run_err_429_then_ok", "completed", "ok now", "ok now", "", 120, 1),
    Row("run_err_500_forever", "interrupted", "", "", "", 0, 0),
    Row("run_err_500_forever_10min", "agent_error", "", "", "", 0, 0),
    Row("run_err_500_then_ok", "completed", "ok now", "ok now", "", 120, 1),
    Row("run_file", "completed", "file", "file", "", 120, 1),
    Row("run_file_dir", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_file_missing", "startup_error", "", "", "", 0, 0),
    Row("run_file_swallows", "startup_error", "", "", "", 0, 0),
    Row("run_fin_length", "completed", "cut", "cut", "", 120, 1),
    Row("run_fork_alone", "startup_error", "", "", "", 0, 0),
    Row("run_format_default", "completed", "hello\nend", "hello\nend", "", 0, 0),
    Row("run_help_prompt_sep", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_malformed_stream", "agent_error", "", "", "", 0, 1),
    Row("run_many_deltas", "completed", AB, AB, "", 120, 1),
    Row("run_multi_argv", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_no_prompt", "startup_error", "", "", "", 0, 0),
    Row("run_noquote_single", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_overflow", "agent_error", "", "", "", 0, 0),
    Row("run_overflow_compacted", "completed", "The answer.", "The answer.", "", 220, 2),
    Row("run_overflow_compacted_resumed", "completed", "The answer.", "The answer.", "", 220, 2),
    Row("run_perm_ask", "permission_rejected", "", "", "bash:error", 120, 1),
    Row("run_perm_ask_auto", "completed", "after", "after", "bash:completed", 240, 2),
    Row("run_perm_deny", "completed", "after", "after", "invalid:completed", 240, 2),
    Row("run_pwd_env", "completed", "ok", "ok", "bash:completed", 240, 2),
    Row("run_pwd_env_dirflag", "completed", "ok", "ok", "bash:completed", 240, 2),
    Row("run_question", "completed", "after", "after", "invalid:completed", 240, 2),
    Row("run_reason", "completed", "answer", "answer", "", 120, 1),
    Row("run_reset", "interrupted", "", "", "", 0, 1),
    Row("run_sess1", "completed", "one", "one", "", 120, 1),
    Row("run_sess_continue", "completed", "two", "two", "", 120, 1),
    Row("run_sess_id", "completed", "three", "three", "", 120, 1),
    Row("run_sess_otherdir", "interrupted", "", "", "", 0, 0),
    Row("run_sess_unknown", "startup_error", "", "", "", 0, 0),
    Row("run_sess_unknown2", "startup_error", "", "", "", 0, 0),
    Row("run_sigHUP", "interrupted", "go", "go", "", 0, 1),
    Row("run_sigHUP_default", "torn", "go", "go", "", 0, 1),
    Row("run_sigINT", "interrupted", "go", "go", "", 0, 1),
    Row("run_sigINT_default", "torn", "go", "go", "", 0, 1),
    Row("run_sigKILL", "interrupted", "go", "go", "", 0, 1),
    Row("run_sigKILL_default", "torn", "go", "go", "", 0, 1),
    Row("run_sigPGKILL_default", "torn", "go", "go", "", 0, 1),
    Row("run_sigTERM", "interrupted", "go", "go", "", 0, 1),
    Row("run_sigTERM_default", "torn", "go", "go", "", 0, 1),
    Row("run_stall_midstream", "interrupted", "", "", "", 0, 1),
    Row("run_stall_noheaders", "interrupted", "", "", "", 0, 0),
    Row("run_stdin_and_argv", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_stdin_empty_pipe", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_stdin_open_pipe", "interrupted", "", "", "", 0, 0),
    Row("run_stdin_pty", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_subagent_as_agent", "agent_replaced", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_text", "completed", "Hello Hello Hello Hello Hello ", "Hello Hello Hello Hello Hello ", "", 120, 1),
    Row("run_text_cold_defaultenv", "completed", "Hello world", "Hello world", "", 120, 1),
    Row("run_text_warm_defaultenv", "completed", "Hello world", "Hello world", "", 120, 1),
    Row("run_tool_bash", "completed", "Ran.", "I will run it.Ran.", "bash:completed", 240, 2),
    Row("run_tool_error_missing", "completed", "done", "done", "read:error", 240, 2),
    Row("run_tool_invalid_args", "completed", "done", "done", "bash:error", 240, 2),
    Row("run_tool_slow", "completed", "ok", "ok", "bash:completed", 240, 2),
    Row("run_tool_unknown", "completed", "done", "done", "invalid:completed", 240, 2),
    Row("run_unknown_agent", "agent_replaced", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_unknown_config_key", "completed", "Hello from mock", "Hello from mock", "", 120, 1),
    Row("run_unknown_flag", "startup_error", "", "", "", 0, 0),
    Row("run_unknown_model", "agent_error", "", "", "", 0, 0),
];

#[test]
fn every_recording_has_a_row() {
    let recorded: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected: BTreeSet<_> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(recorded, expected);
    assert!(recorded.len() > 70);
}

#[test]
fn whole_recordings_replay_to_the_right_outcome() {
    for row in ROWS {
        let recording = Recording::load(row.0);
        check(row, &replay(&recording, [recording.stdout.clone()]));
    }
}

#[test]
fn recordings_replay_alike_byte_by_byte() {
    for row in ROWS {
        let recording = Recording::load(row.0);
        let bytes = (0..recording.stdout.len()).map(|at| recording.stdout.slice(at..=at));
        let (outcome, events) = replay(&recording, bytes);
        assert_eq!(events, replay(&recording, [recording.stdout.clone()]).1, "{}", row.0);
        check(row, &(outcome, events));
    }
}

#[test]
fn an_abandoned_attempt_is_voided_by_an_event_and_kept_apart() {
    let recording = Recording::load("run_abandoned");
    let (outcome, events) = replay(&recording, [recording.stdout.clone()]);
    let types: Vec<_> = events.iter().map(RunEvent::event_type).collect();
    let expected = [
        "step_start",
        "reasoning",
        "attempt_abandoned",
        "step_start",
        "reasoning",
        "text",
        "step_finish",
    ];
    assert_eq!(types, expected);
    let [RunEventKind::Reasoning(void), RunEventKind::AttemptAbandoned(abandoned)] =
        [&events[1].kind, &events[2].kind]
    else {
        panic!("{events:?}")
    };
    assert_eq!(abandoned.parts, [void.key.part.clone().unwrap()]);
    assert_eq!(outcome.answer.reasoning(), "Think right. ");
    let [step] = outcome.answer.steps() else { panic!("{:?}", outcome.answer) };
    assert_eq!(step.abandoned()[0].reasoning, "Think wrong. ");

    // A log of these events replays to the same.
    let log: Vec<_> = events.iter().flat_map(|event| [event.to_json_line(), "\n".into()]).collect();
    let (again, replayed) = replay(&recording, [log.concat().into()]);
    assert_eq!(replayed.len(), events.len());
    assert_eq!(again.answer.reasoning(), outcome.answer.reasoning());
}

proptest! {
    #[test]
    fn recordings_replay_alike_in_random_chunks(
        row in 0..ROWS.len(),
        sizes in prop::collection::vec(1usize..3000, 1..40),
    ) {
        let recording = Recording::load(ROWS[row].0);
        let mut rest = recording.stdout.clone();
        let mut sizes = sizes.into_iter().cycle();
        let chunks = iter::from_fn(|| {
            let size = sizes.next()?.min(rest.len());
            (size > 0).then(|| rest.split_to(size))
        });
        check(&ROWS[row], &replay(&recording, chunks));
    }
}

fn check(row: &Row, (outcome, events): &(RunOutcome, Vec<RunEvent>)) {
    let Row(name, end, text, full_text, tools, tokens, steps) = row;
    let many = "ab ".repeat(2000);
    let expected = |text: &'static str| if text == AB { many.as_str() } else { text };
    let answer = &outcome.answer;
    let called: Vec<_> = answer
        .tools()
        .iter()
        .map(|tool| format!("{}:{}", tool.tool, tool.state.status()))
        .collect();
    assert_eq!(outcome.end.name(), *end, "{name}: {}", outcome.end);
    assert_eq!(answer.text(), expected(text), "{name}");
    assert_eq!(answer.full_text(), expected(full_text), "{name}");
    assert_eq!(called.join(" "), *tools, "{name}");
    assert_eq!(answer.tokens().total, *tokens, "{name}");
    assert_eq!(answer.steps().len(), *steps, "{name}");
    assert_eq!(answer.cost() > 0.0, *tokens > 0, "{name}");
    assert_eq!(outcome.lines.unknown + outcome.lines.malformed, 0, "{name}");
    let is_printed = |event: &&RunEvent| !matches!(event.kind, RunEventKind::AttemptAbandoned(_));
    let printed = events.iter().filter(is_printed).filter(|event| event.session.is_some()).count();
    assert_eq!(printed as u64, outcome.lines.events, "{name}: every event names its session");
}

struct Recording {
    stdout: Bytes,
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    rc: Option<i32>,
    stderr: String,
}

impl Recording {
    fn load(name: &str) -> Self {
        let path = folder().join(name);
        // Some recordings were made without noting how the process ended.
        let meta = match fs::read(path.with_extension("meta.json")) {
            Ok(meta) => serde_json::from_slice(&meta).unwrap(),
            Err(_) => Meta::default(),
        };
        Self { stdout: fs::read(path.with_extension("jsonl")).unwrap().into(), meta }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/1.18.33/run")
}

fn replay(
    recording: &Recording,
    chunks: impl IntoIterator<Item = Bytes>,
) -> (RunOutcome, Vec<RunEvent>) {
    let now = Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    for chunk in chunks {
        run.handle_stdout(chunk, now);
    }
    run.handle_stderr(Bytes::copy_from_slice(recording.meta.stderr.as_bytes()), now);
    run.handle_stdout_end(now);
    run.handle_stderr_end(now);
    run.handle_exit(
        recording.meta.rc.map(|rc| if rc < 0 { Exit::Signal(-rc) } else { Exit::Code(rc) }),
        now,
    );
    let mut events = Vec::new();
    loop {
        match run.poll_action() {
            RunAction::Event(event) => events.push(*event),
            RunAction::Finished(outcome) => return (*outcome, events),
            RunAction::Signal(_) | RunAction::Sweep => {}
            RunAction::Wait(_) => panic!("nothing is left to wait for"),
        }
    }
}
