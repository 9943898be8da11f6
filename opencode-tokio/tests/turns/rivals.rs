//! Other writers in the session of a turn, on the real program: prompts, summaries, and directories
//! that are closed; and the work that goes on after a turn.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use opencode_tokio::session::SessionStatus;
use opencode_tokio::turn::{BackgroundWork, SummarizeRequest};
use opencode_tokio::{Session, TurnEnd, TurnEventKind};
use serde_json::{Value, json};
use testkit::conformance::real::live::{LiveTurn, assert_session_continues};
use testkit::conformance::real::sessions::{SessionWorld, bash, prompt};
use testkit::model::{Gate, Reply, Script};

use crate::on;

/// Sends a request as a client that is not ours. Returns the status line.
fn request(world: &SessionWorld, method: &str, path: &str, body: &Value) -> String {
    let url = world.server.url();
    let address = url.trim_start_matches("http://").to_owned();
    let body = body.to_string();
    let directory = world.project();
    // `opencode:` and the password of the tests.
    let credentials = "b3BlbmNvZGU6dGhlIHBhc3N3b3JkIG9mIHRoZSB0ZXN0cw==";
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {credentials}\r\n\
         x-opencode-directory: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        directory.display(),
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut reply = [0; 64];
    let length = stream.read(&mut reply).unwrap();
    String::from_utf8_lossy(&reply[..length]).lines().next().unwrap_or_default().to_owned()
}

/// Posts a prompt to the session as a client that is not ours.
fn rival_prompt(world: &SessionWorld, session: &Session, text: &str) {
    let body = json!({ "parts": [{ "type": "text", "text": text }] });
    let path = format!("/session/{}/prompt_async", session.id());
    let status = request(world, "POST", &path, &body);
    assert!(status.contains("204"), "{status}");
}

/// The model calls a tool, another client prompts the session, and the model answers that client.
#[tokio::test]
async fn a_turn_whose_answer_another_client_got_says_so() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let call = Reply::new().text("I look.").pause_until(&gate).tool("bash", bash("echo a"));
    let own = Script::new().then(call).then(Reply::new().text("Ours."));
    world.model().script("rivals-ours", own);
    world.model().script("rivals-theirs", Reply::new().text("Theirs."));
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt("Go [[rivals-ours]]")));
    turn.until_text("I look.").await;
    rival_prompt(&world, &session, "And this [[rivals-theirs]]");
    gate.open();

    let ended = turn.end().await;

    let TurnEnd::AnsweredByAnother { prompt: other, .. } = &ended.outcome.end else {
        panic!("{:?}", ended.outcome.end)
    };
    assert_eq!(ended.outcome.answered_with, std::slice::from_ref(other));
    assert_eq!(ended.count(|kind| matches!(kind, TurnEventKind::AnsweredWith(_))), 1);
    assert_eq!(ended.outcome.full_text(), "I look.Theirs.");
    assert_session_continues(&world, &session).await;
}

/// The prompt of another client waits for the same answer as the turn's own.
#[tokio::test]
async fn a_turn_that_is_answered_with_another_prompt_names_it() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let theirs = Reply::new().text("I look.").pause_until(&gate).tool("bash", bash("echo a"));
    world.model().script("rivals-first", Script::new().then(theirs));
    world.model().script("rivals-last", Reply::new().text("For both."));
    let session = world.session().await;
    let mut watching = LiveTurn::new(session.send(prompt("Wait [[rivals-first]]")));
    watching.until_text("I look.").await;
    // The turn before is the other writer here: its prompt gets no answer of its own.
    let mut turn = LiveTurn::new(session.send(prompt("Go [[rivals-last]]")));
    turn.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();

    let (before, ended) = tokio::join!(watching.end(), turn.end());

    assert_eq!((before.end(), ended.end()), ("completed", "completed"));
    assert_eq!(before.outcome.answered_with, std::slice::from_ref(&ended.outcome.message));
    assert_eq!(ended.outcome.answered_with, [before.outcome.message]);
    assert_eq!(ended.outcome.text(), "For both.");
}

/// Another client compacts the session while the model calls a tool.
#[tokio::test]
async fn a_turn_whose_answer_a_summary_replaced_says_so() {
    let world = SessionWorld::in_directory(&on(), "rivals-summary").await;
    let gate = Gate::new();
    let call = Reply::new().text("I look.").pause_until(&gate).tool("bash", bash("echo a"));
    world.model().script("rivals-summarised", Script::new().then(call));
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt("Go [[rivals-summarised]]")));
    turn.until_text("I look.").await;
    let other = SessionWorld::in_directory(&on(), "rivals-summary").await;
    let same = other.server.session(session.id().clone()).await.unwrap();
    let summary = SummarizeRequest::new("scripted/m1".parse().unwrap());
    let mut summary = LiveTurn::new(same.send(prompt(summary)));
    summary.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();

    let ended = turn.end().await;

    assert_eq!(ended.end(), "replaced_by_summary");
    assert_eq!(ended.count(|kind| matches!(kind, TurnEventKind::ReplacedBySummary(_))), 1);
    assert_eq!(summary.end().await.end(), "completed");
}

/// Another client closes the directory, or changes the configuration there.
#[tokio::test]
async fn a_turn_whose_directory_another_client_closes_is_disposed() {
    let closings = [
        ("POST", "/instance/dispose", json!({})),
        ("PATCH", "/config", json!({ "username": "another" })),
    ];
    for (number, (method, path, body)) in closings.into_iter().enumerate() {
        let name = format!("rivals-disposed-{number}");
        let world = SessionWorld::in_directory(&on(), &name).await;
        world.model().script("rivals-disposed", Reply::new().text("Begun ").stall());
        let session = world.session().await;
        let mut turn = LiveTurn::new(session.send(prompt("Go [[rivals-disposed]]")));
        turn.until_text("Begun ").await;
        let status = request(&world, method, path, &body);
        assert!(status.contains("200"), "{status}");

        let ended = turn.end().await;

        assert_eq!(ended.end(), "disposed", "{path}");
        assert_session_continues(&world, &session).await;
    }
}

/// A plugin would prompt the session as this client does, when it is idle.
#[tokio::test]
async fn a_turn_that_waits_for_quiet_has_the_prompts_that_follow() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("rivals-quiet", Reply::new().text("First."));
    world.model().script("rivals-again", Reply::new().text("Second."));
    let session = world.session().await;
    let own = prompt("Go [[rivals-quiet]]");
    let quiet = BackgroundWork::AwaitQuiet(Duration::from_secs(20));
    let settings = own.settings().clone().with_background(quiet);
    let mut turn = LiveTurn::new(session.send(own.with_settings(settings)));
    turn.until_text("First.").await;
    turn.until(|event| matches!(event.kind, TurnEventKind::StatusChanged(SessionStatus::Idle)))
        .await;
    rival_prompt(&world, &session, "Again [[rivals-again]]");

    let ended = turn.end().await;

    assert_eq!((ended.end(), &*ended.outcome.full_text()), ("completed", "First.Second."));
    ended.assert_calls(2);
    assert!(ended.outcome.still_running.is_empty());
}
