//! Servers that are silent for longer than a test can wait.

use std::future::Future;
use std::time::Duration;

use opencode_tokio::event::Deadline;
use opencode_tokio::server::{HubSettings, Interruption};
use opencode_tokio::{Deadlines, TurnEnd, TurnEventKind, TurnRequest};
use serde_json::json;
use testkit::conformance::Host;
use testkit::conformance::turn::world::{TurnWorld, patient};
use testkit::server::{Greeting, ServerReply, ServerScript};

use crate::paused::{CALL_LIMIT, PausedRuntime};

const SECOND: Duration = Duration::from_secs(1);

/// Creates a world with a paused clock.
async fn begin(script: ServerScript, events: HubSettings) -> (PausedRuntime, TurnWorld) {
    let clock = PausedRuntime::new();
    let host = Host::of(clock.clone());
    let world = TurnWorld::with_limits(&host, script, events, PausedRuntime::limits()).await;
    (clock, world)
}

fn patiently(request: &str) -> TurnRequest {
    TurnRequest::from(request).with_deadlines(Deadlines::NONE)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_no_first_event() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
    world.list_as_busy();
    let deadlines = Deadlines::NONE.with_first_event(120 * SECOND);
    let (turn, _) = world
        .begin_and_wait_for_prompt(TurnRequest::from("Hello?").with_deadlines(deadlines))
        .await;
    for _ in 0..11 {
        world.fake.send_event(r#"{"id":"evt_1","type":"server.heartbeat","properties":{}}"#);
        clock.pass(10 * SECOND).await;
    }
    assert!(!turn.is_over());
    clock.pass(11 * SECOND).await;
    // The turn is over when the server no longer lists the session as busy.
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::TimedOut { deadline: Deadline::FirstEvent, .. } = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_turn_is_aborted_at_its_idle_deadline() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
    let request = TurnRequest::from("Hello?")
        .with_deadlines(Deadlines::NONE.with_first_event(30 * SECOND).with_idle(40 * SECOND));
    let (turn, message) = world.begin_and_wait_for_prompt(request).await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.list_as_busy();
    clock.pass(20 * SECOND).await;
    world.send(&events[..=begun]);
    world.wait_for_delivery().await;
    clock.pass(30 * SECOND).await;
    assert!(!turn.is_over());
    clock.pass(20 * SECOND).await;
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::TimedOut { deadline: Deadline::Idle, .. } = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!((&*played.text(), &*played.outcome().text()), ("Hello ", "Hello "));
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_the_server_forgets_ends_as_torn() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
    let (turn, _) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let played = clock.pass_until_over(turn).await;
    assert_eq!(played.end(), "torn");
    // The first look is after a minute, further looks follow for some seconds.
    let elapsed = played.outcome().elapsed;
    assert!((70..80).contains(&elapsed.as_secs()), "{elapsed:?}");
    // The abort makes sure that nothing of the turn follows.
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    assert_eq!((world.posts(), world.aborts()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_without_a_reply_is_looked_for() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
    world.fake.on("POST", "/session/{id}/prompt_async", [ServerReply::never()]);
    let (turn, _) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    tokio::time::advance(CALL_LIMIT).await;
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::NotPosted { reason, .. } = &played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert!(reason.contains("/prompt_async: no complete reply in"), "{reason}");
    assert_eq!(world.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_heartbeats_is_reopened() {
    let (clock, world) = begin(ServerScript::new(), HubSettings::default()).await;
    let (turn, message) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let events = world.events_of(&message, "Hello you.");
    world.store(&events);
    clock.pass(46 * SECOND).await;
    let played = clock.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    let is_silent = |kind: &TurnEventKind| {
        matches!(kind, TurnEventKind::ConnectionLost(Interruption::Silent { limit, .. })
            if *limit == 45 * SECOND)
    };
    assert_eq!((played.count(is_silent), played.outcome().gaps), (1, 1));
    assert_eq!(world.count("GET", "/event"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_return_is_given_up() {
    let events = patient().with_give_up(Some(20 * SECOND));
    let (clock, world) = begin(ServerScript::new(), events).await;
    let (turn, message) = world.begin_and_wait_for_prompt(patiently("Hello?")).await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..=begun]);
    world.fake.on("GET", "/event", [ServerReply::status(503)]);
    world.fake.close_events();
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::ServerLost { reason, .. } = &played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!(reason, "the server does not come back: the event stream was refused: status 503");
    assert_eq!(played.outcome().text(), "Hello ");
    let elapsed = played.outcome().elapsed;
    assert!(elapsed >= 20 * SECOND, "{elapsed:?}");
    // The clock may run ahead of the sockets, but not of the delays between attempts.
    let attempts = world.count("GET", "/event");
    assert!((4..=10).contains(&attempts), "{attempts}");
    // The next turn connects again.
    world.fake.on("GET", "/event", [ServerReply::unscripted()]);
    let next = world.begin("Again?");
    let message = world.wait_for_prompt(2).await;
    world.send(world.events_of(&message, "Yes."));
    next.await.assert_answer("Yes.");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_for_the_event_stream_has_deadlines_and_can_be_cancelled() {
    let script = ServerScript::new().with_greeting(Greeting::Silence);
    let (clock, world) = begin(script, patient()).await;
    let deadlines = Deadlines::NONE.with_overall(20 * SECOND);
    let turn = world.begin(TurnRequest::from("Hello?").with_deadlines(deadlines));
    world.wait_for_bodies("GET", "/event", 1).await;
    clock.pass(19 * SECOND).await;
    assert!(!turn.is_over());
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::TimedOut { deadline: Deadline::Overall, .. } = played.outcome().end else {
        panic!("{:?}", played.result)
    };
    assert_eq!(played.outcome().elapsed.as_secs(), 20);

    let mut turn = world.session.send(patiently("Hello?"));
    let waiting = std::future::poll_fn(|cx| {
        let next = std::pin::pin!(turn.next_event()).poll(cx);
        std::task::Poll::Ready(next.is_pending())
    });
    assert!(waiting.await, "the turn did not wait for the event stream");
    turn.cancel();
    let error = turn.outcome().await.unwrap_err();
    assert!(matches!(error.end(), Some(TurnEnd::Cancelled)), "{error:?}");
    assert_eq!((world.posts(), world.aborts()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_is_repeated() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
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
    let played = clock.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    assert_eq!((played.outcome().gaps, world.posts()), (1, 1));
    assert_eq!(world.count("GET", "/session/status"), 13);
}

#[tokio::test(start_paused = true)]
async fn a_disposed_directory_ends_the_turn() {
    let (clock, world) = begin(ServerScript::new(), patient()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.store(&events[..=begun]);
    world.send(&events[..=begun]);
    let disposed = json!({ "directory": "/workspace" });
    world.send([json!({ "type": "server.instance.disposed", "properties": disposed }).to_string()]);
    let played = clock.pass_until_over(turn).await;
    let TurnEnd::Disposed = played.outcome().end else { panic!("{:?}", played.result) };
    let is_disposed = |kind: &TurnEventKind| {
        matches!(kind, TurnEventKind::ConnectionLost(Interruption::Disposed))
    };
    assert_eq!((played.count(is_disposed), played.outcome().gaps), (1, 1));
    assert_eq!((&*played.text(), &*played.outcome().text()), ("Hello ", "Hello "));
    assert_eq!(world.posts(), 1);
}
