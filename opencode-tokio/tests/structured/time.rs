//! Deadlines, on a fake server and a paused clock.

use std::sync::Arc;
use std::time::Duration;

use opencode_tokio::event::Deadline;
use opencode_tokio::session::{StructuredError, StructuredOutcome};
use opencode_tokio::{AnswerSchema, Deadlines, PermissionReply, TurnEnd, TurnRequest};
use serde_json::json;
use testkit::conformance::Host;
use testkit::conformance::turn::world::{TurnWorld, patient};
use testkit::server::{ServerReply, ServerScript};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::paused::PausedRuntime;
use crate::types::{Licence, ends};

const SECOND: Duration = Duration::from_secs(1);

type Outcome = Result<StructuredOutcome, StructuredError>;

async fn begin() -> (PausedRuntime, TurnWorld) {
    let clock = PausedRuntime::new();
    let host = Host::of(clock.clone());
    let world =
        TurnWorld::with_limits(&host, ServerScript::new(), patient(), PausedRuntime::limits())
            .await;
    (clock, world)
}

/// Asks for a licence within 100 seconds.
fn ask(world: &TurnWorld, request: TurnRequest) -> JoinHandle<Outcome> {
    let request = request.with_deadlines(Deadlines::NONE.with_overall(100 * SECOND));
    let stream = world.session.send_structured(request, &AnswerSchema::derived::<Licence>());
    tokio::spawn(stream.outcome())
}

/// Checks that the second attempt times out after `left`.
async fn assert_left(
    left: Duration,
    clock: &PausedRuntime,
    world: &TurnWorld,
    asking: JoinHandle<Outcome>,
) {
    clock.pass(left - SECOND).await;
    assert!(!asking.is_finished());
    clock.pass(2 * SECOND).await;
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.fake.on("GET", "/session/status", [ServerReply::json(json!({}))]);
    while !asking.is_finished() {
        clock.pass(SECOND / 10).await;
    }
    let error = asking.await.unwrap().unwrap_err();
    let StructuredError::Turn { source, turns, .. } = &error else { panic!("{error:?}") };
    assert!(
        matches!(source.end(), Some(TurnEnd::TimedOut { deadline: Deadline::Overall, .. })),
        "{source:?}"
    );
    assert_eq!((ends(turns), world.posts()), (vec!["completed"], 2));
}

#[tokio::test(start_paused = true)]
async fn the_overall_deadline_covers_all_attempts() {
    let (clock, world) = begin().await;
    let asking = ask(&world, "Which?".into());
    let first = world.wait_for_prompt(1).await;
    world.list_as_busy();
    clock.pass(60 * SECOND).await;
    world.send(world.events_of(&first, "In words."));
    world.wait_for_prompt(2).await;
    assert_left(40 * SECOND, &clock, &world, asking).await;
}

#[tokio::test(start_paused = true)]
async fn time_in_a_handler_does_not_count_for_the_next_attempt() {
    let (clock, world) = begin().await;
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
    clock.pass(10 * SECOND).await;
    let events = world.events_of(&first, "In words.");
    let begun = events.iter().position(|event| event.contains("message.part.delta")).unwrap();
    world.send(&events[..begun]);
    let mut asked = json!({ "id": "per_1", "permission": "bash", "patterns": ["ls"], "always": [],
        "metadata": {} });
    world.send([world.event("permission.asked", asked.clone())]);
    // A look finds the request pending.
    asked["sessionID"] = json!(world.session.id().as_str());
    world.fake.on("GET", "/permission", [ServerReply::json(json!([asked]))]);
    world.wait_for_delivery().await;
    clock.pass(1000 * SECOND).await;
    decided.notify_one();
    world.wait_for_bodies("POST", "/permission/{id}/reply", 1).await;
    world.fake.on("GET", "/permission", [ServerReply::json(json!([]))]);
    world.send([
        world.event("permission.replied", json!({ "requestID": "per_1", "reply": "once" }))
    ]);
    world.wait_for_delivery().await;
    clock.pass(10 * SECOND).await;
    world.send(&events[begun..]);
    // The prompts between belong to the sessions of `wait_for_delivery`.
    world.wait_for_prompt(4).await;
    assert_left(80 * SECOND, &clock, &world, asking).await;
}
