//! Processes that tools started in sessions of their own: they end with the run, in every way that
//! it ends.

use std::time::Duration;

use opencode_client::{Deadlines, RunEnd};

use crate::conformance::Host;
use crate::conformance::lines::{START, answer};
use crate::conformance::world::{ProgramWorld, is_alive, rest, send};
use crate::fake::{Behavior, Pipes};

/// A program that starts tools of every kind before the first event.
fn tools() -> Behavior {
    [Pipes::Close, Pipes::Hold]
        .into_iter()
        .fold(Behavior::new(), |behavior, pipes| behavior.spawn_orphan(pipes).spawn_tool(pipes))
        .read_stdin()
}

/// Checks that all tools are running, and returns their process ids.
fn alive(world: &ProgramWorld) -> Vec<u32> {
    let started = world.call().started;
    assert_eq!(started.len(), 4);
    assert!(started.iter().all(|pid| is_alive(*pid)));
    started
}

pub(crate) async fn end_with_a_complete_answer(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_raw(answer("Hello.")));
    let report = world.opencode.run(world.request()).await.unwrap();
    assert_eq!(report.text(), "Hello.");
    assert_eq!(world.call().started.len(), 4);
    world.assert_nothing_left();
}

pub(crate) async fn end_with_a_cancelled_run(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_line(START).hang());
    let mut run = world.started().await;
    alive(&world);
    run.cancel();
    assert_eq!(run.outcome().await.unwrap_err().end(), Some(&RunEnd::Cancelled));
    world.assert_nothing_left();
}

pub(crate) async fn end_with_a_dropped_run(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_line(START).hang());
    let run = world.started().await;
    alive(&world);
    drop(run);
    world.assert_nothing_left();
}

pub(crate) async fn end_with_a_killed_program(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_line(START).hang());
    let mut run = world.started().await;
    alive(&world);
    send("KILL", &world.call().pid.to_string());
    assert_eq!(rest(&mut run).await, []);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Interrupted { signal: 9 }));
    world.assert_nothing_left();
}

pub(crate) async fn end_with_a_timed_out_run(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_line(START).hang());
    let deadlines = Deadlines::NONE.with_idle(Duration::from_millis(50));
    let request = world.request().with_deadlines(deadlines);
    assert!(world.opencode.run(request).await.is_err());
    assert_eq!(world.call().started.len(), 4);
    world.assert_nothing_left();
}

pub(crate) async fn of_another_run_keep_running(on: &Host) {
    let world = ProgramWorld::new(on, tools().stdout_line(START).hang());
    let first = world.started().await;
    let tools = alive(&world);
    let second = world.started().await;
    let [call, ended] = &world.calls()[..] else { panic!("{:?}", world.calls()) };
    drop(second);
    assert!(is_alive(call.pid) && !is_alive(ended.pid));
    assert!(tools.iter().all(|pid| is_alive(*pid)));
    assert!(!ended.started.iter().any(|pid| is_alive(*pid)));
    drop(first);
}
