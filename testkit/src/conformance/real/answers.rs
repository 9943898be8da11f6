//! Successful turns.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opencode_client::runtime::Runtime;
use opencode_client::server::HttpLimits;
use serde_json::json;

use super::kept::install_nothing;
use super::sessions::{SessionWorld, play, prompt};
use crate::conformance::Host;
use crate::model::{Reply, Script};

pub(crate) async fn a_text_is_streamed(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("answers-text", Reply::new().deltas(["Hel", "lo ", "you."]));
    let session = world.session().await;
    let (text, outcome) = play(session.send(prompt("Hi [[answers-text]]"))).await;
    assert_eq!(text, "Hello you.");
    assert_eq!(outcome.text(), "Hello you.");
    assert_eq!(outcome.end.name(), "completed");
}

pub(crate) async fn a_tool_call_is_reported_in_its_turn_only(on: &Host) {
    let world = SessionWorld::new(on).await;
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

/// OpenCode creates no session before the plugins of the project have started.
pub(crate) async fn creating_a_session_waits_for_slow_plugins(on: &Host) {
    const SLOW: &str = "export default async () => { \
                        await new Promise(done => setTimeout(done, 3000)); return {} }";
    // All runtimes share a server, on which a project starts once.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("slow-project-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let limits = HttpLimits::default().with_reply(Duration::from_secs(1));
    let world = SessionWorld::attached(on, &name, |request| request.with_limits(limits)).await;
    let plugins = world.project().join(".opencode/plugin");
    fs::create_dir_all(&plugins).unwrap();
    fs::write(plugins.join("slow.ts"), SLOW).unwrap();
    install_nothing(&world.project());

    let started = on.runtime().now();
    world.session().await;
    let elapsed = on.runtime().now() - started;
    assert!(elapsed >= Duration::from_secs(3), "the plugin was not waited for: {elapsed:?}");
}
