//! What a turn comes to when all goes well.

use opencode_tokio::ErrorName;
use serde_json::json;
use testkit::model::{Gate, Reply, Script};

use crate::world::{World, play, prompt};

#[tokio::test]
async fn a_text_is_told_as_it_comes() {
    let world = World::new().await;
    world.model().script("answers-text", Reply::new().deltas(["Hel", "lo ", "you."]));
    let session = world.session().await;
    let (text, outcome) = play(session.send(prompt("Hi [[answers-text]]"))).await;
    assert_eq!(text, "Hello you.");
    assert_eq!(outcome.text(), "Hello you.");
    assert_eq!(outcome.end.name(), "completed");
}

#[tokio::test]
async fn a_tool_is_called_and_the_next_turn_knows() {
    let world = World::new().await;
    let script = Script::new()
        .then(
            Reply::new()
                .text("I look.")
                .tool("bash", json!({ "command": "echo out", "description": "d" })),
        )
        .then(Reply::new().text("Done."));
    world.model().script("answers-tool", script);
    world.model().script("answers-next", Reply::new().text("Yes."));
    let session = world.session().await;
    let (text, outcome) = play(session.send(prompt("Go [[answers-tool]]"))).await;
    assert_eq!(text, "I look.Done.");
    assert_eq!(outcome.text(), "Done.");
    let tools: Vec<_> = outcome.tools().map(|tool| (&*tool.tool, tool.state.status())).collect();
    assert_eq!(tools, [("bash", "completed")]);
    let (_, outcome) = play(session.send(prompt("More? [[answers-next]]"))).await;
    assert_eq!(outcome.text(), "Yes.");
    assert_eq!(outcome.tools().count(), 0);
}

#[test]
fn a_stream_can_be_dropped_where_nothing_can_be_spawned() {
    let gate = Gate::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, session, mut turn) = runtime.block_on(async {
        let world = World::new().await;
        let held = Reply::new().text("So").pause_until(&gate).text(" far.");
        world.model().script("answers-dropped", held);
        world.model().script("answers-after", Reply::new().text("I am here."));
        let session = world.session().await;
        let turn = session.send(prompt("Begin [[answers-dropped]]"));
        (world, session, turn)
    });
    runtime.block_on(async {
        while let Some(event) = turn.next_event().await {
            if event.text().is_some_and(|text| text.contains("So")) {
                return;
            }
        }
        panic!("it was not begun");
    });
    drop(turn);
    let outcome = runtime.block_on(session.send(prompt("Next [[answers-after]]")).outcome());
    assert_eq!(outcome.unwrap().text(), "I am here.");
    let messages = runtime.block_on(session.messages()).unwrap();
    let errors: Vec<_> =
        messages.iter().filter_map(|message| message.info.error.as_ref()).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].name, ErrorName::MESSAGE_ABORTED);
    gate.open();
    drop(world);
}
