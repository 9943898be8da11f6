//! Deadlines of runs. The test moves the clock instead of waiting.

use std::time::Duration;

use opencode_tokio::event::Deadline;
use opencode_tokio::{Deadlines, RunEnd, RunError, RunEventKind};
use testkit::conformance::real::runs::{RunWorld, bash};
use testkit::model::{Reply, Script};

use crate::on;

const HOUR: Duration = Duration::from_secs(3600);

/// Moves the clock and resumes it at once, because a paused clock jumps to the next timer whenever
/// every task waits.
pub(crate) async fn move_clock(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn silence_times_out_and_keeps_partial_results() {
    let world = RunWorld::new(&on());
    let first = Reply::new().text("Part one.").tool("bash", bash("echo done"));
    let stalled = Reply::new().text("Part tw").stall();
    world.model.default_script(Script::new().then(first).then(stalled));
    let deadlines = Deadlines::NONE.with_first_event(HOUR / 2).with_idle(HOUR);

    let mut run = world.start(world.request("Go.").with_deadlines(deadlines));
    for _ in 0..2 {
        run.until(|event| matches!(event.kind, RunEventKind::StepStart(_))).await;
    }
    assert!(!world.processes().is_empty());
    move_clock(HOUR).await;
    let error = run.outcome().await.unwrap_err();

    let RunError::Ended(report) = &error else { panic!("{error}") };
    assert_eq!(report.outcome.end.deadline(), Some(Deadline::Idle));
    assert!(error.to_string().ends_with("timed out: no event within the idle deadline"), "{error}");
    assert_eq!(report.text(), "Part one.");
    assert_eq!(report.answer().tools().len(), 1);
    assert_eq!(report.answer().steps()[1].finish(), None);
    assert!(report.outcome.elapsed > HOUR);
}

#[tokio::test]
async fn a_model_that_never_answers_times_out() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().stall());
    let deadlines = Deadlines::NONE.with_first_event(HOUR).with_idle(HOUR / 2);

    let mut run = world.start(world.request("Go.").with_deadlines(deadlines));
    let (_, events) = run.until_model_request(|_| true).await;
    move_clock(HOUR).await;
    let error = run.outcome().await.unwrap_err();

    assert_eq!(events, []);
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::FirstEvent));
}
