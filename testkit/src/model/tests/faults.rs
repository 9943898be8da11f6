use std::io::Read;

use serde_json::json;

use super::PATIENCE;
use super::client::{Ending, ask, prompt, read, send};
use crate::model::{Gate, ModelServer, Outcome, Reply, Script};

#[test]
fn attempts_fail_with_a_status_before_the_answer() {
    let model = ModelServer::start().unwrap();
    let step = [
        Reply::error(429, "slow down").header("retry-after", 0),
        Reply::status(502, "<html>bad gateway</html>"),
        Reply::new().text("ok"),
    ];
    model.script("x", Script::new().then(step));
    let first = ask(&model, "a", &prompt("[[x]]"));
    assert_eq!(first.status(), 429);
    assert!(first.head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{}", first.head);
    assert!(first.head.contains("\r\nretry-after: 0\r\n"), "{}", first.head);
    assert!(first.head.contains("\r\ncontent-type: application/json\r\n"), "{}", first.head);
    let body: serde_json::Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(body["error"]["message"], "slow down");

    let second = ask(&model, "a", &prompt("[[x]]"));
    assert_eq!((second.status(), second.body.as_str()), (502, "<html>bad gateway</html>"));
    assert!(second.head.contains("\r\ncontent-type: text/html\r\n"), "{}", second.head);
    assert_eq!(ask(&model, "a", &prompt("[[x]]")).text(), "ok");
    let attempts: Vec<_> = model.requests().iter().map(|request| request.attempt()).collect();
    assert_eq!(attempts, [0, 1, 2]);
}

#[test]
fn a_context_overflow_has_its_error_code() {
    let model = ModelServer::start().unwrap();
    model.script("x", Reply::context_overflow());
    let response = ask(&model, "a", &prompt("[[x]]"));
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(body["error"]["code"], "context_length_exceeded");
}

#[test]
fn a_reply_can_break_off_in_three_ways() {
    let model = ModelServer::start().unwrap();
    let half = Reply::new().text("half");
    model.script("reset", half.clone().reset());
    model.script("hang-up", half.clone().hang_up());
    model.script("close", half.close());
    for (name, ending, outcome) in [
        ("reset", Ending::Reset, Outcome::BrokenOff),
        ("hang-up", Ending::Cut, Outcome::BrokenOff),
        ("close", Ending::Complete, Outcome::Answered),
    ] {
        let response = ask(&model, name, &prompt(&format!("[[{name}]]")));
        assert_eq!(response.ending, ending, "{name}");
        assert_eq!(response.finish(), None, "{name}");
        assert!(!response.body.contains("[DONE]"), "{name}");
        if ending != Ending::Reset {
            // A reset may overtake the data before it.
            assert_eq!(response.text(), "half", "{name}");
        }
        let ended = |outcome| model.wait_for(PATIENCE, |request| request.outcome() == outcome);
        ended(Some(outcome)).unwrap();
    }
}

#[test]
fn invalid_json_and_raw_bytes_are_sent() {
    let model = ModelServer::start().unwrap();
    model.script("x", Reply::new().text("a").malformed().raw(": comment\n\n"));
    let response = ask(&model, "a", &prompt("[[x]]"));
    assert!(response.body.contains("\n\ndata: {\"choices\":[{\"delta\":\n\n: comment\n\n"));
    assert_eq!(response.finish().as_deref(), Some("stop"));
}

#[test]
fn a_stall_holds_the_connection_until_the_client_leaves() {
    let model = ModelServer::start().unwrap();
    model.script("x", Reply::new().text("half").stall());
    let mut stream = send(&model, "a", &prompt("[[x]]"));
    let mut seen = Vec::new();
    while !seen.windows(4).any(|window| window == b"half") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(model.requests()[0].outcome(), None);
    drop(stream);
    let left = model.wait_for(PATIENCE, |request| request.outcome() == Some(Outcome::ClientLeft));
    assert_eq!(left.unwrap().script(), Some("x"));
}

#[test]
fn a_stall_ends_with_the_server() {
    let model = ModelServer::start().unwrap();
    model.script("x", Reply::new().stall());
    let mut stream = send(&model, "a", &prompt("[[x]]"));
    let request = model.wait_for(PATIENCE, |_| true).unwrap();
    drop(model);
    assert_eq!(request.outcome(), Some(Outcome::Stopped));
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"", "the head was sent before a stall");
}

#[test]
fn a_pause_ends_when_its_gate_opens() {
    let model = ModelServer::start().unwrap();
    let gate = Gate::new();
    model
        .script("x", Reply::new().head().pause_until(&gate).text("a").pause_until(&gate).text("b"));
    let mut stream = send(&model, "a", &prompt("[[x]]"));
    let request = model.wait_for(PATIENCE, |_| true).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    assert_eq!(request.outcome(), None);
    gate.open();
    let mut rest = String::new();
    let ended = model.wait_for(PATIENCE, |request| request.outcome() == Some(Outcome::Answered));
    ended.unwrap();
    drop(model);
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(r#""content":"b""#), "{rest}");
}

#[test]
fn a_closed_gate_does_not_keep_the_server_alive() {
    let model = ModelServer::start().unwrap();
    let gate = Gate::new();
    model.script("x", Reply::error(500, "late").pause_until(&gate));
    model.answer_titles(Reply::new().pause_until(&gate));
    let title = json!([{ "role": "user", "content": "Generate a title for this conversation:" }]);
    let streams = [send(&model, "a", &prompt("[[x]]")), send(&model, "a", &title)];
    model.wait_for(PATIENCE, |request| request.number() == 1).unwrap();
    let recorder = model.recorder();
    drop(model);
    let outcomes: Vec<_> = recorder.requests().iter().map(|request| request.outcome()).collect();
    assert_eq!(outcomes, [Some(Outcome::Stopped); 2]);
    for mut stream in streams {
        assert_eq!(read(&mut stream).ending, Ending::Cut);
    }
}
