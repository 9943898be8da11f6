//! Several permission requests at the same time, and other clients that reply or abort.

use std::future::pending as for_ever;

use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::StreamExt;
use futures_util::future::{FutureExt, Shared};
use opencode_client::api::ReplyPermission;
use opencode_client::turn::PermissionToken;
use opencode_client::{Ask, PermissionReply, QuestionReply, TurnEventKind, TurnOutcome};
use serde_json::json;

use super::asking::{asking, command_of, commands, completed, pending, refused, tools};
use super::live::until_idle;
use super::sessions::{SessionWorld, failed_outcome, play, prompt};
use crate::conformance::Host;
use crate::model::{Reply, Script};

/// A sender, and a future that is ready for all clones after the first message.
fn signal() -> (UnboundedSender<()>, Shared<impl Future<Output = ()>>) {
    let (sender, receiver) = mpsc::unbounded();
    (sender, receiver.into_future().map(drop).shared())
}

fn two_at_once() -> Script {
    let both = command_of(command_of(Reply::new(), "echo one"), "echo two");
    Script::new().then(both).then(Reply::new().text("Done."))
}

pub(crate) async fn one_of_two_requests_is_granted_and_one_rejected(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-two", two_at_once());
    let session = asking(&world).await;
    // A rejection would reject the other request as well, if that was still pending.
    let (granted, is_granted) = signal();
    let turn = prompt("Go [[permissions-two]]").on_permission(move |ask| {
        let is_granted = is_granted.clone();
        async move {
            if ask.request.patterns == ["echo one"] {
                return PermissionReply::Once;
            }
            is_granted.await;
            PermissionReply::reject()
        }
    });

    let mut turn = session.send(turn);
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::PermissionReplied { reply, .. } = &event.kind
            && &**reply == "once"
        {
            granted.unbounded_send(()).unwrap();
        }
    }
    let outcome = failed_outcome(turn).await;

    assert_eq!(refused(&outcome), "bash (echo two)");
    let [(first, output), (second, _)] = &tools(&outcome)[..] else { panic!("two calls") };
    assert_eq!((&**first, &**output, &**second), ("completed", "one\n", "error"));
    assert_eq!(pending(&session, &world).await, 0);
}

/// OpenCode rejects all pending requests of a session with one of them.
pub(crate) async fn a_rejection_takes_no_parallel_call_with_it(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-both", two_at_once());
    for (refused_command, granted_command) in [("echo one", "echo two"), ("echo two", "echo one")] {
        let session = asking(&world).await;
        let (refused_first, is_refused) = signal();
        let turn = prompt("Go [[permissions-both]]").on_permission(move |ask| {
            let (refused_first, is_refused) = (refused_first.clone(), is_refused.clone());
            async move {
                if ask.request.patterns == [refused_command] {
                    refused_first.unbounded_send(()).unwrap();
                    return PermissionReply::reject();
                }
                // The decision comes long after the rejection.
                is_refused.await;
                PermissionReply::Once
            }
        });
        let outcome = failed_outcome(session.send(turn)).await;

        assert_eq!(refused(&outcome), format!("bash ({refused_command})"));
        assert_parallel(&outcome, granted_command);
        assert_eq!(pending(&session, &world).await, 0);
    }
}

/// Checks that of both calls only the granted one ran.
fn assert_parallel(outcome: &TurnOutcome, granted: &str) {
    let called = outcome.tools().map(|tool| {
        let input = tool.state.input().map(|input| input.to_string()).unwrap_or_default();
        (input.contains(granted), tool.state.status())
    });
    let mut called: Vec<_> = called.collect();
    called.sort_unstable();
    assert_eq!(called, [(false, "error"), (true, "completed")]);
}

pub(crate) async fn tokens_of_parallel_calls_are_answered_in_any_order(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-tokens", two_at_once());
    for order in [[0, 1], [1, 0]] {
        let session = asking(&world).await;
        let turn = prompt("Go [[permissions-tokens]]").with_asks_in_stream();
        let mut turn = session.send(turn);
        let mut tokens = Vec::new();
        while let Some(event) = turn.next_event().await {
            if let Some(Ask::Permission(token)) = turn.take_ask() {
                tokens.push(Some(token));
            }
            if let (TurnEventKind::PermissionAsked(_), 2) = (&event.kind, tokens.len()) {
                tokens.sort_by_key(|token| token.as_ref().map(patterns));
                for place in order {
                    let token = tokens[place].take().unwrap();
                    match patterns(&token) == ["echo one"] {
                        // Dropping rejects.
                        true => drop(token),
                        false => token.reply(PermissionReply::Once),
                    }
                }
            }
        }
        let outcome = failed_outcome(turn).await;
        assert_eq!(refused(&outcome), "bash (echo one)");
        assert_parallel(&outcome, "echo two");
    }
}

fn patterns(token: &PermissionToken) -> Vec<String> {
    token.request().patterns.clone()
}

pub(crate) async fn a_question_and_a_permission_do_not_take_each_other_along(on: &Host) {
    let world = SessionWorld::new(on).await;
    let question = json!({ "question": "Sure?", "header": "Sure", "options": [] });
    let both =
        command_of(Reply::new(), "echo one").tool("question", json!({ "questions": [question] }));
    world.model().script("permissions-question", Script::new().then(both));
    for is_granted in [true, false] {
        let session = asking(&world).await;
        let (first, is_first_over) = signal();
        let is_over = is_first_over.clone();
        let turn = prompt("Go [[permissions-question]]")
            .on_permission(move |_| {
                let is_over = is_over.clone();
                async move {
                    if !is_granted {
                        return PermissionReply::reject();
                    }
                    is_over.await;
                    PermissionReply::Once
                }
            })
            .on_question(move |_| {
                let is_over = is_first_over.clone();
                async move {
                    if is_granted {
                        return QuestionReply::Dismiss;
                    }
                    is_over.await;
                    QuestionReply::Answer(vec![["Yes"].into_iter().collect()])
                }
            });
        let mut turn = session.send(turn);
        while let Some(event) = turn.next_event().await {
            if matches!(
                event.kind,
                TurnEventKind::QuestionRejected(_) | TurnEventKind::PermissionReplied { .. }
            ) {
                first.unbounded_send(()).ok();
            }
        }
        let outcome = failed_outcome(turn).await;
        let called = outcome.tools().map(|tool| (tool.tool.to_string(), tool.state.status()));
        let mut called: Vec<_> = called.collect();
        called.sort_unstable();
        let (bash, question) =
            if is_granted { ("completed", "error") } else { ("error", "completed") };
        assert_eq!(called, [("bash".to_owned(), bash), ("question".to_owned(), question)]);
        assert_eq!(outcome.end.name(), "rejected");
    }
}

pub(crate) async fn another_client_grants_while_a_handler_is_pending(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-else", commands(["echo one"]));
    let session = asking(&world).await.on_permission(|_| for_ever());

    let mut turn = session.send(prompt("Go [[permissions-else]]"));
    let mut replies = Vec::new();
    while let Some(event) = turn.next_event().await {
        match event.kind {
            TurnEventKind::PermissionAsked(request) => {
                let reply = ReplyPermission::new(request.id, PermissionReply::Once);
                world.server.call(&reply).await.unwrap();
            }
            TurnEventKind::PermissionReplied { reply, .. } => replies.push(reply),
            _ => {}
        }
    }
    let outcome = turn.outcome().await.unwrap();

    assert_eq!(replies, ["once".into()] as [Box<str>; 1]);
    assert_eq!(tools(&outcome), [completed("one\n")]);
}

pub(crate) async fn another_client_rejects_while_a_handler_is_pending(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-other", commands(["echo one"]));
    let session = asking(&world).await.on_permission(|_| for_ever());

    let mut turn = session.send(prompt("Go [[permissions-other]]"));
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::PermissionAsked(request) = event.kind {
            let reply = ReplyPermission::new(request.id, PermissionReply::reject());
            world.server.call(&reply).await.unwrap();
        }
    }
    assert_eq!(refused(&failed_outcome(turn).await), "bash (echo one)");
}

pub(crate) async fn a_turn_with_a_pending_request_can_be_cancelled(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-cancel", commands(["echo one"]));
    let session = asking(&world).await.on_permission(|_| for_ever());

    let mut turn = session.send(prompt("Go [[permissions-cancel]]"));
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::PermissionAsked(_) = event.kind {
            turn.cancel();
        }
    }
    let outcome = failed_outcome(turn).await;
    assert_eq!(outcome.end.name(), "cancelled");
    until_idle(&session).await;

    // The unanswered request does not disturb the next turn.
    let turn = prompt("Go [[permissions-cancel]]");
    let (_, outcome) =
        play(session.send(turn.on_permission(|_| async { PermissionReply::Once }))).await;
    assert_eq!(tools(&outcome), [completed("one\n")]);
}
