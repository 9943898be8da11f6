use super::*;
use crate::error::ErrorName;
use crate::part::{FinishReason, TextOrigin, ToolState};

fn read(line: &str) -> RunEvent {
    let (diagnostics, event) = decode(Bytes::copy_from_slice(line.as_bytes()));
    assert_eq!(diagnostics, []);
    event
}

fn text(line: &str) -> TextPart {
    let event = read(line);
    let RunEventKind::Text(part) = event.kind else { panic!("{event:?}") };
    part
}

fn tool(line: &str) -> ToolPart {
    let event = read(line);
    let RunEventKind::ToolUse(part) = event.kind else { panic!("{event:?}") };
    *part
}

fn error(line: &str) -> AgentError {
    let event = read(line);
    let RunEventKind::Error(error) = event.kind else { panic!("{event:?}") };
    *error
}

fn diagnostic(line: &str) -> Diagnostic {
    let event = read(line);
    let RunEventKind::Diagnostic(diagnostic) = event.kind else { panic!("{event:?}") };
    diagnostic
}

#[test]
fn a_text_event_is_read_with_everything_around_it() {
    let event = read(
        r#"{"type":"text","timestamp":1795231814869,"sessionID":"ses_1","part":{"id":"prt_1","messageID":"msg_1","sessionID":"ses_1","type":"text","text":"a\nb","time":{"start":1,"end":5},"metadata":{"x":1}}}"#,
    );
    assert_eq!(event.event_type(), "text");
    assert_eq!(event.session, Some("ses_1".into()));
    assert_eq!(event.timestamp_ms, Some(1_795_231_814_869));
    let RunEventKind::Text(part) = event.kind else { panic!("{event:?}") };
    assert_eq!(part.text, "a\nb");
    assert_eq!(part.origin, TextOrigin::Model);
    assert_eq!(part.key.part, Some("prt_1".into()));
    assert_eq!(part.key.message, Some("msg_1".into()));
    assert_eq!(part.time.duration_ms(), Some(4));
    assert_eq!(part.metadata.unwrap().as_str(), r#"{"x":1}"#);
}

#[test]
fn text_of_opencode_itself_is_told_apart() {
    let line = r#"{"type":"text","part":{"text":"x","synthetic":true}}"#;
    assert_eq!(text(line).origin, TextOrigin::Synthetic);
    let line = r#"{"type":"text","part":{"text":"x","synthetic":true,"metadata":{"compaction_continue":true}}}"#;
    assert_eq!(text(line).origin, TextOrigin::Continuation);
    let line = r#"{"type":"text","part":{"text":"x","synthetic":false,"metadata":{"compaction_continue":true}}}"#;
    assert_eq!(text(line).origin, TextOrigin::Model);
}

#[test]
fn a_text_with_half_a_surrogate_pair_is_still_a_text() {
    assert_eq!(text(r#"{"type":"text","part":{"text":"cut \ud83d"}}"#).text, "cut \u{fffd}");
}

#[test]
fn tool_states_are_typed() {
    let part = tool(
        r#"{"type":"tool_use","part":{"type":"tool","tool":"bash","callID":"call_1","state":{"status":"completed","input":{"command":"ls"},"output":"a\n","metadata":{"exit":3},"title":"ls","time":{"start":1,"end":2},"attachments":[]},"id":"prt_1","messageID":"msg_1"}}"#,
    );
    assert_eq!((&*part.tool, part.call.as_str()), ("bash", "call_1"));
    assert_eq!(part.state.status(), "completed");
    assert_eq!(part.state.output().unwrap(), &"a\n");
    assert_eq!(part.state.title().unwrap(), &"ls");
    assert_eq!(part.state.input().unwrap().as_str(), r#"{"command":"ls"}"#);
    assert_eq!(part.state.metadata().unwrap().as_str(), r#"{"exit":3}"#);
    assert!(part.state.is_over() && !part.state.is_rejected());

    let part = tool(
        r#"{"type":"tool_use","part":{"tool":"bash","callID":"c","state":{"status":"error","input":{},"error":"The user rejected permission to use this specific tool call."}}}"#,
    );
    assert_eq!(part.state.status(), "error");
    assert!(part.state.is_rejected());

    let part =
        tool(r#"{"type":"tool_use","part":{"tool":"x","state":{"status":"queued","why":1}}}"#);
    let ToolState::Other { status, raw } = part.state else { panic!("{part:?}") };
    assert_eq!((&*status, raw.as_str()), ("queued", r#"{"status":"queued","why":1}"#));
}

#[test]
fn a_finished_step_has_its_tokens() {
    let line = r#"{"type":"step_finish","part":{"reason":"tool-calls","cost":0.5,"tokens":{"input":1,"output":2,"reasoning":3,"cache":{"read":4,"write":5}}}}"#;
    let RunEventKind::StepFinish(part) = read(line).kind else { panic!() };
    assert_eq!(part.reason, FinishReason::TOOL_CALLS);
    assert!(part.reason.expects_more() && !part.reason.is_answer());
    assert_eq!(part.tokens.total, 15, "summed where the provider gives no total");
    assert_eq!(part.cost, 0.5);

    let line = r#"{"type":"step_finish","part":{"reason":"stop","cost":null,"tokens":{"total":-1,"input":1e30,"output":"x"}}}"#;
    let RunEventKind::StepFinish(part) = read(line).kind else { panic!() };
    assert_eq!((part.tokens.total, part.tokens.input, part.tokens.output), (0, u64::MAX, 0));
    assert_eq!(part.cost, 0.0);
}

#[test]
fn errors_of_every_shape_are_read() {
    let api = error(
        r#"{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"no","statusCode":401,"isRetryable":false}}}"#,
    );
    assert_eq!(api.name, ErrorName::API);
    assert_eq!((api.message.as_str(), api.status, api.retryable), ("no", Some(401), Some(false)));
    assert!(api.to_string().starts_with("APIError 401: no; store credentials"), "{api}");

    let opaque = error(
        r#"{"type":"error","error":{"name":"UnknownError","data":{"message":"See logs.","ref":"err_1"}}}"#,
    );
    assert_eq!(opaque.reference.as_deref(), Some("err_1"));
    assert_eq!(opaque.to_string(), "UnknownError: See logs. (err_1)");

    let cases = [
        (r#"{"type":"error","error":{"type":"overloaded","message":"m"}}"#, "overloaded", "m"),
        (r#"{"type":"error","error":{"code":"ECONNRESET","message":"m"}}"#, "ECONNRESET", "m"),
        (r#"{"type":"error","error":{"_tag":"Busy","message":"m"}}"#, "Busy", "m"),
        (r#"{"type":"error","error":"plain"}"#, "UnknownError", "plain"),
        (r#"{"type":"error","error":[1]}"#, "UnknownError", "[1]"),
        (r#"{"type":"error","error":{"name":"X","data":"d"}}"#, "X", r#"{"name":"X","data":"d"}"#),
        (r#"{"type":"error","message":"flat"}"#, "UnknownError", "flat"),
    ];
    for (line, name, message) in cases {
        let error = error(line);
        assert_eq!((error.name.as_str(), error.message.as_str()), (name, message), "{line}");
    }
}

#[test]
fn flat_shapes_of_older_versions_are_understood() {
    for line in [
        r#"{"type":"text","content":"x"}"#,
        r#"{"type":"text","text":"x"}"#,
        r#"{"type":"text","delta":"x"}"#,
        r#"{"type":"message","content":"x"}"#,
        r#"{"type":"assistant","content":[{"type":"text","text":"x"}]}"#,
        r#"{"type":"model","content":["x",{"other":1}]}"#,
    ] {
        assert_eq!(text(line).text, "x", "{line}");
    }
    let part = tool(
        r#"{"type":"tool_use","name":"bash","callID":"c","status":"completed","input":{"a":1},"output":"o"}"#,
    );
    assert_eq!((&*part.tool, part.call.as_str(), part.state.status()), ("bash", "c", "completed"));
    assert_eq!(part.state.output().unwrap(), &"o");
    let part = tool(r#"{"type":"tool","tool":"bash","status":"error","error":"e"}"#);
    assert_eq!(part.state.output().unwrap(), &"e");
    assert_eq!(part.state.status(), "error");
    let line = r#"{"type":"step_finish","cost":0.005,"tokens":{"total":500,"input":200}}"#;
    let RunEventKind::StepFinish(part) = read(line).kind else { panic!() };
    assert_eq!((part.tokens.total, part.cost), (500, 0.005));
}

#[test]
fn a_tool_call_of_opencode_2_keeps_its_ids() {
    let part = tool(
        r#"{"type":"tool_use","part":{"partID":"prt_1","id":"call_1","messageID":"msg_1","type":"tool","tool":"shell","state":{"status":"completed","input":{},"output":""}}}"#,
    );
    assert_eq!((part.call.as_str(), part.key.part), ("call_1", Some("prt_1".into())));
}

#[test]
fn unknown_events_keep_everything() {
    for line in [
        r#"{"type":"session.next","sessionID":"s","part":{"id":1}}"#,
        r#"{"type":"new","part":"text"}"#,
        r#"{"type":"newer","timestamp":[]}"#,
    ] {
        let event = read(line);
        assert!(matches!(event.kind, RunEventKind::Unknown { .. }), "{line}: {event:?}");
        assert_eq!(event.raw, line);
        assert_eq!(event.to_json_line(), line);
    }
    assert_eq!(read(r#"{"type":"new","sessionID":"s","part":1}"#).session, Some("s".into()));
}

#[test]
fn known_events_in_shapes_we_cannot_read_are_malformed_and_kept() {
    for line in [
        r#"{"type":"text","part":{"id":"p"}}"#,
        r#"{"type":"text","part":7}"#,
        r#"{"type":"text"}"#,
        r#"{"type":"tool_use","part":{"tool":"x"}}"#,
        r#"{"type":"tool_use","part":{"tool":"x","state":{"status":7}}}"#,
        r#"{"type":7}"#,
        r#"{}"#,
    ] {
        let event = read(line);
        assert!(matches!(event.kind, RunEventKind::Malformed { .. }), "{line}: {event:?}");
        assert_eq!(event.raw, line);
    }
}

#[test]
fn what_is_no_event_is_a_diagnostic() {
    assert_eq!(diagnostic(""), Diagnostic::Empty);
    assert_eq!(diagnostic(" \t "), Diagnostic::Empty);
    assert_eq!(diagnostic("not json"), Diagnostic::NotJson);
    assert_eq!(diagnostic(r#"{"type":"text","#), Diagnostic::NotJson);
    assert_eq!(diagnostic(r#"{"type":"text","part":{"text":"a"}} x"#), Diagnostic::NotJson);
    assert_eq!(diagnostic("[1,2]"), Diagnostic::NotAnObject);
    assert_eq!(diagnostic("\"text\""), Diagnostic::NotAnObject);
    assert_eq!(diagnostic("12"), Diagnostic::NotAnObject);
}

#[test]
fn a_line_that_is_not_utf8_is_told_and_read_all_the_same() {
    let line = Bytes::from_static(b"{\"type\":\"text\",\"part\":{\"text\":\"a\xffb\"}}");
    let (diagnostics, event) = decode(line.clone());
    assert_eq!(diagnostics, [RunEvent::diagnostic(line, Diagnostic::InvalidUtf8)]);
    let RunEventKind::Text(part) = event.kind else { panic!("{event:?}") };
    assert_eq!(part.text, "a\u{fffd}b");
}

#[test]
fn an_event_behind_text_without_a_line_end_is_read() {
    let event = r#"{"type":"text","sessionID":"ses_1","part":{"id":"t","text":"a {\"type\":\"x"}}"#;
    let expected = read(event);
    for before in
        ["Loading... 42%", ".", "{\"a\":1}", "[1] ", r#"{"type":"progress"}"#, "{\"type\":\""]
    {
        let line = Bytes::from([before, event].concat());
        let (diagnostics, behind) = decode(line.clone());
        assert_eq!(behind, expected, "{before}");
        let before = RunEvent::diagnostic(line.slice(..before.len()), Diagnostic::NotJson);
        assert_eq!(diagnostics, [before]);
    }
    let (diagnostics, behind) = decode(Bytes::from([b"\xff\xfe", event.as_bytes()].concat()));
    assert_eq!((diagnostics.len(), behind), (2, expected));
    for line in [
        "x{\"type\":\"log\",\"text\":\"no session\"}",
        r#"x{"type":"text","sessionID":"ses_1","part":{"text":"cut off"#,
        r#"{"type":"text","sessionID":"ses_1","part":{"te.xt":"#,
    ] {
        assert_eq!(diagnostic(line), Diagnostic::NotJson, "{line}");
    }
}

#[test]
fn pieces_of_events_are_recognised() {
    for line in [r#"x{"type":"te"#, r#"t","sessionID":"ses_1""#] {
        assert!(has_event(line.as_bytes()) && ends_in_event(line.as_bytes()), "{line}");
    }
    for line in ["{", "42% {\"ty", "{\"type\":\""] {
        assert!(ends_in_event(line.as_bytes()), "{line}");
    }
    for line in ["", "text", "a {b", r#"the \"sessionID\" "#] {
        assert!(!has_event(line.as_bytes()) && !ends_in_event(line.as_bytes()), "{line}");
    }
}

#[test]
fn deeply_nested_json_is_no_danger() {
    let deep =
        format!("{{\"type\":\"x\",\"part\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(matches!(read(&deep).kind, RunEventKind::Unknown { .. }));
    let broken = format!("{{\"type\":\"x\",\"part\":{}", "[".repeat(200_000));
    assert_eq!(diagnostic(&broken), Diagnostic::NotJson);
}

#[test]
fn what_is_no_event_survives_a_log() {
    for line in ["", "not json", "[1]"] {
        let event = read(line);
        let logged = event.to_json_line();
        assert_eq!(read(str::from_utf8(&logged).unwrap()).kind, event.kind);
    }
    let notice =
        Notice::PermissionRejected { permission: "bash".into(), patterns: "a \"b\"".into() };
    let line = "! permission requested: bash (a \"b\"); auto-rejecting";
    let event = RunEvent::notice(line.into(), notice);
    let logged = event.to_json_line();
    assert_eq!(read(str::from_utf8(&logged).unwrap()).kind, event.kind);
}

#[test]
fn a_coloured_notice_and_the_size_of_a_lost_line_survive_a_log() {
    let notice = Notice::AgentReplaced { reason: "agent \"x\" not found".into() };
    let line =
        "\u{1b}[93m\u{1b}[1m! \u{1b}[0m agent \"x\" not found. Falling back to default agent";
    for event in [
        RunEvent::notice(line.into(), notice),
        RunEvent::diagnostic(Bytes::new(), Diagnostic::TooLong { size: 7 }),
        RunEvent::diagnostic("{\"cut".into(), Diagnostic::Torn),
    ] {
        let logged = event.to_json_line();
        assert_eq!(read(str::from_utf8(&logged).unwrap()), event);
    }
}

#[test]
fn details_in_another_shape_do_not_cost_the_event() {
    let line =
        r#"{"type":"text","part":{"text":"x","state":"done","time":[1],"tokens":7,"cost":{}}}"#;
    assert_eq!(text(line).text, "x");
    let line = r#"{"type":"step_finish","part":{"reason":"stop","tokens":null,"time":null}}"#;
    assert!(matches!(read(line).kind, RunEventKind::StepFinish(_)));
}

#[test]
fn a_state_of_an_unknown_kind_is_kept_wherever_it_stands() {
    for line in [
        r#"{"type":"tool_use","part":{"tool":"x","state":{"status":"queued", "why":[1]}}}"#,
        r#"{"type":"tool_use","tool":"x","state":{"status":"queued", "why":[1]}}"#,
    ] {
        let ToolState::Other { status, raw } = tool(line).state else { panic!("{line}") };
        assert_eq!((&*status, raw.as_str()), ("queued", r#"{"status":"queued", "why":[1]}"#));
    }
}
