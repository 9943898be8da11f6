//! One server for all tests of a process, to which each test attaches by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opencode_client::{
    AttachRequest, CreateSession, Credentials, Deadlines, RunConfig, ServeFlags, ServeRequest,
    Server, Session, TurnError, TurnOutcome, TurnRequest, TurnStream,
};
use serde_json::{Map, Value, json};

use super::kept;
use crate::conformance::Host;
use crate::model::{ModelRequest, ModelServer};
use crate::processes::eventually;

/// A turn takes a second; this is for a machine that does other things as well.
pub const LONG: Duration = Duration::from_secs(240);

const PASSWORD: &str = "the password of the tests";

/// What outlives a test: the server, its model, its directories.
#[derive(Debug)]
struct Shared {
    model: ModelServer,
    root: PathBuf,
    url: String,
}

/// One test's view of it.
#[derive(Debug)]
pub struct World {
    /// What it goes by.
    pub host: Host,
    shared: &'static Shared,
    directory: PathBuf,
    /// The server.
    pub server: Server,
}

impl World {
    /// In the project that all share.
    pub async fn new(on: &Host) -> Self {
        Self::attached(on, "project", |request| request).await
    }

    /// In a directory of its own, for what the server remembers of a directory.
    pub async fn elsewhere(on: &Host, name: &str) -> Self {
        Self::attached(on, name, |request| request).await
    }

    /// In this directory, with changes to the request to attach.
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

    /// The scripted model, which all share.
    pub fn model(&self) -> &'static ModelServer {
        &self.shared.model
    }

    /// What this script was asked for, in order.
    pub fn asked(&self, script: &str) -> Vec<Arc<ModelRequest>> {
        let requests = self.model().requests();
        requests.into_iter().filter(|request| request.script() == Some(script)).collect()
    }

    /// The directory.
    pub fn project(&self) -> PathBuf {
        self.directory.clone()
    }

    /// A session with a title, so that nothing else asks the model than the prompts.
    pub async fn session(&self) -> Session {
        self.session_with(CreateSession::new()).await
    }

    /// A session made like this.
    pub async fn session_with(&self, create: CreateSession) -> Session {
        self.server.create_session(create.with_title("a test")).await.unwrap()
    }
}

/// What the server wants to be shown.
pub fn credentials() -> Credentials {
    Credentials::new(PASSWORD)
}

/// A prompt with a deadline, so that a test that hangs fails.
pub fn prompt(request: impl Into<TurnRequest>) -> TurnRequest {
    request.into().with_deadlines(Deadlines::NONE.with_overall(LONG))
}

/// All text that the events of a turn tell, and its outcome.
pub async fn play(mut turn: TurnStream) -> (String, TurnOutcome) {
    let mut text = String::new();
    while let Some(event) = turn.next_event().await {
        text.extend(event.text());
    }
    (text, turn.outcome().await.unwrap())
}

/// What a turn came to that ended in another way than with a complete answer.
pub async fn fail(turn: TurnStream) -> TurnOutcome {
    match turn.outcome().await {
        Err(TurnError::Ended(outcome)) => *outcome,
        other => panic!("{other:?}"),
    }
}

fn shared(on: &Host) -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let root = kept::directory(Path::new(on.directory()), "sessions-");
        let model = ModelServer::start().unwrap();
        let config = RunConfig::new()
            .with_overrides(object(&config(&model)))
            .with_env("OPENCODE_EXPERIMENTAL_BACKGROUND_SUBAGENTS", "true");
        let request = ServeRequest::new()
            .with_directory(root.join("project"))
            .with_config(config)
            .with_flags(ServeFlags::new().with_credentials(credentials()));
        let url = kept::serve(on, kept::opencode(on, &root), request);
        Shared { model, root, url }
    })
}

fn config(model: &ModelServer) -> Value {
    let mut config = model.config();
    // OpenCode tells by a model's name whether it edits with patches.
    let models = &mut config["provider"]["scripted"]["models"];
    models["gpt-patches"] = models["m1"].clone();
    models["sees"] = models["m1"].clone();
    models["sees"]["modalities"] = json!({ "input": ["text", "image"], "output": ["text"] });
    config["share"] = json!("disabled");
    config["command"]["greet"] = json!({ "template": "Greet $ARGUMENTS. [[kinds-command]]" });
    // A subagent that has to ask, whatever its parent may do.
    config["agent"]["asker"] = json!({
        "mode": "subagent",
        "description": "asks",
        "permission": { "bash": "ask", "question": "allow" },
    });
    config
}

/// The value as what a configuration is made of.
pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What the tool `bash` is given.
pub fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "for a test" })
}

/// Waits until so many processes sleep for this time.
pub async fn sleepers(on: &Host, length: &'static str, count: usize) {
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
