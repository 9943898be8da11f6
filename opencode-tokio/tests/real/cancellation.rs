//! Runs that nobody wants any more, while a tool works and has left things behind.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use opencode_tokio::{Deadlines, RunRequest};
use testkit::conformance::real::runs::{LONG, World, bash, permit, processes_of};
use testkit::model::{Reply, Script};
use testkit::processes::eventually;

use crate::deadlines::turn_clock;
use crate::on;

/// One that the tool waits for, one whose shell is gone, and one in a session of its own.
const LINGERING: &str = "sh -c 'sleep 301 &'; setsid sleep 302 & sleep 300";
const SLEEPERS: [&str; 3] = ["300", "301", "302"];

fn lingering(world: &World) -> RunRequest {
    world.model.default_script(
        Script::new().then(Reply::new().text("I wait.").tool("bash", bash(LINGERING))),
    );
    world.request("Wait.")
}

/// Blocks until all of them sleep.
fn await_sleepers(root: PathBuf) {
    eventually(LONG, || {
        let processes = processes_of(&root);
        let asleep: BTreeSet<_> = processes
            .iter()
            .filter(|process| process.cmdline.first().is_some_and(|program| program == "sleep"))
            .filter_map(|process| process.cmdline.get(1).cloned())
            .collect();
        if asleep.iter().eq(SLEEPERS) { Ok(()) } else { Err(processes) }
    });
}

#[tokio::test]
async fn a_timeout_of_tokio_may_drop_a_run() {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = World::new(&on());
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
