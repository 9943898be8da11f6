//! Handlers that block, for example on a person at a terminal.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use opencode_tokio::blocking::Session;
use opencode_tokio::{AttachRequest, CreateSession, PermissionReply, TurnEventKind, blocking};
use serde_json::{Value, json};
use testkit::server::{FakeServer, ServerScript, turn_events};

fn session(fake: &FakeServer) -> Session {
    let server = blocking::opencode().unwrap().attach(AttachRequest::new(fake.url())).unwrap();
    server.create_session(CreateSession::new()).unwrap()
}

/// Plays a turn that requests a permission before any text, and ends after the reply. Returns the
/// reply.
fn play(fake: &FakeServer) -> Value {
    let prompts = fake.wait_for_requests("POST", "/session/{id}/prompt_async", 1);
    let message = prompts[0].json()["messageID"].as_str().unwrap().to_owned();
    let events = turn_events("ses_1", &message, "Hello you.");
    let at = |text| events.iter().position(|event: &String| event.contains(text)).unwrap();
    let (before, rest) = events.split_at(at("message.part.delta"));
    let (rest, end) = rest.split_at(at("idle") - before.len());
    let properties = json!({ "id": "per_1", "sessionID": "ses_1", "permission": "bash",
        "patterns": ["ls"], "always": [], "metadata": {} });
    let asked = json!({ "id": "evt_ask", "type": "permission.asked", "properties": properties });
    before.iter().for_each(|event| fake.send_event(event));
    fake.send_event(&asked.to_string());
    rest.iter().for_each(|event| fake.send_event(event));
    let reply = fake.wait_for_request("POST", "/permission/per_1/reply").json();
    let properties = json!({ "sessionID": "ses_1", "requestID": "per_1", "reply": reply["reply"] });
    let replied =
        json!({ "id": "evt_reply", "type": "permission.replied", "properties": properties });
    fake.send_event(&replied.to_string());
    end.iter().for_each(|event| fake.send_event(event));
    reply
}

#[test]
fn a_blocked_handler_does_not_block_events() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let session = session(&fake).on_permission(move |ask| {
        assert_eq!(ask.request.patterns, ["ls"]);
        // Events after the request arrive while the handler blocks.
        receiver.lock().unwrap().recv().unwrap();
        PermissionReply::Once
    });
    thread::scope(|scope| {
        let reply = scope.spawn(|| play(&fake));
        let mut turn = session.send("Hello?");
        let mut is_asked = false;
        for event in turn.by_ref() {
            is_asked |= matches!(event.kind, TurnEventKind::PermissionAsked(_));
            if event.text().is_some_and(|text| !text.is_empty()) {
                assert!(is_asked);
                // The handler receives the first of these only.
                let _ = sender.send(());
            }
        }
        assert_eq!(turn.outcome().unwrap().text(), "Hello you.");
        assert_eq!(reply.join().unwrap(), json!({ "reply": "once" }));
    });
}

#[test]
fn a_panicking_handler_rejects() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let session = session(&fake).on_permission(|_| panic!("a handler panics on purpose"));
    thread::scope(|scope| {
        let reply = scope.spawn(|| play(&fake));
        drop(session.send("Hello?").outcome());
        assert_eq!(reply.join().unwrap()["reply"], "reject");
    });
}
