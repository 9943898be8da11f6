//! Several permission requests at the same time, and other clients that reply or abort.

use std::future::pending as for_ever;

use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::StreamExt;
use futures_util::future::{FutureExt, Shared};
use opencode_client::api::ReplyPermission;
use opencode_client::{PermissionReply, TurnEventKind};

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

pub(crate) async fn a_rejection_rejects_the_other_requests(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-both", two_at_once());
    let session = asking(&world).await;
    let (both, are_asked) = signal();
    let mut asked = 0;
    let turn = prompt("Go [[permissions-both]]").on_permission(move |ask| {
        let are_asked = are_asked.clone();
        async move {
            if ask.request.patterns == ["echo two"] {
                return for_ever().await;
            }
            are_asked.await;
            PermissionReply::reject()
        }
    });

    let mut turn = session.send(turn);
    let mut replies = Vec::new();
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::PermissionAsked(_) = &event.kind {
            asked += 1;
            if asked == 2 {
                both.unbounded_send(()).unwrap();
            }
        }
        if let TurnEventKind::PermissionReplied { reply, .. } = event.kind {
            replies.push(reply);
        }
    }
    let outcome = failed_outcome(turn).await;

    assert_eq!(refused(&outcome), "bash (echo one)");
    assert_eq!(replies, ["reject".into(), "reject".into()] as [Box<str>; 2]);
    let statuses: Vec<_> = tools(&outcome).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["error", "error"]);
    assert_eq!(pending(&session, &world).await, 0);
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
