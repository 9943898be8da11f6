//! Events that are malformed, repeated, too large or lost.

use std::pin::pin;

use futures_util::future::{Either, select};
use opencode_client::server::Interruption;
use opencode_client::{TurnEventKind, TurnRequest};
use serde_json::json;

use super::world::{TurnWorld, patient, play};
use crate::conformance::Host;
use crate::server::ServerScript;

pub(crate) async fn repeated_events_are_delivered_once(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    // Deltas are sent once, because a repeated delta looks like a repeated word.
    let twice = |event: &String| if event.contains("message.part.delta") { 1 } else { 2 };
    world.send(events.iter().flat_map(|event| vec![event; twice(event)]));
    turn.await.assert_answer("Hello you.");
}

pub(crate) async fn malformed_events_are_skipped(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    for event in world.events_of(&message, "Hello you.") {
        world
            .fake
            .send_raw(b": a comment\n\ndata: {\"half\":\n\ndata:\n\nevent: x\ndata: \xff\xfe\n\n");
        world.fake.send_raw(b"data: []\n\ndata: 7\n\nid: 3\nretry: 10\n\n");
        world.send([
            world.event("session.next.imagined", json!({ "any": [1, { "thing": null }] })),
            world.event("message.updated", json!({ "info": 5 })),
            world.event("message.part.updated", json!({ "part": { "id": {} } })),
            world.event("session.status", json!({ "status": { "type": "napping" } })),
            concat!(
                r#"{"type":"session.error","properties":{"error":{"name":"E","#,
                r#""data":{"message":"without a session"}}}}"#
            )
            .to_owned(),
        ]);
        world.send([event]);
    }
    let played = turn.await;
    played.assert_answer("Hello you.");
    assert!(played.outcome().errors().is_empty(), "{:?}", played.outcome().errors());
    assert_eq!(played.outcome().gaps, 0);
}

pub(crate) async fn an_event_over_the_limit_is_recovered_by_a_look(on: &Host) {
    let settings = patient().with_event_size_max(4096);
    let world = TurnWorld::with_events(on, ServerScript::new(), settings).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let text = "word ".repeat(1000);
    let events = world.events_of(&message, &text);
    world.store(&events);
    world.send(&events);
    let played = turn.await;
    played.assert_answer(&text);
    let lost = played.events.iter().find_map(|event| match &event.kind {
        TurnEventKind::ConnectionLost(Interruption::TooLong { size, limit, .. }) => {
            Some((*size > 5000, *limit))
        }
        _ => None,
    });
    assert_eq!((lost, played.outcome().gaps), (Some((true, 4096)), 1));
}

pub(crate) async fn a_slow_reader_misses_events_but_no_text(on: &Host) {
    const MEGABYTE: usize = 1 << 20;
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let mut turn = world.session.send("Hello?");
    let message = match select(pin!(turn.next_event()), pin!(world.wait_for_prompt(1))).await {
        Either::Left((event, _)) => panic!("{event:?}"),
        Either::Right((message, _)) => message,
    };
    let events = world.events_of(&message, "Hello to all of you.");
    world.store(&events);
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    // No one reads these events.
    world.send(&events[..=begun + 1]);
    let large = json!({ "output": "x".repeat(MEGABYTE) });
    world.send(vec![world.event("session.next.imagined", large); 65]);
    world.wait_for_delivery().await;
    world.send(&events[begun + 2..]);
    let played = play(turn).await;
    played.assert_answer("Hello to all of you.");
    let lost: Vec<_> = played
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            TurnEventKind::ConnectionLost(interruption) => Some(interruption),
            _ => None,
        })
        .collect();
    assert!(
        matches!(lost[..], [Interruption::Behind { limit, .. }] if *limit == 64 * MEGABYTE),
        "{lost:?}"
    );
    assert_eq!(played.outcome().gaps, 1);
}

pub(crate) async fn a_late_idle_of_the_previous_turn_does_not_end_the_next(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    world.send(world.events_of(&message, "Hello you."));
    turn.await.assert_answer("Hello you.");
    let turn = world.begin(TurnRequest::from("And now?"));
    let message = world.wait_for_prompt(2).await;
    world.send([world.event("session.idle", json!({})), world.event("session.idle", json!({}))]);
    world.send(world.events_of(&message, "Now this."));
    turn.await.assert_answer("Now this.");
}
