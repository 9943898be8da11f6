//! Parallel turns, long answers and slow readers.

use std::sync::Arc;

use opencode_tokio::{AttachRequest, CreateSession};
use serde_json::json;
use testkit::conformance::real::sessions::{LONG, SessionWorld, play, prompt};
use testkit::model::{Gate, Outcome, Reply, Script};
use testkit::proxy::Proxy;
use tokio::task::JoinSet;

use crate::on;

#[tokio::test]
async fn many_sessions_share_one_event_stream() {
    let world = SessionWorld::new(&on()).await;
    let port = world.server.url().rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(port).unwrap();
    let url = proxy.url();
    let world = SessionWorld::attached(&on(), "project", |direct| {
        let credentials = direct.credentials().unwrap().clone();
        AttachRequest::new(url)
            .with_credentials(credentials)
            .with_directory(direct.directory().unwrap())
    })
    .await;
    for number in 0..20 {
        let command = json!({ "command": format!("echo out-{number}"), "description": "d" });
        let script = Script::new()
            .then(Reply::new().deltas(["I ", "look."]).tool("bash", command))
            .then(Reply::new().deltas(["It is ".to_owned(), format!("{number}.")]));
        world.model().script(&format!("load-{number}"), script);
    }

    let mut turns = JoinSet::new();
    for number in 0..20 {
        let server = world.server.clone();
        turns.spawn(async move {
            let create = CreateSession::new().with_title("one of many");
            let session = server.create_session(create).await.unwrap();
            let (text, outcome) = play(session.send(prompt(format!("Go [[load-{number}]]")))).await;
            assert_eq!(text, format!("I look.It is {number}."));
            assert_eq!(outcome.text(), format!("It is {number}."));
            assert_eq!(outcome.gaps, 0);
            let outputs: Vec<_> =
                outcome.tools().map(|tool| tool.state.output().unwrap().to_str()).collect();
            assert_eq!(outputs, [format!("out-{number}\n")]);
        });
    }
    let mut done = 0;
    while let Some(turn) = turns.join_next().await {
        turn.unwrap();
        done += 1;
    }

    assert_eq!(done, 20);
    let streams = ["/event", "/global/event"].map(|path| proxy.requests_to("GET", path).len());
    assert_eq!(streams.into_iter().sum::<usize>(), 1);
    assert_eq!(proxy.requests_to("POST", "/session/{id}/prompt_async").len(), 20);
    // The stream is closed with the last session.
    let proxy = Arc::new(proxy);
    drop(world);
    tokio::task::spawn_blocking(move || proxy.wait_for_open_events(0)).await.unwrap();
}

#[tokio::test]
async fn every_piece_of_a_long_answer_is_an_event() {
    const PIECES: usize = 16_000;
    let world = SessionWorld::new(&on()).await;
    let piece = |number: usize| format!("{number:063}\n");
    world.model().script("load-pieces", Reply::new().deltas((0..PIECES).map(piece)));

    let mut turn = world.session().await.send(prompt("Go [[load-pieces]]"));
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(event) = turn.next_event().await {
        if let Some(more) = event.text() {
            text.push_str(&more);
            pieces += 1;
        }
    }
    let outcome = turn.outcome().await.unwrap();

    let expected: String = (0..PIECES).map(piece).collect();
    assert!(text == expected, "{} of {} bytes", text.len(), expected.len());
    assert!(outcome.text() == expected);
    assert!(pieces >= PIECES, "{pieces} pieces");
    assert_eq!(outcome.gaps, 0);
}

#[tokio::test]
async fn an_event_can_be_large() {
    const SIZE: usize = 8 << 20;
    let world = SessionWorld::new(&on()).await;
    let large = "0123456789abcde\n".repeat(SIZE / 16);
    world.model().script("load-large", Reply::new().text(&*large).text("the end"));

    let (text, outcome) = play(world.session().await.send(prompt("Go [[load-large]]"))).await;

    assert_eq!(text.len(), SIZE + "the end".len());
    assert!(text.starts_with(&large) && text.ends_with("the end"));
    assert!(outcome.text() == text);
    assert_eq!(outcome.gaps, 0);
}

#[tokio::test]
async fn a_turn_without_a_reader_loses_no_events() {
    const PIECES: usize = 2_000;
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let piece = |number: usize| format!("{number:063}\n");
    let reply = Reply::new().text("begin\n").pause_until(&gate).deltas((0..PIECES).map(piece));
    world.model().script("load-unread", reply);
    let session = world.session().await;

    let mut turn = session.send(prompt("Go [[load-unread]]"));
    let mut text = String::new();
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
        if text == "begin\n" && event.text().is_some() {
            gate.open();
            let recorder = world.model().recorder();
            let answered = move || {
                recorder.wait_for(LONG, |request| {
                    request.script() == Some("load-unread")
                        && request.outcome() == Some(Outcome::Answered)
                })
            };
            tokio::task::spawn_blocking(answered).await.unwrap().unwrap();
        }
    }
    let outcome = turn.outcome().await.unwrap();

    let expected: String =
        std::iter::once("begin\n".to_owned()).chain((0..PIECES).map(piece)).collect();
    assert!(text == expected, "{} of {} bytes", text.len(), expected.len());
    assert!(outcome.text() == expected);
    assert_eq!(outcome.gaps, 0);
}
