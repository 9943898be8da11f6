//! Looking at what was missed, when that is not easy either.

use opencode_tokio::TurnEnd;
use serde_json::json;
use testkit::model::Gate;
use testkit::server::{Reply, Script};

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_tried_again() {
    let world = World::new(Script::new()).await;
    let (turn, message) = world.prompted("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    let failing = [Reply::status(500), Reply::close(), Reply::new(200, "application/json", "{")];
    let failing = failing.into_iter().cycle().take(12).chain([Reply::usual()]);
    world.fake.on("GET", "/session/status", failing);
    world.store(&events);
    world.fake.close_events();
    let played = world.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    assert_eq!((played.outcome().gaps, world.posts()), (1, 1));
    assert_eq!(world.count("GET", "/session/status"), 13);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_messages_cannot_be_listed_is_read_one_by_one() {
    let world = World::new(Script::new()).await;
    let (turn, message) = world.prompted("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    // As after a prompt with a schema.
    let broken = json!({ "name": "BadRequest", "data": { "message": "Expected", "kind": "Body" } });
    world.fake.on("GET", "/session/{id}/message$", [Reply::error(400, broken)]);
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..=begun]);
    let answer = crate::world::messages(&events)[1].clone();
    world.fake.on("GET", "/session/{id}/message/{id}$", [Reply::json(answer)]);
    world.fake.close_events();
    let played = world.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    assert_eq!(played.outcome().gaps, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_after_a_gap_was_deleted() {
    let world = World::new(Script::new()).await;
    let (turn, _) = world.prompted("Hello?").await;
    let gone = json!({ "name": "NotFoundError", "data": { "message": "Session not found" } });
    world.fake.on("GET", "/session/{id}/message$", [Reply::error(404, gone)]);
    world.fake.close_events();
    let played = world.pass_until_over(turn).await;
    let TurnEnd::SessionDeleted = played.outcome().end else { panic!("{:?}", played.result) };
}

/// The session becomes idle while it is looked at, and the look still finds it busy.
#[tokio::test(start_paused = true)]
async fn a_look_that_is_overtaken_is_looked_again() {
    let world = World::new(Script::new()).await;
    let (turn, message) = world.prompted("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    world.store(&events);
    let gate = Gate::new();
    let busy = json!({ (world.session.id().as_str()): { "type": "busy" } });
    let statuses = [Reply::json(busy).with_gate(&gate), Reply::usual()];
    world.fake.on("GET", "/session/status", statuses);
    world.fake.close_events();
    world.asked("GET", "/session/status", 1).await;
    world.send([
        world.event("session.status", json!({ "status": { "type": "idle" } })),
        world.event("session.idle", json!({})),
    ]);
    world.told().await;
    gate.open();
    let played = world.pass_until_over(turn).await;
    played.assert_answer("Hello you.");
    // Long before the next look that comes after silence.
    assert!(played.outcome().elapsed.as_secs() < 10, "{:?}", played.outcome().elapsed);
}
