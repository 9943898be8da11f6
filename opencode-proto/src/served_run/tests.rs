//! Behaviour that the recordings do not show.

#![allow(clippy::disallowed_methods, reason = "a test needs an instant to start from")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod prepare;

use bytes::Bytes;
use opencode_config::RunConfig;

use super::*;
use crate::part::{Part, TextOrigin};
use crate::run::RunSettings;
use crate::run_event::{Notice, RunEvent, RunEventKind, Telling};

/// Returns the part of a line.
fn part_of(line: &str) -> Part {
    match RunEvent::decode(Bytes::copy_from_slice(line.as_bytes())).kind {
        RunEventKind::Reasoning(part) => Part::Reasoning(part),
        RunEventKind::StepFinish(part) => Part::StepFinish(part),
        RunEventKind::StepStart(part) => Part::StepStart(part),
        RunEventKind::Text(part) => Part::Text(part),
        RunEventKind::ToolUse(part) => Part::Tool(part),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_part_from_a_list_is_written_with_all_its_fields() {
    let key = r#""id":"prt_1","messageID":"msg_1","sessionID":"ses_1""#;
    let parts = [
        r#""type":"text","text":"a \"b\"\n\\ \u00e4 \ud83d\ude00","time":{"start":1,"end":5},"metadata":{"x":[1]}"#,
        r#""type":"text","text":"on","synthetic":true,"metadata":{"compaction_continue":true},"time":{"start":1,"end":1}"#,
        r#""type":"text","text":"","synthetic":true"#,
        r#""type":"reasoning","text":"hm","time":{"start":1,"end":2},"metadata":{"a":1}"#,
        r#""type":"step-start""#,
        r#""type":"step-finish","reason":"tool-calls","tokens":{"total":31,"input":1,"output":2,"reasoning":4,"cache":{"read":8,"write":16}},"cost":0.125"#,
        r#""type":"tool","tool":"bash","callID":"c","state":{"status":"completed","input":{"a":1},"output":"o\n","title":"t","metadata":{"exit":0},"attachments":[{}],"time":{"start":1,"end":2,"compacted":3}},"metadata":{"p":1}"#,
        r#""type":"tool","tool":"bash","callID":"c","state":{"status":"error","input":{},"error":"no","metadata":{},"time":{"start":1,"end":2}}"#,
        r#""type":"tool","tool":"bash","callID":"c","state":{"status":"running","input":{},"title":"t","metadata":{},"time":{"start":1}}"#,
        r#""type":"tool","tool":"bash","callID":"c","state":{"status":"pending","input":{}}"#,
        r#""type":"tool","tool":"bash","callID":"c","state":{"status":"new","what":1}"#,
    ];
    for part in parts {
        let event_type = match part_type(part) {
            "tool" => "tool_use",
            other => &other.replace('-', "_"),
        };
        let part = part_of(&format!(r#"{{"type":"{event_type}","part":{{{key},{part}}}}}"#));
        let written = part::part_json(&part);
        let again = part_of(&format!(r#"{{"type":"{event_type}","part":{written}}}"#));
        assert_eq!(again, part, "{written}");
    }
}

fn part_type(part: &str) -> &str {
    part.strip_prefix(r#""type":""#).unwrap().split('"').next().unwrap()
}

#[test]
fn text_is_shown_by_deltas_or_by_parts_but_once() {
    let line = r#"{"type":"text","part":{"type":"text","text":"Hello"}}"#;
    let mut event = RunEvent::decode(Bytes::from_static(line.as_bytes()));
    assert_eq!(event.text().as_deref(), Some("Hello"), "a process prints whole parts");
    event.telling = Telling::Deltas;
    assert_eq!(event.text(), None, "the deltas came before");

    let delta = r#"{"type":"text_delta","part":{"id":"prt_1","type":"text","text":"Hel"}}"#;
    let event = RunEvent::decode(Bytes::from_static(delta.as_bytes()));
    assert_eq!((event.event_type(), event.text().as_deref()), ("text_delta", Some("Hel")));
    let RunEventKind::TextDelta(delta) = &event.kind else { panic!("{event:?}") };
    assert_eq!(delta.key.part, Some("prt_1".into()));
    let mut answer = Answer::new();
    answer.apply(&event);
    assert_eq!((answer.text(), answer.steps().len()), ("".into(), 0), "the part follows");

    let synthetic = r#"{"type":"text","part":{"type":"text","text":"Go on.","synthetic":true}}"#;
    let event = RunEvent::decode(Bytes::from_static(synthetic.as_bytes()));
    assert_eq!(event.text(), None);
    let RunEventKind::Text(part) = &event.kind else { panic!("{event:?}") };
    assert_eq!(part.origin, TextOrigin::Synthetic);
}

#[test]
fn a_notice_survives_its_line() {
    let notices = [
        Notice::AgentReplaced { reason: "agent \"x\" not found".into() },
        Notice::PermissionRejected { permission: "bash".into(), patterns: "a (b), c\nd".into() },
        Notice::Shared { url: "https://opncd.ai/s/1".into() },
        Notice::AnswerEmpty,
        Notice::AnsweredWith { prompt: "msg_1".into() },
    ];
    for notice in notices {
        assert_eq!(Notice::read(&notice.to_line()), Some(notice.clone()));
        let now = Instant::now();
        let request = ServedRunRequest::new("", &RunConfig::new(), RunSettings::new());
        let mut record = ServedRecord::new(&request, now);
        record.notice(notice.clone());
        let events = mem::take(&mut record.events);
        assert_eq!(events.len(), 1);
        let logged = RunEvent::decode(events[0].to_json_line());
        assert_eq!(logged.kind, RunEventKind::Notice(notice.clone()));
        let outcome = record.take_outcome(RunEnd::Completed, now);
        assert_eq!((outcome.notices, outcome.lines.events), (vec![notice], 0));
    }
}
