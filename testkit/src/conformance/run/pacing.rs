//! Pacing of starts.

use std::num::NonZeroUsize;

use opencode_client::config::{DataHome, Isolation};
use opencode_client::run::StartPacing;
use opencode_client::{RunConfig, RunError, RunRequest, RunStream};

use super::cancel::one_at_a_time;
use super::held::HeldRuntime;
use crate::conformance::lines::{START, answer};
use crate::conformance::world::{GATE, ProgramWorld, poll_once};
use crate::conformance::{Host, yield_now};
use crate::fake::Behavior;

/// A program with a gate before the first event, and another gate after it.
fn gated() -> Behavior {
    Behavior::new().pause_until(GATE).stdout_line(START).pause_until("end")
}

fn with_data(world: &ProgramWorld, data: DataHome) -> RunRequest {
    let isolation = Isolation::new().with_data(data);
    world.request().with_config(RunConfig::new().with_isolation(isolation))
}

/// Polls a run that has to wait in the queue, so that not even the preparation starts.
fn assert_queued(held: &HeldRuntime, run: &mut RunStream) {
    let before = held.len();
    assert!(poll_once(run.next_event()).is_pending());
    assert_eq!(held.len(), before, "the queued run is being prepared");
}

/// Polls a run that may start.
fn assert_starts(held: &HeldRuntime, run: &mut RunStream) {
    let before = held.len();
    assert!(poll_once(run.next_event()).is_pending());
    assert_eq!(held.len(), before + 1, "the run is not being prepared");
}

pub(crate) async fn a_start_lasts_until_the_first_event(on: &Host) {
    let world =
        ProgramWorld::with_attempts(on, [gated(), Behavior::new().stdout_raw(answer("Second."))]);
    let held = HeldRuntime::new(on);
    let opencode = one_at_a_time(world.builder_on(held.clone())).build();
    let mut first = opencode.stream(world.request());
    let mut second = opencode.stream(world.request());

    assert_starts(&held, &mut first);
    assert_queued(&held, &mut second);
    held.until(&mut first, || world.calls().len() == 1).await;
    assert_queued(&held, &mut second);
    world.fake.open(GATE).unwrap();
    assert!(first.next_event().await.is_some());
    // The first run has begun to answer and continues.
    assert_starts(&held, &mut second);
    held.work_all();
    assert!(held.next_event(&mut second).await.is_some());
    assert_eq!(world.calls().len(), 2);
}

pub(crate) async fn a_diagnostic_is_no_first_event(on: &Host) {
    let banner = Behavior::new().stdout_line("a banner").stderr_line("~ https://opncd.ai/s/1");
    let world = ProgramWorld::new(on, banner.pause_until(GATE).stdout_line(START));
    let held = HeldRuntime::new(on);
    let opencode = one_at_a_time(world.builder_on(held.clone())).build();
    let mut first = opencode.stream(world.request());
    let mut second = opencode.stream(world.request());
    for _ in ["diagnostic", "notice"] {
        assert!(held.next_event(&mut first).await.is_some());
        assert_queued(&held, &mut second);
    }
    world.fake.open(GATE).unwrap();
    assert_eq!(held.next_event(&mut first).await.unwrap().event_type(), "step_start");
    assert_starts(&held, &mut second);
}

pub(crate) async fn an_exit_frees_the_slot(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().exit(1));
    let opencode = one_at_a_time(world.builder()).build();
    let runs: Vec<_> =
        (0..3).map(|_| on.spawn(opencode.stream(world.request()).outcome())).collect();
    for run in runs {
        assert!(matches!(run.await, Err(RunError::Ended(_))));
    }
    assert_eq!(world.calls().len(), 3);
}

pub(crate) async fn a_failed_start_frees_the_slot(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Hello.")));
    let opencode = one_at_a_time(world.builder()).build();
    let missing = world.request().with_directory(world.path("missing"));
    let refused = RunConfig::new().with_env("HUGE", "x".repeat(200_000));
    let refused = world.request().with_config(refused);
    for request in [missing, refused] {
        opencode.run(request).await.unwrap_err();
        assert_eq!(opencode.run(world.request()).await.unwrap().text(), "Hello.");
    }
}

pub(crate) async fn dropped_runs_leave_the_queue(on: &Host) {
    let world = ProgramWorld::new(on, gated());
    let held = HeldRuntime::new(on);
    let opencode = one_at_a_time(world.builder_on(held.clone())).build();
    let mut first = opencode.stream(world.request());
    let mut second = opencode.stream(world.request());
    let mut third = opencode.stream(world.request());
    let mut fourth = opencode.stream(world.request());
    assert_starts(&held, &mut first);
    held.work_all();
    for queued in [&mut second, &mut third, &mut fourth] {
        assert_queued(&held, queued);
    }
    // Drops a waiting run, the next run in the queue, and the run that is starting.
    drop(third);
    assert_queued(&held, &mut fourth);
    drop(second);
    assert_queued(&held, &mut fourth);
    drop(first);
    assert_starts(&held, &mut fourth);
}

pub(crate) async fn the_next_run_is_woken(on: &Host) {
    let world =
        ProgramWorld::with_attempts(on, [gated(), Behavior::new().stdout_raw(answer("Second."))]);
    let opencode = one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    on.until(&mut first, || world.calls().len() == 1).await;
    // Spawned tasks are polled only when they are woken.
    let second = on.spawn(opencode.stream(world.request()).outcome());
    let third = on.spawn(opencode.stream(world.request()).outcome());
    yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap().text(), "Second.");
    assert_eq!(third.await.unwrap().text(), "Second.");
}

pub(crate) async fn runs_with_the_same_data_directory_start_one_at_a_time(on: &Host) {
    let world = ProgramWorld::new(on, gated());
    let held = HeldRuntime::new(on);
    let opencode = world.builder_on(held.clone()).build();
    let (shared, other) = (world.path("shared"), world.path("other"));
    let stream = |data| opencode.stream(with_data(&world, data));
    let mut first = stream(DataHome::At(shared.clone()));
    let mut second = stream(DataHome::At(shared.join(".")));
    let mut third = stream(DataHome::At(other));
    let mut fourth = opencode.stream(world.request());

    assert_starts(&held, &mut first);
    held.work_all();
    assert_queued(&held, &mut second);
    for run in [&mut third, &mut fourth] {
        assert_starts(&held, run);
        held.work_all();
    }
    world.fake.open(GATE).unwrap();
    assert_queued(&held, &mut second);
    assert!(held.next_event(&mut first).await.is_some());
    assert_starts(&held, &mut second);
    held.work_all();
    assert!(held.next_event(&mut second).await.is_some());
    assert!(shared.join("opencode").is_dir(), "the shared data directory was removed");
}

pub(crate) async fn runs_with_the_data_directory_of_the_user_start_one_at_a_time(on: &Host) {
    let world = ProgramWorld::new(on, gated());
    let held = HeldRuntime::new(on);
    let opencode = world.builder_on(held.clone()).build();
    let mut runs = [0, 1].map(|_| opencode.stream(with_data(&world, DataHome::User)));
    assert_starts(&held, &mut runs[0]);
    assert_queued(&held, &mut runs[1]);
}

pub(crate) async fn as_many_runs_as_allowed_start_at_once(on: &Host) {
    let world = ProgramWorld::new(on, gated());
    let held = HeldRuntime::new(on);
    let two = NonZeroUsize::new(2).expect("2 is not 0");
    let pacing = StartPacing::new().with_starting_max(two);
    let opencode = world.builder_on(held.clone()).pacing(pacing).build();
    // Clones of a handle share their pacing.
    let other = opencode.clone();
    let mut runs = [&opencode, &other, &opencode].map(|handle| handle.stream(world.request()));
    for run in &mut runs[..2] {
        assert_starts(&held, run);
        held.work_all();
    }
    assert_queued(&held, &mut runs[2]);
    world.fake.open(GATE).unwrap();
    world.fake.open("end").unwrap();
    held.next_event(&mut runs[1]).await.unwrap();
    held.next_event(&mut runs[2]).await.unwrap();
}

pub(crate) async fn by_default_no_run_waits(on: &Host) {
    let world = ProgramWorld::new(on, gated());
    let held = HeldRuntime::new(on);
    let opencode = world.builder_on(held.clone()).build();
    let mut runs: Vec<_> = (0..5).map(|_| opencode.stream(world.request())).collect();
    for run in &mut runs {
        assert_starts(&held, run);
        held.work_all();
        assert!(poll_once(run.next_event()).is_pending());
    }
    let mut last = runs.pop().unwrap();
    world.fake.open(GATE).unwrap();
    world.fake.open("end").unwrap();
    drop(runs);
    held.next_event(&mut last).await.unwrap();
}
