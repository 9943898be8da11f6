//! Runs that are cancelled or dropped while tools run and have left processes behind.

use opencode_client::{RunEnd, RunError};

use super::runs::{LONG, RunWorld, await_sleepers, lingering};
use crate::conformance::Host;

pub(crate) async fn a_cancelled_run_ends_its_processes_and_keeps_partial_results(on: &Host) {
    let world = RunWorld::new(on);
    let root = world.root();
    let mut run = world.start(lingering(&world));
    run.during(move || await_sleepers(root)).await;

    run.stream.cancel();
    let error = run.outcome().await.unwrap_err();

    let RunError::Ended(report) = &error else { panic!("{error}") };
    assert_eq!(report.outcome.end, RunEnd::Cancelled);
    assert_eq!(report.text(), "I wait.");
    assert!(report.outcome.elapsed < LONG);
}

pub(crate) async fn a_dropped_run_has_ended_its_processes_when_the_drop_returns(on: &Host) {
    let world = RunWorld::new(on);
    let root = world.root();
    let mut run = world.start(lingering(&world));
    run.during(move || await_sleepers(root)).await;
    assert!(world.private_dir().join("data/opencode").exists());

    drop(run);

    world.assert_nothing_left();
}
