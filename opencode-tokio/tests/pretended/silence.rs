//! Servers that do not say what they should, for so long that a test cannot wait.

use std::future::Future;
use std::time::Duration;

use opencode_tokio::{
    Deadline, Deadlines, HubSettings, Interruption, TurnEnd, TurnEventKind, TurnRequest,
};
use serde_json::json;
use testkit::conformance::Host;
use testkit::conformance::turn::world::{TurnWorld, patient};
use testkit::server::{Greeting, ServerReply, ServerScript};

use crate::still::{CALL_LIMIT, Still};

const SECOND: Duration = Duration::from_secs(1);

/// A world whose clock stands.
async fn begin(script: ServerScript, events: HubSettings) -> (Still, TurnWorld) {
    let still = Still::new();
    let world =
        TurnWorld::with_limits(&Host::of(still.clone()), script, events, Still::limits()).await;
    (still, world)
}

fn patiently(request: &str) -> TurnRequest {
    TurnRequest::from(request).with_deadlines(Deadlines::NONE)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_no_first_event() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    world.list_as_busy();
    let deadlines = Deadlines::NONE.with_first_event(120 * SECOND);
    let (turn, _) = world
        .begin_and_wait_for_prompt(TurnRequest::from("Hello?").with_deadlines(deadlines))
        .await;
    for _ in 0..11 {
        world.fake.send_event(r#"{"id":"evt_1","type":"server.heartbeat","properties":{}}"#);
        still.pass(10 * SECOND).await;
    }
    assert!(!turn.is_over());
    still.pass(11 * SECOND).await;
    // It is over when the server says that it is.
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    let played = still.pass_until_over(turn).await;
    let TurnEnd::TimedOut(Deadline::FirstEvent) = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_falls_silent_is_aborted() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    let request = TurnRequest::from("Hello?")
        .with_deadlines(Deadlines::NONE.with_first_event(30 * SECOND).with_idle(40 * SECOND));
    let (turn, message) = world.begin_and_wait_for_prompt(request).await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.list_as_busy();
    still.pass(20 * SECOND).await;
    world.send(&events[..=begun]);
    world.wait_for_delivery().await;
    still.pass(30 * SECOND).await;
    assert!(!turn.is_over());
    still.pass(20 * SECOND).await;
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    let played = still.pass_until_over(turn).await;
    let TurnEnd::TimedOut(Deadline::Idle) = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!((&*played.text(), &*played.outcome().text()), ("Hello ", "Hello "));
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_a_prompt_and_forgets_it_is_found_out() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    let (turn, _) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let played = still.pass_until_over(turn).await;
    assert_eq!(played.end(), "torn");
    // A look after a minute, and others for some seconds.
    let elapsed = played.outcome().elapsed;
    assert!((70..80).contains(&elapsed.as_secs()), "{elapsed:?}");
    // In case something of it is still to come.
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_without_a_reply_is_looked_for() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    world.fake.on("POST", "/session/{id}/prompt_async", [ServerReply::never()]);
    let (turn, _) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    tokio::time::advance(CALL_LIMIT).await;
    let played = still.pass_until_over(turn).await;
    let TurnEnd::NotPosted { reason, .. } = &played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert!(reason.contains("/prompt_async: no complete reply in"), "{reason}");
    assert_eq!(world.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_heartbeats_is_opened_again() {
    let (still, world) = begin(ServerScript::new(), HubSettings::default()).await;
    let (turn, message) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let events = world.events_of(&message, "Hello you.");
    world.store(&events);
    still.pass(46 * SECOND).await;
    let played = still.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    let is_silent = |kind: &TurnEventKind| {
        matches!(kind, TurnEventKind::ConnectionLost(Interruption::Silent { limit, .. })
            if *limit == 45 * SECOND)
    };
    assert_eq!((played.count(is_silent), played.outcome().gaps), (1, 1));
    assert_eq!(world.count("GET", "/event"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_back_is_given_up() {
    let events = patient().with_give_up(Some(20 * SECOND));
    let (still, world) = begin(ServerScript::new(), events).await;
    let (turn, message) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..=begun]);
    world.fake.on("GET", "/event", [ServerReply::status(503)]);
    world.fake.close_events();
    let played = still.pass_until_over(turn).await;
    let TurnEnd::ServerLost { reason, .. } = &played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!(reason, "the server does not come back: the event stream was refused: status 503");
    assert_eq!(played.outcome().text(), "Hello ");
    let elapsed = played.outcome().elapsed;
    assert!(elapsed >= 20 * SECOND, "{elapsed:?}");
    // The clock may run ahead of the sockets, but not of the pauses between the tries.
    let tries = world.count("GET", "/event");
    assert!((4..=10).contains(&tries), "{tries}");
    // The next turn tries anew.
    world.fake.on("GET", "/event", [ServerReply::unscripted()]);
    let next = world.begin("Again?");
    let message = world.wait_for_prompt(2).await;
    world.send(world.events_of(&message, "Yes."));
    next.await.assert_answer("Yes.");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_cannot_be_posted_has_its_deadlines_and_can_be_cancelled() {
    let script = ServerScript::new().with_greeting(Greeting::Silence);
    let (still, world) = begin(script, patient()).await;
    let deadlines = Deadlines::NONE.with_overall(20 * SECOND);
    let turn = world.begin(TurnRequest::from("Hello?").with_deadlines(deadlines));
    world.wait_for_bodies("GET", "/event", 1).await;
    still.pass(19 * SECOND).await;
    assert!(!turn.is_over());
    let played = still.pass_until_over(turn).await;
    let TurnEnd::TimedOut(Deadline::Overall) = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!(played.outcome().elapsed.as_secs(), 20);

    let mut turn = world.session.send(patiently("Hello?"));
    let waiting = std::future::poll_fn(|cx| {
        let next = std::pin::pin!(turn.next_event()).poll(cx);
        std::task::Poll::Ready(next.is_pending())
    });
    assert!(waiting.await, "it waits for the event stream");
    turn.cancel();
    let error = turn.outcome().await.unwrap_err();
    assert!(matches!(error.end(), Some(TurnEnd::Cancelled)), "{error:?}");
    assert_eq!((world.posts(), world.aborts()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_tried_again() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    let failing = [
        ServerReply::status(500),
        ServerReply::close(),
        ServerReply::new(200, "application/json", "{"),
    ];
    let failing = failing.into_iter().cycle().take(12).chain([ServerReply::unscripted()]);
    world.fake.on("GET", "/session/status", failing);
    world.store(&events);
    world.fake.close_events();
    let played = still.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    assert_eq!((played.outcome().gaps, world.posts()), (1, 1));
    assert_eq!(world.count("GET", "/session/status"), 13);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_closed_ends_the_turn() {
    let (still, world) = begin(ServerScript::new(), patient()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.store(&events[..=begun]);
    world.send(&events[..=begun]);
    let disposed = json!({ "directory": "/workspace" });
    world.send([json!({ "type": "server.instance.disposed", "properties": disposed }).to_string()]);
    let played = still.pass_until_over(turn).await;
    let TurnEnd::Torn = played.outcome().end else { panic!("{:?}", played.result) };
    let is_disposed = |kind: &TurnEventKind| {
        matches!(kind, TurnEventKind::ConnectionLost(Interruption::Disposed))
    };
    assert_eq!((played.count(is_disposed), played.outcome().gaps), (1, 1));
    assert_eq!((&*played.text(), &*played.outcome().text()), ("Hello ", "Hello "));
    assert_eq!(world.posts(), 1);
}
