//! One server for all tests of this process, to which each test attaches by itself.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, fs, thread};

use opencode_tokio::{
    AttachRequest, Binary, CreateSession, Credentials, Deadlines, Environment, RunConfig,
    ServeFlags, ServeRequest, Server, Session, TurnRequest,
};
use testkit::model::{ModelServer, Request};

/// A turn takes a second; this is for a machine that does other things as well.
const LONG: Duration = Duration::from_secs(240);

const PASSWORD: &str = "the password of the tests";

/// What outlives a test: the server and its model.
struct Shared {
    model: ModelServer,
    url: String,
}

/// One test's view of it.
pub(crate) struct World {
    shared: &'static Shared,
    server: Server,
}

impl World {
    pub(crate) async fn new() -> Self {
        let shared = tokio::task::spawn_blocking(shared).await.unwrap();
        let request = AttachRequest::new(&*shared.url).with_credentials(Credentials::new(PASSWORD));
        let server = opencode_tokio::opencode().attach(request).await.unwrap();
        Self { shared, server }
    }

    pub(crate) fn model(&self) -> &'static ModelServer {
        &self.shared.model
    }

    /// What this script was asked for, in order.
    pub(crate) fn asked(&self, script: &str) -> Vec<Arc<Request>> {
        let requests = self.model().requests();
        requests.into_iter().filter(|request| request.script() == Some(script)).collect()
    }

    /// A session with a title, so that nothing else asks the model than the prompts.
    pub(crate) async fn session(&self) -> Session {
        self.session_with(CreateSession::new()).await
    }

    pub(crate) async fn session_with(&self, create: CreateSession) -> Session {
        self.server.create_session(create.with_title("a test")).await.unwrap()
    }
}

/// A prompt with a deadline, so that a test that hangs fails.
pub(crate) fn prompt(request: impl Into<TurnRequest>) -> TurnRequest {
    request.into().with_deadlines(Deadlines::NONE.with_overall(LONG))
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let root = directory_of(std::process::id());
        remove_those_of_the_dead();
        for name in ["home", "project", "temp"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let model = ModelServer::start().unwrap();
        let url = serve(&root.canonicalize().unwrap(), &model);
        Shared { model, url }
    })
}

fn directory_of(process: u32) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("structured-{process}"))
}

/// Nothing of this process runs when its statics are gone: the next one removes its directory.
fn remove_those_of_the_dead() {
    for entry in fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let process = name.strip_prefix("structured-").and_then(|id| id.parse::<u32>().ok());
        let Some(process) = process else { continue };
        if process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists() {
            // Another process may be faster.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Starts the server on a thread that outlives every test. When this process ends, the guardian ends the server.
fn serve(root: &Path, model: &ModelServer) -> String {
    let mut environment = Environment::new();
    environment.set("HOME", root.join("home"));
    environment.set("PATH", env::var_os("PATH").unwrap());
    environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
    environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
    let opencode = opencode_tokio::builder()
        .binary(Binary::Path(testkit::opencode::binary().unwrap()))
        .environment(environment)
        .temp_dir(root.join("temp"))
        .build();
    let config = model.config().as_object().unwrap().clone();
    let request = ServeRequest::new()
        .with_directory(root.join("project"))
        .with_config(RunConfig::new().with_overrides(config))
        .with_flags(ServeFlags::new().with_credentials(Credentials::new(PASSWORD)));
    let (told, url) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = opencode.serve(request).await.unwrap();
            told.send(server.url()).unwrap();
            server.exited().await;
        });
    });
    url.recv().expect("the server starts")
}
