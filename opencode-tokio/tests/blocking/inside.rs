//! Blocking calls inside of an async runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};

use testkit::conformance::lines::{START, answer};
use testkit::fake::Behavior;

use crate::world;

#[tokio::test]
async fn a_blocking_call_panics_with_the_reason() {
    let (world, opencode) = world(Behavior::new().stdout_raw(answer("Hello you.")));
    let run = AssertUnwindSafe(|| opencode.run(world.request()));
    let panic = catch_unwind(run).unwrap_err();
    let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap();
    assert!(message.contains("from within a runtime"), "{message}");
    // On a thread that may block, the call works.
    let (other, request) = (opencode.clone(), world.request());
    let report = tokio::task::spawn_blocking(move || other.run(request).unwrap()).await.unwrap();
    assert_eq!(report.text(), "Hello you.");
}

#[tokio::test]
async fn dropping_a_run_does_not_panic_and_leaves_nothing() {
    let (world, opencode) = world(Behavior::new().stdout_line(START).hang());
    let mut run = opencode.stream(world.request());
    let run = tokio::task::spawn_blocking(move || {
        assert!(run.next().is_some());
        run
    });
    let run = run.await.unwrap();
    assert!(!world.processes().is_empty());
    drop(opencode);
    drop(run);
    world.assert_nothing_left();
}
