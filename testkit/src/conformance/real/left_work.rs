//! Subagents that go on in the background after the turn that started them.

use std::time::Duration;

use opencode_client::api::{ListPermissions, ReplyPermission};
use opencode_client::turn::{BackgroundWork, FollowRequest, LeftAsks, NothingToFollow};
use opencode_client::{PermissionReply, Session, TurnEnd, TurnEventKind, TurnOutcome, TurnRequest};

use super::asking::PermissionLog;
use super::background::script_subagent;
use super::live::{LiveTurn, wait_for_model_request};
use super::sessions::{LONG, SessionWorld, failed_outcome, prompt};
use crate::conformance::Host;
use crate::model::{Gate, Reply};

/// Prompts a session with a subagent in the background, which asks for permission after the gate
/// opens. The turn leaves the subagent at work.
async fn leave(
    world: &SessionWorld,
    session: &Session,
    script: &'static str,
    gate: &Gate,
    asks: LeftAsks,
) -> TurnOutcome {
    script_subagent(world.model(), script, &format!("{script}-child"), gate, "echo one");
    let outcome = session.send(leaving(script, asks)).outcome().await.unwrap();
    assert_eq!((&*outcome.text(), outcome.still_running.len()), ("It has begun.", 1));
    outcome
}

fn leaving(script: &str, asks: LeftAsks) -> TurnRequest {
    let request = prompt(&*format!("Go [[{script}]]"));
    let settings = request.settings().clone();
    request.with_settings(settings.with_background(BackgroundWork::Leave).with_left_asks(asks))
}

/// Waits until the model has the prompt that OpenCode makes of the subagent's result.
async fn result_of_subagent(world: &SessionWorld, session: &Session) {
    let id = session.id().clone();
    wait_for_model_request(world, move |request| {
        let of_session = request.session() == Some(id.as_str());
        of_session && request.prompt().is_some_and(|prompt| prompt.contains("<task"))
    })
    .await;
}

pub(crate) async fn handlers_answer_for_subagents_that_a_turn_left(on: &Host) {
    let world = SessionWorld::new(on).await;
    let asked = PermissionLog::default();
    let session = world.session().await.on_permission(asked.reply(PermissionReply::Once));
    let gate = Gate::new();
    leave(&world, &session, "left-handled", &gate, LeftAsks::Handlers).await;
    assert!(asked.all().is_empty());
    gate.open();
    result_of_subagent(&world, &session).await;
    assert_eq!(asked.patterns(), ["echo one"]);
}

pub(crate) async fn subagents_without_a_handler_are_refused(on: &Host) {
    let world = SessionWorld::new(on).await;
    let asked = PermissionLog::default();
    for (number, asks) in [LeftAsks::Handlers, LeftAsks::Reject].into_iter().enumerate() {
        let mut session = world.session().await;
        if asks == LeftAsks::Reject {
            session = session.on_permission(asked.reply(PermissionReply::Once));
        }
        let gate = Gate::new();
        let script = ["left-unhandled", "left-rejected"][number];
        leave(&world, &session, script, &gate, asks).await;
        gate.open();
        result_of_subagent(&world, &session).await;
        assert_eq!(world.model_requests(&format!("{script}-child")).len(), 1, "{asks:?}");
    }
    assert!(asked.all().is_empty());
}

pub(crate) async fn another_client_answers_for_subagents_on_request(on: &Host) {
    let world = SessionWorld::in_directory(on, "left-others").await;
    let asked = PermissionLog::default();
    let session = world.session().await.on_permission(asked.reply(PermissionReply::Once));
    let gate = Gate::new();
    leave(&world, &session, "left-others", &gate, LeftAsks::OtherClients).await;
    gate.open();
    let pending = loop {
        let pending = world.server.call(&ListPermissions::new()).await.unwrap();
        if let [pending] = &pending[..] {
            break pending.clone();
        }
    };
    let reply = ReplyPermission::new(pending.request.id.clone(), PermissionReply::Once);
    world.server.call(&reply).await.unwrap();
    result_of_subagent(&world, &session).await;
    assert!(asked.all().is_empty());
}

pub(crate) async fn a_follow_takes_the_asks_of_left_work_over(on: &Host) {
    let world = SessionWorld::new(on).await;
    let (before, after) = (PermissionLog::default(), PermissionLog::default());
    let session = world.session().await.on_permission(before.reply(PermissionReply::Once));
    let gate = Gate::new();
    let turn = leave(&world, &session, "left-followed", &gate, LeftAsks::Handlers).await;
    gate.open();
    let request = FollowRequest::from(turn.message.clone())
        .with_settings(turn_settings())
        .on_permission(after.reply(PermissionReply::Once));
    let outcome = session.follow(request).outcome().await.unwrap();
    assert_eq!(
        (before.patterns().len() + after.patterns().len(), &outcome.message),
        (1, &turn.message)
    );
    assert_eq!(outcome.children[0].text(), "Found.");
    assert!(outcome.still_running.is_empty());
    assert!(outcome.spend().tokens.total > turn.spend().tokens.total);
}

fn turn_settings() -> opencode_client::turn::TurnSettings {
    let deadlines = opencode_client::Deadlines::NONE.with_overall(LONG);
    opencode_client::turn::TurnSettings::default().with_deadlines(deadlines)
}

pub(crate) async fn a_quiet_session_has_the_outcome_of_its_latest_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("left-quiet-plain", Reply::new().text("Plain."));
    let asked = PermissionLog::default();
    let session = world.session().await.on_permission(asked.reply(PermissionReply::Once));
    let quiet = Duration::from_secs(1);
    let end = failed_outcome(session.until_quiet(quiet)).await.end;
    assert!(matches!(end, TurnEnd::NothingToFollow(NothingToFollow::Idle)), "{end:?}");

    let gate = Gate::new();
    leave(&world, &session, "left-quiet", &gate, LeftAsks::Handlers).await;
    // The subagent is one of an earlier turn.
    session.send(prompt("And [[left-quiet-plain]]")).outcome().await.unwrap();
    let mut waiting = LiveTurn::new(session.until_quiet(quiet));
    waiting.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();
    let ended = waiting.end().await;
    let outcome = &ended.outcome;
    assert_eq!((ended.end(), asked.patterns()), ("completed", vec!["echo one".to_owned()]));
    assert_eq!(outcome.children[0].text(), "Found.");
    assert!(outcome.still_running.is_empty());
    // An idle session is quiet at once: the result of the subagent is its latest prompt.
    let again = session.until_quiet(Duration::ZERO).outcome().await.unwrap();
    assert_ne!(again.message, outcome.message);
    assert!(outcome.full_text().ends_with(&*again.text()) && !again.text().is_empty());
}
