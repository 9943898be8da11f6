//! A user, a project and a scripted model for one test.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use opencode_tokio::process::Binary;
use opencode_tokio::{
    BatchEvent, BatchReport, BatchRequest, BatchStream, Deadlines, Job, OpenCode, RunConfig,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use testkit::model::{ModelRequest, ModelServer, RequestKind};
use testkit::processes::{Process, with_env};
use tokio::sync::{Mutex, MutexGuard};

/// Limit on the duration of a job, long enough for a loaded machine.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// Environment variable that all processes of a world inherit, also those that tools leave behind.
pub(crate) const MARK: &str = "OPENCODE_TEST_WORLD";

/// Batches run one at a time: each server takes the processor for seconds, and half a gigabyte.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct BatchWorld {
    pub(crate) model: ModelServer,
    pub(crate) opencode: OpenCode,
    root: PathBuf,
    _directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl BatchWorld {
    pub(crate) async fn new() -> Self {
        let turn = TURN.lock().await;
        let directory = tempfile::tempdir().unwrap();
        // OpenCode reports resolved paths, and the directory for temporary files may be a link.
        let root = directory.path().canonicalize().unwrap();
        for name in ["home", "project", "temp"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let opencode = opencode_tokio::builder()
            .binary(Binary::Path(testkit::opencode::binary().unwrap()))
            .environment(
                environment(&root).into_iter().map(|(name, value)| (name.into(), value)).collect(),
            )
            .temp_dir(root.join("temp"))
            .build();
        let model = ModelServer::start().unwrap();
        Self { model, opencode, root, _directory: directory, _turn: turn }
    }

    /// Path below the root of the world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Creates a directory below the root.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        environment(&self.root)
    }

    pub(crate) fn config(&self) -> RunConfig {
        config(&self.model)
    }

    /// A job in the project with an overall deadline, so that a test that hangs fails.
    pub(crate) fn job(&self, prompt: impl Into<String>) -> Job {
        Job::new(prompt.into())
            .with_directory(self.path("project"))
            .with_config(self.config())
            .with_deadlines(Deadlines::NONE.with_overall(LONG))
    }

    pub(crate) async fn run(&self, request: BatchRequest) -> PlayedBatch {
        play(self.opencode.batch(request)).await
    }

    /// Prompts that the model received, in order.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.turns().iter().filter_map(|request| request.prompt().map(Into::into)).collect()
    }

    pub(crate) fn turns(&self) -> Vec<Arc<ModelRequest>> {
        let mut requests = self.model.requests();
        requests.retain(|request| request.kind() == RequestKind::Turn);
        requests
    }

    /// Running processes that belong to this world.
    pub(crate) fn processes(&self) -> Vec<Process> {
        with_env(MARK, self.root.as_os_str())
    }

    pub(crate) fn private_dirs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("temp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes of a batch are left");
        assert_eq!(self.private_dirs(), [] as [PathBuf; 0], "files of a batch are left");
    }
}

impl Drop for BatchWorld {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

pub(crate) fn config(model: &ModelServer) -> RunConfig {
    RunConfig::new().with_overrides(object(&model.config()))
}

pub(crate) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn environment(root: &std::path::Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("HOME", root.join("home").into()),
        ("PATH", env::var_os("PATH").unwrap()),
        // OpenCode prefers `PWD` to the working directory; the value of the caller's shell is
        // wrong.
        ("PWD", root.into()),
        (MARK, root.into()),
        ("OPENCODE_DISABLE_MODELS_FETCH", "1".into()),
        // Config files of this machine must not influence the tests.
        ("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed").into()),
    ]
}

/// Events and report of a batch.
pub(crate) struct PlayedBatch {
    pub(crate) events: Vec<BatchEvent>,
    pub(crate) report: BatchReport,
}

impl PlayedBatch {
    /// Ends of the jobs, in the order of the list.
    pub(crate) fn ends(&self) -> Vec<&str> {
        self.report.jobs.iter().map(|job| &*job.record.end).collect()
    }

    /// Answers of the jobs, in the order of the list.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.report.jobs.iter().map(|job| job.text()).collect()
    }

    pub(crate) fn count(&self, is_match: impl Fn(&BatchEvent) -> bool) -> usize {
        self.events.iter().filter(|event| is_match(event)).count()
    }

    pub(crate) fn servers(&self) -> usize {
        self.count(|event| matches!(event, BatchEvent::ServerReady { .. }))
    }
}

pub(crate) async fn play(mut batch: BatchStream) -> PlayedBatch {
    let mut events = Vec::new();
    while let Some(event) = batch.next_event().await {
        events.push(event);
    }
    let report = batch.outcome().await.unwrap();
    PlayedBatch { events, report }
}

/// Reads events until one of them matches.
pub(crate) async fn until(
    batch: &mut BatchStream,
    is_match: impl Fn(&BatchEvent) -> bool,
) -> BatchEvent {
    while let Some(event) = batch.next_event().await {
        if is_match(&event) {
            return event;
        }
    }
    panic!("the batch ended without the event")
}

/// Kills a process without a chance to clean up.
pub(crate) fn kill(process: u32) {
    let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(killed.success());
}
