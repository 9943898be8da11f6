//! npm packages of plugins, which the first run installs for all.

use std::fs;
use std::time::Duration;

use opencode_tokio::config::{Isolation, PluginHome};
use opencode_tokio::event::Deadline;
use opencode_tokio::run::{Notice, RunSettings};
use opencode_tokio::{BatchEvent, BatchRequest, Deadlines, Job, RunConfig, RunEnd, RunEventKind};
use serde_json::json;
use testkit::conformance::world::ProgramWorld;

use crate::imagined::{ImaginedRuntime, Play};
use crate::world;

fn config(world: &ProgramWorld) -> RunConfig {
    let kept = Isolation::new().with_plugins(PluginHome::At(world.path("kept")));
    RunConfig::new()
        .with_isolation(kept)
        .with_overrides(json!({ "plugin": ["a@1.0.0", "./local.js"] }))
}

#[tokio::test(start_paused = true)]
async fn an_installation_is_an_event_and_the_reason_of_a_late_first_event() {
    let world = world();
    let project = json!({ "plugin": [["@s/b", { "option": 1 }]] });
    fs::write(world.path("project/opencode.json"), project.to_string()).unwrap();
    let opencode = world.builder_on(ImaginedRuntime::new([Play::new()])).build();
    let deadlines = Deadlines::NONE.with_first_event(Duration::from_secs(60));
    let request = world
        .request()
        .with_config(config(&world))
        .with_settings(RunSettings::default().with_deadlines(deadlines));
    let mut run = opencode.stream(request);
    let event = run.next_event().await.unwrap();
    let RunEventKind::Notice(Notice::Installing { plugins, .. }) = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!(*plugins, ["@s/b@latest", "a@1.0.0"]);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::FirstEvent));
    let text = error.to_string();
    let expected = "while plugins were being installed: @s/b@latest, a@1.0.0";
    assert!(text.ends_with(expected), "{text}");
    // A package that is not complete is not kept.
    assert_eq!(fs::read_dir(world.path("kept/.complete")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_installation_is_an_event_and_the_reason_of_a_late_server_in_a_batch() {
    let world = world();
    // A server is tried four times.
    let opencode = world.builder_on(ImaginedRuntime::new([(); 4].map(|()| Play::new()))).build();
    let job = Job::new("Hello?").with_directory(world.path("project")).with_config(config(&world));
    let mut batch = opencode.batch(BatchRequest::new([job]));
    let mut installing = Vec::new();
    while let Some(event) = batch.next_event().await {
        if let BatchEvent::ServerInstalling { plugins, .. } = event {
            installing.push(plugins);
        }
    }
    assert_eq!(installing[0], ["a@1.0.0"]);
    let report = batch.outcome().await.unwrap();
    let error = report.jobs[0].error.as_ref().unwrap().to_string();
    assert!(error.contains("while plugins were being installed: a@1.0.0"), "{error}");
}
