//! The events of a run as a stream.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::Stream;
use futures_util::future::join_all;
use opencode_client::{OpenCode, RunError, RunEvent, RunReport, RunRequest, RunStream};

use super::held::Held;
use crate::conformance::lines::{FINISH, START, answer, text, texts};
use crate::conformance::world::{GATE, World, is_asleep, poll_once, rest, types};
use crate::conformance::{Host, yield_now};
use crate::fake::Behavior;

fn answering(on: &Host) -> World {
    World::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

/// Compiles: every future and stream may go to another thread and live there.
pub(crate) async fn everything_may_be_spawned(on: &Host) {
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

pub(crate) async fn nothing_is_started_until_it_is_polled(on: &Host) {
    let world = answering(on);
    let held = Held::new(on);
    let opencode = world.builder_on(held.clone()).build();
    let run = opencode.stream(world.request());
    let outcome = opencode.stream(world.request()).outcome();
    let answer = opencode.run(world.request());
    yield_now().await;
    assert_eq!((held.len(), world.calls().len(), world.guardians().len()), (0, 0, 0));
    assert!(run.answer().is_none());
    drop((run, outcome, answer));
}

pub(crate) async fn waiting_may_be_given_up_and_taken_up_again(on: &Host) {
    let lines = format!("{START}\n{}{FINISH}\n", texts(500));
    let world = World::new(on, Behavior::new().read_stdin().stdout_raw(lines.clone()));
    let mut run = world.opencode.stream(world.request());
    let mut events = Vec::new();
    loop {
        // Given up as soon as there is nothing yet; then something else goes on.
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

pub(crate) async fn both_ways_to_take_events_tell_the_same(on: &Host) {
    let world =
        World::new(on, Behavior::new().stdout_raw(answer("Hello.")).stdout_line("not JSON"));
    let mut one = world.opencode.stream(world.request());
    let mut other = world.opencode.stream(world.request());
    let one = rest(&mut one).await;
    let mut events = Vec::new();
    while let Some(event) = poll_fn(|cx| Pin::new(&mut other).poll_next(cx)).await {
        events.push(event);
    }
    assert_eq!(types(&one), ["step_start", "text", "step_finish", "diagnostic"]);
    assert_eq!(one, events);
    // Over for good.
    for _ in 0..3 {
        assert_eq!(other.next_event().await, None);
        assert_eq!(poll_fn(|cx| Pin::new(&mut other).poll_next(cx)).await, None);
    }
    other.outcome().await.unwrap();
}

pub(crate) async fn the_outcome_has_what_nobody_took(on: &Host) {
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

pub(crate) async fn what_was_gathered_can_be_seen_at_any_time(on: &Host) {
    // What comes in one piece is gathered in one go.
    let behavior = Behavior::new().stdout_line(START).pause_until("first");
    let behavior = behavior.stdout_line(&text("prt_2", "Hel")).pause_until("second");
    let world = World::new(on, behavior.stdout_line(&text("prt_3", "lo.")).stdout_line(FINISH));
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
    // While it ends, is cleaned up after, and is over.
    while poll_once(run.next_event()).is_pending() {
        assert_eq!(said(&run).as_deref(), Some("Hello."), "{run:?}");
        yield_now().await;
    }
    assert_eq!(said(&run).as_deref(), Some("Hello."));
}

pub(crate) async fn many_run_at_once(on: &Host) {
    const RUNS: usize = 24;
    let world = World::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    // As tasks, which are polled only when something wakes them.
    let runs = (0..RUNS).map(|_| on.spawn(world.opencode.stream(world.request()).outcome()));
    for result in join_all(runs).await {
        assert_eq!(result.unwrap().text(), "Hello.");
    }
    assert_eq!(world.calls().len(), RUNS);
}

pub(crate) async fn a_run_may_move_to_another_task(on: &Host) {
    let world =
        World::new(on, Behavior::new().stdout_line(START).pause_until(GATE).stdout_line(FINISH));
    let mut run = world.started().await;
    // This task's waker is the one that is known now.
    assert!(poll_once(run.next_event()).is_pending());
    let task = on.spawn(async move { (run.next_event().await, run.outcome().await) });
    yield_now().await;
    world.fake.open(GATE).unwrap();
    let (event, outcome) = task.await;
    assert_eq!(event.unwrap().event_type(), "step_finish");
    outcome.unwrap();
}

pub(crate) async fn a_program_is_held_back_by_who_does_not_read(on: &Host) {
    // More than a pipe holds.
    let lines = texts(20_000);
    let world =
        World::new(on, Behavior::new().stdout_line(START).stdout_raw(lines).stdout_line(FINISH));
    let mut run = world.started().await;
    on.eventually(|| {
        let printing = world.processes().into_iter().find(|process| process.cmdline[0] == "cat");
        printing.is_some_and(|printing| is_asleep(printing.pid))
    })
    .await;
    assert_eq!(rest(&mut run).await.len(), 20_001);
    run.outcome().await.unwrap();
}
