//! Summaries that the application asks for.

use super::*;
use crate::{SummarizeRequest, TurnEventKind};

const COMPACTION: &str =
    r#""part":{"id":"p1","messageID":"msg_5","type":"compaction","auto":false}"#;
const REQUEST: &str = r#""info":{"id":"msg_5","role":"user"}"#;
const SUMMARY: &str =
    r#""info":{"id":"msg_6","role":"assistant","parentID":"msg_5","summary":true"#;

fn sent() -> Stage {
    let request = SummarizeRequest::new("p/m".parse().unwrap());
    Stage::sent(request, TurnSettings::default())
}

/// A summary whose request the server has told.
fn told() -> Stage {
    let mut stage = sent();
    stage.tell("message.updated", REQUEST);
    stage.tell("message.part.updated", COMPACTION);
    stage
}

#[test]
fn a_summary_is_a_turn_with_the_message_that_the_server_makes() {
    let mut stage = told();
    let posted: Vec<_> = stage
        .events
        .iter()
        .filter_map(|event| {
            if let TurnEventKind::Posted(message) = &event.kind {
                return Some(message.as_str());
            }
            None
        })
        .collect();
    assert_eq!(posted, ["msg_5"]);
    stage.tell("message.updated", &format!("{SUMMARY}}}"));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), None, "the summary is not complete");
    let done = format!(r#"{SUMMARY},"finish":"stop","time":{{"completed":1}}}}"#);
    stage.tell("message.updated", &done);
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    assert_eq!((outcome.message.as_str(), outcome.answers().count()), ("msg_5", 1));
}

#[test]
fn a_summary_that_fails_is_an_error() {
    let mut stage = told();
    let error = r#""error":{"name":"APIError","data":{"message":"no"}}"#;
    let failed = format!(r#"{SUMMARY},{error},"time":{{"completed":1}}}}"#);
    stage.tell("message.updated", &failed);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("agent_error"));
}

#[test]
fn a_prompt_of_another_client_is_not_the_summary() {
    let mut stage = sent();
    stage.tell("message.updated", r#""info":{"id":"msg_4","role":"user"}"#);
    let text = r#""part":{"id":"p0","messageID":"msg_4","type":"text","text":"Hi"}"#;
    stage.tell("message.part.updated", text);
    assert_eq!(stage.turn.message(), "m1");
    stage.tell("message.updated", REQUEST);
    stage.tell("message.part.updated", COMPACTION);
    assert_eq!(stage.turn.message(), "msg_5");
}

#[test]
fn a_summary_that_was_missed_is_found() {
    let mut stage = sent();
    stage.gap();
    stage.wait(SECOND);
    let mut request = message("msg_5", r#"{"id":"msg_5","role":"user"}"#);
    request.parts = vec![COMPACTION.replacen(r#""part":"#, "", 1)];
    let done = format!(r#"{SUMMARY},"finish":"stop","time":{{"completed":1}}}}"#);
    let summary = message("msg_6", &done.replacen(r#""info":"#, "", 1));
    let earlier = message("a1", r#"{"id":"a1","role":"user"}"#);
    stage.find(&idle().with("s", [earlier, request, summary]));
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().message, "msg_5");
}

#[test]
fn a_summary_in_place_of_the_answer_is_not_the_answer() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("message.updated", REQUEST);
    stage.tell("message.part.updated", COMPACTION);
    let done = format!(r#"{SUMMARY},"finish":"stop","time":{{"completed":1}}}}"#);
    stage.tell("message.updated", &done);
    stage.tell("session.status", IDLE);
    stage.wait(SECOND);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), Some("replaced_by_summary"));
}

#[test]
fn a_summary_can_be_cancelled() {
    let mut stage = told();
    stage.does(Turn::cancel);
    assert_eq!(stage.did, ["post", "abort"]);
}
