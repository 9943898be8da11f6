//! Looks at the state of a session after a gap, under difficult conditions.

use opencode_client::turn::TurnSettings;
use opencode_client::{TurnEnd, TurnRequest};
use serde_json::json;

use super::world::TurnWorld;
use crate::conformance::{Host, LONG};
use crate::model::Gate;
use crate::server::{ServerReply, ServerScript};

pub(crate) async fn messages_that_cannot_be_listed_are_fetched_one_by_one(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = world.events_of(&message, "Hello you.");
    // As the real server replies after a prompt with a schema.
    let broken = json!({ "name": "BadRequest", "data": { "message": "Expected", "kind": "Body" } });
    world.fake.on("GET", "/session/{id}/message$", [ServerReply::error(400, broken)]);
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..=begun]);
    let answer = super::world::messages(&events)[1].clone();
    world.fake.on("GET", "/session/{id}/message/{id}$", [ServerReply::json(answer)]);
    world.fake.close_events();
    let played = turn.await;
    played.assert_answer("Hello you.");
    assert_eq!(played.outcome().gaps, 1);
}

pub(crate) async fn a_session_missing_after_a_gap_was_deleted(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let (turn, _) = world.begin_and_wait_for_prompt("Hello?").await;
    let gone = json!({ "name": "NotFoundError", "data": { "message": "Session not found" } });
    world.fake.on("GET", "/session/{id}/message$", [ServerReply::error(404, gone)]);
    world.fake.close_events();
    let played = turn.await;
    let TurnEnd::SessionDeleted = played.outcome().end else { panic!("{:?}", played.result) };
}

/// The session becomes idle while a look is under way, and the look still finds it busy.
pub(crate) async fn a_look_overtaken_by_events_is_repeated(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    // Long enough that silence does not cause another look.
    let settings = TurnSettings::default().with_look_interval(10 * LONG);
    let request = TurnRequest::from("Hello?").with_settings(settings);
    let (turn, message) = world.begin_and_wait_for_prompt(request).await;
    let events = world.events_of(&message, "Hello you.");
    world.store(&events);
    let gate = Gate::new();
    let busy = json!({ (world.session.id().as_str()): { "type": "busy" } });
    let statuses = [ServerReply::json(busy).with_gate(&gate), ServerReply::unscripted()];
    world.fake.on("GET", "/session/status", statuses);
    world.fake.close_events();
    world.wait_for_bodies("GET", "/session/status", 1).await;
    world.send([
        world.event("session.status", json!({ "status": { "type": "idle" } })),
        world.event("session.idle", json!({})),
    ]);
    world.wait_for_delivery().await;
    gate.open();
    on.within(LONG, turn).await.assert_answer("Hello you.");
}
