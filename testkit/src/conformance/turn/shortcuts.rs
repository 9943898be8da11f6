//! Short forms of a turn: awaiting the stream, the text alone, cancellation by another task.

use opencode_client::{TurnEnd, TurnError};

use super::world::TurnWorld;
use crate::conformance::Host;
use crate::server::ServerScript;

async fn world(on: &Host) -> TurnWorld {
    TurnWorld::new(on, ServerScript::new()).await
}

/// Plays the answer to the first prompt.
async fn answer(world: &TurnWorld, text: &str) {
    let message = world.wait_for_prompt(1).await;
    world.send(world.events_of(&message, text));
}

pub(crate) async fn awaiting_a_stream_returns_the_outcome(on: &Host) {
    let world = world(on).await;
    let turn = world.session.send("Hello?");
    let turn = on.spawn(async move { turn.await });
    answer(&world, "Hello you.").await;
    assert_eq!(turn.await.unwrap().text(), "Hello you.");
}

pub(crate) async fn ask_returns_the_text(on: &Host) {
    let world = world(on).await;
    let session = world.session.clone();
    let asked = on.spawn(async move { session.ask("Hello?").await });
    answer(&world, "Hello you.").await;
    assert_eq!(asked.await.unwrap(), "Hello you.");
}

pub(crate) async fn a_text_stream_yields_text_and_then_the_outcome(on: &Host) {
    let world = world(on).await;
    let mut text = world.session.send("Hello?").text_stream();
    let reader = on.spawn(async move {
        let mut pieces = Vec::new();
        while let Some(piece) = text.next_text().await {
            pieces.push(piece.unwrap());
        }
        (pieces, text.into_outcome())
    });
    answer(&world, "Hello you.").await;
    let (pieces, outcome) = reader.await;
    assert!(pieces.iter().all(|piece| !piece.is_empty()), "{pieces:?}");
    assert_eq!(pieces.concat(), "Hello you.");
    assert_eq!(outcome.unwrap().text(), "Hello you.");
}

pub(crate) async fn a_text_stream_ends_with_the_error(on: &Host) {
    let world = world(on).await;
    let mut text = world.session.send("Hello?").text_stream();
    text.cancel_handle().cancel();
    let error = text.next_text().await.unwrap().unwrap_err();
    assert!(matches!(error, TurnError::Ended(_)), "{error:?}");
    assert!(text.next_text().await.is_none(), "an item after the error");
    assert!(text.into_outcome().is_none());
}

pub(crate) async fn another_task_cancels_a_turn(on: &Host) {
    let world = world(on).await;
    let turn = world.session.send("Hello?");
    let cancel = turn.cancel_handle();
    let turn = on.spawn(turn.outcome());
    let message = world.wait_for_prompt(1).await;
    assert!(!message.is_empty());
    cancel.cancel();
    world.wait_for_bodies("POST", "/session/{id}/abort", 1).await;
    world.send([world.event("session.idle", serde_json::json!({}))]);
    let error = turn.await.unwrap_err();
    assert!(matches!(error.end(), Some(TurnEnd::Cancelled)), "{error:?}");
}

pub(crate) async fn a_handle_cancels_a_turn_before_its_first_poll(on: &Host) {
    let world = world(on).await;
    let turn = world.session.send("Hello?");
    turn.cancel_handle().cancel();
    let error = turn.outcome().await.unwrap_err();
    assert!(matches!(error.end(), Some(TurnEnd::Cancelled)), "{error:?}");
    assert_eq!(world.posts(), 0);
}
