//! Runs that nobody wants any more, while a tool works and has left things behind.

use opencode_client::{RunEnd, RunError};

use super::runs::{LONG, World, await_sleepers, lingering};
use crate::conformance::Host;

pub(crate) async fn a_cancelled_run_ends_with_all_it_started_and_keeps_what_it_gathered(on: &Host) {
    let world = World::new(on);
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

pub(crate) async fn a_dropped_run_is_gone_with_all_it_started_when_the_drop_returns(on: &Host) {
    let world = World::new(on);
    let root = world.root();
    let mut run = world.start(lingering(&world));
    run.during(move || await_sleepers(root)).await;
    assert!(world.private_dir().join("data/opencode").exists());

    drop(run);

    world.assert_nothing_left();
}
