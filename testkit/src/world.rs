//! A world in memory: virtual time, and every choice is made by one seed.
//!
//! A [`World`] has servers, processes and a network, and a [`Runtime`](opencode_client::Runtime) for the client, which finds
//! nothing else: no real time passes, no socket is opened, no process started. (Directories are real, and have to be gone in
//! the end.) What goes wrong, and how often, is the [`Weather`]. One thread does everything, and whatever could happen in
//! more than one order happens in the order that the seed says: the same seed is the same world again.
//!
//! ```
//! use testkit::world::{Script, Weather, World};
//!
//! let world = World::new(7, Weather::CALM);
//! let server = world.server(4096, "/src");
//! server.script("Hello.", Script::text(["Good ", "morning."]));
//! let opencode = world.opencode();
//! let said = world.run(async move {
//!     let server = opencode.attach("http://127.0.0.1:4096").await.expect("it answers");
//!     let session = server.create_session(Default::default()).await.expect("a session");
//!     session.send("Hello.").outcome().await.expect("an answer").text().into_owned()
//! });
//! assert_eq!(said, "Good morning.");
//! world.end();
//! ```
//!
//! A scenario that breaks a promise panics; [`World::trace`] says what happened before.

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

use std::fmt;
use std::fs::OpenOptions;
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencode_client::{Binary, Environment, OpenCode};
use tempfile::TempDir;

use self::core::{Core, Owner, lock};
use network::Network;
use process::Processes;

pub use inhabitant::Inhabitant;
pub use process::RunTruth;
pub use random::Random;
pub use runtime::WorldRuntime;
pub use script::{AskKind, Script, Step, Tool};
pub use server::{AnswerTruth, AskReply, AskTruth, ModelServer, PromptEnd, PromptTruth};
pub use weather::Weather;

/// A world: see the [module](self).
#[derive(Debug)]
pub struct World {
    seed: u64,
    shared: Arc<Shared>,
    directory: TempDir,
}

/// What a world's parts share.
struct Shared {
    core: Arc<Core>,
    network: Arc<Network>,
    processes: Processes,
    servers: Mutex<Vec<ModelServer>>,
    runs: Mutex<Vec<RunTruth>>,
}

/// More than any scenario needs: whoever gets there goes round in circles.
const STEPS_MAX: usize = 3_000_000;
const TIME_MAX: Duration = Duration::from_secs(48 * 60 * 60);

impl World {
    /// A world without servers.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        let shared = Shared {
            core: Arc::new(Core::new(seed, weather)),
            network: Arc::default(),
            processes: Processes::default(),
            servers: Mutex::default(),
            runs: Mutex::default(),
        };
        // In memory where that can be: no disk is waited for.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
            false => tempfile::tempdir(),
        };
        let directory = directory.expect("a directory for a world");
        Self { seed, shared: Arc::new(shared), directory }
    }

    /// What this world was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The world for those who live in it.
    #[must_use]
    pub fn inhabitant(&self) -> Inhabitant {
        Inhabitant { shared: Arc::clone(&self.shared) }
    }

    /// A server that runs already, started in this directory.
    #[must_use]
    pub fn server(&self, port: u16, directory: &str) -> ModelServer {
        let server = ModelServer::new(&self.shared, port, directory);
        let host = self.shared.processes.next_id();
        assert!(server.boot(host), "port {port} is taken");
        self.shared.add_server(&server);
        server
    }

    /// A client in this world.
    #[must_use]
    pub fn opencode(&self) -> OpenCode {
        let temp = self.directory.path().join("temp");
        std::fs::create_dir_all(&temp).expect("a directory for temporary files");
        self.opencode_in(&temp)
    }

    /// A client in this world whose temporary files are elsewhere.
    #[must_use]
    pub fn opencode_in(&self, temp_dir: &Path) -> OpenCode {
        let environment: Environment =
            [("HOME".into(), self.directory.path().into())].into_iter().collect();
        // A file that could be executed: it never is.
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

    /// A directory of this world, which is real.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Lets the world go on until this is done.
    ///
    /// # Panics
    ///
    /// When nothing happens any more before it is, or too much.
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
        assert!(core.step(), "nothing happens any more, and somebody waits");
        let steps = core.counts.steps.load(Ordering::Relaxed);
        assert!(steps < STEPS_MAX, "{steps} steps: somebody goes round in circles");
        assert!(core.now() < TIME_MAX, "two days: somebody waits for nothing");
    }

    /// Lets the world go on until the client, which everybody has let go of, does nothing any more.
    ///
    /// # Panics
    ///
    /// When that takes more than ten minutes.
    pub fn settle(&self) {
        let core = &self.shared.core;
        let limit = core.now() + core.jumped() + Duration::from_secs(600);
        let is_clients = |owner: Owner| owner == Owner::Client;
        while core.count_tasks(is_clients) > 0 {
            self.step();
            let tasks = core.count_tasks(is_clients);
            assert!(core.now() < limit + core.jumped(), "{tasks} tasks are left of the client");
        }
        // Those at the other end notice that.
        self.run(core.sleep(Duration::from_secs(5)));
    }

    /// The end, when the client has nothing left in the world: no task, no timer, no connection, no process, no file.
    ///
    /// # Panics
    ///
    /// When something is left.
    pub fn end(self) {
        self.check_end();
    }

    /// The same, and the world is still there to be asked what happened.
    ///
    /// # Panics
    ///
    /// As [`end`](Self::end).
    pub fn check_end(&self) {
        self.settle();
        let core = &self.shared.core;
        let left = |what: &AtomicUsize| what.load(Ordering::Relaxed);
        assert_eq!(left(&core.counts.timers), 0, "timers are left of the client");
        assert_eq!(left(&core.counts.connections), 0, "connections are left of the client");
        assert_eq!(self.shared.processes.running(), 0, "processes are left of the client");
        let temp = self.directory.path().join("temp");
        if let Ok(entries) = std::fs::read_dir(&temp) {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            assert!(names.is_empty(), "files are left of the client: {names:?}");
        }
    }

    /// How often a task was polled, or time went on.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shared.core.counts.steps.load(Ordering::Relaxed)
    }

    /// All servers that ever were.
    #[must_use]
    pub fn servers(&self) -> Vec<ModelServer> {
        lock(&self.shared.servers).clone()
    }

    /// What happened last.
    #[must_use]
    pub fn trace(&self, lines_max: usize) -> String {
        self.shared.core.trace_tail(lines_max)
    }

    /// Differs when anything happened differently.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.shared.core.fingerprint()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What still runs holds the world.
        self.shared.core.end_tasks(|_| true);
        let servers = std::mem::take(&mut *lock(&self.shared.servers));
        servers.iter().for_each(ModelServer::kill);
    }
}

impl Shared {
    fn add_server(&self, server: &ModelServer) {
        lock(&self.servers).push(server.clone());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
