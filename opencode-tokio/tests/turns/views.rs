//! Events of turns, and views of outcomes.

use std::collections::BTreeMap;
use std::fs;

use opencode_tokio::event::{Part, ToolState};
use opencode_tokio::log::EventLogConfig;
use opencode_tokio::session::{Artifact, ArtifactChange};
use opencode_tokio::turn::TextKind;
use opencode_tokio::{ModelRef, Prompt, TurnEvent, TurnEventKind, TurnStream};
use serde_json::{Value, json};
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Gate, Reply, Script, Usage};

use crate::on;

async fn events(mut turn: TurnStream) -> (Vec<TurnEvent>, opencode_tokio::TurnOutcome) {
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        events.push(event);
    }
    (events, turn.outcome().await.unwrap())
}

fn kind(part: &Part) -> &'static str {
    match part {
        Part::Reasoning(_) => "reasoning",
        Part::StepFinish(_) => "step-finish",
        Part::StepStart(_) => "step-start",
        Part::Text(_) => "text",
        Part::Tool(_) => "tool",
        _ => "other",
    }
}

#[tokio::test]
async fn events_of_a_turn_are_ordered_and_complete() {
    let world = SessionWorld::new(&on()).await;
    let command = json!({ "command": "echo out", "description": "d" });
    let script = Script::new()
        .then(
            Reply::new()
                .reasoning("Hm, ")
                .reasoning("so.")
                .deltas(["I ", "look."])
                .tool("bash", command)
                .usage(Usage { input: 50, output: 20, cached: 10, reasoning: 5 }),
        )
        .then(Reply::new().reasoning("Ah.").deltas(["It ", "is ", "out."]));
    world.model().script("views-order", script);

    let (events, outcome) = events(world.session().await.send(prompt("Go [[views-order]]"))).await;

    // A short line for every event of a part.
    let mut lines: Vec<String> = Vec::new();
    for event in &events {
        let line = match &event.kind {
            TurnEventKind::Posted(message) => {
                assert_eq!(*message, outcome.message);
                "posted".to_owned()
            }
            TurnEventKind::StepStarted(_) => "step".to_owned(),
            TurnEventKind::StepFinished(step) => format!(
                "step over: {}, {} in, {} out, {} reasoning, {} cached",
                step.reason,
                step.tokens.input,
                step.tokens.output,
                step.tokens.reasoning,
                step.tokens.cache_read,
            ),
            TurnEventKind::PartAdded(part) => format!("{} begins", kind(part)),
            TurnEventKind::PartDelta { kind: TextKind::Reasoning, delta, .. } => {
                format!("reasoning: {}", delta.to_str())
            }
            TurnEventKind::PartDelta { kind: TextKind::Text, delta, .. } => {
                format!("text: {}", delta.to_str())
            }
            TurnEventKind::PartFinal { part, .. } => format!("{} is over", kind(part)),
            TurnEventKind::ToolProgressed(_) => "tool progresses".to_owned(),
            _ => continue,
        };
        // The number of progress events depends on timing.
        if line != "tool progresses" || !lines.contains(&line) {
            lines.push(line);
        }
    }
    // Tools run in parallel with the rest of their step.
    let place = |start: &str| lines.iter().position(|line| line.starts_with(start));
    assert!(place("tool is over") < place("step over: tool-calls"), "{lines:?}");
    let (of_tool, others): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.starts_with("tool"));
    assert_eq!(of_tool, ["tool begins", "tool progresses", "tool is over"]);
    assert_eq!(
        others,
        [
            "posted",
            "step",
            "reasoning begins",
            "reasoning: Hm, ",
            "reasoning: so.",
            "reasoning is over",
            "text begins",
            "text: I ",
            "text: look.",
            "text is over",
            "step over: tool-calls, 40 in, 15 out, 5 reasoning, 10 cached",
            "step",
            "reasoning begins",
            "reasoning: Ah.",
            "reasoning is over",
            "text begins",
            "text: It ",
            "text: is ",
            "text: out.",
            "text is over",
            "step over: stop, 100 in, 10 out, 0 reasoning, 0 cached",
        ]
    );
    let text: String = events.iter().filter_map(TurnEvent::text).collect();
    assert_eq!(text, "I look.It is out.");
    assert_eq!(outcome.full_text(), text);
    assert_eq!(outcome.reasoning(), "Hm, so.Ah.");
    assert_eq!((outcome.tokens().total, outcome.answers().count()), (180, 2));
    // Every part has one event as added and one as final.
    let mut parts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for event in &events {
        let (part, place) = match &event.kind {
            TurnEventKind::PartAdded(part) => (part, 0),
            TurnEventKind::PartFinal { part, .. } => (part, 1),
            _ => continue,
        };
        let counts = parts.entry(part.key().part.as_ref().unwrap().to_string()).or_default();
        if place == 0 { counts.0 += 1 } else { counts.1 += 1 }
    }
    assert_eq!(parts.into_values().collect::<Vec<_>>(), [(1, 1); 5]);
}

#[tokio::test]
async fn the_growing_output_of_a_command_is_visible() {
    let world = SessionWorld::new(&on()).await;
    let gate = world.project().join("views-gate");
    let command = format!(
        "echo first; while [ ! -e '{}' ]; do sleep 0.05; done; echo second",
        gate.display()
    );
    let script = Script::new()
        .then(Reply::new().tool("bash", json!({ "command": command, "description": "d" })))
        .then(Reply::new().text("Done."));
    world.model().script("views-output", script);

    let mut turn = world.session().await.send(prompt("Go [[views-output]]"));
    let mut outputs = Vec::new();
    while let Some(event) = turn.next_event().await {
        let TurnEventKind::ToolProgressed(tool) = &event.kind else { continue };
        let ToolState::Running { metadata: Some(metadata), .. } = &tool.state else { continue };
        let metadata: Value = metadata.decode().unwrap();
        let output = metadata["output"].as_str().unwrap_or_default().to_owned();
        if output == "first\n" {
            fs::write(&gate, "").unwrap();
        }
        outputs.push(output);
    }
    let outcome = turn.outcome().await.unwrap();

    assert!(outputs.iter().any(|output| output == "first\n"), "{outputs:?}");
    assert!(outputs.windows(2).all(|pair| pair[1].starts_with(&pair[0])), "{outputs:?}");
    let tool = outcome.tools().next().unwrap();
    assert_eq!(tool.state.output().unwrap().to_str(), "first\nsecond\n");
}

#[tokio::test]
async fn artifacts_are_written_files() {
    let world = SessionWorld::new(&on()).await;
    let (one, two) = (world.project().join("a/same.txt"), world.project().join("b/same.txt"));
    let write = |path: &std::path::Path, content: &str| {
        Reply::new().tool("write", json!({ "filePath": path, "content": content }))
    };
    let edit = json!({ "filePath": one, "oldString": "old", "newString": "new" });
    let script = Script::new()
        .then(write(&one, "old\n"))
        .then(write(&two, "0123456789"))
        .then(Reply::new().tool("edit", edit))
        .then(Reply::new().text("Done."));
    world.model().script("views-artifacts", script);
    let patch = "*** Begin Patch\n*** Update File: a/same.txt\n@@\n-new\n+newer\n*** Delete File: \
                 b/same.txt\n*** Add File: c/same.txt\n+added\n*** End Patch";
    let script = Script::new()
        .then(Reply::new().tool("apply_patch", json!({ "patchText": patch })))
        .then(Reply::new().text("Done."));
    world.model().script("views-patch", script);
    let session = world.session().await;

    let (_, outcome) = play(session.send(prompt("Go [[views-artifacts]]"))).await;
    let artifacts = |size_max| -> Vec<Artifact> {
        outcome.tools().flat_map(|tool| Artifact::of(tool, size_max)).collect()
    };
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let written = artifacts(9).into_iter().map(|artifact| (artifact.path, artifact.change));
    let written: Vec<_> = written.collect();
    assert_eq!(written.len(), 3, "{written:?}");
    assert_eq!(written[0], (path(&one), ArtifactChange::Content("old\n".to_owned())));
    assert_eq!(written[1].0, path(&two));
    assert!(matches!(written[1].1, ArtifactChange::TooLarge { size: 10, .. }), "{written:?}");
    assert_eq!(written[2].0, path(&one));
    let artifacts = artifacts(usize::MAX);
    let ArtifactChange::Patch(patch) = &artifacts[2].change else { panic!("{artifacts:?}") };
    assert!(patch.contains("-old\n+new"), "{patch}");

    let model = ModelRef::new("scripted/gpt-patches").unwrap();
    let turn = Prompt::from("Go [[views-patch]]").with_model(model);
    let (_, outcome) = play(session.send(prompt(turn))).await;
    let mut patched: Vec<_> = outcome
        .tools()
        .flat_map(|tool| Artifact::of(tool, usize::MAX))
        .map(|artifact| (artifact.path, artifact.change))
        .collect();
    patched.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(patched.len(), 3, "{patched:?}");
    assert_eq!(patched[0].0, path(&one));
    assert!(
        matches!(&patched[0].1, ArtifactChange::Patch(patch) if patch.contains("-new\n+newer"))
    );
    assert_eq!(patched[1], (path(&two), ArtifactChange::Deleted));
    assert_eq!(patched[2].0, path(&world.project().join("c/same.txt")));
    assert!(matches!(&patched[2].1, ArtifactChange::Patch(patch) if patch.contains("+added")));
}

#[tokio::test]
async fn a_log_contains_the_events_of_the_server() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("views-log", Reply::new().reasoning("Hm.").deltas(["Hel", "lo."]));
    let path = world.project().join("views.jsonl");
    fs::write(&path, "of another day\n").unwrap();
    // The first turn truncates the file, the second appends.
    let log = EventLogConfig::new(&path).without_type("message.part.delta");
    let session = world.session().await.with_log(log);

    play(session.send(prompt("Go [[views-log]]"))).await;
    let first = fs::read_to_string(&path).unwrap();
    let (_, outcome) = play(session.send(prompt("Go [[views-log]]"))).await;
    let both = fs::read_to_string(&path).unwrap();

    assert!(both.starts_with(&first) && both.len() > first.len());
    let lines: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an event was logged twice");
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert!(!types.contains(&"message.part.delta"), "{types:?}");
    for line in &lines {
        assert_eq!(line["properties"]["sessionID"], json!(session.id().as_str()));
    }
    // The log contains the prompts, the answers and the end.
    let has_text = |line: &&Value, text: &str| line["properties"]["part"]["text"] == text;
    assert_eq!(lines.iter().filter(|line| has_text(line, "Go [[views-log]]")).count(), 2);
    assert_eq!(lines.iter().filter(|line| has_text(line, "Hello.")).count(), 2);
    assert_eq!(types.last(), Some(&"session.status"));
    assert_eq!(outcome.text(), "Hello.");
}

#[tokio::test]
async fn a_transcript_is_available_during_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let reply = Reply::new().deltas(["a", "b"]).pause_until(&gate).text("c");
    world.model().script("views-grows", reply);
    let mut turn = world.session().await.send(prompt("Go [[views-grows]]"));
    assert!(turn.transcript().is_none() && turn.message().is_none());
    let mut text = String::new();
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
        if text == "ab" {
            assert_eq!(turn.transcript().unwrap().text(), "ab");
            gate.open();
        }
    }
    assert_eq!(text, "abc");
    assert!(turn.transcript().is_none());
    assert_eq!(turn.outcome().await.unwrap().text(), "abc");
}
