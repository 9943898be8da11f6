//! Blocking runs.

use opencode_tokio::{RunEnd, RunError};
use testkit::conformance::lines::{START, answer};
use testkit::conformance::world::types;
use testkit::fake::{Behavior, Pipes, Signal};

use crate::world;

#[test]
fn a_run_is_an_iterator_of_events_with_a_report() {
    let (world, opencode) = world(Behavior::new().stdout_raw(answer("Hello you.")));
    let mut run = opencode.stream(world.request());
    let events: Vec<_> = run.by_ref().collect();
    assert_eq!(types(&events), ["step_start", "text", "step_finish"]);
    assert_eq!(run.next(), None, "an event after the end");
    assert_eq!(run.outcome().unwrap().text(), "Hello you.");
    assert_eq!(opencode.run(world.request()).unwrap().text(), "Hello you.");
    assert_eq!(opencode.ask(world.request()).unwrap(), "Hello you.");
    assert_eq!(opencode.binary().unwrap(), world.fake.program());
    assert_eq!(opencode.version().unwrap().to_string(), "1.18.33");
}

#[test]
fn a_failed_run_has_the_error_of_async_programs() {
    let (world, opencode) = world(Behavior::new().stdout_line(START).exit(3));
    let error = opencode.run(world.request()).unwrap_err();
    assert!(matches!(error, RunError::Ended { .. }), "{error:?}");
    assert!(matches!(error.end(), Some(RunEnd::Crashed { .. })), "{error:?}");
}

#[test]
fn another_thread_can_cancel_a_run() {
    let (world, opencode) = world(Behavior::new().stdout_line(START).hang());
    let mut run = opencode.stream(world.request());
    assert_eq!(run.next().unwrap().event_type(), "step_start");
    let cancel = run.cancel_handle();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| cancel.cancel());
        run.outcome().unwrap_err()
    });
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));
}

#[test]
fn a_run_can_be_cancelled() {
    let (world, opencode) = world(Behavior::new().stdout_line(START).hang());
    let mut run = opencode.stream(world.request());
    assert_eq!(run.next().unwrap().event_type(), "step_start");
    assert!(run.answer().is_some());
    run.cancel();
    let error = run.outcome().unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));
}

#[test]
fn a_dropped_run_leaves_nothing() {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    let (world, opencode) = world(tools.ignore(Signal::Terminate).stdout_line(START).hang());
    let mut run = opencode.stream(world.request());
    assert!(run.next().is_some());
    // The run outlives the handle.
    drop(opencode);
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));
    drop(run);
    world.assert_nothing_left();
    assert_eq!(world.guardians(), []);
}

#[test]
fn threads_can_share_a_handle() {
    let (world, opencode) = world(Behavior::new().stdout_raw(answer("Hello you.")));
    std::thread::scope(|scope| {
        let run = |_| {
            let (opencode, request) = (opencode.clone(), world.request());
            scope.spawn(move || opencode.run(request).unwrap().text().into_owned())
        };
        let runs: Vec<_> = (0..4).map(run).collect();
        let texts: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert_eq!(texts, ["Hello you."; 4]);
    });
}
