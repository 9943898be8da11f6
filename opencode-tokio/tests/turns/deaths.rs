//! What becomes of turns when their server dies, or is stopped.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use opencode_tokio::{
    AttachRequest, Binary, CreateSession, DataHome, Environment, Isolation, OpenCode, RunConfig,
    ServeEnd, ServeRequest, Server, Session, TurnEnd,
};
use tempfile::TempDir;
use testkit::conformance::real::behind::{FollowedTurn, follow};
use testkit::conformance::real::sessions::{LONG, credentials, object, prompt};
use testkit::model::{Gate, ModelServer, Reply};
use testkit::processes::eventually;

/// A model, a project, and data that outlives a server.
struct Ground {
    model: ModelServer,
    opencode: OpenCode,
    root: PathBuf,
    _directory: TempDir,
}

impl Ground {
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

/// It was told until there, and that is kept.
fn assert_kept(told: &FollowedTurn, text: &str) {
    let outcome = told.outcome();
    assert_eq!((&*told.text(), &*outcome.text()), (text, text), "{:#?}", told.events);
    told.assert_no_repeats();
}

#[tokio::test]
async fn killed_and_restarted_in_the_middle_of_turns() {
    let ground = Ground::new();
    let server = ground.serve(ground.request()).await;
    let port = server.url().rsplit(':').next().unwrap().parse().unwrap();
    let attached = AttachRequest::new(server.url())
        .with_credentials(credentials())
        .with_directory(ground.root.join("project").to_str().unwrap());
    let attached = ground.opencode.attach(attached).await.unwrap();
    for name in ["ours", "others"] {
        ground.model.script(name, Reply::new().text("one ").stall());
    }
    let (ours, others) = (ground.session(&server).await, ground.session(&attached).await);
    let mut our_turn = follow(ours.send(prompt("Go [[ours]]")));
    let mut other_turn = follow(others.send(prompt("Go [[others]]")));
    our_turn.until_text("one ").await;
    other_turn.until_text("one ").await;

    kill(&server);
    let told = our_turn.end().await;
    let TurnEnd::ServerLost { reason, .. } = &told.outcome().end else {
        panic!("{:?}", told.result)
    };
    // Known from the process: nobody has tried for minutes to get the stream back.
    assert_eq!(reason, "the server has ended");
    assert_kept(&told, "one ");
    assert_eq!(server.exited().await.end, ServeEnd::Exited);
    // What is left of it goes with it.
    let (session, message) = (ours.id().clone(), told.outcome().message.clone());
    drop((server, ours));

    let server = ground.serve(ground.request().with_port(port)).await;
    let told = other_turn.end().await;
    assert!(matches!(told.outcome().end, TurnEnd::Torn), "{:?}", told.result);
    assert_kept(&told, "one ");
    assert_eq!(told.outcome().gaps, 1);

    let resumed = server.session(session).await.unwrap();
    assert!(resumed.messages().await.unwrap().iter().any(|known| known.info.id == message));
    for (session, name) in [(&resumed, "resumed"), (&others, "attached")] {
        ground.model.script(name, Reply::new().text("Here I am."));
        let told = follow(session.send(prompt(format!("And now? [[{name}]]")))).end().await;
        told.assert_answer("Here I am.");
    }
    // The model is told what was said before.
    let requests = ground.model.requests();
    let last = requests.iter().find(|request| request.script() == Some("resumed")).unwrap();
    let told = last.messages().iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("Go [[ours]]"), "{told}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn stopped_in_the_middle_of_a_turn() {
    let ground = Ground::new();
    let server = ground.serve(ground.request()).await;
    ground.model.script("stop", Reply::new().text("one ").stall());
    let session = ground.session(&server).await;
    let mut turn = follow(session.send(prompt("Go [[stop]]")));
    turn.until_text("one ").await;
    let (told, report) = tokio::join!(turn.end(), server.stop());
    let report = report.unwrap();
    assert_eq!(report.aborted, [session.id().clone()]);
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    let end = told.outcome().end.name();
    assert!(["aborted", "server_lost"].contains(&end), "{:?}", told.result);
    assert_kept(&told, "one ");
    // Nothing comes of a prompt for a server that is no more.
    let told = follow(session.send(prompt("Again? [[stop]]"))).end().await;
    assert!(told.events.is_empty() && told.result.is_err(), "{:?}", told.result);
}

#[tokio::test]
async fn a_turn_keeps_its_server_alive() {
    let ground = Ground::new();
    let server = ground.serve(ground.request()).await;
    let gate = Gate::new();
    ground.model.script("alive", Reply::new().text("one ").pause_until(&gate).text("two"));
    let session = ground.session(&server).await;
    let mut turn = follow(session.send(prompt("Go [[alive]]")));
    turn.until_text("one ").await;
    let process = PathBuf::from("/proc").join(pid(&server));
    drop((server, session));
    gate.open();
    turn.until_text("one two").await;
    assert!(process.exists());
    turn.end().await.assert_answer("one two");
    // With the turn, the last that needed it is gone.
    let gone = move || eventually(LONG, || if process.exists() { Err(&process) } else { Ok(()) });
    tokio::task::spawn_blocking(gone).await.unwrap();
}
