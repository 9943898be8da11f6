//! The event stream of a run.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::Stream;
use futures_util::future::join_all;
use opencode_client::{OpenCode, RunError, RunEvent, RunReport, RunRequest, RunStream};

use super::held::HeldRuntime;
use crate::conformance::lines::{FINISH, START, answer, text, texts};
use crate::conformance::world::{GATE, ProgramWorld, is_asleep, poll_once, rest, types};
use crate::conformance::{Host, yield_now};
use crate::fake::Behavior;

fn answering(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

/// Checks at compile time that futures and streams may move to other threads.
pub(crate) async fn futures_and_streams_are_send_and_static(on: &Host) {
    fn sendable<T: Send>(_: &T) {}
    fn spawnable<T: Send + 'static>(_: &T) {}
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    let world = answering(on);
    sendable(&world.opencode.run(world.request()));
    spawnable(&world.opencode.stream(world.request()));
    spawnable(&world.opencode.stream(world.request()).outcome());
    let opencode = world.opencode.clone();
    spawnable(&async move { (opencode.version().await, opencode.binary().await) });
    shared::<OpenCode>();
    shared::<RunRequest>();
    shared::<RunEvent>();
    shared::<RunReport>();
    shared::<RunError>();
    let _stream: &dyn Unpin = &world.opencode.stream(world.request());
}

pub(crate) async fn nothing_starts_before_the_first_poll(on: &Host) {
    let world = answering(on);
    let held = HeldRuntime::new(on);
    let opencode = world.builder_on(held.clone()).build();
    let run = opencode.stream(world.request());
    let outcome = opencode.stream(world.request()).outcome();
    let answer = opencode.run(world.request());
    yield_now().await;
    assert_eq!((held.len(), world.calls().len(), world.guardians().len()), (0, 0, 0));
    assert!(run.answer().is_none());
    drop((run, outcome, answer));
}

pub(crate) async fn next_event_is_cancel_safe(on: &Host) {
    let lines = format!("{START}\n{}{FINISH}\n", texts(500));
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(lines.clone()));
    let mut run = world.opencode.stream(world.request());
    let mut events = Vec::new();
    loop {
        // The future is dropped whenever no event is ready, and other tasks run.
        if let std::task::Poll::Ready(event) = poll_once(run.next_event()) {
            match event {
                Some(event) => events.push(event),
                None => break,
            }
        }
        yield_now().await;
    }
    let raw: Vec<u8> = events.iter().flat_map(|event| [&event.raw[..], b"\n"].concat()).collect();
    assert!(raw == lines.as_bytes(), "{} events", events.len());
    run.outcome().await.unwrap();
}

pub(crate) async fn next_event_and_poll_next_yield_the_same_events(on: &Host) {
    let world =
        ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Hello.")).stdout_line("not JSON"));
    let mut one = world.opencode.stream(world.request());
    let mut other = world.opencode.stream(world.request());
    let one = rest(&mut one).await;
    let mut events = Vec::new();
    while let Some(event) = poll_fn(|cx| Pin::new(&mut other).poll_next(cx)).await {
        events.push(event);
    }
    assert_eq!(types(&one), ["step_start", "text", "step_finish", "diagnostic"]);
    assert_eq!(one, events);
    // The end is repeated.
    for _ in 0..3 {
        assert_eq!(other.next_event().await, None);
        assert_eq!(poll_fn(|cx| Pin::new(&mut other).poll_next(cx)).await, None);
    }
    other.outcome().await.unwrap();
}

pub(crate) async fn the_outcome_includes_unread_events(on: &Host) {
    let world = answering(on);
    for taken in 0..=4 {
        let mut run = world.opencode.stream(world.request());
        for _ in 0..taken {
            run.next_event().await;
        }
        let report = run.outcome().await.unwrap();
        assert_eq!((&*report.text(), report.outcome.lines.events), ("Hello.", 3));
    }
}

pub(crate) async fn the_partial_answer_is_readable_at_any_time(on: &Host) {
    // Output that arrives at once is processed at once.
    let behavior = Behavior::new().stdout_line(START).pause_until("first");
    let behavior = behavior.stdout_line(&text("prt_2", "Hel")).pause_until("second");
    let world =
        ProgramWorld::new(on, behavior.stdout_line(&text("prt_3", "lo.")).stdout_line(FINISH));
    let mut run = world.opencode.stream(world.request());
    let said = |run: &RunStream| run.answer().map(|answer| answer.text().into_owned());
    assert_eq!(said(&run), None);
    run.next_event().await.unwrap();
    assert_eq!(said(&run).as_deref(), Some(""));
    world.fake.open("first").unwrap();
    run.next_event().await.unwrap();
    assert_eq!(said(&run).as_deref(), Some("Hel"));
    world.fake.open("second").unwrap();
    run.next_event().await.unwrap();
    run.next_event().await.unwrap();
    // Also while the run ends, during the cleanup, and after the end.
    while poll_once(run.next_event()).is_pending() {
        assert_eq!(said(&run).as_deref(), Some("Hello."), "{run:?}");
        yield_now().await;
    }
    assert_eq!(said(&run).as_deref(), Some("Hello."));
}

pub(crate) async fn many_runs_work_in_parallel(on: &Host) {
    const RUNS: usize = 24;
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    // As tasks, which are polled only when they are woken.
    let runs = (0..RUNS).map(|_| on.spawn(world.opencode.stream(world.request()).outcome()));
    for result in join_all(runs).await {
        assert_eq!(result.unwrap().text(), "Hello.");
    }
    assert_eq!(world.calls().len(), RUNS);
}

pub(crate) async fn a_run_may_move_to_another_task(on: &Host) {
    let world = ProgramWorld::new(
        on,
        Behavior::new().stdout_line(START).pause_until(GATE).stdout_line(FINISH),
    );
    let mut run = world.started().await;
    // The run stores the waker of this task.
    assert!(poll_once(run.next_event()).is_pending());
    let task = on.spawn(async move { (run.next_event().await, run.outcome().await) });
    yield_now().await;
    world.fake.open(GATE).unwrap();
    let (event, outcome) = task.await;
    assert_eq!(event.unwrap().event_type(), "step_finish");
    outcome.unwrap();
}

pub(crate) async fn backpressure_holds_the_program_back(on: &Host) {
    // More output than a pipe holds.
    let lines = texts(20_000);
    let world = ProgramWorld::new(
        on,
        Behavior::new().stdout_line(START).stdout_raw(lines).stdout_line(FINISH),
    );
    let mut run = world.started().await;
    on.eventually(|| {
        let printing = world.processes().into_iter().find(|process| process.cmdline[0] == "cat");
        printing.is_some_and(|printing| is_asleep(printing.pid))
    })
    .await;
    assert_eq!(rest(&mut run).await.len(), 20_001);
    run.outcome().await.unwrap();
}
