#![allow(clippy::disallowed_types, reason = "expected JSON is written as values")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::hub::Interruption;
use crate::transcript::{TextKind, Transcript};
use crate::{RawJson, RunEvent, RunEventKind};

fn event(kind: TurnEventKind) -> TurnEvent {
    TurnEvent {
        session: "ses_1".into(),
        origin: Origin::Subagent,
        step: StepRole::Answer,
        kind,
        source: None,
    }
}

fn value(of: &impl Serialize) -> Value {
    let text = serde_json::to_string(of).expect("JSON");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn an_event_has_a_type_and_data() {
    let delta = TurnEventKind::PartDelta {
        message: Some("msg_1".into()),
        part: "prt_1".into(),
        kind: TextKind::Text,
        delta: "Hel".into(),
    };
    assert_eq!(
        value(&event(delta)),
        json!({
            "sessionID": "ses_1", "origin": "subagent", "step": "answer", "type": "part_delta",
            "data": {
                "messageID": "msg_1", "partID": "prt_1", "kind": "text", "delta": "Hel"
            }
        })
    );
    let lost = TurnEventKind::ConnectionLost(Interruption::Closed);
    assert_eq!(value(&event(lost))["data"], json!("the server closed the event stream"));
    let compacted = value(&event(TurnEventKind::Compacted));
    assert_eq!((&compacted["type"], compacted.get("data")), (&json!("compacted"), None));
}

#[test]
fn an_event_has_the_part_as_opencode_writes_parts() {
    let line = r#"{"type":"text","part":{"id":"prt_1","type":"text","text":"Hi"}}"#;
    let RunEventKind::Text(part) = RunEvent::decode(line.into()).kind else {
        panic!("a text part")
    };
    let added = TurnEventKind::PartAdded(crate::Part::Text(part));
    let data = &value(&event(added))["data"];
    assert_eq!((&data["type"], &data["text"]), (&json!("text"), &json!("Hi")));
}

#[test]
fn an_event_of_another_type_has_its_source() {
    let text = r#"{"type":"lsp.updated","properties":{}}"#;
    let source = Some(Arc::new(ServerEvent::decode(text.into())));
    let other = TurnEvent { source: source.clone(), ..event(TurnEventKind::Other) };
    assert_eq!(value(&other)["source"]["type"], "lsp.updated");
    let known = TurnEvent { source, ..event(TurnEventKind::Compacted) };
    assert_eq!(value(&known).get("source"), None);
}

#[test]
fn an_end_has_a_type_a_message_and_the_error() {
    assert_eq!(
        value(&TurnEnd::TimedOut { deadline: Deadline::Idle, failure: None }),
        json!({
            "type": "timed_out", "message": "timed out: no event within the idle deadline",
            "deadline": "idle"
        })
    );
    let raw = RawJson::parse("{}").expect("JSON");
    let error = AgentError::new("UnknownError", "Overloaded".to_owned(), raw);
    let end = value(&TurnEnd::AgentError(Box::new(error)));
    assert_eq!(end["type"], "agent_error");
    assert_eq!(end["error"]["data"]["message"], "Overloaded");
}

#[test]
fn an_outcome_has_text_spend_and_transcripts() {
    let outcome = TurnOutcome {
        end: TurnEnd::Completed,
        message: "msg_1".into(),
        transcript: Transcript::new("ses_1".into()),
        children: vec![Transcript::new("ses_2".into())],
        answered_with: vec!["msg_3".into()],
        still_running: vec!["ses_2".into()],
        gaps: 1,
        elapsed: Duration::from_millis(1500),
        version: Some(crate::Version::new(1, 18, 33)),
    };
    let json = value(&outcome);
    assert_eq!(json["end"], json!({ "type": "completed", "message": "completed" }));
    assert_eq!(json["version"], "1.18.33");
    assert_eq!(json["children"][0]["id"], "ses_2");
    assert_eq!(json["answered_with"], json!(["msg_3"]));
    assert_eq!(json["still_running"], json!(["ses_2"]));
    assert_eq!((&json["gaps"], &json["elapsed_ms"]), (&json!(1), &json!(1500)));
    assert_eq!((&json["spend"]["cost"], json.get("structured")), (&json!(0.0), None));
}
