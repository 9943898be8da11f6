//! Turns whose server dies or is stopped.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use opencode_tokio::config::{DataHome, Environment, Isolation};
use opencode_tokio::process::Binary;
use opencode_tokio::server::ServeEnd;
use opencode_tokio::{
    AttachRequest, CreateSession, OpenCode, RunConfig, ServeRequest, Server, Session, TurnEnd,
};
use tempfile::TempDir;
use testkit::conformance::real::behind::{FollowedTurn, follow};
use testkit::conformance::real::sessions::{LONG, credentials, object, prompt};
use testkit::model::{Gate, ModelServer, Reply};
use testkit::processes::eventually;

/// A model, a project, and a data directory that outlives the servers.
struct DeathWorld {
    model: ModelServer,
    opencode: OpenCode,
    root: PathBuf,
    _directory: TempDir,
}

impl DeathWorld {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp", "data"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let mut environment = Environment::new();
        environment.set("HOME", root.join("home"));
        environment.set("PATH", env::var_os("PATH").unwrap());
        environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
        environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
        let opencode = opencode_tokio::builder()
            .binary(Binary::Path(testkit::opencode::binary().unwrap()))
            .environment(environment)
            .temp_dir(root.join("temp"))
            .build();
        Self { model: ModelServer::start().unwrap(), opencode, root, _directory: directory }
    }

    fn request(&self) -> ServeRequest {
        let config = RunConfig::new()
            .with_overrides(object(&self.model.config()))
            .with_isolation(Isolation::new().with_data(DataHome::At(self.root.join("data"))));
        ServeRequest::new()
            .with_directory(self.root.join("project"))
            .with_config(config)
            .with_credentials(credentials())
    }

    async fn serve(&self, request: ServeRequest) -> Server {
        self.opencode.serve(request).await.unwrap()
    }

    async fn session(&self, server: &Server) -> Session {
        server.create_session(CreateSession::new().with_title("a test")).await.unwrap()
    }
}

fn kill(server: &Server) {
    let killed = Command::new("kill").args(["-KILL", &pid(server)]).status().unwrap();
    assert!(killed.success());
}

fn pid(server: &Server) -> String {
    server.process_id().unwrap().to_string()
}

/// Checks that events and outcome keep the text, without repetitions.
fn assert_kept(turn: &FollowedTurn, text: &str) {
    let outcome = turn.outcome();
    assert_eq!((&*turn.text(), &*outcome.text()), (text, text), "{:#?}", turn.events);
    turn.assert_no_repeats();
}

#[tokio::test]
async fn turns_end_when_their_server_is_killed_and_restarted() {
    let world = DeathWorld::new();
    let server = world.serve(world.request()).await;
    let port = server.url().rsplit(':').next().unwrap().parse().unwrap();
    let attached = AttachRequest::new(server.url())
        .with_credentials(credentials())
        .with_directory(world.root.join("project").to_str().unwrap());
    let attached = world.opencode.attach(attached).await.unwrap();
    for name in ["started", "attached"] {
        world.model.script(name, Reply::new().text("one ").stall());
    }
    let started_session = world.session(&server).await;
    let attached_session = world.session(&attached).await;
    let mut started_turn = follow(started_session.send(prompt("Go [[started]]")));
    let mut attached_turn = follow(attached_session.send(prompt("Go [[attached]]")));
    started_turn.until_text("one ").await;
    attached_turn.until_text("one ").await;

    kill(&server);
    let turn = started_turn.end().await;
    let TurnEnd::ServerLost { reason, .. } = &turn.outcome().end else {
        panic!("{:?}", turn.result)
    };
    // Known from the process, without minutes of attempts to reconnect.
    assert_eq!(reason, "the server has ended");
    assert_kept(&turn, "one ");
    assert_eq!(server.exited().await.end, ServeEnd::Exited);
    // The last handles of the server remove the temporary files.
    let (session, message) = (started_session.id().clone(), turn.outcome().message.clone());
    drop((server, started_session));

    let server = world.serve(world.request().with_port(port)).await;
    let turn = attached_turn.end().await;
    assert!(matches!(turn.outcome().end, TurnEnd::Torn), "{:?}", turn.result);
    assert_kept(&turn, "one ");
    assert_eq!(turn.outcome().gaps, 1);

    let resumed = server.session(session).await.unwrap();
    assert!(resumed.messages().await.unwrap().iter().any(|known| known.info.id == message));
    for (session, name) in [(&resumed, "resumed"), (&attached_session, "attached-again")] {
        world.model.script(name, Reply::new().text("Here I am."));
        let turn = follow(session.send(prompt(format!("And now? [[{name}]]")))).end().await;
        turn.assert_answer("Here I am.");
    }
    // The model receives the earlier turn.
    let requests = world.model.requests();
    let last = requests.iter().find(|request| request.script() == Some("resumed")).unwrap();
    let history = last.messages().iter().map(ToString::to_string).collect::<String>();
    assert!(history.contains("Go [[started]]"), "{history}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_a_server_aborts_its_turns() {
    let world = DeathWorld::new();
    let server = world.serve(world.request()).await;
    world.model.script("stop", Reply::new().text("one ").stall());
    let session = world.session(&server).await;
    let mut turn = follow(session.send(prompt("Go [[stop]]")));
    turn.until_text("one ").await;
    let (turn, report) = tokio::join!(turn.end(), server.stop());
    let report = report.unwrap();
    assert_eq!(report.aborted, [session.id().clone()]);
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    let end = turn.outcome().end.name();
    assert!(["aborted", "server_lost"].contains(&end), "{:?}", turn.result);
    assert_kept(&turn, "one ");
    // A prompt to a stopped server fails without an event.
    let turn = follow(session.send(prompt("Again? [[stop]]"))).end().await;
    assert!(turn.events.is_empty() && turn.result.is_err(), "{:?}", turn.result);
}

#[tokio::test]
async fn a_turn_keeps_its_server_alive() {
    let world = DeathWorld::new();
    let server = world.serve(world.request()).await;
    let gate = Gate::new();
    world.model.script("alive", Reply::new().text("one ").pause_until(&gate).text("two"));
    let session = world.session(&server).await;
    let mut turn = follow(session.send(prompt("Go [[alive]]")));
    turn.until_text("one ").await;
    let process = PathBuf::from("/proc").join(pid(&server));
    drop((server, session));
    gate.open();
    turn.until_text("one two").await;
    assert!(process.exists());
    turn.end().await.assert_answer("one two");
    // The turn held the last handle of the server.
    let gone = move || eventually(LONG, || if process.exists() { Err(&process) } else { Ok(()) });
    tokio::task::spawn_blocking(gone).await.unwrap();
}
