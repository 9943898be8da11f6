//! A world in memory with virtual time, in which one seed makes every choice.
//!
//! A [`World`] has servers, processes, a network, and a
//! [`Runtime`](opencode_client::runtime::Runtime) that shows the client nothing else: no real time
//! passes, no socket is opened, no process is started. Directories are the exception: they are
//! real, and the client has to remove the ones that it made. [`Weather`] says which faults occur
//! and how often. One thread does everything, and the seed picks the order wherever several things
//! could happen next, so that the same seed plays the same world again.
//!
//! ```
//! use testkit::world::{AgentScript, Weather, World};
//!
//! let world = World::new(7, Weather::CALM);
//! let server = world.server(4096, "/src");
//! server.script("Hello.", AgentScript::text(["Good ", "morning."]));
//! let opencode = world.opencode();
//! let answer = world.run(async move {
//!     let server = opencode.attach("http://127.0.0.1:4096").await.expect("a running server");
//!     let session = server.create_session(Default::default()).await.expect("a session");
//!     session.send("Hello.").outcome().await.expect("an answer").text().into_owned()
//! });
//! assert_eq!(answer, "Good morning.");
//! world.end();
//! ```
//!
//! A scenario that finds a broken promise panics; [`World::trace`] lists the events before it.

mod activity;
mod core;
mod inhabitant;
mod link;
mod network;
mod process;
mod random;
mod runtime;
mod script;
mod server;
mod trace;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencode_client::OpenCode;
use opencode_client::config::Environment;
use opencode_client::process::Binary;
use tempfile::TempDir;

use self::core::{Core, Owner, lock};
use network::Network;
use process::Processes;

pub use activity::Activity;
pub use inhabitant::Inhabitant;
pub use process::RunTruth;
pub use random::Random;
pub use runtime::WorldRuntime;
pub use script::{AgentAttempt, AgentScript, AgentStep, AgentTool, AskKind, OutputPlan};
pub use server::{AnswerTruth, AskReply, AskTruth, PromptEnd, PromptTruth, RivalAct, WorldServer};
pub use weather::Weather;

/// An imagined machine with servers, processes and a network: see the [module](self).
#[derive(Debug)]
pub struct World {
    seed: u64,
    shared: Arc<WorldState>,
    directory: TempDir,
}

/// State that all parts of a world share.
struct WorldState {
    core: Arc<Core>,
    network: Arc<Network>,
    processes: Processes,
    servers: Mutex<Vec<WorldServer>>,
    runs: Mutex<Vec<RunTruth>>,
}

/// Limit on the steps of one scenario, far above any real one, to catch endless loops.
const STEPS_MAX: usize = 3_000_000;
const TIME_MAX: Duration = Duration::from_secs(48 * 60 * 60);

impl World {
    /// Creates a world without servers.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        let shared = WorldState {
            core: Arc::new(Core::new(seed, weather)),
            network: Arc::default(),
            processes: Processes::default(),
            servers: Mutex::default(),
            runs: Mutex::default(),
        };
        // In shared memory where there is any, so that no disk is waited for.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
            false => tempfile::tempdir(),
        };
        let directory = directory.expect("a directory for a world");
        Self { seed, shared: Arc::new(shared), directory }
    }

    /// Sets the activity of all servers, which do nothing but answer prompts otherwise.
    #[must_use]
    pub fn with_activity(self, activity: Activity) -> Self {
        self.shared.core.set_activity(activity);
        self
    }

    /// Seed that this world was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a handle for the tasks of a scenario.
    #[must_use]
    pub fn inhabitant(&self) -> Inhabitant {
        Inhabitant { shared: Arc::clone(&self.shared) }
    }

    /// Adds a running server that was started in `directory`.
    #[must_use]
    pub fn server(&self, port: u16, directory: &str) -> WorldServer {
        let server = WorldServer::new(&self.shared, port, directory);
        let host = self.shared.processes.next_id();
        assert!(server.boot(host), "port {port} is taken");
        self.shared.add_server(&server);
        server
    }

    /// Creates a client in this world.
    #[must_use]
    pub fn opencode(&self) -> OpenCode {
        let temp = self.directory.path().join("temp");
        std::fs::create_dir_all(&temp).expect("a directory for temporary files");
        self.opencode_in(&temp)
    }

    /// Creates a client in this world that puts the temporary files into `temp_dir`.
    #[must_use]
    pub fn opencode_in(&self, temp_dir: &Path) -> OpenCode {
        let environment: Environment =
            [("HOME".into(), self.directory.path().into())].into_iter().collect();
        // The client only looks for an executable file; the world never runs it.
        let program = self.directory.path().join("opencode");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o700);
        options.open(&program).expect("a file in the directory of the world");
        OpenCode::builder(WorldRuntime { shared: Arc::clone(&self.shared) })
            .binary(Binary::Path(program))
            .environment(environment)
            .temp_dir(temp_dir)
            .build()
    }

    /// Real directory that belongs to this world.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Runs the world until the scenario is done.
    ///
    /// # Panics
    ///
    /// When the scenario still waits although no further event is due, or after too many steps.
    pub fn run<T: Send + 'static>(&self, scenario: impl Future<Output = T> + Send + 'static) -> T {
        let slot = Arc::new(Mutex::new(None));
        let result = Arc::clone(&slot);
        let task = async move {
            let value = scenario.await;
            *lock(&result) = Some(value);
        };
        self.shared.core.spawn(Owner::Scenario, Box::pin(task));
        loop {
            if let Some(value) = lock(&slot).take() {
                return value;
            }
            self.step();
        }
    }

    fn step(&self) {
        let core = &self.shared.core;
        let tasks = || core.count_tasks(|owner| owner == Owner::Client);
        assert!(
            core.step(),
            "deadlock: no further event is due, the client has {} tasks, {} connections",
            tasks(),
            core.counts.connections.load(Ordering::Relaxed)
        );
        let steps = core.counts.steps.load(Ordering::Relaxed);
        assert!(steps < STEPS_MAX, "endless loop: {steps} steps");
        assert!(core.now() < TIME_MAX, "endless wait: two days have passed");
    }

    /// Runs the world until no task of the client is left. Every handle of the client has to be
    /// dropped before.
    ///
    /// # Panics
    ///
    /// When a task of the client is left after ten minutes.
    pub fn settle(&self) {
        let core = &self.shared.core;
        let limit = core.now() + core.jumped() + Duration::from_secs(600);
        let is_clients = |owner: Owner| owner == Owner::Client;
        while core.count_tasks(is_clients) > 0 {
            self.step();
            let tasks = core.count_tasks(is_clients);
            assert!(core.now() < limit + core.jumped(), "the client leaves {tasks} tasks");
        }
        // Time for the peers to notice closed connections.
        self.run(core.sleep(Duration::from_secs(5)));
    }

    /// Runs the world until no server works on a prompt, at most for an hour.
    pub fn settle_servers(&self) {
        let core = &self.shared.core;
        let limit = core.now() + core.jumped() + Duration::from_secs(3_600);
        let is_busy = || self.servers().iter().any(|server| server.busy() > 0);
        while is_busy() && core.now() < limit + core.jumped() {
            self.run(core.sleep(Duration::from_secs(1)));
        }
    }

    /// Checks that the client has left nothing in the world (no task, timer, connection, process or
    /// file), and drops the world.
    ///
    /// # Panics
    ///
    /// When something is left.
    pub fn end(self) {
        self.check_end();
    }

    /// Checks the same as [`end`](Self::end), and keeps the world for questions about the past.
    ///
    /// # Panics
    ///
    /// As [`end`](Self::end).
    pub fn check_end(&self) {
        self.settle();
        let core = &self.shared.core;
        let left = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        assert_eq!(left(&core.counts.timers), 0, "the client leaves timers");
        assert_eq!(left(&core.counts.connections), 0, "the client leaves connections");
        assert_eq!(self.shared.processes.running(), 0, "the client leaves processes");
        let temp = self.directory.path().join("temp");
        if let Ok(entries) = std::fs::read_dir(&temp) {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            assert!(names.is_empty(), "the client leaves files: {names:?}");
        }
    }

    /// Number of steps so far: polls of a task and moves of the clock.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shared.core.counts.steps.load(Ordering::Relaxed)
    }

    /// All servers that this world ever had.
    #[must_use]
    pub fn servers(&self) -> Vec<WorldServer> {
        lock(&self.shared.servers).clone()
    }

    /// Returns the last lines of the trace.
    #[must_use]
    pub fn trace(&self, lines_max: usize) -> String {
        self.shared.core.trace_tail(lines_max)
    }

    /// Number of faults and other occurrences so far, by kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.shared.core.occurrences()
    }

    /// Hash of the trace, which differs when anything happened differently.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.shared.core.fingerprint()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Tasks that still run hold the world.
        self.shared.core.end_tasks(|_| true);
        let servers = std::mem::take(&mut *lock(&self.shared.servers));
        servers.iter().for_each(WorldServer::kill);
    }
}

impl WorldState {
    fn add_server(&self, server: &WorldServer) {
        lock(&self.servers).push(server.clone());
    }
}

impl fmt::Debug for WorldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
