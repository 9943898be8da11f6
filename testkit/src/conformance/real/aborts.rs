//! Turns that are aborted, by whom ever and whenever: they end, nothing of them is left, and the session goes on.

use std::future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use opencode_client::{CreateSession, Permissions, Session, TurnEventKind, TurnRequest};

use super::live::{Ended, Live, asked, assert_goes_on, left, until_idle};
use super::sessions::{World, bash, prompt, sleepers};
use crate::conformance::{Host, yield_now};
use crate::model::{Gate, Reply, Script};

/// Who aborts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The turn's own stream.
    Own,
    /// A client that knows nothing of the turn.
    Other,
}

impl By {
    async fn abort(self, world: &World, session: &Session, turn: &mut Live) {
        match self {
            Self::Own => turn.stream.cancel(),
            Self::Other => {
                let other = World::attached(&world.host, &name_of(world), |request| request).await;
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

fn name_of(world: &World) -> String {
    world.project().file_name().unwrap().to_str().unwrap().to_owned()
}

/// Ends a turn, and says what it came to when nothing of it is left.
async fn abort(world: &World, session: &Session, mut turn: Live, by: By) -> Ended {
    by.abort(world, session, &mut turn).await;
    let ended = turn.end().await;
    assert_eq!(ended.end(), by.end(), "{:#?}", ended.outcome);
    until_idle(session).await;
    assert_goes_on(world, session).await;
    ended
}

async fn during_text(on: &Host, by: By, script: &'static str) {
    let world = World::new(on).await;
    world.model().script(script, Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let mut turn = Live::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until_text("Begun ").await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "Begun ");
    left(&world, script).await;
}

pub(crate) async fn a_text_is_cancelled(on: &Host) {
    during_text(on, By::Own, "aborts-text-own").await;
}

pub(crate) async fn a_text_is_aborted(on: &Host) {
    during_text(on, By::Other, "aborts-text-other").await;
}

async fn during_silence(on: &Host, by: By, script: &'static str) {
    let world = World::new(on).await;
    world.model().script(script, Reply::new().stall());
    let session = world.session().await;
    let mut turn = Live::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until_asked(&world, move |request| request.script() == Some(script)).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "");
    left(&world, script).await;
}

pub(crate) async fn a_model_that_is_silent_is_cancelled(on: &Host) {
    during_silence(on, By::Own, "aborts-silence-own").await;
}

pub(crate) async fn a_model_that_is_silent_is_aborted(on: &Host) {
    during_silence(on, By::Other, "aborts-silence-other").await;
}

async fn during_tool(on: &Host, by: By, script: &'static str) {
    let world = World::new(on).await;
    // A length of its own, by which its process is found.
    let length = if by == By::Own { "86411" } else { "86412" };
    let call = Reply::new().text("I wait.").tool("bash", bash(&format!("sleep {length}")));
    world.model().script(script, Script::new().then(call));
    let session = world.session().await;
    let mut turn = Live::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.during(sleepers(on, length, 1)).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "I wait.");
    let tools: Vec<_> = ended.outcome.tools().collect();
    assert_eq!(tools.len(), 1);
    assert!(tools[0].state.is_over(), "{tools:?}");
    sleepers(on, length, 0).await;
}

pub(crate) async fn a_tool_is_cancelled(on: &Host) {
    during_tool(on, By::Own, "aborts-tool-own").await;
}

pub(crate) async fn a_tool_is_aborted(on: &Host) {
    during_tool(on, By::Other, "aborts-tool-other").await;
}

async fn during_retry(on: &Host, by: By, script: &'static str) {
    let world = World::new(on).await;
    let refused = Reply::error(429, "come back tomorrow").header("retry-after", 86400);
    world.model().script(script, refused);
    let session = world.session().await;
    let mut turn = Live::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until(|event| matches!(event.kind, TurnEventKind::Retrying { .. })).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!((ended.outcome.text(), ended.outcome.tokens().total), ("".into(), 0));
    assert_eq!(world.asked(script).len(), 1);
}

pub(crate) async fn a_wait_for_the_next_try_is_cancelled(on: &Host) {
    during_retry(on, By::Own, "aborts-retry-own").await;
}

pub(crate) async fn a_wait_for_the_next_try_is_aborted(on: &Host) {
    during_retry(on, By::Other, "aborts-retry-other").await;
}

async fn during_ask(on: &Host, by: By, script: &'static str) {
    let world = World::new(on).await;
    let call = Reply::new().text("May I?").tool("bash", bash("echo no"));
    world.model().script(script, Script::new().then(call));
    let asking = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    let session = world.session_with(asking).await;
    let session = session.on_permission(|_| future::pending());
    let mut turn = Live::new(session.send(prompt(format!("Go [[{script}]]"))));
    turn.until(|event| matches!(event.kind, TurnEventKind::PermissionAsked(_))).await;

    let ended = abort(&world, &session, turn, by).await;

    assert_eq!(ended.outcome.text(), "May I?");
    assert_eq!(ended.tools(), [("bash", "error")]);
    // The server keeps the request in its list. A turn that looks there does not take it for its own.
    let gate = Gate::new();
    let name = format!("{script}-next");
    world.model().script(&name, Reply::new().text("One ").pause_until(&gate).text("two."));
    let mut request = prompt(format!("Next [[{name}]]"));
    request.settings.look_interval = Duration::from_millis(50);
    let mut turn = Live::new(session.send(request));
    turn.until_text("One ").await;
    turn.during(on.sleep(Duration::from_millis(400))).await;
    gate.open();
    let next = turn.end().await;
    assert_eq!((next.end(), &*next.outcome.text()), ("completed", "One two."));
    assert_eq!(next.count(|kind| matches!(kind, TurnEventKind::PermissionAsked(_))), 0);
}

pub(crate) async fn a_wait_for_a_permission_is_cancelled(on: &Host) {
    during_ask(on, By::Own, "aborts-ask-own").await;
}

pub(crate) async fn a_wait_for_a_permission_is_aborted(on: &Host) {
    during_ask(on, By::Other, "aborts-ask-other").await;
}

pub(crate) async fn a_turn_that_is_cancelled_at_once_is_not_answered_later(on: &Host) {
    let world = World::new(on).await;
    world.model().script("aborts-at-once", Reply::new().text("Unwanted."));
    let session = world.session().await;
    for polls in [0, 1, 2, 3] {
        let mut turn = session.send(prompt("Go [[aborts-at-once]]"));
        for _ in 0..polls {
            select(pin!(turn.next_event()), pin!(yield_now())).await;
        }
        turn.cancel();
        let ended = Live::new(turn).end().await;
        assert!(["cancelled", "completed"].contains(&ended.end()), "{:?}", ended.outcome);
        until_idle(&session).await;
        assert_goes_on(&world, &session).await;
    }
}

pub(crate) async fn a_turn_that_is_dropped_is_gone_when_the_next_one_begins(on: &Host) {
    let world = World::new(on).await;
    world.model().script("aborts-dropped", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    for _ in 0..3 {
        let mut turn = Live::new(session.send(prompt("Go [[aborts-dropped]]")));
        turn.until_text("Begun ").await;
        drop(turn);
        assert_goes_on(&world, &session).await;
    }
    for request in world.asked("aborts-dropped") {
        assert_eq!(request.outcome(), Some(crate::model::Outcome::ClientLeft));
    }
    // With a tool at work, and as soon as the server has the prompt.
    let call = Script::new().then(Reply::new().tool("bash", bash("sleep 86413")));
    world.model().script("aborts-dropped-tool", call);
    let mut turn = Live::new(session.send(prompt("Go [[aborts-dropped-tool]]")));
    turn.during(sleepers(on, "86413", 1)).await;
    drop(turn);
    assert_goes_on(&world, &session).await;
    sleepers(on, "86413", 0).await;
    for _ in 0..3 {
        let mut turn = Live::new(session.send(prompt("Go [[aborts-dropped]]")));
        turn.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
        drop(turn);
        assert_goes_on(&world, &session).await;
    }
}

pub(crate) async fn a_turn_ends_with_its_session(on: &Host) {
    let world = World::new(on).await;
    world.model().script("aborts-deleted", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let other = World::new(on).await;
    let same = other.server.session(session.id().clone()).await.unwrap();
    let mut turn = Live::new(session.send(prompt("Go [[aborts-deleted]]")));
    turn.until_text("Begun ").await;

    turn.during(async { same.delete().await.unwrap() }).await;
    let ended = turn.end().await;

    assert_eq!((ended.end(), &*ended.outcome.text()), ("session_deleted", "Begun "));
    // The model is not paid for what nobody can read.
    left(&world, "aborts-deleted").await;
    let next = super::live::ended(&session, TurnRequest::new("Hello")).await;
    assert_eq!(next.end(), "refused");
    // Others are not concerned.
    assert_goes_on(&world, &world.session().await).await;
    asked(&world, |request| request.script() == Some("aborts-deleted")).await;
}
