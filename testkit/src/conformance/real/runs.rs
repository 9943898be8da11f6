//! A user, a project and a scripted model of one test's own, and what holds after every run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use futures_util::future::{Either, select};
use opencode_client::{
    Binary, Deadlines, Environment, OpenCode, RunConfig, RunError, RunEvent, RunFlags, RunReport,
    RunRequest, RunStream,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::conformance::Host;
use crate::model::{ModelRequest, ModelServer, Reply, RequestKind, Script};
use crate::processes::{Process, eventually, with_env};

/// A run takes some seconds; this is for a machine that does other things as well.
pub const LONG: Duration = Duration::from_secs(240);

/// Every process of a world inherits it, those that its tools leave behind too.
const MARK: &str = "OPENCODE_TEST_WORLD";

/// A run takes two cores for seconds, and half a gigabyte.
const RUNS_MAX: usize = 2;

static RUNS: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A user, a project and a scripted model. Nothing of its runs may be left when it is dropped.
#[derive(Debug)]
pub struct World {
    /// The scripted model.
    pub model: ModelServer,
    /// A handle that runs the program.
    pub opencode: OpenCode,
    host: Host,
    root: PathBuf,
    _directory: TempDir,
}

impl World {
    /// A world of its own.
    pub fn new(on: &Host) -> Self {
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
        let opencode = on
            .builder()
            .binary(Binary::Path(crate::opencode::binary().unwrap()))
            .environment(environment)
            .temp_dir(root.join("temp"))
            .build();
        let model = ModelServer::start().unwrap();
        Self { host: on.clone(), model, opencode, root, _directory: directory }
    }

    /// The directory of all of it.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// A path in its root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The home of the user.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The project.
    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// Writes a file of the user or the project, with the directories above it.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// The scripted model, and a title, so that nothing else asks it than the prompt.
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

    /// Runs to the end, when few others do.
    pub async fn run(&self, request: RunRequest) -> Result<RunReport, RunError> {
        self.start(request).outcome().await
    }

    /// A run that was started when few others were.
    pub fn start(&self, request: RunRequest) -> Live<'_> {
        let permit = permit();
        Live { stream: self.opencode.stream(request), world: self, _permit: permit }
    }

    /// The calls of the model that answered prompts.
    pub fn turns(&self) -> Vec<Arc<ModelRequest>> {
        let mut requests = self.model.requests();
        requests.retain(|request| request.kind() == RequestKind::Turn);
        requests
    }

    /// The private directory of the run that goes on.
    pub fn private_dir(&self) -> PathBuf {
        let mut found = self.private_dirs();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// All that runs of this world have started and that still runs.
    pub fn processes(&self) -> Vec<Process> {
        processes_of(&self.root)
    }

    /// What holds whenever no run goes on: at once, not some time later.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
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

/// That few runs go on at once.
#[derive(Debug)]
pub struct Permit(usize);

/// Waits until few other runs go on. Nothing else goes on in a test that waits for that.
pub fn permit() -> Permit {
    Permit::take(1)
}

/// Waits until no other run goes on, and keeps the others waiting.
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

/// Which of these words the model was told.
pub fn seen(request: &ModelRequest, words: &[&'static str]) -> Vec<&'static str> {
    let body = request.body().to_string();
    words.iter().copied().filter(|word| body.contains(word)).collect()
}

/// All that runs of the world in this directory have started and that still runs.
pub fn processes_of(root: &Path) -> Vec<Process> {
    with_env(MARK, root)
}

/// A run that goes on.
#[derive(Debug)]
pub struct Live<'a> {
    /// The run.
    pub stream: RunStream,
    world: &'a World,
    _permit: Permit,
}

impl Live<'_> {
    /// Goes on until an event is the one, and returns it.
    pub async fn until(&mut self, mut is_it: impl FnMut(&RunEvent) -> bool) -> RunEvent {
        while let Some(event) = self.stream.next_event().await {
            if is_it(&event) {
                return event;
            }
        }
        panic!("the run ended before");
    }

    /// Goes on until the model is asked for the one, and returns it with the events until then.
    pub async fn until_asked(
        &mut self,
        is_it: impl FnMut(&ModelRequest) -> bool + Send + 'static,
    ) -> (Arc<ModelRequest>, Vec<RunEvent>) {
        let recorder = self.world.model.recorder();
        self.during(move || recorder.wait_for(LONG, is_it).unwrap()).await
    }

    /// Goes on while something that blocks is done, and returns what that gives with the events until then.
    pub async fn during<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (T, Vec<RunEvent>) {
        let mut work = pin!(self.world.host.blocking(work));
        let mut events = Vec::new();
        loop {
            match select(work.as_mut(), pin!(self.stream.next_event())).await {
                Either::Left((done, _)) => return (done, events),
                Either::Right((event, _)) => events.push(event.expect("it goes on")),
            }
        }
    }

    /// The events that are left.
    pub async fn events(&mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.stream.next_event().await {
            events.push(event);
        }
        events
    }

    /// Its end, after which nothing is left.
    pub async fn outcome(self) -> Result<RunReport, RunError> {
        let outcome = self.stream.outcome().await;
        self.world.assert_nothing_left();
        outcome
    }
}

/// The value as what a configuration is made of.
pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What the tool `bash` is given.
pub fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "for a test" })
}

/// The types of events, in order.
pub fn types(events: &[RunEvent]) -> Vec<&str> {
    events.iter().map(RunEvent::event_type).collect()
}

/// What [`project`] tells a model.
pub const OF_THE_PROJECT: [&str; 2] = ["project-rules", "project-instructions"];

/// Makes it a project with rules and instructions of its own, where nothing may be run.
pub fn project(world: &World) {
    world.write("project/AGENTS.md", "project-rules");
    world.write("project/more.md", "project-instructions");
    let config = json!({ "instructions": ["more.md"], "permission": { "bash": "deny" } });
    world.write("project/opencode.json", config.to_string());
}

/// One that the tool waits for, one whose shell is gone, and one in a session of its own.
const LINGERING: &str = "sh -c 'sleep 301 &'; setsid sleep 302 & sleep 300";
const SLEEPERS: [&str; 3] = ["300", "301", "302"];

/// A run whose tool leaves those behind.
pub fn lingering(world: &World) -> RunRequest {
    world.model.default_script(
        Script::new().then(Reply::new().text("I wait.").tool("bash", bash(LINGERING))),
    );
    world.request("Wait.")
}

/// Blocks until all of them sleep.
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
