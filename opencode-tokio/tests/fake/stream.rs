//! The events of a run as a stream.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::Stream;
use futures_util::future::join_all;
use opencode_tokio::{OpenCode, RunError, RunEvent, RunReport, RunRequest, RunStream};
use testkit::fake::Behavior;

use crate::events::{FINISH, START, answer, text, texts};
use crate::held::Held;
use crate::world::{GATE, World, eventually, is_asleep, poll_once, rest, types};

fn answering() -> World {
    World::new(Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

/// Compiles: every future and stream may go to another thread and live there.
#[test]
fn everything_may_be_spawned() {
    fn sendable<T: Send>(_: &T) {}
    fn spawnable<T: Send + 'static>(_: &T) {}
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    let world = answering();
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

#[tokio::test]
async fn nothing_is_started_until_it_is_polled() {
    let world = answering();
    let held = Held::default();
    let opencode = world.builder_on(held.clone()).build();
    let run = opencode.stream(world.request());
    let outcome = opencode.stream(world.request()).outcome();
    let answer = opencode.run(world.request());
    tokio::task::yield_now().await;
    assert_eq!((held.len(), world.calls().len(), world.guardians().len()), (0, 0, 0));
    assert!(run.answer().is_none());
    drop((run, outcome, answer));
}

#[tokio::test]
async fn waiting_may_be_given_up_and_taken_up_again() {
    let lines = format!("{START}\n{}{FINISH}\n", texts(500));
    let world = World::new(Behavior::new().read_stdin().stdout_raw(lines.clone()));
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
        tokio::task::yield_now().await;
    }
    let raw: Vec<u8> = events.iter().flat_map(|event| [&event.raw[..], b"\n"].concat()).collect();
    assert!(raw == lines.as_bytes(), "{} events", events.len());
    run.outcome().await.unwrap();
}

#[tokio::test]
async fn both_ways_to_take_events_tell_the_same() {
    let world = World::new(Behavior::new().stdout_raw(answer("Hello.")).stdout_line("not JSON"));
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

#[tokio::test]
async fn the_outcome_has_what_nobody_took() {
    let world = answering();
    for taken in 0..=4 {
        let mut run = world.opencode.stream(world.request());
        for _ in 0..taken {
            run.next_event().await;
        }
        let report = run.outcome().await.unwrap();
        assert_eq!((&*report.text(), report.outcome.lines.events), ("Hello.", 3));
    }
}

#[tokio::test]
async fn what_was_gathered_can_be_seen_at_any_time() {
    // What comes in one piece is gathered in one go.
    let behavior = Behavior::new().stdout_line(START).pause_until("first");
    let behavior = behavior.stdout_line(&text("prt_2", "Hel")).pause_until("second");
    let world = World::new(behavior.stdout_line(&text("prt_3", "lo.")).stdout_line(FINISH));
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
        tokio::task::yield_now().await;
    }
    assert_eq!(said(&run).as_deref(), Some("Hello."));
}

async fn many_at_once() {
    const RUNS: usize = 24;
    let world = World::new(Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    // As tasks, which are polled only when something wakes them.
    let runs = (0..RUNS).map(|_| tokio::spawn(world.opencode.stream(world.request()).outcome()));
    for result in join_all(runs).await {
        assert_eq!(result.unwrap().unwrap().text(), "Hello.");
    }
    assert_eq!(world.calls().len(), RUNS);
}

#[tokio::test(flavor = "current_thread")]
async fn many_run_at_once_on_one_thread() {
    many_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_run_at_once_on_many_threads() {
    many_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_may_move_to_another_task() {
    let world =
        World::new(Behavior::new().stdout_line(START).pause_until(GATE).stdout_line(FINISH));
    let mut run = world.started().await;
    // This task's waker is the one that is known now.
    assert!(poll_once(run.next_event()).is_pending());
    let task = tokio::spawn(async move { (run.next_event().await, run.outcome().await) });
    tokio::task::yield_now().await;
    world.fake.open(GATE).unwrap();
    let (event, outcome) = task.await.unwrap();
    assert_eq!(event.unwrap().event_type(), "step_finish");
    outcome.unwrap();
}

#[tokio::test]
async fn a_program_is_held_back_by_who_does_not_read() {
    // More than a pipe holds.
    let lines = texts(20_000);
    let world =
        World::new(Behavior::new().stdout_line(START).stdout_raw(lines).stdout_line(FINISH));
    let mut run = world.started().await;
    eventually(|| {
        let printing = world.processes().into_iter().find(|process| process.cmdline[0] == "cat");
        printing.is_some_and(|printing| is_asleep(printing.pid))
    })
    .await;
    assert_eq!(rest(&mut run).await.len(), 20_001);
    run.outcome().await.unwrap();
}
