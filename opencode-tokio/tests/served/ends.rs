//! Runs over a server that do not come to their end.

use std::time::Duration;

use opencode_tokio::{Deadline, Deadlines, RunEnd, RunEvent, RunStream};
use testkit::conformance::real::live::left;
use testkit::conformance::real::runs::bash;
use testkit::conformance::real::sessions::sleepers;
use testkit::model::{Reply, Script};

use crate::on;
use crate::world::{Told, World};

/// Goes on until this much text was told.
async fn until_text(run: &mut RunStream, text: &str) -> Vec<RunEvent> {
    let (mut told, mut events) = (String::new(), Vec::new());
    while !told.ends_with(text) {
        let event = run.next_event().await.expect("it goes on");
        told.extend(event.text());
        events.push(event);
    }
    events
}

#[tokio::test]
async fn a_model_that_falls_silent_times_out() {
    let world = World::new("ends-silent").await;
    let script = Script::new().then(Reply::new().text("Part one.").tool("bash", bash("echo hi")));
    let script = script.then(Reply::new().text("Part tw").stall());
    let limit = Duration::from_millis(1500);
    let request = world.request("ends-silent", script);

    let told = world.run(request.with_deadlines(Deadlines::NONE.with_idle(limit))).await;

    assert_eq!(told.report().outcome.end, RunEnd::TimedOut(Deadline::Idle));
    assert_eq!(told.report().answer().full_text(), "Part one.Part tw");
    assert_eq!(told.text(), "Part one.Part tw", "an aborted text is told whole as well");
    assert_eq!(told.report().answer().tools().len(), 1);
    left(&world.shared, "ends-silent").await;

    let request = world.request("ends-mute", Reply::new().stall());
    let told = world.run(request.with_deadlines(Deadlines::NONE.with_overall(limit))).await;
    assert_eq!(told.report().outcome.end, RunEnd::TimedOut(Deadline::Overall));
    left(&world.shared, "ends-mute").await;
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_it_gathered() {
    let world = World::new("ends-cancelled").await;
    let script = Script::new().then(Reply::new().text("I wait.").tool("bash", bash("sleep 4711")));
    let mut run = world.start(world.request("ends-cancelled", script));
    until_text(&mut run, "I wait.").await;
    // What a tool prints is no event of a run: it is polled while the tool begins.
    let on = on();
    let told = {
        let mut asleep = std::pin::pin!(sleepers(&on, "4711", 1));
        loop {
            tokio::select! {
                () = asleep.as_mut() => break,
                event = run.next_event() => drop(event.expect("it goes on")),
            }
        }
        run.cancel();
        Told::of(run).await
    };

    assert_eq!(told.report().outcome.end, RunEnd::Cancelled);
    assert_eq!(told.report().text(), "I wait.");
    sleepers(&on, "4711", 0).await;

    let mut run = world.start(world.request("ends-early", Reply::new().text("Never said.")));
    run.cancel();
    let told = Told::of(run).await;
    assert_eq!((told.report().outcome.end.name(), told.report().attempts), ("cancelled", 0));
    assert_eq!(world.shared.asked("ends-early").len(), 0);
}

#[tokio::test]
async fn a_dropped_run_is_aborted_on_the_server() {
    let world = World::new("ends-dropped").await;
    let reply = Reply::new().text("I wait.").stall();
    let mut run = world.start(world.request("ends-dropped", reply));
    let told = until_text(&mut run, "I wait.").await;
    let session = told[0].session.clone().unwrap();

    drop(run);

    left(&world.shared, "ends-dropped").await;
    let session = world.shared.server.session(session).await.unwrap();
    world.model().script("ends-next", Reply::new().text("The next answer."));
    let next = session.send("And now? [[ends-next]]").outcome().await.unwrap();
    assert_eq!(next.text(), "The next answer.");
}
