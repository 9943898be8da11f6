//! A run and a conversation on the real OpenCode, where only the model is scripted, whoever polls them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opencode_async_std::{
    Binary, CreateSession, Deadline, Deadlines, Environment, OpenCode, Pending, PermissionReply,
    PermissionRequest, RunConfig, RunEnd, RunFlags, RunRequest, ServeRequest, ToolPart, TurnEnd,
    TurnEventKind, TurnRequest, TurnStream,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::model::{ModelServer, Reply, Script};
use testkit::processes::with_env;

const LONG: Duration = Duration::from_secs(240);
const MARK: &str = "OPENCODE_TEST_WORLD";

/// One at a time: each takes half a gigabyte and the processor for seconds.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn on_async_std() {
    alone(|world| async_std::task::block_on(journey(world)));
}

#[test]
fn on_smol() {
    alone(|world| smol::block_on(essentials(world)));
}

#[test]
fn on_a_bare_executor() {
    alone(|world| futures_executor::block_on(essentials(world)));
}

fn alone(test: impl FnOnce(&World)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    test(&world);
    world.assert_nothing_left();
}

async fn journey(world: &World) {
    essentials(world).await;
    give_up(world).await;
    abandon(world).await;
}

async fn essentials(world: &World) {
    run(world).await;
    converse(world).await;
}

/// A run to its end, event by event.
async fn run(world: &World) {
    world.model.script("run", Reply::new().text("Good morning!"));
    let mut run = world.opencode.stream(world.request("Hi [[run]]"));
    let mut types = Vec::new();
    while let Some(event) = run.next_event().await {
        types.push(event.event_type().to_owned());
    }
    assert_eq!(types, ["step_start", "text", "step_finish"]);
    assert_eq!(run.outcome().await.unwrap().text(), "Good morning!");
    world.assert_nothing_left();
}

/// A run that hangs in a tool is ended, with the tool.
async fn give_up(world: &World) {
    let sleep = json!({ "command": "sleep 600", "description": "d" });
    world.model.script("hang", Reply::new().tool("bash", sleep));
    let limit = Deadlines::NONE.with_overall(Duration::from_secs(20));
    let request = world.request("Hang [[hang]]").with_deadlines(limit);
    let error = world.opencode.run(request).await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::TimedOut(Deadline::Overall)));
    world.assert_nothing_left();
}

/// Two turns of a session, one of which asks, and an orderly end.
async fn converse(world: &World) {
    let echo = json!({ "command": "echo out", "description": "d" });
    let script =
        Script::new().then(Reply::new().tool("bash", echo)).then(Reply::new().text("Out."));
    world.model.script("ask", script);
    world.model.script("next", Reply::new().deltas(["One ", "more."]));
    let server = world.opencode.serve(world.serve()).await.unwrap();
    let create = CreateSession::new().with_title("a test");
    let session = server.create_session(create).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let decide = {
        let asked = Arc::clone(&asked);
        move |ask: Pending<PermissionRequest>| {
            assert_eq!(ask.request.permission, "bash");
            asked.fetch_add(1, Ordering::Relaxed);
            async { PermissionReply::Once }
        }
    };
    let outcome = session.send(prompt("Ask [[ask]]").on_permission(decide)).outcome().await;
    assert_eq!(outcome.unwrap().text(), "Out.");
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    let mut turn = session.send(prompt("More [[next]]"));
    let mut text = String::new();
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
    }
    assert_eq!(text, "One more.");
    assert_eq!(turn.outcome().await.unwrap().text(), "One more.");
    let report = server.stop().await.unwrap();
    assert!(report.outcome.is_some());
    world.assert_nothing_left();
}

/// A server that is dropped while a tool runs, and a turn that is cancelled before.
async fn abandon(world: &World) {
    let sleep = json!({ "command": "echo begun; sleep 600", "description": "d" });
    world.model.script("sleep", Reply::new().tool("bash", sleep));
    let server = world.opencode.serve(world.serve()).await.unwrap();
    let create = CreateSession::new().with_title("a test");
    let session = server.create_session(create).await.unwrap();
    let session = session.on_permission(|_| async { PermissionReply::Once });
    let mut turn = session.send(prompt("Sleep [[sleep]]"));
    until_it_sleeps(world, &mut turn).await;
    turn.cancel();
    let error = turn.outcome().await.unwrap_err();
    assert!(matches!(error.end(), Some(TurnEnd::Cancelled)), "{error:?}");

    let mut turn = session.send(prompt("Sleep [[sleep]]"));
    until_it_sleeps(world, &mut turn).await;
    drop((turn, session, server));
    world.assert_nothing_left();
}

async fn until_it_sleeps(world: &World, turn: &mut TurnStream) {
    while let Some(event) = turn.next_event().await {
        let begun = |tool: &ToolPart| {
            tool.state.metadata().is_some_and(|metadata| metadata.as_str().contains("begun"))
        };
        if matches!(&event.kind, TurnEventKind::ToolProgressed(tool) if begun(tool)) {
            assert!(world.processes().len() > 1, "the server and its tool");
            return;
        }
    }
    panic!("it ended without a sleep");
}

fn prompt(text: &str) -> TurnRequest {
    TurnRequest::new(text).with_deadlines(Deadlines::NONE.with_overall(LONG))
}

/// A user, a project and a scripted model of one test's own.
struct World {
    model: ModelServer,
    opencode: OpenCode,
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let mut environment = Environment::new();
        environment.set("HOME", root.path().join("home"));
        environment.set("PATH", std::env::var_os("PATH").unwrap());
        environment.set(MARK, root.path());
        environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
        environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.path().join("managed"));
        let opencode = opencode_async_std::builder()
            .binary(Binary::Path(testkit::opencode::binary().unwrap()))
            .environment(environment)
            .temp_dir(root.path().join("temp"))
            .build();
        Self { model: ModelServer::start().unwrap(), opencode, root }
    }

    fn config(&self) -> RunConfig {
        let mut config: Map<String, Value> = self.model.config().as_object().unwrap().clone();
        config.insert("permission".to_owned(), json!({ "bash": "ask" }));
        RunConfig::new().with_overrides(config)
    }

    fn request(&self, prompt: &str) -> RunRequest {
        let overrides = self.model.config().as_object().unwrap().clone();
        let flags = RunFlags::new().with_title("a test");
        RunRequest::new(prompt)
            .with_config(RunConfig::new().with_overrides(overrides).with_flags(flags))
            .with_directory(self.root.path().join("project"))
            .with_deadlines(Deadlines::NONE.with_overall(LONG))
    }

    fn serve(&self) -> ServeRequest {
        ServeRequest::new()
            .with_config(self.config())
            .with_directory(self.root.path().join("project"))
    }

    fn processes(&self) -> Vec<testkit::processes::Process> {
        with_env(MARK, self.root.path())
    }

    #[track_caller]
    fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), []);
        let temp = fs::read_dir(self.root.path().join("temp")).unwrap();
        let left: Vec<_> = temp.map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
