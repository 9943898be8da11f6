//! Failures of the model's provider.

use std::time::Duration;

use opencode_tokio::Deadlines;
use opencode_tokio::config::{Reasoning, RunFlags};
use opencode_tokio::event::{Deadline, ErrorName};
use opencode_tokio::run::{Exit, Notice};
use opencode_tokio::{RunEnd, RunError, RunEventKind, RunReport};
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{Gate, Reply, Script};

use crate::on;

async fn failed(world: &RunWorld) -> Box<RunReport> {
    match world.run(world.request("Go.")).await {
        Err(RunError::Ended(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_is_reported_with_its_status_and_not_retried() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::error(401, "no such key"));

    let report = failed(&world).await;

    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{report:?}") };
    assert_eq!((&error.name, error.status), (&ErrorName::API.into(), Some(401)));
    assert_eq!((&*error.message, error.retryable), ("no such key", Some(false)));
    let hint = "store credentials with `opencode auth login`";
    let end = format!("the agent failed: APIError 401: no such key; {hint}");
    assert_eq!(report.outcome.end.to_string(), end);
    assert_eq!(report.outcome.exit, Some(Exit::Code(1)));
    assert_eq!(world.model.requests().len(), 1);
}

#[tokio::test]
async fn passing_failures_leave_no_trace() {
    let world = RunWorld::new(&on());
    let attempts = [
        Reply::error(429, "slow down").header("retry-after", 1),
        Reply::error(500, "oops"),
        Reply::new().text("At last."),
    ];
    world.model.default_script(Script::new().then(attempts));

    let report = world.run(world.request("Go.")).await.unwrap();

    assert_eq!(report.text(), "At last.");
    assert_eq!(report.answer().errors(), []);
    assert_eq!((report.attempts, report.answer().steps().len()), (1, 1));
    let attempts: Vec<_> = world.turns().iter().map(|request| request.attempt()).collect();
    assert_eq!(attempts, [0, 1, 2]);
}

#[tokio::test]
async fn an_empty_answer_is_complete_with_a_notice() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new());
    let report = world.run(world.request("Go.")).await.unwrap();
    assert_eq!((&*report.text(), &*report.outcome.notices), ("", &[Notice::AnswerEmpty][..]));
}

#[tokio::test]
async fn a_page_in_place_of_a_stream_has_an_end_of_its_own() {
    let world = RunWorld::new(&on());
    let page = Script::from(Reply::status(200, "<html>Please log in.</html>")).repeat_last();
    world.model.default_script(page);
    let report = failed(&world).await;
    assert_eq!(report.outcome.end, RunEnd::EmptyReplies);
    assert_eq!(report.answer().errors(), []);
}

#[tokio::test]
async fn a_deadline_carries_the_last_failure_of_the_provider() {
    let world = RunWorld::new(&on());
    let quota = Reply::error(429, "quota exceeded").header("retry-after", 72_000);
    world.model.default_script(quota);
    let deadlines = Deadlines::NONE.with_overall(Duration::from_secs(30));

    let request = world.request("Go.").with_deadlines(deadlines);
    let Err(error) = world.opencode.run(request).await else { panic!("the quota is used up") };

    let end = error.end().unwrap();
    assert_eq!(end.deadline(), Some(Deadline::Overall), "{end}");
    let failure = end.provider_failure().map(|failure| &*failure.message);
    assert_eq!(failure, Some("quota exceeded"), "{end}");
}

#[tokio::test]
async fn an_attempt_that_breaks_off_is_void_and_kept_apart() {
    let world = RunWorld::new(&on());
    let gate = Gate::new();
    let half = Reply::new().reasoning("Wrong. ").text("It is forty").pause_until(&gate).hang_up();
    let attempts = [half, Reply::new().reasoning("Right. ").text("It is 42.")];
    world.model.default_script(Script::new().then(attempts));
    let config = world.config().with_flags(RunFlags::new().with_reasoning(Reasoning::Show));

    let mut run = world.opencode.stream(world.request("Go.").with_config(config));
    let mut void = None;
    while let Some(event) = run.next_event().await {
        // OpenCode prints the reasoning when the text begins.
        if let RunEventKind::Reasoning(_) = &event.kind {
            gate.open();
        }
        if let RunEventKind::AttemptAbandoned(abandoned) = event.kind {
            void = Some(abandoned);
        }
    }
    let report = run.outcome().await.unwrap();

    assert_eq!(void.unwrap().parts.len(), 1, "text that never ended is not printed");
    assert_eq!(report.text(), "It is 42.");
    assert_eq!(report.answer().reasoning(), "Right. ");
    assert_eq!(report.answer().steps()[0].abandoned()[0].reasoning, "Wrong. ");
}

#[tokio::test]
async fn a_malformed_stream_is_an_error() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Begun ").malformed().text("and ended."));

    let report = failed(&world).await;

    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{report:?}") };
    assert_eq!(error.name, ErrorName::UNKNOWN);
    assert!(error.message.contains("JSON"), "{error:?}");
    assert_eq!(report.answer().steps().len(), 1, "the step had begun");
}
