//! A user, a project and a scripted model for one test, with checks for leftovers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use futures_util::future::{Either, select};
use opencode_client::config::{Environment, RunFlags};
use opencode_client::process::Binary;
use opencode_client::{
    Deadlines, OpenCode, RunConfig, RunError, RunEvent, RunReport, RunRequest, RunStream,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::conformance::Host;
use crate::model::{ModelRequest, ModelServer, Reply, RequestKind, Script};
use crate::processes::{Process, eventually, with_env};

/// Limit on the duration of a run, long enough for a loaded machine.
pub const LONG: Duration = Duration::from_secs(240);

/// Environment variable that all processes of a world inherit, also those that tools leave behind.
const MARK: &str = "OPENCODE_TEST_WORLD";

/// Number of parallel runs: one run takes two cores for seconds, and half a gigabyte.
const RUNS_MAX: usize = 2;

static RUNS: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A user, a project and a scripted model. Dropping the world fails when the runs left anything.
#[derive(Debug)]
pub struct RunWorld {
    /// The scripted model.
    pub model: ModelServer,
    /// Client handle of the real program.
    pub opencode: OpenCode,
    host: Host,
    root: PathBuf,
    _directory: TempDir,
}

impl RunWorld {
    /// Creates a world.
    pub fn new(on: &Host) -> Self {
        Self::with_binary(on, Binary::Path(crate::opencode::binary().unwrap()))
    }

    /// Creates a world with another program that starts OpenCode.
    pub fn with_binary(on: &Host, binary: Binary) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // OpenCode reports resolved paths, and the directory for temporary files may be a link.
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let mut environment = Environment::new();
        environment.set("HOME", root.join("home"));
        // The machine may lack ripgrep, which is a warning of every run.
        let path = env::var_os("PATH").unwrap();
        let path = [crate::fake::ripgrep()].into_iter().chain(env::split_paths(&path));
        environment.set("PATH", env::join_paths(path).unwrap());
        // OpenCode prefers `PWD` to the working directory; the value of the caller's shell is
        // wrong.
        environment.set("PWD", &root);
        environment.set(MARK, &root);
        environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
        // Config files of this machine must not influence the tests.
        environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
        let opencode = on
            .builder()
            .binary(binary)
            .environment(environment)
            .temp_dir(root.join("temp"))
            .build();
        let model = ModelServer::start().unwrap();
        Self { host: on.clone(), model, opencode, root, _directory: directory }
    }

    /// Root directory of the world.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// Path below the root of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Home directory of the user.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Project directory.
    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// Writes a file below the root, and creates the directories above it.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// Configuration with the scripted model, and with a title, so that no title request is sent.
    pub fn config(&self) -> RunConfig {
        RunConfig::new()
            .with_overrides(object(&self.model.config()))
            .with_flags(RunFlags::new().with_title("a test"))
    }

    /// A request with this prompt.
    pub fn request(&self, prompt: impl Into<String>) -> RunRequest {
        self.request_with(prompt, self.config())
    }

    /// A request with this prompt and configuration.
    pub fn request_with(&self, prompt: impl Into<String>, config: RunConfig) -> RunRequest {
        RunRequest::new(prompt)
            .with_config(config)
            .with_directory(self.project())
            .with_deadlines(Deadlines::NONE.with_overall(LONG))
    }

    /// Runs to the end, with few other runs at the same time.
    pub async fn run(&self, request: RunRequest) -> Result<RunReport, RunError> {
        self.start(request).outcome().await
    }

    /// Starts a run, with few other runs at the same time.
    pub fn start(&self, request: RunRequest) -> LiveRun<'_> {
        let permit = permit();
        LiveRun { stream: self.opencode.stream(request), world: self, _permit: permit }
    }

    /// Model calls that answered prompts.
    pub fn turns(&self) -> Vec<Arc<ModelRequest>> {
        let mut requests = self.model.requests();
        requests.retain(|request| request.kind() == RequestKind::Turn);
        requests
    }

    /// Private directory of the only running run.
    pub fn private_dir(&self) -> PathBuf {
        let mut found = self.private_dirs();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Running processes that runs of this world have started.
    pub fn processes(&self) -> Vec<Process> {
        processes_of(&self.root)
    }

    /// Checks that nothing of a run is left, without waiting.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes of a run are left");
        assert_eq!(self.private_dirs(), [] as [PathBuf; 0], "files of a run are left");
    }
}

impl Drop for RunWorld {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

/// Permit to run: there are few at a time.
#[derive(Debug)]
pub struct Permit(usize);

/// Blocks until few other runs are active. The calling test must not hold a permit.
pub fn permit() -> Permit {
    Permit::take(1)
}

/// Blocks until no other run is active, and keeps others waiting.
pub fn alone() -> Permit {
    Permit::take(RUNS_MAX)
}

impl Permit {
    fn take(count: usize) -> Self {
        let runs = RUNS.lock().unwrap();
        *ENDED.wait_while(runs, |runs| *runs + count > RUNS_MAX).unwrap() += count;
        Self(count)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNS.lock().unwrap() -= self.0;
        ENDED.notify_all();
    }
}

/// Words out of `words` that the model received.
pub fn seen(request: &ModelRequest, words: &[&'static str]) -> Vec<&'static str> {
    let body = request.body().to_string();
    words.iter().copied().filter(|word| body.contains(word)).collect()
}

/// Running processes that runs of the world at `root` have started.
pub fn processes_of(root: &Path) -> Vec<Process> {
    with_env(MARK, root)
}

/// A running run.
#[derive(Debug)]
pub struct LiveRun<'a> {
    /// The run.
    pub stream: RunStream,
    world: &'a RunWorld,
    _permit: Permit,
}

impl LiveRun<'_> {
    /// Reads events until one of them matches.
    pub async fn until(&mut self, mut is_it: impl FnMut(&RunEvent) -> bool) -> RunEvent {
        while let Some(event) = self.stream.next_event().await {
            if is_it(&event) {
                return event;
            }
        }
        panic!("the run ended without the event")
    }

    /// Reads events until the model has received a matching request. Returns the request and the
    /// events.
    pub async fn until_model_request(
        &mut self,
        is_it: impl FnMut(&ModelRequest) -> bool + Send + 'static,
    ) -> (Arc<ModelRequest>, Vec<RunEvent>) {
        let recorder = self.world.model.recorder();
        self.during(move || recorder.wait_for(LONG, is_it).unwrap()).await
    }

    /// Reads events until blocking work is done. Returns the result of the work and the events.
    pub async fn during<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (T, Vec<RunEvent>) {
        let mut work = pin!(self.world.host.blocking(work));
        let mut events = Vec::new();
        loop {
            match select(work.as_mut(), pin!(self.stream.next_event())).await {
                Either::Left((done, _)) => return (done, events),
                Either::Right((event, _)) => events.push(event.expect("the run is going on")),
            }
        }
    }

    /// Remaining events.
    pub async fn events(&mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.stream.next_event().await {
            events.push(event);
        }
        events
    }

    /// Waits for the end, and checks that nothing is left.
    pub async fn outcome(self) -> Result<RunReport, RunError> {
        let outcome = self.stream.outcome().await;
        self.world.assert_nothing_left();
        outcome
    }
}

/// The object in a JSON value, in the type of configurations.
pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Arguments of the tool `bash`.
pub fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "for a test" })
}

/// Types of events, in order.
pub fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}

/// Words of [`project`] that a model receives.
pub const OF_THE_PROJECT: [&str; 2] = ["project-rules", "project-instructions"];

/// Adds rules and instructions to the project, and a config that denies `bash`.
pub fn project(world: &RunWorld) {
    world.write("project/AGENTS.md", "project-rules");
    world.write("project/more.md", "project-instructions");
    let config = json!({ "instructions": ["more.md"], "permission": { "bash": "deny" } });
    world.write("project/opencode.json", config.to_string());
}

/// Starts a child of the tool, a process without the shell, and a process in a separate session.
const LINGERING: &str = "sh -c 'sleep 301 &'; setsid sleep 302 & sleep 300";
const SLEEPERS: [&str; 3] = ["300", "301", "302"];

/// A run whose tool starts those processes.
pub fn lingering(world: &RunWorld) -> RunRequest {
    world.model.default_script(
        Script::new().then(Reply::new().text("I wait.").tool("bash", bash(LINGERING))),
    );
    world.request("Wait.")
}

/// Blocks until all of those processes sleep.
pub fn await_sleepers(root: PathBuf) {
    eventually(LONG, || {
        let processes = processes_of(&root);
        let asleep: BTreeSet<_> = processes
            .iter()
            .filter(|process| process.cmdline.first().is_some_and(|program| program == "sleep"))
            .filter_map(|process| process.cmdline.get(1).cloned())
            .collect();
        if asleep.iter().eq(SLEEPERS) { Ok(()) } else { Err(processes) }
    });
}
