//! A user, a project and a scripted model of one test's own, and what holds after every run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use opencode_tokio::{
    Binary, Deadlines, Environment, OpenCode, RunConfig, RunError, RunEvent, RunFlags, RunReport,
    RunRequest, RunStream,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::model::{Kind, ModelServer, Request};
use testkit::processes::{Process, with_env};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A run takes some seconds; this is for a machine that does other things as well.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// Every process of a world inherits it, those that its tools leave behind too.
const MARK: &str = "OPENCODE_TEST_WORLD";

/// A run takes two cores for seconds, and half a gigabyte.
const RUNS_MAX: u32 = 2;
static RUNS: Semaphore = Semaphore::const_new(RUNS_MAX as usize);

pub(crate) struct World {
    pub(crate) model: ModelServer,
    pub(crate) opencode: OpenCode,
    root: PathBuf,
    _directory: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // OpenCode tells real paths, and the directory for temporary files may be a link.
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let mut environment = Environment::new();
        environment.set("HOME", root.join("home"));
        environment.set("PATH", env::var_os("PATH").unwrap());
        // OpenCode goes by it: that of the caller's shell is not the project.
        environment.set("PWD", &root);
        environment.set(MARK, &root);
        environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
        // A config of the machine must not decide these tests.
        environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
        let opencode = opencode_tokio::builder()
            .binary(Binary::Path(testkit::opencode::binary().unwrap()))
            .environment(environment)
            .temp_dir(root.join("temp"))
            .build();
        let model = ModelServer::start().unwrap();
        Self { model, opencode, root, _directory: directory }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// Writes a file of the user or the project, with the directories above it.
    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// The scripted model, and a title, so that nothing else asks it than the prompt.
    pub(crate) fn config(&self) -> RunConfig {
        RunConfig::new()
            .with_overrides(object(&self.model.config()))
            .with_flags(RunFlags::new().with_title("a test"))
    }

    pub(crate) fn request(&self, prompt: impl Into<String>) -> RunRequest {
        self.request_with(prompt, self.config())
    }

    pub(crate) fn request_with(&self, prompt: impl Into<String>, config: RunConfig) -> RunRequest {
        RunRequest::new(prompt)
            .with_config(config)
            .with_directory(self.project())
            .with_deadlines(Deadlines::NONE.with_overall(LONG))
    }

    pub(crate) async fn run(&self, request: RunRequest) -> Result<RunReport, RunError> {
        self.start(request).await.outcome().await
    }

    /// A run that was started when few others were.
    pub(crate) async fn start(&self, request: RunRequest) -> Live<'_> {
        let permit = permit().await;
        Live { stream: self.opencode.stream(request), world: self, _permit: permit }
    }

    /// The calls of the model that answered prompts.
    pub(crate) fn turns(&self) -> Vec<Arc<Request>> {
        let mut requests = self.model.requests();
        requests.retain(|request| request.kind() == Kind::Turn);
        requests
    }

    /// The private directory of the run that goes on.
    pub(crate) fn private_dir(&self) -> PathBuf {
        let mut found = self.private_dirs();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// All that runs of this world have started and that still runs.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes_of(&self.root)
    }

    /// What holds whenever no run goes on: at once, not some time later.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes of the run");
        assert_eq!(self.private_dirs(), [] as [PathBuf; 0], "files of the run");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

/// Waits until few other runs go on.
pub(crate) async fn permit() -> SemaphorePermit<'static> {
    RUNS.acquire().await.unwrap()
}

/// Waits until no other run goes on, and keeps the others waiting.
pub(crate) async fn alone() -> SemaphorePermit<'static> {
    RUNS.acquire_many(RUNS_MAX).await.unwrap()
}

/// All that runs of the world in this directory have started and that still runs.
pub(crate) fn processes_of(root: &Path) -> Vec<Process> {
    with_env(MARK, root)
}

/// A run that goes on.
pub(crate) struct Live<'a> {
    pub(crate) stream: RunStream,
    world: &'a World,
    _permit: SemaphorePermit<'static>,
}

impl Live<'_> {
    /// Goes on until an event is the one, and returns it.
    pub(crate) async fn until(&mut self, mut is_it: impl FnMut(&RunEvent) -> bool) -> RunEvent {
        while let Some(event) = self.stream.next_event().await {
            if is_it(&event) {
                return event;
            }
        }
        panic!("the run ended before");
    }

    /// Goes on until the model is asked for the one, and returns it with the events until then.
    pub(crate) async fn until_asked(
        &mut self,
        is_it: impl FnMut(&Request) -> bool + Send + 'static,
    ) -> (Arc<Request>, Vec<RunEvent>) {
        let recorder = self.world.model.recorder();
        self.during(move || recorder.wait_for(LONG, is_it).unwrap()).await
    }

    /// Goes on while something that blocks is done, and returns what that gives with the events until then.
    pub(crate) async fn during<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (T, Vec<RunEvent>) {
        let mut work = std::pin::pin!(tokio::task::spawn_blocking(work));
        let mut events = Vec::new();
        loop {
            tokio::select! {
                done = &mut work => return (done.unwrap(), events),
                event = self.stream.next_event() => events.push(event.expect("it goes on")),
            }
        }
    }

    /// The events that are left.
    pub(crate) async fn events(&mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.stream.next_event().await {
            events.push(event);
        }
        events
    }

    pub(crate) async fn outcome(self) -> Result<RunReport, RunError> {
        let outcome = self.stream.outcome().await;
        self.world.assert_nothing_left();
        outcome
    }
}

/// The value as what a configuration is made of.
pub(crate) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What the tool `bash` is given.
pub(crate) fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "for a test" })
}

/// The types of events, in order.
pub(crate) fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}
