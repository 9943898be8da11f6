//! One real server for all tests of a process, to which each test attaches with a
//! separate client.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opencode_client::config::{Credentials, ServeFlags};
use opencode_client::{
    AttachRequest, CreateSession, Deadlines, RunConfig, ServeRequest, Server, Session, TurnError,
    TurnOutcome, TurnRequest, TurnStream,
};
use serde_json::{Value, json};

use super::kept;
pub use super::runs::{bash, object};
use crate::conformance::Host;
use crate::model::{ModelRequest, ModelServer};
use crate::processes::eventually;

/// Limit on the duration of a turn, long enough for a loaded machine.
pub const LONG: Duration = Duration::from_secs(240);

const PASSWORD: &str = "the password of the tests";

/// The shared server, the model and the directories.
#[derive(Debug)]
struct SharedServer {
    model: ModelServer,
    root: PathBuf,
    url: String,
}

/// View of one test on the shared server.
#[derive(Debug)]
pub struct SessionWorld {
    /// Adapter under test.
    pub host: Host,
    shared: &'static SharedServer,
    directory: PathBuf,
    /// Client handle of the server.
    pub server: Server,
}

impl SessionWorld {
    /// Attaches in the project that all tests share.
    pub async fn new(on: &Host) -> Self {
        Self::attached(on, "project", |request| request).await
    }

    /// Attaches in a separate directory, for tests of state that the server keeps per directory.
    pub async fn in_directory(on: &Host, name: &str) -> Self {
        Self::attached(on, name, |request| request).await
    }

    /// Attaches in this directory with a changed request.
    pub async fn attached(
        on: &Host,
        name: &str,
        change: impl FnOnce(AttachRequest) -> AttachRequest,
    ) -> Self {
        let shared = {
            let on = on.clone();
            on.clone().blocking(move || shared(&on)).await
        };
        let directory = shared.root.join(name);
        fs::create_dir_all(&directory).unwrap();
        let request = AttachRequest::new(&*shared.url)
            .with_credentials(credentials())
            .with_directory(directory.to_str().unwrap());
        let server = on.opencode().attach(change(request)).await.unwrap();
        Self { host: on.clone(), shared, directory, server }
    }

    /// The scripted model of the shared server.
    pub fn model(&self) -> &'static ModelServer {
        &self.shared.model
    }

    /// Model requests of this script, in order.
    pub fn model_requests(&self, script: &str) -> Vec<Arc<ModelRequest>> {
        let requests = self.model().requests();
        requests.into_iter().filter(|request| request.script() == Some(script)).collect()
    }

    /// Directory of this view.
    pub fn project(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Creates a session with a title, so that no title request is sent.
    pub async fn session(&self) -> Session {
        self.session_with(CreateSession::new()).await
    }

    /// Creates a session with a title from this request.
    pub async fn session_with(&self, create: CreateSession) -> Session {
        self.server.create_session(create.with_title("a test")).await.unwrap()
    }
}

/// Credentials of the shared server.
pub fn credentials() -> Credentials {
    Credentials::new(PASSWORD)
}

/// A prompt with an overall deadline, so that a test that hangs fails.
pub fn prompt(request: impl Into<TurnRequest>) -> TurnRequest {
    request.into().with_deadlines(Deadlines::NONE.with_overall(LONG))
}

/// Runs a turn. Returns the text of all events, and the outcome.
pub async fn play(mut turn: TurnStream) -> (String, TurnOutcome) {
    let mut text = String::new();
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
    }
    (text, turn.outcome().await.unwrap())
}

/// Outcome of a turn that does not complete.
pub async fn failed_outcome(turn: TurnStream) -> TurnOutcome {
    match turn.outcome().await {
        Err(TurnError::Ended(outcome)) => *outcome,
        other => panic!("{other:?}"),
    }
}

fn shared(on: &Host) -> &'static SharedServer {
    static SHARED: OnceLock<SharedServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let root = kept::directory(Path::new(on.directory()), "sessions-");
        kept::separate_from_outer_repository(&root);
        let model = ModelServer::start().unwrap();
        let config = RunConfig::new()
            .with_overrides(object(&config(&model)))
            .with_env("OPENCODE_EXPERIMENTAL_BACKGROUND_SUBAGENTS", "true");
        let request = ServeRequest::new()
            .with_directory(root.join("project"))
            .with_config(config)
            .with_flags(ServeFlags::new().with_credentials(credentials()));
        let url = kept::serve(on, kept::opencode(on, &root), request);
        SharedServer { model, root, url }
    })
}

fn config(model: &ModelServer) -> Value {
    let mut config = model.config();
    // OpenCode decides by the name of a model whether it offers `apply_patch`.
    let models = &mut config["provider"]["scripted"]["models"];
    models["gpt-patches"] = models["m1"].clone();
    models["sees"] = models["m1"].clone();
    models["sees"]["modalities"] = json!({ "input": ["text", "image"], "output": ["text"] });
    config["share"] = json!("disabled");
    config["command"]["greet"] = json!({ "template": "Greet $ARGUMENTS. [[kinds-command]]" });
    // A subagent that needs permissions, independent of the parent.
    config["agent"]["asker"] = json!({
        "mode": "subagent",
        "description": "asks",
        "permission": { "bash": "ask", "question": "allow" },
    });
    config
}

/// Waits until `count` processes sleep for this time.
pub async fn wait_for_sleepers(on: &Host, length: &'static str, count: usize) {
    let sleeping = move || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let cmdline = fs::read(entry.unwrap().path().join("cmdline")).ok()?;
            (cmdline == format!("sleep\0{length}\0").as_bytes()).then_some(())
        });
        let sleeping = processes.count();
        if sleeping == count { Ok(()) } else { Err(sleeping) }
    };
    on.blocking(move || eventually(LONG, sleeping)).await;
}
