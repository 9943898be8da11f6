//! Runs that nobody wants any more, while a tool works and has left things behind.

use std::collections::BTreeSet;
use std::path::PathBuf;

use opencode_client::{RunEnd, RunError, RunRequest};

use super::runs::{LONG, World, bash, processes_of};
use crate::conformance::Host;
use crate::model::{Reply, Script};
use crate::processes::eventually;

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
