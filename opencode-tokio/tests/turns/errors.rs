//! Failures before or during an answer, and the turns that survive them.

use std::time::{SystemTime, UNIX_EPOCH};

use opencode_tokio::event::ErrorName;
use opencode_tokio::turn::{PromptFile, TurnSettings};
use opencode_tokio::{CreateSession, ModelRef, Prompt, TurnEnd, TurnEventKind};
use testkit::conformance::real::live::{
    EndedTurn, LiveTurn, assert_session_continues, requests_of, run_turn,
};
use testkit::conformance::real::sessions::{SessionWorld, bash, prompt};
use testkit::model::{Gate, Reply, Script, Usage};

use crate::on;

#[track_caller]
fn agent_error(ended: &EndedTurn) -> &opencode_tokio::AgentError {
    match &ended.outcome.end {
        TurnEnd::AgentError(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_of_the_provider_ends_the_turn() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("errors-refused", Reply::error(401, "no such key"));
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[errors-refused]]").await;

    let error = agent_error(&turn);
    assert_eq!((&error.name, error.status), (&ErrorName::API.into(), Some(401)));
    assert_eq!((&*error.message, error.retryable), ("no such key", Some(false)));
    assert_eq!(turn.failures(), ["no such key"]);
    assert_eq!((turn.outcome.errors().len(), turn.outcome.tokens().total), (1, 0));
    assert_eq!(world.model_requests("errors-refused").len(), 1);
    // The server reports the session as idle twice. The second report must not end the next turn.
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_unknown_agent_ends_the_turn_without_a_status() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;

    let turn = run_turn(&session, Prompt::from("Hello").with_agent("nobody")).await;

    assert!(agent_error(&turn).message.contains("nobody"), "{:?}", turn.outcome);
    assert_eq!(turn.outcome.answers().count(), 0);
    let is_status = |kind: &_| matches!(kind, TurnEventKind::StatusChanged(_));
    assert_eq!(turn.count(is_status), 0, "OpenCode reports no status");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_unknown_model_is_not_kept_for_the_next_turn() {
    let world = SessionWorld::new(&on()).await;
    let unknown = || Prompt::from("Hello").with_model(ModelRef::new("scripted/none").unwrap());
    let small = CreateSession::new().with_model(ModelRef::new("scripted/small").unwrap());
    // The configured model, and the one that the session was created with.
    for (create, model) in [(CreateSession::new(), "m1"), (small, "small")] {
        let session = world.session_with(create).await;
        for _ in 0..2 {
            let turn = run_turn(&session, unknown()).await;
            let error = agent_error(&turn);
            assert!(error.message.contains("scripted/none"), "{error:?}");
        }

        assert_session_continues(&world, &session).await;
        assert_session_continues(&world, &session).await;

        let requests = requests_of(&world, &session);
        let models: Vec<_> = requests.iter().map(|request| request.model()).collect();
        assert_eq!(models, [model, model]);
    }
}

#[tokio::test]
async fn a_missing_file_is_reported_and_survived() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("errors-file", Reply::new().text("I see no file."));
    let session = world.session().await;
    let missing = world.project().join("missing.txt");

    let prompt = Prompt::from("Read [[errors-file]]").with_part(PromptFile::path(&missing));
    let turn = run_turn(&session, prompt).await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "I see no file."));
    let failures = turn.failures();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("missing.txt"), "{failures:?}");
    assert_eq!(turn.outcome.errors().len(), 1);
    turn.assert_calls(1);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn temporary_failures_are_reported_and_retried() {
    let world = SessionWorld::new(&on()).await;
    let attempts = [
        Reply::error(429, "slow down").header("retry-after-ms", 20),
        Reply::error(500, "oops").header("retry-after-ms", 20),
        Reply::new().text("At last."),
    ];
    world.model().script("errors-passing", Script::new().then(attempts));
    let session = world.session().await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();

    let turn = run_turn(&session, "Go [[errors-passing]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "At last."));
    let retries = turn.events.iter().filter_map(|event| match &event.kind {
        TurnEventKind::Retrying { attempt, message, next_ms, .. } => {
            assert!(u128::from(*next_ms) >= before, "{next_ms}");
            Some((*attempt, &**message))
        }
        _ => None,
    });
    let retries: Vec<_> = retries.collect();
    assert_eq!(retries, [(1, "slow down"), (2, "oops")]);
    assert_eq!((turn.failures().len(), turn.outcome.errors().len()), (0, 0));
    turn.assert_calls(1);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_retry_that_is_due_after_the_deadlines_ends_the_turn_at_once() {
    let world = SessionWorld::new(&on()).await;
    let quota = Reply::error(429, "quota exceeded").header("retry-after", 72_000);
    world.model().script("errors-quota", quota);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[errors-quota]]").await;

    let TurnEnd::RetryTooLate { failure: Some(failure), .. } = &turn.outcome.end else {
        panic!("{turn:#?}")
    };
    assert_eq!((&*failure.message, failure.attempt), ("quota exceeded", Some(1)));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let next = u128::from(failure.next_ms.unwrap());
    assert!(next > now + 71_000_000 && next < now + 73_000_000, "{next}");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn replies_that_are_no_answer_have_an_end_of_their_own() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    for (name, reply) in [
        ("errors-page", Reply::status(200, "<html>Please log in.</html>")),
        ("errors-object", Reply::error(200, "no credit")),
        ("errors-nothing", Reply::new().close()),
    ] {
        world.model().script(name, Script::from(reply).repeat_last());
        let settings = TurnSettings::default().with_unfinished_max(2);
        let request = prompt(format!("Go [[{name}]]"));
        let settings = settings.with_deadlines(request.settings().deadlines());
        let turn = LiveTurn::new(session.send(request.with_settings(settings))).end().await;
        assert_eq!(turn.end(), "empty_replies", "{name}: {turn:#?}");
        assert_eq!((turn.failures().len(), turn.outcome.errors().len()), (0, 0), "{name}");
    }
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_empty_answer_is_complete_with_an_event() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("errors-empty", Reply::new());
    let session = world.session().await;
    let turn = run_turn(&session, "Go [[errors-empty]]").await;
    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", ""));
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::AnswerEmpty)), 1);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_retried() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let half = Reply::new().text("Half").pause_until(&gate).hang_up();
    let attempts = [half, Reply::new().text("Whole.")];
    world.model().script("errors-broken", Script::new().then(attempts));
    let session = world.session().await;

    let mut turn = LiveTurn::new(session.send(prompt("Go [[errors-broken]]")));
    turn.until_text("Half").await;
    gate.open();
    let turn = turn.end().await;

    assert_eq!(turn.end(), "completed");
    assert_eq!((&*turn.outcome.text(), &*turn.outcome.full_text()), ("Whole.", "Whole."));
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::Retrying { attempt: 1, .. })), 1);
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::AttemptAbandoned(_))), 1);
    assert_session_continues(&world, &session).await;
}

/// The short forms have nothing of the attempt either.
#[tokio::test]
async fn the_text_alone_is_that_of_the_attempt_that_counts() {
    let world = SessionWorld::new(&on()).await;
    let half = || Reply::new().text("Half").hang_up();
    let attempts = || Script::new().then([half(), Reply::new().text("Whole.")]);
    world.model().script("errors-ask", attempts());
    let session = world.session().await;

    assert_eq!(session.ask(prompt("Go [[errors-ask]]")).await.unwrap(), "Whole.");
    assert_eq!(session.send(prompt("Go [[errors-ask]]")).await.unwrap().text(), "Whole.");
    let posted = session.post("Go [[errors-ask]]").await.unwrap();
    assert_eq!(session.follow(posted).outcome().await.unwrap().full_text(), "Whole.");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_malformed_stream_ends_the_turn() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("errors-malformed", Reply::new().text("Begun ").malformed().text("not"));
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[errors-malformed]]").await;

    let error = agent_error(&turn);
    assert_eq!(error.name, ErrorName::UNKNOWN);
    assert!(error.message.contains("JSON"), "{error:?}");
    assert_eq!(turn.outcome.text(), "Begun ");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_overflow_is_survived_by_a_summary_that_is_not_the_answer() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    // With an earlier prompt in the session, OpenCode repeats the last prompt instead of the usual
    // text.
    for name in ["errors-overflow-first", "errors-overflow-second"] {
        let text = format!("Answer of {name}.");
        let answers = [Reply::context_overflow(), Reply::new().text(&text)];
        world.model().script(name, Script::new().then(answers));

        let turn = run_turn(&session, format!("A long question [[{name}]]")).await;

        assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", &*text));
        assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::Compacted)), 1);
        assert_eq!(turn.outcome.errors()[0].name, ErrorName::CONTEXT_OVERFLOW);
        turn.assert_calls(2);
    }
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn endless_overflows_end_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let forever = Script::new().then(Reply::context_overflow()).repeat_last();
    world.model().script("errors-forever", forever);
    let session = world.session().await;
    let request = prompt("A long question [[errors-forever]]");
    let deadlines = request.settings().deadlines();
    let settings = TurnSettings::default().with_overflows_max(2).with_deadlines(deadlines);

    let turn = LiveTurn::new(session.send(request.with_settings(settings))).end().await;

    assert_eq!(agent_error(&turn).name, ErrorName::CONTEXT_OVERFLOW);
    assert_eq!(turn.outcome.text(), "");
    let calls = world.model_requests("errors-forever").len();
    assert!((3..=4).contains(&calls), "{calls} calls: the third exceeds the limit");
    // The session continues, possibly with the summary that OpenCode was about to make.
    let next = Script::from(Reply::new().text("The next answer.")).repeat_last();
    world.model().script("errors-after-forever", next);
    let next = run_turn(&session, "And now? [[errors-after-forever]]").await;
    assert_eq!((next.end(), &*next.outcome.text()), ("completed", "The next answer."));
    let later = world.model_requests("errors-forever").len();
    assert!(later <= calls + 1, "the aborted turn called the model again");
}

#[tokio::test]
async fn a_call_that_is_repeated_without_end_ends_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let again = Script::new().then(Reply::new().tool("bash", bash("echo same"))).repeat_last();
    world.model().script("errors-again", again);
    let session = world.session().await;
    let settings = TurnSettings::default().with_repeated_calls_max(3);
    let request = prompt("Go [[errors-again]]");
    let settings = settings.with_deadlines(request.settings().deadlines());

    let turn = LiveTurn::new(session.send(request.with_settings(settings))).end().await;

    let TurnEnd::RepeatedCalls { tool, .. } = &turn.outcome.end else { panic!("{turn:#?}") };
    assert_eq!(tool, "bash");
    assert!((4..=5).contains(&turn.outcome.tools().count()), "{turn:#?}");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_summary_before_the_next_step_is_not_the_answer() {
    let world = SessionWorld::new(&on()).await;
    let full = Usage { input: 190_000, ..Default::default() };
    let script = Script::new()
        .then(Reply::new().text("I look.").tool("bash", bash("echo a")).usage(full))
        .then(Reply::new().text("Done."));
    world.model().script("errors-full", script);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[errors-full]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "Done."));
    assert_eq!(turn.text(), "I look.Done.");
    assert_eq!(turn.tools(), [("bash", "completed")]);
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::Compacted)), 1);
    assert_eq!(turn.outcome.tokens().total, 190_010 + 2 * 110);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_summary_after_the_answer_is_part_of_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let full = Usage { input: 190_000, ..Default::default() };
    let script = Script::new()
        .then(Reply::new().text("The answer.").usage(full))
        .then(Reply::new().text("Nothing is left to do."));
    world.model().script("errors-late", script);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[errors-late]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "Nothing is left to do."));
    assert_eq!(turn.outcome.full_text(), "The answer.Nothing is left to do.");
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::Compacted)), 1);
    assert_session_continues(&world, &session).await;
}
