//! Runs over a server that end early.

use std::time::Duration;

use opencode_tokio::event::Deadline;
use opencode_tokio::{Deadlines, RunEnd, RunEvent, RunStream};
use testkit::conformance::real::live::wait_for_model_disconnect;
use testkit::conformance::real::runs::bash;
use testkit::conformance::real::sessions::wait_for_sleepers;
use testkit::model::{Reply, Script};

use crate::on;
use crate::world::{ServedRun, ServedWorld};

/// Reads events until the text so far ends with `text`.
async fn until_text(run: &mut RunStream, text: &str) -> Vec<RunEvent> {
    let (mut so_far, mut events) = (String::new(), Vec::new());
    while !so_far.ends_with(text) {
        let event = run.next_event().await.expect("the run is going on");
        so_far.extend(event.text());
        events.push(event);
    }
    events
}

#[tokio::test]
async fn a_silent_model_times_out() {
    let world = ServedWorld::new("ends-silent").await;
    let script = Script::new().then(Reply::new().text("Part one.").tool("bash", bash("echo hi")));
    let script = script.then(Reply::new().text("Part tw").stall());
    let limit = Duration::from_millis(1500);
    let request = world.request("ends-silent", script);

    let played = world.run(request.with_deadlines(Deadlines::NONE.with_idle(limit))).await;

    assert_eq!(played.report().outcome.end.deadline(), Some(Deadline::Idle));
    assert_eq!(played.report().answer().full_text(), "Part one.Part tw");
    assert_eq!(played.text(), "Part one.Part tw", "the text before the abort is kept");
    assert_eq!(played.report().answer().tools().len(), 1);
    wait_for_model_disconnect(&world.shared, "ends-silent").await;

    let request = world.request("ends-mute", Reply::new().stall());
    let played = world.run(request.with_deadlines(Deadlines::NONE.with_overall(limit))).await;
    assert_eq!(played.report().outcome.end.deadline(), Some(Deadline::Overall));
    wait_for_model_disconnect(&world.shared, "ends-mute").await;
}

#[tokio::test]
async fn a_cancelled_run_keeps_partial_results() {
    let world = ServedWorld::new("ends-cancelled").await;
    let script = Script::new().then(Reply::new().text("I wait.").tool("bash", bash("sleep 4711")));
    let mut run = world.start(world.request("ends-cancelled", script));
    until_text(&mut run, "I wait.").await;
    // Output of a tool is no event of a run, so the run is polled until the tool sleeps.
    let on = on();
    let played = {
        let mut asleep = std::pin::pin!(wait_for_sleepers(&on, "4711", 1));
        loop {
            tokio::select! {
                () = asleep.as_mut() => break,
                event = run.next_event() => drop(event.expect("the run is going on")),
            }
        }
        run.cancel();
        ServedRun::of(run).await
    };

    assert_eq!(played.report().outcome.end, RunEnd::Cancelled);
    assert_eq!(played.report().text(), "I wait.");
    wait_for_sleepers(&on, "4711", 0).await;

    let mut run = world.start(world.request("ends-early", Reply::new().text("Never said.")));
    run.cancel();
    let played = ServedRun::of(run).await;
    assert_eq!((played.report().outcome.end.name(), played.report().attempts), ("cancelled", 0));
    assert_eq!(world.shared.model_requests("ends-early").len(), 0);
}

#[tokio::test]
async fn a_dropped_run_is_aborted_on_the_server() {
    let world = ServedWorld::new("ends-dropped").await;
    let reply = Reply::new().text("I wait.").stall();
    let mut run = world.start(world.request("ends-dropped", reply));
    let events = until_text(&mut run, "I wait.").await;
    let session = events[0].session.clone().unwrap();

    drop(run);

    wait_for_model_disconnect(&world.shared, "ends-dropped").await;
    let session = world.shared.server.session(session).await.unwrap();
    world.model().script("ends-next", Reply::new().text("The next answer."));
    let next = session.send("And now? [[ends-next]]").outcome().await.unwrap();
    assert_eq!(next.text(), "The next answer.");
}
