//! Failures of the model's provider.

use opencode_tokio::event::ErrorName;
use opencode_tokio::run::Exit;
use opencode_tokio::{RunEnd, RunError, RunReport};
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{Reply, Script};

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
    assert_eq!(report.outcome.end.to_string(), "the agent failed: APIError 401: no such key");
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
async fn a_malformed_stream_is_an_error() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Begun ").malformed().text("and ended."));

    let report = failed(&world).await;

    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{report:?}") };
    assert_eq!(error.name, ErrorName::UNKNOWN);
    assert!(error.message.contains("JSON"), "{error:?}");
    assert_eq!(report.answer().steps().len(), 1, "the step had begun");
}
