use bytes::Bytes;

use super::*;

/// The transcript of session `s` after these events, each `(type, properties without the session)`.
fn told(events: &[(&str, &str)]) -> Transcript {
    let mut transcripts = Transcripts::new();
    for (event_type, properties) in events {
        let event = format!(
            r#"{{"type":"{event_type}","properties":{{"sessionID":"s"{}{properties}}}}}"#,
            if properties.is_empty() { "" } else { "," },
        );
        transcripts.apply(&ServerEvent::decode(event.into()));
    }
    transcripts.session(&"s".into()).unwrap().clone()
}

const ASSISTANT: (&str, &str) = (
    "message.updated",
    r#""info":{"id":"m2","role":"assistant","parentID":"m1","cost":1,"tokens":{"input":5}}"#,
);
const USER: (&str, &str) = ("message.updated", r#""info":{"id":"m1","role":"user"}"#);

fn part(rest: &'static str) -> (&'static str, &'static str) {
    ("message.part.updated", rest)
}

#[test]
fn deltas_build_a_text_and_the_final_snapshot_wins() {
    let begun =
        part(r#""part":{"id":"p","messageID":"m2","type":"text","text":"","time":{"start":1}}"#);
    let delta =
        ("message.part.delta", r#""messageID":"m2","partID":"p","field":"text","delta":"ab""#);
    let done = part(
        r#""part":{"id":"p","messageID":"m2","type":"text","text":"abX","time":{"start":1,"end":2}}"#,
    );
    assert_eq!(told(&[ASSISTANT, begun, delta, delta]).text(), "abab");
    assert_eq!(told(&[ASSISTANT, begun, delta, delta, done]).text(), "abX");
    assert_eq!(told(&[ASSISTANT, done, done]).full_text(), "abX");
}

#[test]
fn a_delta_may_come_before_its_part() {
    let begun =
        part(r#""part":{"id":"p","messageID":"m2","type":"text","text":"","time":{"start":1}}"#);
    let thought = part(
        r#""part":{"id":"p","messageID":"m2","type":"reasoning","text":"","time":{"start":1}}"#,
    );
    let delta =
        ("message.part.delta", r#""messageID":"m2","partID":"p","field":"text","delta":"ab""#);
    assert_eq!(told(&[delta, begun, ASSISTANT]).text(), "ab");
    let transcript = told(&[ASSISTANT, delta, thought, delta]);
    assert_eq!((transcript.text().as_ref(), transcript.reasoning().as_ref()), ("", "abab"));
    assert_eq!(told(&[ASSISTANT, delta]).text(), "", "it may be reasoning");
}

#[test]
fn a_delta_of_another_field_is_no_text() {
    let begun =
        part(r#""part":{"id":"p","messageID":"m2","type":"text","text":"a","time":{"start":1}}"#);
    let delta =
        ("message.part.delta", r#""messageID":"m2","partID":"p","field":"title","delta":"x""#);
    assert_eq!(told(&[ASSISTANT, begun, delta]).text(), "a");
}

#[test]
fn the_users_own_text_is_no_answer() {
    let prompt = part(r#""part":{"id":"p","messageID":"m1","type":"text","text":"why?"}"#);
    let transcript = told(&[USER, prompt, ASSISTANT]);
    assert_eq!((transcript.full_text().as_ref(), transcript.steps()), ("", 1));
    assert_eq!(transcript.messages()[0].text(), "why?");
}

#[test]
fn a_repeated_message_counts_once() {
    let transcript = told(&[ASSISTANT, ASSISTANT, ASSISTANT]);
    assert_eq!((transcript.tokens().total, transcript.cost(), transcript.steps()), (5, 1.0, 1));
}

#[test]
fn a_summary_is_no_answer_and_is_paid_for() {
    let summary = (
        "message.updated",
        r#""info":{"id":"m2","role":"assistant","summary":true,"tokens":{"input":5}}"#,
    );
    let text = part(
        r#""part":{"id":"p","messageID":"m2","type":"text","text":"so far","time":{"start":1,"end":2}}"#,
    );
    let transcript = told(&[summary, text]);
    assert_eq!((transcript.full_text().as_ref(), transcript.tokens().total), ("", 5));
}

#[test]
fn a_tool_call_is_told_once_with_its_last_state() {
    let pending = part(
        r#""part":{"id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c","state":{"status":"pending","input":{}}}"#,
    );
    let done = part(
        r#""part":{"id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c","state":{"status":"completed","input":{},"output":"o"}}"#,
    );
    let transcript = told(&[ASSISTANT, pending, done]);
    let tools: Vec<_> = transcript.tools().map(|tool| tool.state.status()).collect();
    assert_eq!(tools, ["completed"]);
}

#[test]
fn what_is_removed_is_gone() {
    let text = part(
        r#""part":{"id":"p","messageID":"m2","type":"text","text":"a","time":{"start":1,"end":2}}"#,
    );
    let part_removed = ("message.part.removed", r#""messageID":"m2","partID":"p""#);
    let message_removed = ("message.removed", r#""messageID":"m2""#);
    assert_eq!(told(&[ASSISTANT, text, part_removed]).text(), "");
    let transcript = told(&[ASSISTANT, text, message_removed]);
    assert_eq!((transcript.text().as_ref(), transcript.steps()), ("", 0));
}

#[test]
fn an_error_of_a_message_counts_unless_it_was_reported() {
    let reported = ("session.error", r#""error":{"name":"APIError","data":{"message":"m"}}"#);
    let failed = (
        "message.updated",
        r#""info":{"id":"m2","role":"assistant","error":{"name":"APIError","data":{"message":"m"}}}"#,
    );
    assert_eq!(told(&[reported, failed, failed]).errors().len(), 1);
    assert_eq!(told(&[failed, failed]).errors().len(), 1);
    assert_eq!(told(&[reported, reported]).errors().len(), 2);
}

#[test]
fn a_session_is_open_while_it_works() {
    let status = |status: &'static str| ("session.status", status);
    let busy = status(r#""status":{"type":"busy"}"#);
    let retry = status(r#""status":{"type":"retry","attempt":1,"message":"","next":1}"#);
    let idle = status(r#""status":{"type":"idle"}"#);
    assert!(!told(&[USER]).is_open());
    assert!(told(&[busy]).is_open());
    assert!(told(&[busy, retry]).is_open());
    assert!(!told(&[busy, idle]).is_open());
    assert!(!told(&[busy, ("session.idle", "")]).is_open());
    assert!(!told(&[busy, ("session.deleted", r#""info":{"id":"s"}"#)]).is_open());
}

#[test]
fn nothing_keeps_a_chunk_alive() {
    let chunk = Bytes::from(
        r#"{"type":"message.updated","properties":{"sessionID":"s","info":{"id":"m","role":"assistant","error":{"name":"E"},"structured":[1]}}}"#
            .to_owned(),
    );
    let mut transcripts = Transcripts::new();
    transcripts.apply(&ServerEvent::decode(chunk.clone()));
    assert!(chunk.is_unique());
}

#[test]
fn an_error_that_is_reported_after_its_message_counts_once() {
    let error = r#"{"name":"UnknownError","data":{"message":"no"}}"#;
    let message =
        format!(r#""info":{{"id":"m2","role":"assistant","parentID":"m1","error":{error}}}"#);
    let report = format!(r#""error":{error}"#);
    let (message, report) = (("message.updated", &*message), ("session.error", &*report));
    assert_eq!(told(&[message, report]).errors().len(), 1);
    assert_eq!(told(&[report, message]).errors().len(), 1);
    assert_eq!(told(&[message, report, report]).errors().len(), 2, "reported twice");
}
