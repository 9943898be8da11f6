//! Ends of turns: completed, timed out, or together with other turns.

use std::time::Duration;

use opencode_tokio::event::{Deadline, ErrorName, FinishReason};
use opencode_tokio::session::Role;
use opencode_tokio::{Deadlines, Session, TurnEnd, TurnEventKind, TurnRequest};
use testkit::conformance::real::live::{
    LiveTurn, assert_session_continues, run_turn, until_idle, wait_for_model_disconnect,
};
use testkit::conformance::real::sessions::bash;
use testkit::conformance::real::sessions::{SessionWorld, prompt};
use testkit::model::{Gate, Reply, Script};

use crate::on;

/// Plays a turn that must end by the deadline `which`.
async fn assert_times_out(
    script: &'static str,
    reply: Reply,
    deadlines: Deadlines,
    which: Deadline,
) {
    let world = SessionWorld::new(&on()).await;
    world.model().script(script, reply);
    let session = world.session().await;
    let request = TurnRequest::new(format!("Go [[{script}]]")).with_deadlines(deadlines);

    let turn = LiveTurn::new(session.send(request)).end().await;

    assert!(
        matches!(turn.outcome.end, TurnEnd::TimedOut { deadline: end, .. } if end == which),
        "{turn:#?}"
    );
    until_idle(&session).await;
    wait_for_model_disconnect(&world, script).await;
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn the_overall_deadline_ends_a_turn() {
    let deadlines = Deadlines::NONE.with_overall(Duration::from_secs(3));
    let endless = std::iter::repeat_n("and on ", 10_000);
    let reply = Reply::new().deltas(endless).slow(Duration::from_millis(50));
    assert_times_out("ends-overall", reply, deadlines, Deadline::Overall).await;
}

#[tokio::test]
async fn a_model_that_never_answers_times_out() {
    let deadlines = Deadlines::NONE
        .with_first_event(Duration::from_secs(3))
        .with_idle(Duration::from_secs(240))
        .with_overall(testkit::conformance::real::sessions::LONG);
    assert_times_out("ends-first", Reply::new().stall(), deadlines, Deadline::FirstEvent).await;
}

#[tokio::test]
async fn a_silent_model_times_out() {
    let deadlines = Deadlines::NONE.with_idle(Duration::from_secs(3));
    assert_times_out("ends-idle", Reply::new().text("Begun ").stall(), deadlines, Deadline::Idle)
        .await;
}

/// Number of prompts in a session.
async fn prompts(session: &Session) -> usize {
    let messages = session.messages().await.unwrap();
    messages.iter().filter(|message| message.info.role == Role::User).count()
}

#[tokio::test]
async fn a_prompt_to_a_busy_session_is_answered_separately() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let first = Reply::new().text("First ").pause_until(&gate).text("answer.");
    world.model().script("ends-queue-1", first);
    world.model().script("ends-queue-2", Reply::new().text("Second answer."));
    let session = world.session().await;

    let mut first = LiveTurn::new(session.send(prompt("One [[ends-queue-1]]")));
    first.until_text("First ").await;
    let mut second = LiveTurn::new(session.send(prompt("Two [[ends-queue-2]]")));
    second.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();
    let (first, second) = tokio::join!(first.end(), second.end());

    assert_eq!((first.end(), second.end()), ("completed", "completed"));
    assert_eq!(first.outcome.text(), "First answer.");
    assert_eq!(second.outcome.text(), "Second answer.");
    first.assert_calls(1);
    second.assert_calls(1);
    assert_eq!(prompts(&session).await, 2);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_prompt_between_two_steps_joins_the_answer() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let first = Script::new()
        .then(Reply::new().text("I look.").pause_until(&gate).tool("bash", bash("echo out")));
    world.model().script("ends-steer-1", first);
    world.model().script("ends-steer-2", Reply::new().text("Both answers."));
    let session = world.session().await;

    let mut first = LiveTurn::new(session.send(prompt("One [[ends-steer-1]]")));
    first.until_text("I look.").await;
    let mut second = LiveTurn::new(session.send(prompt("Two [[ends-steer-2]]")));
    second.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();
    let (first, second) = tokio::join!(first.end(), second.end());

    assert_eq!((first.end(), second.end()), ("completed", "completed"));
    assert_eq!(first.outcome.full_text(), "I look.Both answers.");
    assert_eq!(second.outcome.full_text(), "Both answers.");
    assert_eq!((first.tools(), second.tools()), (vec![("bash", "completed")], vec![]));
    assert_eq!(prompts(&session).await, 2);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn simultaneous_prompts_are_all_answered() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("ends-together-1", Reply::new().text("First answer."));
    world.model().script("ends-together-2", Reply::new().text("Second answer."));
    for _ in 0..3 {
        let session = world.session().await;
        let first = LiveTurn::new(session.send(prompt("One [[ends-together-1]]")));
        let second = LiveTurn::new(session.send(prompt("Two [[ends-together-2]]")));

        let (first, second) = tokio::join!(first.end(), second.end());

        assert_eq!((first.end(), second.end()), ("completed", "completed"));
        assert!(!first.outcome.text().is_empty());
        assert!(!second.outcome.text().is_empty());
        assert_eq!(prompts(&session).await, 2);
        assert_session_continues(&world, &session).await;
    }
}

#[tokio::test]
async fn a_prompt_before_the_answer_begins_is_answered_separately() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    world.model().script("ends-early-1", Reply::new().pause_until(&gate).text("First answer."));
    world.model().script("ends-early-2", Reply::new().text("Second answer."));
    let session = world.session().await;

    let mut first = LiveTurn::new(session.send(prompt("One [[ends-early-1]]")));
    first.until_model_request(&world, |request| request.script() == Some("ends-early-1")).await;
    let mut second = LiveTurn::new(session.send(prompt("Two [[ends-early-2]]")));
    second.until(|event| matches!(event.kind, TurnEventKind::Posted(_))).await;
    gate.open();
    let (first, second) = tokio::join!(first.end(), second.end());

    assert_eq!((first.end(), second.end()), ("completed", "completed"));
    assert_eq!(first.outcome.text(), "First answer.");
    assert_eq!(second.outcome.text(), "Second answer.");
    assert_eq!(prompts(&session).await, 2);
    assert_session_continues(&world, &session).await;
}

/// Plays a turn of one answer. Returns the turn and the finish reason of the answer.
async fn finished(
    script: &str,
    reply: Reply,
) -> (testkit::conformance::real::live::EndedTurn, Option<FinishReason>) {
    let world = SessionWorld::new(&on()).await;
    world.model().script(script, reply);
    let session = world.session().await;
    let turn = run_turn(&session, format!("Go [[{script}]]")).await;
    assert_session_continues(&world, &session).await;
    let finish = turn.outcome.answers().last().unwrap().finish.clone();
    (turn, finish)
}

#[tokio::test]
async fn a_truncated_answer_completes_the_turn() {
    let reply = Reply::new().text("Too lo").finish("length");
    let (turn, finish) = finished("ends-length", reply).await;
    assert_eq!((turn.end(), finish.unwrap()), ("completed", FinishReason::LENGTH.into()));
    assert_eq!(turn.outcome.text(), "Too lo");
    turn.assert_calls(1);
}

#[tokio::test]
async fn a_filtered_answer_is_an_error() {
    let reply = Reply::new().text("I must not ").finish("content_filter");
    let (turn, finish) = finished("ends-filter", reply).await;
    let TurnEnd::AgentError(error) = &turn.outcome.end else { panic!("{:?}", turn.outcome) };
    assert_eq!(error.name, ErrorName::CONTENT_FILTER);
    assert_eq!(finish.unwrap().as_str(), "content-filter");
    assert_eq!(turn.outcome.text(), "I must not ");
    assert_eq!(turn.outcome.errors().len(), 1);
    turn.assert_calls(1);
}

#[tokio::test]
async fn an_empty_answer_completes_the_turn() {
    let (turn, finish) = finished("ends-empty", Reply::new()).await;
    assert_eq!((turn.end(), finish.unwrap()), ("completed", FinishReason::STOP.into()));
    assert_eq!(turn.outcome.text(), "");
    turn.assert_calls(1);
}

#[tokio::test]
async fn an_unknown_finish_reason_is_endless_after_a_few_calls() {
    let world = SessionWorld::new(&on()).await;
    let tired = Script::from(Reply::new().text("So.").finish("tired")).repeat_last();
    world.model().script("ends-unknown", tired);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[ends-unknown]]").await;

    assert_eq!(turn.end(), "endless");
    assert!(turn.outcome.text().starts_with("So."), "{}", turn.outcome.text());
    let calls = world.model_requests("ends-unknown").len();
    assert!((9..=11).contains(&calls), "{calls} calls: the ninth exceeds the limit");
    assert_eq!(turn.outcome.answers().next().unwrap().finish, Some(FinishReason::UNKNOWN.into()));
    until_idle(&session).await;
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_answer_without_a_finish_reason_is_followed_by_another_call() {
    let world = SessionWorld::new(&on()).await;
    let attempts = [Reply::new().text("Begun ").close(), Reply::new().text("Done.")];
    world.model().script("ends-close", Script::new().then(attempts));
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[ends-close]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "Done."));
    assert_eq!(turn.outcome.full_text(), "Begun Done.");
    assert_eq!(turn.outcome.answers().count(), 2);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn failing_tools_do_not_fail_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let calls = Reply::new()
        .tool("bash", bash("echo out; exit 3"))
        .tool("read", serde_json::json!({ "filePath": "missing.txt" }))
        .tool("frobnicate", serde_json::json!({}));
    let script = Script::new().then(calls).then(Reply::new().text("All failed."));
    world.model().script("ends-tools", script);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[ends-tools]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "All failed."));
    let tools = [("bash", "completed"), ("read", "error"), ("invalid", "completed")];
    assert_eq!(turn.tools(), tools);
    turn.assert_calls(2);
    assert_session_continues(&world, &session).await;
}
