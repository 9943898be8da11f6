//! Deadlines, on a server that only pretends and a clock that stands.

use std::sync::Arc;
use std::time::Duration;

use opencode_tokio::{
    AnswerSchema, Deadline, Deadlines, PermissionReply, StructuredError, StructuredOutcome,
    TurnEnd, TurnRequest,
};
use serde_json::json;
use testkit::conformance::Host;
use testkit::conformance::turn::world::{TurnWorld, patient};
use testkit::server::{ServerReply, ServerScript};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::still::Still;
use crate::types::{Licence, ends};

const SECOND: Duration = Duration::from_secs(1);

type Outcome = Result<StructuredOutcome, StructuredError>;

async fn begin() -> (Still, TurnWorld) {
    let still = Still::new();
    let host = Host::of(still.clone());
    let world =
        TurnWorld::with_limits(&host, ServerScript::new(), patient(), Still::limits()).await;
    (still, world)
}

/// Asks for a licence within 100 seconds.
fn ask(world: &TurnWorld, request: TurnRequest) -> JoinHandle<Outcome> {
    let request = request.with_deadlines(Deadlines::NONE.with_overall(100 * SECOND));
    let stream = world.session.send_structured(request, &AnswerSchema::derived::<Licence>());
    tokio::spawn(stream.outcome())
}

/// The second try has `left`, and not more.
async fn assert_left(
    left: Duration,
    still: &Still,
    world: &TurnWorld,
    asking: JoinHandle<Outcome>,
) {
    still.pass(left - SECOND).await;
    assert!(!asking.is_finished());
    still.pass(2 * SECOND).await;
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    while !asking.is_finished() {
        still.pass(SECOND / 10).await;
    }
    let error = asking.await.unwrap().unwrap_err();
    let StructuredError::Turn { source, turns, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source.end(), Some(TurnEnd::TimedOut(Deadline::Overall))), "{source:?}");
    assert_eq!((ends(turns), world.posts()), (vec!["completed"], 2));
}

#[tokio::test(start_paused = true)]
async fn the_overall_deadline_is_for_all_tries_together() {
    let (still, world) = begin().await;
    let asking = ask(&world, "Which?".into());
    let first = world.wait_for_prompt(1).await;
    world.list_as_busy();
    still.pass(60 * SECOND).await;
    world.send(world.events_of(&first, "In words."));
    world.wait_for_prompt(2).await;
    assert_left(40 * SECOND, &still, &world, asking).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_in_which_somebody_thinks_does_not_count_for_the_next_try() {
    let (still, world) = begin().await;
    let decided = Arc::new(Notify::new());
    let request = TurnRequest::from("Which?").on_permission({
        let decided = Arc::clone(&decided);
        move |_| {
            let decided = Arc::clone(&decided);
            async move {
                decided.notified().await;
                PermissionReply::Once
            }
        }
    });
    let asking = ask(&world, request);
    let first = world.wait_for_prompt(1).await;
    world.list_as_busy();
    still.pass(10 * SECOND).await;
    let events = world.events_of(&first, "In words.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..begun]);
    let mut asked = json!({ "id": "per_1", "permission": "bash", "patterns": ["ls"], "always": [],
        "metadata": {} });
    world.send([world.event("permission.asked", asked.clone())]);
    // Who looks finds it pending.
    asked["sessionID"] = json!(world.session.id().as_str());
    world.fake.on("GET", "/permission", [ServerReply::json(json!([asked]))]);
    world.wait_for_delivery().await;
    still.pass(1000 * SECOND).await;
    decided.notify_one();
    world.wait_for_bodies("POST", "/permission/{id}/reply", 1).await;
    world.fake.on("GET", "/permission", [ServerReply::json(json!([]))]);
    world.send([
        world.event("permission.replied", json!({ "requestID": "per_1", "reply": "once" }))
    ]);
    world.wait_for_delivery().await;
    still.pass(10 * SECOND).await;
    world.send(&events[begun..]);
    // Between them, other sessions were asked whether all was told.
    world.wait_for_prompt(4).await;
    assert_left(80 * SECOND, &still, &world, asking).await;
}
