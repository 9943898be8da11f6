//! One version of OpenCode with a user, a project, a scripted model and a shared server.

use std::path::PathBuf;
use std::sync::Arc;

use opencode_tokio::process::{Binary, Version, parse_version};
use opencode_tokio::{
    CreateSession, Deadlines, Permissions, ServeRequest, Server, Session, TurnError, TurnOutcome,
    TurnRequest,
};
use testkit::conformance::Host;
use testkit::conformance::real::runs::{LONG, RunWorld};
use testkit::model::{ModelRequest, Script};
use tokio::sync::OnceCell;

use crate::cell::Cell;

/// Future of a scenario.
pub(crate) type Play = std::pin::Pin<Box<dyn Future<Output = Cell> + Send>>;

/// A use of the library, with checks by meaning: other versions have other wording.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) play: fn(Arc<World>) -> Play,
}

/// Creates a list of scenarios from async functions.
macro_rules! scenarios {
    ($($name:ident)*) => {
        pub(crate) const SCENARIOS: &[$crate::world::Scenario] = &[$(
            $crate::world::Scenario {
                name: stringify!($name),
                play: |world| Box::pin(async move { $name(&world).await }),
            }
        ),*];
    };
}
pub(crate) use scenarios;

pub(crate) struct World {
    pub(crate) runs: RunWorld,
    version: String,
    server: OnceCell<Server>,
}

impl World {
    pub(crate) fn new(host: &Host, binary: PathBuf, version: &str) -> Self {
        Self {
            runs: RunWorld::with_binary(host, Binary::Path(binary)),
            version: version.to_owned(),
            server: OnceCell::new(),
        }
    }

    pub(crate) fn version(&self) -> Version {
        parse_version(&self.version).unwrap()
    }

    /// Returns whether the failure of a run is that OpenCode exited before it had printed all.
    pub(crate) fn has_lost_output(&self, reason: &str) -> bool {
        let version = self.version();
        let is_lossy = version >= Version::new(1, 15, 0) && version < Version::new(1, 17, 0);
        let ends = [
            "the output stops before",
            "end: Torn",
            "end: StartupError",
            "Database migration complete.",
        ];
        is_lossy && ends.iter().any(|end| reason.contains(end))
    }

    /// Plays the script for prompts with `[[name]]`.
    pub(crate) fn script(&self, name: &str, script: impl Into<Script>) {
        self.runs.model.script(name, script);
    }

    /// Model calls of this script, in order. Old versions ask for a title as well.
    pub(crate) fn calls(&self, name: &str) -> Vec<Arc<ModelRequest>> {
        let mut requests = self.runs.turns();
        requests.retain(|request| request.script() == Some(name));
        requests
    }

    /// The server that the scenarios of sessions share.
    pub(crate) async fn server(&self) -> &Server {
        let start = async {
            let request = ServeRequest::new()
                .with_config(self.runs.config())
                .with_directory(self.runs.project());
            self.runs.opencode.serve(request).await.unwrap()
        };
        self.server.get_or_init(|| start).await
    }

    pub(crate) async fn session(&self) -> Session {
        self.server().await.create_session(CreateSession::new().with_title("a test")).await.unwrap()
    }

    /// Creates a session that needs permission for every command.
    pub(crate) async fn asking(&self) -> Session {
        let create = CreateSession::new()
            .with_title("a test")
            .with_permission(Permissions::new().ask("bash"));
        self.server().await.create_session(create).await.unwrap()
    }

    /// Stops the server, and checks that nothing is left.
    pub(crate) async fn stop(&self) -> Result<(), String> {
        if let Some(server) = self.server.get() {
            server.stop().await.map_err(|error| error.to_string())?;
        }
        let left = self.runs.processes();
        if left.is_empty() { Ok(()) } else { Err(format!("processes are left: {left:?}")) }
    }
}

/// A prompt with an overall deadline.
pub(crate) fn prompt(request: impl Into<TurnRequest>) -> TurnRequest {
    request.into().with_deadlines(Deadlines::NONE.with_overall(LONG))
}

/// Runs a turn to the end. Returns the outcome, successful or not.
pub(crate) async fn outcome(session: &Session, request: impl Into<TurnRequest>) -> TurnOutcome {
    match session.send(prompt(request)).outcome().await {
        Ok(outcome) => outcome,
        Err(TurnError::Ended(outcome)) => *outcome,
        Err(error) => panic!("{error:?}"),
    }
}
