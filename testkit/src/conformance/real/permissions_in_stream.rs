//! Permission requests as tokens in the event stream.

use futures_channel::mpsc;
use futures_util::StreamExt;
use opencode_client::turn::PermissionToken;
use opencode_client::{Ask, PermissionReply, TurnEventKind, TurnOutcome, TurnStream};

use super::asking::{PermissionLog, asking, commands, completed, refused, tools};
use super::sessions::{SessionWorld, failed_outcome, prompt};
use crate::conformance::Host;

pub(crate) async fn a_token_is_replied_to_by_another_task(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-later", commands(["echo one", "echo two"]));
    let of_session = PermissionLog::default();
    let session = asking(&world).await.on_permission(of_session.reply(PermissionReply::reject()));
    let (tokens, mut asked) = mpsc::unbounded::<PermissionToken>();
    let replier = on.spawn(async move {
        let mut patterns = Vec::new();
        while let Some(token) = asked.next().await {
            patterns.extend(token.request().patterns.clone());
            token.reply(PermissionReply::Once);
        }
        patterns
    });

    let turn = session.send(prompt("Go [[permissions-later]]").with_asks_in_stream());
    let outcome =
        read(turn, |token| tokens.unbounded_send(token).unwrap()).await.outcome().await.unwrap();
    drop(tokens);

    assert_eq!(replier.await, ["echo one", "echo two"]);
    assert_eq!(tools(&outcome), [completed("one\n"), completed("two\n")]);
    assert_eq!(of_session.all().len(), 0, "the handler of the session was called");
}

pub(crate) async fn a_dropped_token_rejects(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-drop", commands(["echo one"]));
    let session = asking(&world).await;

    let turn = session.send(prompt("Go [[permissions-drop]]").with_asks_in_stream());
    let outcome = failed_outcome(read(turn, drop).await).await;
    assert_eq!(refused(&outcome), "bash (echo one)");
}

pub(crate) async fn a_token_that_is_not_taken_rejects(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-left", commands(["echo one"]));
    let session = asking(&world).await;

    let turn = session.send(prompt("Go [[permissions-left]]").with_asks_in_stream());
    let outcome: TurnOutcome = failed_outcome(turn).await;
    assert_eq!(refused(&outcome), "bash (echo one)");
}

pub(crate) async fn the_handler_of_the_turn_precedes_its_stream(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-first", commands(["echo one"]));
    let asked = PermissionLog::default();
    let session = asking(&world).await;

    let turn = prompt("Go [[permissions-first]]")
        .with_asks_in_stream()
        .on_permission(asked.reply(PermissionReply::Once));
    let turn = read(session.send(turn), |token| panic!("{token:?}")).await;
    assert_eq!(tools(&turn.outcome().await.unwrap()), [completed("one\n")]);
    assert_eq!(asked.patterns(), ["echo one"]);
}

/// Reads all events. Each request event comes with one token.
async fn read(mut turn: TurnStream, mut ask: impl FnMut(PermissionToken)) -> TurnStream {
    while let Some(event) = turn.next_event().await {
        let taken = turn.take_ask();
        match (event.kind, taken) {
            (TurnEventKind::PermissionAsked(request), Some(Ask::Permission(token))) => {
                assert_eq!(token.request().id, request.id);
                assert_eq!(*token.session(), event.session);
                ask(token);
            }
            (_, Some(other)) => panic!("{other:?}"),
            (_, None) => {}
        }
        assert!(turn.take_ask().is_none());
    }
    turn
}
