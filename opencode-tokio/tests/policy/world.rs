//! One real server for all tests of a process, which asks for every permission. Each test has a
//! project of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use std::{env, fs};

use opencode_tokio::config::{Credentials, ServeFlags};
use opencode_tokio::policy::PolicyVerdict;
use opencode_tokio::{
    AttachRequest, CreateSession, Deadlines, PermissionReply, Policy, RunConfig, ServeRequest,
    Server, Session, TurnOutcome, TurnRequest,
};
use serde_json::{Value, json};
use testkit::conformance::real::kept;
use testkit::model::{ModelRequest, ModelServer, Reply, Script};

use crate::on;

/// Limit on the duration of a turn, long enough for a loaded machine.
const LONG: Duration = Duration::from_secs(240);

pub(crate) const PASSWORD: &str = "the password of the tests";

/// Content of files that must not reach the model.
pub(crate) const SECRET: &str = "the-secret-of-the-tests";

/// The shared server, with the model and the directories.
struct PolicyServer {
    model: ModelServer,
    root: PathBuf,
    url: String,
}

/// Project of one test, with a directory beside it.
pub(crate) struct PolicyWorld {
    shared: &'static PolicyServer,
    root: PathBuf,
    pub(crate) server: Server,
}

impl PolicyWorld {
    /// Creates a world. `name` is the name of the directory.
    pub(crate) async fn new(name: &str) -> Self {
        Self::with_files(name, &[]).await
    }

    /// Creates a world with these files in the project.
    pub(crate) async fn with_files(name: &str, files: &[(&str, &str)]) -> Self {
        let shared = tokio::task::spawn_blocking(shared).await.unwrap();
        let root = shared.root.join(name);
        let standard = [
            ("project/inside.txt", "inside\n"),
            ("outside/secret.txt", SECRET),
            ("outside/deep/other.txt", SECRET),
        ];
        let files = files.iter().map(|(path, text)| (format!("project/{path}"), *text));
        for (path, text) in
            standard.into_iter().map(|(path, text)| (path.to_owned(), text)).chain(files)
        {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        if root.join("project/.opencode").exists() {
            kept::install_nothing(&root.join("project"));
        }
        for (link, target) in [("link", "../outside"), ("far", "../outside/deep")] {
            std::os::unix::fs::symlink(target, root.join("project").join(link)).unwrap();
        }
        let request = AttachRequest::new(&*shared.url)
            .with_credentials(Credentials::new(PASSWORD))
            .with_directory(root.join("project").to_str().unwrap());
        let server = opencode_tokio::opencode().attach(request).await.unwrap();
        Self { shared, root, server }
    }

    pub(crate) fn model(&self) -> &'static ModelServer {
        &self.shared.model
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// Path in the directory beside the project.
    pub(crate) fn outside(&self, path: &str) -> String {
        self.root.join("outside").join(path).to_str().unwrap().to_owned()
    }

    /// Path in the project.
    pub(crate) fn inside(&self, path: &str) -> String {
        self.project().join(path).to_str().unwrap().to_owned()
    }

    /// Creates a session with a title, so that no title request is sent.
    pub(crate) async fn session(&self) -> Session {
        self.server.create_session(CreateSession::new().with_title("a test")).await.unwrap()
    }

    /// Model requests of this script, in order.
    pub(crate) fn model_requests(&self, script: &str) -> Vec<Arc<ModelRequest>> {
        let requests = self.model().requests();
        requests.into_iter().filter(|request| request.script() == Some(script)).collect()
    }

    /// Returns whether the secret reached the model of this script.
    pub(crate) fn has_leaked(&self, script: &str) -> bool {
        let requests = self.model_requests(script);
        assert!(!requests.is_empty(), "the model was not called for {script}");
        requests.iter().any(|request| request.body().to_string().contains(SECRET))
    }

    /// Checks that the directory beside the project has the initial content, and no other directory
    /// was created.
    pub(crate) fn assert_outside_is_untouched(&self) {
        let mut found = Vec::new();
        list(&self.root.join("outside"), &mut found);
        assert_eq!(
            found,
            [
                (self.outside("deep/other.txt"), SECRET.to_owned()),
                (self.outside("secret.txt"), SECRET.to_owned()),
            ]
        );
        let entries: Vec<_> = fs::read_dir(&self.root).unwrap().collect();
        assert_eq!(entries.len(), 2, "entries beside the project: {entries:?}");
    }

    /// Plays a script with one tool call per step, and returns the outcome of the turn.
    pub(crate) async fn play(
        &self,
        session: &Session,
        script: &str,
        calls: impl IntoIterator<Item = (&str, Value)>,
    ) -> TurnOutcome {
        let steps = calls.into_iter().fold(Script::new(), |script, (tool, input)| {
            script.then(Reply::new().tool(tool, input))
        });
        self.model().script(script, steps.then(Reply::new().text("Done.")));
        session.send(prompt(format!("Go [[{script}]]"))).outcome().await.unwrap()
    }
}

/// Verdicts of a policy, in order.
#[derive(Clone, Default)]
pub(crate) struct Verdicts(Arc<Mutex<Vec<PolicyVerdict>>>);

impl Verdicts {
    pub(crate) fn of(&self, policy: Policy) -> Policy {
        let verdicts = self.clone();
        policy.on_verdict(move |verdict| verdicts.0.lock().unwrap().push(verdict.clone()))
    }

    pub(crate) fn all(&self) -> Vec<PolicyVerdict> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |verdict: PolicyVerdict| {
            let PolicyVerdict { request, reply, reason, .. } = verdict;
            format!("{} {}: {reason}", request.permission, reply.as_str())
        };
        self.all().into_iter().map(text).collect()
    }
}

/// A prompt with an overall deadline, so that a test that hangs fails.
pub(crate) fn prompt(request: impl Into<TurnRequest>) -> TurnRequest {
    request.into().with_deadlines(Deadlines::NONE.with_overall(LONG))
}

/// Tools that were called, with their states.
pub(crate) fn tools(outcome: &TurnOutcome) -> Vec<(String, String)> {
    let of = |tool: &opencode_tokio::event::ToolPart| {
        (tool.tool.to_string(), tool.state.status().to_owned())
    };
    outcome.tools().map(of).collect()
}

fn list(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, found);
        } else {
            found.push((path.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
}

fn shared() -> &'static PolicyServer {
    static SHARED: OnceLock<PolicyServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        // Outside of this repository, because OpenCode counts a whole repository as inside.
        let root = kept::directory(&env::temp_dir(), "opencode-test-policy-");
        let model = ModelServer::start().unwrap();
        // A policy that can allow every built-in tool, so that the server asks for all of them.
        let policy = Policy::new().with_confirm(|_| async { PermissionReply::reject() });
        let config = RunConfig::new().with_overrides(config(&model).as_object().unwrap().clone());
        let request = ServeRequest::new()
            .with_directory(root.join("project"))
            .with_config(policy.server_config(config))
            .with_flags(ServeFlags::new().with_credentials(Credentials::new(PASSWORD)));
        let on = on();
        let url = kept::serve(&on, kept::opencode(&on, &root), request);
        PolicyServer { model, root, url }
    })
}

fn config(model: &ModelServer) -> Value {
    let mut config = model.config();
    // OpenCode decides by the name of a model whether it offers `apply_patch`.
    let models = &mut config["provider"]["scripted"]["models"];
    models["gpt-patches"] = models["m1"].clone();
    config["share"] = json!("disabled");
    config
}
