//! Permission requests of turns, and their replies.

use std::future::Ready;

use opencode_client::turn::{Pending, PermissionRequest};
use opencode_client::{PermissionReply, TurnEventKind};
use serde_json::json;

use super::asking::{PermissionLog, asking, commands, completed, pending, refused, tools};
use super::sessions::{SessionWorld, failed_outcome, play, prompt};
use crate::conformance::Host;
use crate::model::{Reply, Script};

const REJECTED: &str = "The user rejected permission to use this specific tool call.";

pub(crate) async fn a_request_without_a_handler_is_rejected_and_ends_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-no-handler", commands(["echo one"]));
    let session = asking(&world).await;

    let mut turn = session.send(prompt("Go [[permissions-no-handler]]"));
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        match event.kind {
            TurnEventKind::PermissionAsked(request) => events.push(request.permission),
            TurnEventKind::PermissionReplied { reply, .. } => events.push(reply.into()),
            _ => {}
        }
    }
    let outcome = failed_outcome(turn).await;

    assert_eq!(events, ["bash", "reject"]);
    assert_eq!(refused(&outcome), "bash (echo one)");
    assert_eq!(tools(&outcome), [("error".to_owned(), REJECTED.to_owned())]);
    assert_eq!(
        world.model_requests("permissions-no-handler").len(),
        1,
        "the model was called again"
    );
    assert_eq!(pending(&session, &world).await, 0);
    // The session continues.
    let (_, outcome) = play(session.send(prompt("Hello"))).await;
    assert_eq!(outcome.text(), "Hello from the scripted model.");
}

pub(crate) async fn once_grants_one_call(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-once", commands(["echo one", "echo one"]));
    let asked = PermissionLog::default();
    let session = asking(&world).await.on_permission(asked.reply(PermissionReply::Once));

    let (text, outcome) = play(session.send(prompt("Go [[permissions-once]]"))).await;

    assert_eq!(text, "Done.");
    assert_eq!(asked.patterns(), ["echo one", "echo one"]);
    let ask = &asked.all()[0];
    assert_eq!(ask.session, *session.id());
    assert_eq!((&*ask.request.permission, &*ask.request.always), ("bash", &["echo *".into()][..]));
    let call = outcome.tools().next().unwrap();
    let tool = ask.request.tool.as_ref().unwrap();
    assert_eq!((&tool.call, &tool.message), (&call.call, &call.key.message));
    assert_eq!(tools(&outcome), [completed("one\n"), completed("one\n")]);
    assert_eq!(world.model_requests("permissions-once")[2].tool_results()[1].text, "one\n");
}

pub(crate) async fn always_grants_all_sessions_of_the_directory(on: &Host) {
    let world = SessionWorld::in_directory(on, "always").await;
    world.model().script("permissions-always", commands(["echo one", "echo two"]));
    let asked = PermissionLog::default();
    let always = || asked.reply(PermissionReply::Always);

    let session = asking(&world).await.on_permission(always());
    play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one"]);

    let session = asking(&world).await.on_permission(always());
    let (_, outcome) = play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one"], "the grant did not cover the next session");
    assert_eq!(tools(&outcome), [completed("one\n"), completed("two\n")]);

    // The grant does not cover another directory.
    let session = asking(&SessionWorld::new(on).await).await;
    let session = session.on_permission(asked.reply(PermissionReply::Once));
    play(session.send(prompt("Go [[permissions-always]]"))).await;
    assert_eq!(asked.patterns(), ["echo one", "echo one", "echo two"]);
}

pub(crate) async fn a_handler_can_reject(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-refuse", commands(["echo one", "echo two"]));
    let asked = PermissionLog::default();
    let session = asking(&world).await.on_permission(asked.reply(PermissionReply::reject()));

    let outcome = failed_outcome(session.send(prompt("Go [[permissions-refuse]]"))).await;

    assert_eq!(asked.patterns(), ["echo one"]);
    assert_eq!(refused(&outcome), "bash (echo one)");
    assert_eq!(outcome.end.to_string(), "stopped where it was refused: bash (echo one)");
    assert_eq!(world.model_requests("permissions-refuse").len(), 1);
}

pub(crate) async fn a_rejection_with_a_message_continues_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-feedback", commands(["echo one"]));
    let reply = PermissionReply::reject_with("Not \"that\" one,\nbut echo two \u{1f980}.");
    let session = asking(&world).await.on_permission(PermissionLog::default().reply(reply));

    let (_, outcome) = play(session.send(prompt("Go [[permissions-feedback]]"))).await;

    assert_eq!(outcome.text(), "Done.");
    let result = &world.model_requests("permissions-feedback")[1].tool_results()[0].text;
    let feedback = "The user rejected permission to use this specific tool call with the following \
               feedback: Not \"that\" one,\nbut echo two \u{1f980}.";
    assert_eq!(result, feedback);
    assert_eq!(tools(&outcome), [("error".to_owned(), feedback.to_owned())]);
}

pub(crate) async fn the_handler_of_the_turn_precedes_that_of_the_session(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-turn", commands(["echo one"]));
    let (of_session, of_turn) = (PermissionLog::default(), PermissionLog::default());
    let session = asking(&world).await.on_permission(of_session.reply(PermissionReply::reject()));

    let once = of_turn.reply(PermissionReply::Once);
    let turn = session.send(prompt("Go [[permissions-turn]]").on_permission(once));
    assert_eq!(play(turn).await.1.text(), "Done.");
    assert_eq!((of_session.all().len(), of_turn.all().len()), (0, 1));

    // The next turn has no separate handler.
    let outcome = failed_outcome(session.send(prompt("Go [[permissions-turn]]"))).await;
    assert_eq!(outcome.end.name(), "rejected");
    assert_eq!((of_session.all().len(), of_turn.all().len()), (1, 1));
}

pub(crate) async fn a_panicking_handler_rejects(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-panic", commands(["echo one"]));
    let session = asking(&world).await;

    let turn = prompt("Go [[permissions-panic]]")
        .on_permission(|_| async { panic!("a handler panics on purpose") });
    assert_eq!(refused(&failed_outcome(session.send(turn)).await), "bash (echo one)");

    // The same for a handler that panics before it returns a future.
    fn at_once(_: Pending<PermissionRequest>) -> Ready<PermissionReply> {
        panic!("a handler panics on purpose")
    }
    let turn = prompt("Go [[permissions-panic]]").on_permission(at_once);
    assert_eq!(refused(&failed_outcome(session.send(turn)).await), "bash (echo one)");
}

pub(crate) async fn a_directory_outside_the_project_needs_permission(on: &Host) {
    let world = SessionWorld::new(on).await;
    let outside = tempfile::tempdir().unwrap();
    let directory = outside.path().canonicalize().unwrap();
    let file = directory.join("a secret.txt");
    std::fs::write(&file, "what it says\n").unwrap();
    let script = Script::new()
        .then(Reply::new().tool("read", json!({ "filePath": file.to_str().unwrap() })))
        .then(Reply::new().text("Read."));
    world.model().script("permissions-outside", script);
    let asked = PermissionLog::default();
    let session = world.session().await;

    let turn =
        prompt("Go [[permissions-outside]]").on_permission(asked.reply(PermissionReply::Once));
    let (_, outcome) = play(session.send(turn)).await;

    let [ask] = &asked.all()[..] else { panic!("{:?}", asked.all()) };
    assert_eq!(ask.request.permission, "external_directory");
    assert_eq!(asked.patterns(), [format!("{}/*", directory.display())]);
    let (status, output) = tools(&outcome).remove(0);
    assert_eq!(status, "completed");
    assert!(output.contains("what it says"), "{output}");

    let outcome = failed_outcome(session.send(prompt("Go [[permissions-outside]]"))).await;
    assert_eq!(refused(&outcome), format!("external_directory ({}/*)", directory.display()));
}
