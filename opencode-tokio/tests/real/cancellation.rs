//! Runs that nobody wants any more, while a tool works and has left things behind.

use std::time::Duration;

use opencode_tokio::Deadlines;
use testkit::conformance::real::runs::{RunWorld, await_sleepers, lingering, permit};

use crate::deadlines::turn_clock;
use crate::on;

#[tokio::test]
async fn a_timeout_of_tokio_may_drop_a_run() {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = RunWorld::new(&on());
    let root = world.root();
    let _permit = permit();
    let request = lingering(&world).with_deadlines(Deadlines::NONE);

    let run = tokio::time::timeout(HOUR, world.opencode.run(request));
    let clock = async {
        tokio::task::spawn_blocking(|| await_sleepers(root)).await.unwrap();
        turn_clock(HOUR).await;
    };
    let (outcome, ()) = tokio::join!(run, clock);

    outcome.unwrap_err();
    world.assert_nothing_left();
}
