//! Dropping a run in every state: when the drop returns, nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opencode_client::RunStream;
use opencode_client::run::StartupRetry;

use super::cancel::one_at_a_time;
use super::held::HeldRuntime;
use crate::conformance::lines::{DATABASE_LOCKED, START, answer};
use crate::conformance::world::{GATE, ProgramWorld, poll_once, until_phase};
use crate::conformance::{Host, LONG, yield_now};
use crate::fake::{Behavior, Pipes, Signal};

/// A program that ignores SIGTERM, and starts tools.
fn stubborn() -> Behavior {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    tools.ignore(Signal::Terminate).stdout_line(START).hang()
}

fn drop_and_check(world: &ProgramWorld, run: RunStream) {
    drop(run);
    world.assert_nothing_left();
}

pub(crate) async fn before_the_first_poll(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    drop_and_check(&world, world.opencode.stream(world.request()));
    assert_eq!(world.calls().len(), 0);
    assert_eq!(world.guardians(), []);
}

pub(crate) async fn in_the_queue(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let opencode = one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    assert!(poll_once(first.next_event()).is_pending());
    let mut queued = opencode.stream(world.request());
    assert!(poll_once(queued.next_event()).is_pending());
    drop(queued);
    assert!(first.next_event().await.is_some());
    assert_eq!(world.calls().len(), 1);
    drop_and_check(&world, first);
}

pub(crate) async fn before_preparation(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let held = HeldRuntime::new(on);
    let mut run = world.builder_on(held.clone()).build().stream(world.request());
    assert!(poll_once(run.next_event()).is_pending());
    drop_and_check(&world, run);
    // The preparation runs after the drop.
    held.work();
    assert_eq!((held.len(), world.calls().len()), (0, 0));
    world.assert_nothing_left();
}

pub(crate) async fn after_every_step_of_preparation(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    for degree in 1.. {
        let held = HeldRuntime::new(on);
        let opencode = world.builder_on(held.clone()).build();
        let mut run = opencode.stream(world.request());
        let done = (0..degree).take_while(|_| {
            assert!(poll_once(run.next_event()).is_pending());
            let waits = held.len() > 0;
            if waits {
                held.work();
            }
            waits
        });
        let started = done.count() < degree;
        drop_and_check(&world, run);
        // The guardian would still run if the run were still registered.
        drop(opencode);
        assert_eq!(world.guardians(), []);
        if started {
            assert!(degree > 1, "the preparation takes no step");
            break;
        }
        assert_eq!(world.calls().len(), 0);
    }
}

pub(crate) async fn during_preparation(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    for _ in 0..50 {
        let mut run = world.opencode.stream(world.request());
        assert!(poll_once(run.next_event()).is_pending());
        std::thread::yield_now();
        drop_and_check(&world, run);
    }
}

pub(crate) async fn before_the_first_event(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().pause_until(GATE));
    let mut run = world.opencode.stream(world.request());
    on.until(&mut run, || world.calls().len() == 1).await;
    drop_and_check(&world, run);
}

pub(crate) async fn during_the_answer(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let run = world.started().await;
    assert_eq!(world.call().started.len(), 2);
    assert_eq!(world.private_dirs().len(), 1);
    drop_and_check(&world, run);
}

pub(crate) async fn during_a_cancel(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let request = world.request_with(|settings| settings.with_kill_grace(LONG));
    let mut run = world.opencode.stream(request);
    run.next_event().await.unwrap();
    run.cancel();
    assert!(poll_once(run.next_event()).is_pending());
    drop_and_check(&world, run);
}

pub(crate) async fn between_attempts(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stderr_line(DATABASE_LOCKED).exit(1));
    let request = world.request().with_retry(StartupRetry::new(1, LONG));
    let mut run = world.opencode.stream(request);
    // The first wait is for the start, the second for the next attempt.
    on.until(&mut run, || world.calls().len() == 1).await;
    until_phase(&mut run, "waiting").await;
    drop_and_check(&world, run);
    assert_eq!(world.calls().len(), 1);
}

pub(crate) async fn before_cleanup(on: &Host) {
    for late in [LateRuntime::Works, LateRuntime::IsShutDown] {
        let left = Behavior::new().spawn_orphan(Pipes::Close).stdout_raw(answer("Hello."));
        let world = ProgramWorld::new(on, left.hang());
        let held = HeldRuntime::new(on);
        let request = world.request_with(|settings| settings.with_linger_limit(Duration::ZERO));
        let mut run = world.builder_on(held.clone()).build().stream(request);
        for _ in 0..3 {
            held.next_event(&mut run).await.unwrap();
        }
        held.until_ending(&mut run).await;
        assert_eq!(world.private_dirs().len(), 1, "the cleanup has run already");
        drop_and_check(&world, run);
        match late {
            LateRuntime::Works => held.work_all(),
            LateRuntime::IsShutDown => held.shut_down(),
        }
    }
}

/// Behaviour of the runtime after the drop.
enum LateRuntime {
    IsShutDown,
    Works,
}

pub(crate) async fn during_cleanup(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    for _ in 0..20 {
        let mut run = world.opencode.stream(world.request());
        for _ in 0..3 {
            run.next_event().await.unwrap();
        }
        while poll_once(run.next_event()).is_pending() && !format!("{run:?}").contains("ending") {
            yield_now().await;
        }
        drop_and_check(&world, run);
    }
}

pub(crate) async fn after_the_end(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let mut run = world.opencode.stream(world.request());
    while run.next_event().await.is_some() {}
    drop_and_check(&world, run);
}

pub(crate) async fn futures_clean_up_like_streams(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    assert!(poll_once(world.opencode.run(world.request())).is_pending());
    world.assert_nothing_left();
    assert!(poll_once(world.opencode.stream(world.request()).outcome()).is_pending());
    world.assert_nothing_left();
    let run = world.started().await;
    assert!(poll_once(run.outcome()).is_pending());
    world.assert_nothing_left();
    assert!(poll_once(world.opencode.version()).is_pending());
    world.assert_nothing_left();
}

pub(crate) async fn by_an_aborted_task(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let task = on.spawn(world.opencode.stream(world.request()).outcome());
    on.eventually(|| world.calls().first().is_some_and(|call| call.started.len() == 2)).await;
    task.abort().await;
    world.assert_nothing_left();
}

pub(crate) async fn by_a_panic(on: &Host) {
    let world = ProgramWorld::new(on, stubborn());
    let run = world.started().await;
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _run = run;
        panic!("of the application");
    }));
    assert!(panicked.is_err());
    world.assert_nothing_left();
}
