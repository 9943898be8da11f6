use bytes::Bytes;

use super::*;
use crate::server_event::{ServerEvent, ServerEventKind};

/// Returns the transcript of session `s` after these events, each `(type, properties without the
/// session)`.
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
fn a_delta_of_another_field_is_not_text() {
    let begun =
        part(r#""part":{"id":"p","messageID":"m2","type":"text","text":"a","time":{"start":1}}"#);
    let delta =
        ("message.part.delta", r#""messageID":"m2","partID":"p","field":"title","delta":"x""#);
    assert_eq!(told(&[ASSISTANT, begun, delta]).text(), "a");
}

#[test]
fn the_text_of_the_user_is_not_the_answer() {
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
fn a_summary_is_paid_for_and_is_not_the_answer() {
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
fn a_tool_call_counts_once_with_its_last_state() {
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
fn removed_messages_and_parts_are_gone() {
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

fn step_start(id: &str) -> (&'static str, String) {
    let part = format!(r#""part":{{"id":"{id}","messageID":"m2","type":"step-start"}}"#);
    ("message.part.updated", part)
}

fn step_finish(id: &str) -> (&'static str, String) {
    let part =
        format!(r#""part":{{"id":"{id}","messageID":"m2","type":"step-finish","reason":"stop"}}"#);
    ("message.part.updated", part)
}

/// A text or reasoning part; final with an `end`.
fn growing(kind: &str, id: &str, text: &str, end: Option<u64>) -> (&'static str, String) {
    let end = end.map(|end| format!(r#","end":{end}"#)).unwrap_or_default();
    let part = format!(
        r#""part":{{"id":"{id}","messageID":"m2","type":"{kind}","text":"{text}","time":{{"start":1{end}}}}}"#
    );
    ("message.part.updated", part)
}

fn delta(id: &str, text: &str) -> (&'static str, String) {
    let delta = format!(r#""messageID":"m2","partID":"{id}","field":"text","delta":"{text}""#);
    ("message.part.delta", delta)
}

fn owned(event: (&'static str, &str)) -> (&'static str, String) {
    (event.0, event.1.to_owned())
}

const RETRY: (&str, &str) =
    ("session.status", r#""status":{"type":"retry","attempt":1,"message":"m","next":9}"#);

fn after(events: &[(&'static str, String)]) -> Transcript {
    let events: Vec<_> = events.iter().map(|(event_type, rest)| (*event_type, &**rest)).collect();
    told(&events)
}

/// The events of the real program, when a provider resets the connection in the middle of a text.
fn repeated_call() -> Vec<(&'static str, String)> {
    vec![
        owned(ASSISTANT),
        step_start("p1"),
        growing("reasoning", "p2", "", None),
        delta("p2", "Wrong. "),
        growing("reasoning", "p2", "Wrong. ", Some(2)),
        growing("text", "p3", "", None),
        delta("p3", "It is forty"),
        owned(RETRY),
        step_start("p4"),
        growing("reasoning", "p5", "Right. ", Some(2)),
        growing("text", "p6", "", None),
        delta("p6", "It is 42."),
        growing("text", "p6", "It is 42.", Some(3)),
        step_finish("p7"),
    ]
}

#[test]
fn an_abandoned_attempt_is_kept_apart_from_the_answer() {
    let events = repeated_call();
    let transcript = after(&events);
    assert_eq!((&*transcript.text(), &*transcript.full_text()), ("It is 42.", "It is 42."));
    assert_eq!(transcript.reasoning(), "Right. ");
    let [message] = transcript.messages() else { panic!("{transcript:?}") };
    let [attempt] = &message.abandoned()[..] else { panic!("{message:?}") };
    assert_eq!((&*attempt.text, &*attempt.reasoning), ("It is forty", "Wrong. "));

    // Both signs alone tell the same, and at once.
    let without_retry: Vec<_> = events.iter().filter(|event| event.0 != RETRY.0).cloned().collect();
    assert_eq!(after(&without_retry).text(), "It is 42.");
    assert_eq!(after(&events[..7]).text(), "It is forty");
    assert_eq!(after(&events[..8]).text(), "", "void at the retry");
    assert_eq!(after(&without_retry[..8]).text(), "", "void at the next start");
}

#[test]
fn deltas_of_an_abandoned_attempt_that_come_late_are_not_the_answer() {
    let mut events = repeated_call();
    events.extend([delta("p3", " and"), growing("text", "p3", "It is forty and", Some(9))]);
    let transcript = after(&events);
    assert_eq!(transcript.text(), "It is 42.");
    assert_eq!(transcript.messages()[0].abandoned()[0].text, "It is forty and");
}

#[test]
fn a_start_that_comes_after_its_text_abandons_nothing() {
    let text = growing("text", "p2", "It is 42.", Some(2));
    let transcript = after(&[owned(ASSISTANT), text, step_start("p1"), step_finish("p3")]);
    assert_eq!(transcript.text(), "It is 42.");
}

#[test]
fn steps_that_finish_are_no_attempts() {
    let (first, second) =
        (growing("text", "p2", "a", Some(2)), growing("text", "p5", "b", Some(2)));
    let events =
        [owned(ASSISTANT), step_start("p1"), first, step_finish("p3"), step_start("p4"), second];
    assert_eq!(after(&events).text(), "ab");
}

#[test]
fn a_retry_before_the_first_token_abandons_nothing_of_a_finished_message() {
    let mut events = vec![owned(ASSISTANT), step_start("p1"), growing("text", "p2", "a", Some(2))];
    events.extend([step_finish("p3"), owned(RETRY)]);
    assert_eq!(after(&events).text(), "a");
    let completed = r#""info":{"id":"m2","role":"assistant","time":{"completed":9}}"#;
    let mut events = events[..3].to_vec();
    events.extend([("message.updated", completed.to_owned()), owned(RETRY)]);
    assert_eq!(after(&events).text(), "a");
}

#[test]
fn after_missed_events_unended_texts_of_a_complete_message_are_abandoned() {
    let completed = r#""info":{"id":"m2","role":"assistant","time":{"completed":9}}"#;
    let listed = |parts: &[(&'static str, String)]| {
        let mut transcript = told(&[("message.updated", completed)]);
        for (event_type, part) in parts {
            let event =
                format!(r#"{{"type":"{event_type}","properties":{{"sessionID":"s",{part}}}}}"#);
            let event = ServerEvent::decode(event.into());
            let ServerEventKind::PartUpdated(part) = event.kind else { panic!("{event:?}") };
            transcript.update_part(&part, Told::Look).unwrap();
        }
        assert_eq!(transcript.abandon_unended(&"m2".into()), None, "no event was missed");
        transcript.interrupt();
        let abandoned = transcript.abandon_unended(&"m2".into());
        let text = (transcript.text().into_owned(), transcript.reasoning().into_owned());
        (abandoned.map(|abandoned| abandoned.parts), text)
    };
    let ended = growing("reasoning", "p2", "Hm. ", Some(2));
    let unended = growing("text", "p3", "It is forty", None);
    let (start, finish) = (step_start("p1"), step_finish("p4"));

    let (parts, text) = listed(&[start.clone(), ended.clone(), unended.clone()]);
    assert_eq!(parts.unwrap(), ["p2", "p3"]);
    assert_eq!(text, Default::default());
    let kept = ("It is forty".to_owned(), "Hm. ".to_owned());
    assert_eq!(listed(&[start.clone(), ended.clone(), unended, finish]), (None, kept));
    assert_eq!(listed(&[start, ended]), (None, (String::new(), "Hm. ".to_owned())));
}

#[test]
fn a_transcript_serializes_with_its_messages() {
    let json = serde_json::to_string(&after(&repeated_call())).unwrap();
    assert!(
        json.starts_with(r#"{"id":"s","parentID":null,"title":null,"text":"It is 42.","#),
        "{json}"
    );
    assert!(
        json.contains(r#""abandoned":[{"text":"It is forty","reasoning":"Wrong. "}]"#),
        "{json}"
    );
}
