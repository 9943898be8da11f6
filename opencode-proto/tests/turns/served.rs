//! A turn as a run: line by line what `opencode run --format json` would have printed.

#![allow(clippy::disallowed_types, reason = "a test compares lines whatever they say")]

use http::Response;
use opencode_config::{Reasoning, RunConfig, RunFlags};
use opencode_proto::{
    Answer, Exit, PartId, Run, RunAction, RunEvent, RunEventKind, RunOutcome, RunSettings,
    ServedRun, ServedRunAction, ServedRunRequest, ServerEventKind, SessionId, SessionStatus,
    StreamedText,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::player::{Ended, Gaps, Play, play};
use super::server::Recording;
use super::{ROWS, Row};

const NOW_MS: u64 = 1_795_232_513_623;

/// The lines that OpenCode would print from where the prompt is told until the session is idle,
/// without their time.
fn printed(recording: &Recording, session: &SessionId, from: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    for frame in &recording.frames[from..] {
        if frame.event.session.as_ref() != Some(session) {
            continue;
        }
        if let ServerEventKind::SessionStatus(SessionStatus::Idle) = &frame.event.kind {
            break;
        }
        let event: Value = serde_json::from_slice(&frame.event.raw).unwrap();
        let (part, error) = (&event["properties"]["part"], &event["properties"]["error"]);
        let event_type = match (event["type"].as_str().unwrap(), part["type"].as_str()) {
            ("session.error", _) => {
                lines.push(
                    json!({ "type": "error", "sessionID": session.as_str(), "error": error }),
                );
                continue;
            }
            ("message.part.updated", Some("tool"))
                if ["completed", "error"].map(Some).contains(&part["state"]["status"].as_str()) =>
            {
                "tool_use"
            }
            ("message.part.updated", Some("step-start")) => "step_start",
            ("message.part.updated", Some("step-finish")) => "step_finish",
            ("message.part.updated", Some(kind @ ("text" | "reasoning")))
                if part["time"]["end"].is_u64() =>
            {
                kind
            }
            _ => continue,
        };
        lines.push(json!({ "type": event_type, "sessionID": session.as_str(), "part": part }));
    }
    lines
}

/// The turn as a run: its lines without their time, its text by deltas, and what it came to.
struct Told {
    lines: Vec<Value>,
    streamed: String,
    /// Parts of abandoned attempts.
    void: Vec<PartId>,
    outcome: RunOutcome,
}

fn told(ended: &Ended) -> Told {
    let now = std::time::Instant::now();
    let flags = RunFlags::new().with_reasoning(Reasoning::Show);
    let config = RunConfig::new().with_flags(flags);
    let mut run = ServedRun::new(ServedRunRequest::new("", &config, RunSettings::new()), now);
    run.handle_server_ready(now, now);
    let session = ended.outcome.transcript.id();
    let mut void = Vec::new();
    let (mut lines, mut streamed, mut outcome) = (Vec::new(), StreamedText::new(), None);
    let mut take = |run: &mut ServedRun| {
        loop {
            let event = match run.poll_action() {
                ServedRunAction::Call(call) => {
                    let created = json!({ "id": session.as_str() }).to_string();
                    run.handle_reply(call.id, Ok(Response::new(created.into())), now);
                    continue;
                }
                ServedRunAction::CancelTurn | ServedRunAction::Send(_) => continue,
                ServedRunAction::Event(event) => event,
                ServedRunAction::Finished(finished) => {
                    outcome = Some(*finished);
                    continue;
                }
                ServedRunAction::Wait(_) => return,
            };
            streamed.handle_run_event(&event);
            if let RunEventKind::AttemptAbandoned(abandoned) = &event.kind {
                void.extend(abandoned.parts.iter().cloned());
            }
            // A log of the run reads the same.
            let again = RunEvent::decode(event.to_json_line());
            assert_eq!((&again.kind, &again.session), (&event.kind, &event.session));
            assert!(!event.raw.contains(&b'\n'), "a line is one line");
            let is_printed = !matches!(
                event.kind,
                RunEventKind::AttemptAbandoned(_)
                    | RunEventKind::Notice(_)
                    | RunEventKind::TextDelta(_)
            );
            if is_printed {
                let mut line: Value = serde_json::from_slice(&event.raw).unwrap();
                assert_eq!(line.as_object_mut().unwrap().remove("timestamp"), Some(NOW_MS.into()));
                lines.push(line);
            }
        }
    };
    take(&mut run);
    for event in &ended.events {
        run.handle_turn_event(event, NOW_MS);
        take(&mut run);
    }
    run.handle_turn_end(session, &ended.outcome.end, NOW_MS, now);
    take(&mut run);
    let streamed = streamed.to_str().into_owned();
    Told { lines, streamed, void, outcome: outcome.expect("the run is over") }
}

/// What a process comes to that prints these lines.
fn answer_of(lines: &[Value]) -> Answer {
    let now = std::time::Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    for line in lines {
        run.handle_stdout(format!("{line}\n").into(), now);
    }
    run.handle_stdout_end(now);
    run.handle_stderr_end(now);
    run.handle_exit(Some(Exit::Code(0)), now);
    loop {
        if let RunAction::Finished(outcome) = run.poll_action() {
            return outcome.answer;
        }
    }
}

fn is_error(line: &Value) -> bool {
    line["type"] == "error"
}

#[test]
fn a_turn_prints_what_a_process_prints() {
    for Row(name, ends, _) in ROWS {
        let recording = Recording::load(name);
        for index in 0..ends.len() {
            let (session, _, from) = recording.prompts().swap_remove(index);
            let told = told(&play(name, index, &Play::plain()));
            let expected = printed(&recording, &session, from);
            let (lines, late) = told.lines.split_at(expected.len().min(told.lines.len()));
            assert_eq!(lines, expected, "{name} {index}");
            // A process has left before it is told that it was aborted, or a second time why it
            // failed.
            let is_aborted = ends[index].0 == "aborted";
            assert!(late.iter().all(|line| is_error(line) || is_aborted), "{name}: {late:#?}");
        }
    }
}

#[test]
fn an_end_is_the_same_for_a_turn_and_for_the_run_it_is() {
    for Row(name, ends, _) in ROWS {
        for (index, (end, text)) in ends.iter().enumerate() {
            let outcome = told(&play(name, index, &Play::plain())).outcome;
            let expected = if *end == "rejected" { "permission_rejected" } else { end };
            assert_eq!(outcome.end.name(), expected, "{name} {index}");
            if *end == "completed" {
                assert_eq!(outcome.answer.text(), *text, "{name} {index}");
            }
            let notices =
                usize::from(name.starts_with("srv_perm_") && !name.contains("othersession"));
            assert!(outcome.notices.len() >= notices, "{name} {index}: {:?}", outcome.notices);
        }
    }
}

fn check_chunks(row: usize, index: usize, seed: u64, gaps: Gaps) {
    let Row(name, ends, all) = &ROWS[row];
    // Nobody is left who could be asked what was missed.
    if gaps == Gaps::Some && name.starts_with("srv_kill") {
        return;
    }
    let index = index % ends.len();
    let plain = told(&play(name, index, &Play::plain()));
    let told = told(&play(name, index, &Play::random(seed, gaps)));
    let whole = super::streamed(ends[index].1, all);
    assert_eq!(told.streamed, whole, "{name} {index}: by deltas");

    let void = told.void;
    let mut lines: Vec<_> = told.lines.into_iter().filter(|line| !is_error(line)).collect();
    let mut expected = plain.lines;
    expected.retain(|line| !is_error(line));
    if gaps == Gaps::None {
        assert_eq!(lines, expected, "{name} {index}");
    }
    // What was looked up is written anew, and in another order: it says the same.
    let (told, printed) = (answer_of(&lines), answer_of(&expected));
    assert_eq!(told.full_text(), printed.full_text(), "{name} {index}");
    assert_eq!(told.reasoning(), printed.reasoning(), "{name} {index}");
    assert_eq!((told.tokens(), told.cost()), (printed.tokens(), printed.cost()), "{name} {index}");
    let by_call = |answer: &Answer| {
        let mut tools = answer.tools().to_vec();
        tools.sort_by(|one, other| one.call.as_str().cmp(other.call.as_str()));
        tools
    };
    assert_eq!(by_call(&told), by_call(&printed), "{name} {index}");
    // A part that is void when its end is found is not printed any more.
    let is_void = |line: &Value| void.iter().any(|part| line["part"]["id"] == part.as_str());
    lines.retain(|line| !is_void(line));
    expected.retain(|line| !is_void(line));
    let by_part = |line: &Value| line["part"]["id"].to_string();
    lines.sort_by_key(by_part);
    expected.sort_by_key(by_part);
    let types =
        |lines: &[Value]| -> Vec<Value> { lines.iter().map(|line| line["type"].clone()).collect() };
    assert_eq!(types(&lines), types(&expected), "{name} {index}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_of_any_size_give_the_same_lines(
        row in 0..ROWS.len(), index in any::<usize>(), seed in any::<u64>(),
    ) {
        check_chunks(row, index, seed, Gaps::None);
    }

    #[test]
    fn what_a_gap_swallows_is_printed_all_the_same(
        row in 0..ROWS.len(), index in any::<usize>(), seed in any::<u64>(),
    ) {
        check_chunks(row, index, seed, Gaps::Some);
    }
}
