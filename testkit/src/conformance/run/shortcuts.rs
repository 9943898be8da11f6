//! Short forms of a run: awaiting the stream, the text alone, cancellation by another task.

use opencode_client::{RunEnd, RunError};

use crate::conformance::lines::{START, answer};
use crate::conformance::world::ProgramWorld;
use crate::conformance::{Host, LONG};
use crate::fake::Behavior;

fn answering() -> Behavior {
    Behavior::new().stdout_raw(answer("Hello you."))
}

pub(crate) async fn awaiting_a_stream_returns_the_report(on: &Host) {
    let world = ProgramWorld::new(on, answering());
    let report = world.opencode.stream(world.request()).await.unwrap();
    assert_eq!(report.text(), "Hello you.");
}

pub(crate) async fn ask_returns_the_text(on: &Host) {
    let world = ProgramWorld::new(on, answering());
    assert_eq!(world.opencode.ask(world.request()).await.unwrap(), "Hello you.");
}

pub(crate) async fn a_text_stream_yields_text_and_then_the_report(on: &Host) {
    let world = ProgramWorld::new(on, answering());
    let mut text = world.opencode.stream(world.request()).text_stream();
    assert!(text.outcome().is_none());
    assert_eq!(text.next_text().await.unwrap().unwrap(), "Hello you.");
    assert!(text.next_text().await.is_none());
    assert!(text.next_text().await.is_none(), "an item after the end");
    assert_eq!(text.outcome().unwrap().text(), "Hello you.");
    assert_eq!(text.into_outcome().unwrap().attempts, 1);
}

pub(crate) async fn a_text_stream_ends_with_the_error(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_line(START).exit(3));
    let mut text = world.opencode.stream(world.request()).text_stream();
    let error = text.next_text().await.unwrap().unwrap_err();
    assert!(matches!(error, RunError::Ended(_)), "{error:?}");
    assert!(text.next_text().await.is_none(), "an item after the error");
    assert!(text.into_outcome().is_none());
    // `main` prints this.
    let printed = format!("{error:?}");
    assert_eq!(printed, error.to_string());
    assert!(printed.len() < 300 && !printed.contains('\n'), "{printed}");
}

pub(crate) async fn another_task_cancels_a_run(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_line(START).hang());
    let mut run = world.opencode.stream(world.request());
    assert_eq!(run.next_event().await.unwrap().event_type(), "step_start");
    let cancel = run.cancel_handle();
    let task = on.spawn(run.outcome());
    cancel.cancel();
    let error = on.within(LONG / 2, task).await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));
}
