//! Cancelling a run in every state.

use std::num::NonZeroUsize;
use std::time::Duration;

use opencode_client::run::{Exit, StartPacing, StartupRetry};
use opencode_client::{Builder, RunEnd, RunError, RunReport, RunStream};

use super::held::HeldRuntime;
use crate::conformance::lines::{DATABASE_LOCKED, START, answer, text};
use crate::conformance::world::{GATE, ProgramWorld, poll_once, rest, types, until_phase};
use crate::conformance::{Host, LONG};
use crate::fake::{Behavior, Signal};

fn hanging() -> Behavior {
    Behavior::new().read_stdin().stdout_line(START).hang()
}

pub(crate) fn one_at_a_time(builder: Builder) -> Builder {
    builder.pacing(StartPacing::new().with_starting_max(NonZeroUsize::MIN))
}

/// Waits for the end of a cancelled run.
async fn cancelled(on: &Host, run: RunStream) -> RunReport {
    let outcome = on.within(LONG / 2, run.outcome()).await;
    match outcome {
        Err(RunError::Ended(report)) if report.outcome.end == RunEnd::Cancelled => *report,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn before_the_first_poll_starts_nothing(on: &Host) {
    let world = ProgramWorld::new(on, hanging());
    let mut run = world.opencode.stream(world.request());
    run.cancel();
    let report = cancelled(on, run).await;
    assert_eq!((report.attempts, report.outcome.exit), (0, None));
    assert_eq!(world.calls().len(), 0);
}

pub(crate) async fn in_the_queue_ends_at_once(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().pause_until(GATE));
    let opencode = one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    on.until(&mut first, || world.calls().len() == 1).await;
    let mut queued = opencode.stream(world.request());
    assert!(poll_once(queued.next_event()).is_pending());
    queued.cancel();
    // The first run still blocks the start of the second.
    let report = cancelled(on, queued).await;
    assert_eq!((report.attempts, world.calls().len()), (0, 1));
}

pub(crate) async fn during_preparation_starts_nothing(on: &Host) {
    let world = ProgramWorld::new(on, hanging());
    let held = HeldRuntime::new(on);
    let mut run = world.builder_on(held.clone()).build().stream(world.request());
    held.until_preparing(&mut run).await;
    run.cancel();
    assert!(held.next_event(&mut run).await.is_none());
    assert_eq!(cancelled(on, run).await.attempts, 0);
    assert_eq!((world.calls().len(), held.len()), (0, 0));
}

pub(crate) async fn before_the_first_event_ends_the_program(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().hang());
    let mut run = world.opencode.stream(world.request());
    on.until(&mut run, || world.calls().len() == 1).await;
    run.cancel();
    let report = cancelled(on, run).await;
    assert_eq!((report.attempts, report.outcome.exit), (1, Some(Exit::Signal(15))));
}

pub(crate) async fn during_the_answer_keeps_partial_results(on: &Host) {
    let world = ProgramWorld::new(
        on,
        Behavior::new().stdout_line(START).stdout_line(&text("prt_2", "Half")).hang(),
    );
    let mut run = world.opencode.stream(world.request());
    run.next_event().await.unwrap();
    run.next_event().await.unwrap();
    run.cancel();
    run.cancel();
    let report = cancelled(on, run).await;
    assert_eq!((&*report.text(), report.outcome.lines.events), ("Half", 2));
    assert_eq!(report.outcome.exit, Some(Exit::Signal(15)));
}

pub(crate) async fn kills_a_program_that_ignores_sigterm(on: &Host) {
    let world =
        ProgramWorld::new(on, Behavior::new().ignore(Signal::Terminate).stdout_line(START).hang());
    let request = world.request_with(|settings| settings.with_kill_grace(Duration::from_secs(1)));
    let mut run = world.opencode.stream(request);
    run.next_event().await.unwrap();
    run.cancel();
    assert_eq!(cancelled(on, run).await.outcome.exit, Some(Exit::Signal(9)));
}

pub(crate) async fn delivers_events_until_the_exit(on: &Host) {
    // The program prints the last line after the signal, when the test opens the gate.
    let deaf = Behavior::new().ignore(Signal::Terminate).stdout_line(START).pause_until(GATE);
    let world = ProgramWorld::new(on, deaf.stdout_line(&text("prt_2", "Bye.")).exit(1));
    let request = world.request_with(|settings| settings.with_kill_grace(LONG));
    let mut run = world.opencode.stream(request);
    run.next_event().await.unwrap();
    run.cancel();
    assert!(poll_once(run.next_event()).is_pending());
    world.fake.open(GATE).unwrap();
    assert_eq!(types(&rest(&mut run).await), ["text"]);
    let report = cancelled(on, run).await;
    assert_eq!((&*report.text(), report.outcome.exit), ("Bye.", Some(Exit::Code(1))));
}

pub(crate) async fn between_attempts_starts_no_other(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stderr_line(DATABASE_LOCKED).exit(1));
    let request = world.request().with_retry(StartupRetry::new(5, 10 * LONG));
    let mut run = world.opencode.stream(request);
    until_phase(&mut run, "waiting").await;
    run.cancel();
    let report = cancelled(on, run).await;
    assert_eq!((report.attempts, world.calls().len()), (1, 1));
}

pub(crate) async fn during_cleanup_is_too_late(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let held = HeldRuntime::new(on);
    let mut run = world.builder_on(held.clone()).build().stream(world.request());
    for _ in 0..3 {
        held.next_event(&mut run).await.unwrap();
    }
    held.until_ending(&mut run).await;
    run.cancel();
    assert_eq!(held.next_event(&mut run).await, None);
    assert_eq!(run.outcome().await.unwrap().text(), "Hello.");
}

pub(crate) async fn after_the_end_is_too_late(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let mut run = world.opencode.stream(world.request());
    rest(&mut run).await;
    run.cancel();
    assert_eq!(run.next_event().await, None);
    assert_eq!(run.outcome().await.unwrap().text(), "Hello.");
}
