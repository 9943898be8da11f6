//! Runs that are dropped while tools run and have left processes behind.

use std::time::Duration;

use opencode_tokio::Deadlines;
use testkit::conformance::real::runs::{RunWorld, await_sleepers, lingering, permit};

use crate::deadlines::move_clock;
use crate::on;

#[tokio::test]
async fn a_run_in_a_tokio_timeout_can_be_dropped() {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = RunWorld::new(&on());
    let root = world.root();
    let _permit = permit();
    let request = lingering(&world).with_deadlines(Deadlines::NONE);

    let run = tokio::time::timeout(HOUR, world.opencode.run(request));
    let clock = async {
        tokio::task::spawn_blocking(|| await_sleepers(root)).await.unwrap();
        move_clock(HOUR).await;
    };
    let (outcome, ()) = tokio::join!(run, clock);

    outcome.unwrap_err();
    world.assert_nothing_left();
}
