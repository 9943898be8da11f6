//! Turns that are aborted, by either client and in every state: they end, leave nothing behind, and
//! the session continues.

use std::future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use opencode_client::event::LateRetry;
use opencode_client::{CreateSession, Deadlines, Permissions, Session, TurnEventKind, TurnRequest};

use super::live::{
    EndedTurn, LiveTurn, assert_session_continues, until_idle, wait_for_model_disconnect,
    wait_for_model_request,
};
use super::sessions::{SessionWorld, bash, prompt, wait_for_sleepers};
use crate::conformance::{Host, yield_now};
use crate::model::{Gate, Reply, Script};

/// Client that aborts a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aborter {
    /// The turn's own stream.
    Own,
    /// Another client, which does not know the turn.
    Other,
}

impl Aborter {
    async fn abort(self, world: &SessionWorld, session: &Session, turn: &mut LiveTurn) {
        match self {
            Self::Own => turn.stream.cancel(),
            Self::Other => {
                let other =
                    SessionWorld::attached(&world.host, &name_of(world), |request| request).await;
                let same = other.server.session(session.id().clone()).await.unwrap();
                turn.during(async { same.abort().await.unwrap() }).await;
            }
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Own => "cancelled",
            Self::Other => "aborted",
        }
    }
}

fn name_of(world: &SessionWorld) -> String {
    world.project().file_name().unwrap().to_str().unwrap().to_owned()
}

/// Aborts a turn, and returns the end after checking that the session continues.
async fn abort(
    world: &SessionWorld,
    session: &Session,
    mut turn: LiveTurn,
    by: Aborter,
) -> EndedTurn {
    by.abort(world, session, &mut turn).await;
    let ended = turn.end().await;
    assert_eq!(ended.end(), by.end(), "{:#?}", ended.outcome);
    until_idle(session).await;
    assert_session_continues(world, session).await;
    ended
}

async fn during_text(on: &Host, by: Aborter, script: &'static str) {
    let world = SessionWorld::new(on).await;
    world.model().script(script, Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until_text("Begun ").await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "Begun ");
    wait_for_model_disconnect(&world, script).await;
}

pub(crate) async fn a_streaming_text_is_cancelled(on: &Host) {
    during_text(on, Aborter::Own, "aborts-text-own").await;
}

pub(crate) async fn a_streaming_text_is_aborted(on: &Host) {
    during_text(on, Aborter::Other, "aborts-text-other").await;
}

async fn during_silence(on: &Host, by: Aborter, script: &'static str) {
    let world = SessionWorld::new(on).await;
    world.model().script(script, Reply::new().stall());
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until_model_request(&world, move |request| request.script() == Some(script)).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "");
    wait_for_model_disconnect(&world, script).await;
}

pub(crate) async fn a_silent_model_is_cancelled(on: &Host) {
    during_silence(on, Aborter::Own, "aborts-silence-own").await;
}

pub(crate) async fn a_silent_model_is_aborted(on: &Host) {
    during_silence(on, Aborter::Other, "aborts-silence-other").await;
}

async fn during_tool(on: &Host, by: Aborter, script: &'static str) {
    let world = SessionWorld::new(on).await;
    // A unique length, which identifies the process.
    let length = if by == Aborter::Own { "86411" } else { "86412" };
    let call = Reply::new().text("I wait.").tool("bash", bash(&format!("sleep {length}")));
    world.model().script(script, Script::new().then(call));
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.during(wait_for_sleepers(on, length, 1)).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "I wait.");
    let tools: Vec<_> = ended.outcome.tools().collect();
    assert_eq!(tools.len(), 1);
    assert!(tools[0].state.is_over(), "{tools:?}");
    wait_for_sleepers(on, length, 0).await;
}

pub(crate) async fn a_running_tool_is_cancelled(on: &Host) {
    during_tool(on, Aborter::Own, "aborts-tool-own").await;
}

pub(crate) async fn a_running_tool_is_aborted(on: &Host) {
    during_tool(on, Aborter::Other, "aborts-tool-other").await;
}

async fn during_retry(on: &Host, by: Aborter, script: &'static str) {
    let world = SessionWorld::new(on).await;
    let refused = Reply::error(429, "come back tomorrow").header("retry-after", 86400);
    world.model().script(script, refused);
    let session = world.session().await;
    let deadlines = Deadlines::default().with_late_retry(LateRetry::Wait);
    let request = prompt(format!("Go [[{script}]]")).with_deadlines(deadlines);
    let mut turn = LiveTurn::new(session.send(request));
    turn.until(|event| matches!(event.kind, TurnEventKind::Retrying { .. })).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!((ended.outcome.text(), ended.outcome.tokens().total), ("".into(), 0));
    assert_eq!(world.model_requests(script).len(), 1);
}

pub(crate) async fn a_retry_delay_is_cancelled(on: &Host) {
    during_retry(on, Aborter::Own, "aborts-retry-own").await;
}

pub(crate) async fn a_retry_delay_is_aborted(on: &Host) {
    during_retry(on, Aborter::Other, "aborts-retry-other").await;
}

async fn during_ask(on: &Host, by: Aborter, script: &'static str) {
    let world = SessionWorld::new(on).await;
    let call = Reply::new().text("May I?").tool("bash", bash("echo no"));
    world.model().script(script, Script::new().then(call));
    let asking = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    let session = world.session_with(asking).await;
    let session = session.on_permission(|_| future::pending());
    let mut turn = LiveTurn::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until(|event| matches!(event.kind, TurnEventKind::PermissionAsked(_))).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "May I?");
    assert_eq!(ended.tools(), [("bash", "error")]);
    // The server keeps the request in the list. A look of a later turn must not claim it.
    let gate = Gate::new();
    let name = format!("{script}-next");
    world.model().script(&name, Reply::new().text("One ").pause_until(&gate).text("two."));
    let request = prompt(format!("Next [[{name}]]"));
    let frequent = request.settings().clone().with_look_interval(Duration::from_millis(50));
    let request = request.with_settings(frequent);
    let mut turn = LiveTurn::new(session.send(request));
    turn.until_text("One ").await;
    turn.during(on.sleep(Duration::from_millis(400))).await;
    gate.open();
    let next = turn.end().await;
    assert_eq!((next.end(), &*next.outcome.text()), ("completed", "One two."));
    assert_eq!(next.count(|kind| matches!(kind, TurnEventKind::PermissionAsked(_))), 0);
}

pub(crate) async fn a_pending_permission_is_cancelled(on: &Host) {
    during_ask(on, Aborter::Own, "aborts-ask-own").await;
}

pub(crate) async fn a_pending_permission_is_aborted(on: &Host) {
    during_ask(on, Aborter::Other, "aborts-ask-other").await;
}

pub(crate) async fn a_turn_cancelled_at_once_is_not_answered_later(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("aborts-at-once", Reply::new().text("Unwanted."));
    let session = world.session().await;
    for polls in [0, 1, 2, 3] {
        let mut turn = session.send(prompt("Go [[aborts-at-once]]"));
        for _ in 0..polls {
            select(pin!(turn.next_event()), pin!(yield_now())).await;
        }
        turn.cancel();
        let ended = LiveTurn::new(turn).end().await;
        assert!(["cancelled", "completed"].contains(&ended.end()), "{:?}", ended.outcome);
        until_idle(&session).await;
        assert_session_continues(&world, &session).await;
    }
}

pub(crate) async fn a_dropped_turn_is_over_before_the_next_begins(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("aborts-dropped", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    for _ in 0..3 {
        let mut turn = LiveTurn::new(session.send(prompt("Go [[aborts-dropped]]")));
        turn.until_text("Begun ").await;
        drop(turn);
        assert_session_continues(&world, &session).await;
    }
    for request in world.model_requests("aborts-dropped") {
        assert_eq!(request.outcome(), Some(crate::model::Outcome::ClientLeft));
    }
    // The same while a tool is running, and as soon as the server has the prompt.
    let call = Script::new().then(Reply::new().tool("bash", bash("sleep 86413")));
    world.model().script("aborts-dropped-tool", call);
    let mut turn = LiveTurn::new(session.send(prompt("Go [[aborts-dropped-tool]]")));
    turn.during(wait_for_sleepers(on, "86413", 1)).await;
    drop(turn);
    assert_session_continues(&world, &session).await;
    wait_for_sleepers(on, "86413", 0).await;
    for _ in 0..3 {
        let mut turn = LiveTurn::new(session.send(prompt("Go [[aborts-dropped]]")));
        turn.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
        drop(turn);
        assert_session_continues(&world, &session).await;
    }
}

pub(crate) async fn deleting_the_session_ends_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("aborts-deleted", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let other = SessionWorld::new(on).await;
    let same = other.server.session(session.id().clone()).await.unwrap();
    let mut turn = LiveTurn::new(session.send(prompt("Go [[aborts-deleted]]")));
    turn.until_text("Begun ").await;

    turn.during(async { same.delete().await.unwrap() }).await;
    let ended = turn.end().await;

    assert_eq!((ended.end(), &*ended.outcome.text()), ("session_deleted", "Begun "));
    // OpenCode closes the connection to the model.
    wait_for_model_disconnect(&world, "aborts-deleted").await;
    let next = super::live::run_turn(&session, TurnRequest::new("Hello")).await;
    assert_eq!(next.end(), "refused");
    // Other sessions are not affected.
    assert_session_continues(&world, &world.session().await).await;
    wait_for_model_request(&world, |request| request.script() == Some("aborts-deleted")).await;
}
