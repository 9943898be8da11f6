use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::Environment;

use crate::batch::{BatchRequest, BatchStream};
use crate::process::binary::{Binary, BinaryNotFound, Version};
use crate::process::guardian::Guardian;
use crate::process::host::Host;
use crate::process::pacing::{StartPacing, Starts};
use crate::process::version::VersionError;
use crate::run::{RunError, RunReport, RunRequest, RunStream};
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;
use crate::server::{self, AttachError, AttachRequest, ServeError, ServeRequest, Server};

/// A handle to OpenCode. Cloning it is cheap, and the clones share their start pacing.
///
/// ```no_run
/// # async fn example(runtime: impl opencode_client::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use opencode_client::OpenCode;
///
/// let opencode = OpenCode::new(runtime);
/// let report = opencode.run("Which licence does this project have?").await?;
/// println!("{}", report.text());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OpenCode {
    host: Arc<Host>,
}

impl OpenCode {
    /// A handle with the defaults: the program is searched for, and nothing limits how many start at once.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::builder(runtime).build()
    }

    /// A handle with choices.
    pub fn builder(runtime: impl Runtime) -> Builder {
        Builder {
            runtime: Arc::new(runtime),
            binary: Binary::default(),
            environment: std::env::vars_os().collect(),
            temp_dir: std::env::temp_dir(),
            pacing: StartPacing::default(),
        }
    }

    /// Runs a prompt to its end (`opencode run --format json`, or a turn of a server: [`RunRequest::with_backend`]).
    ///
    /// # Errors
    ///
    /// [`RunError::Ended`] with all that was gathered when the run ended in any way but with a complete answer; the
    /// other kinds when it could not be started, logged or cleaned up after.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process and everything that its tools started, and removes its private files,
    /// before the drop returns. On a server that was there already, the turn is aborted in the background.
    pub async fn run(&self, request: impl Into<RunRequest>) -> Result<RunReport, RunError> {
        self.stream(request).outcome().await
    }

    /// Runs a prompt and hands out its events as they come. Nothing happens until the stream is polled.
    pub fn stream(&self, request: impl Into<RunRequest>) -> RunStream {
        RunStream::new(Arc::clone(&self.host), request.into())
    }

    /// Starts a server (`opencode serve`) and waits until it works.
    ///
    /// It listens on a free port, with a password that nobody knows, unless the request says otherwise.
    ///
    /// # Errors
    ///
    /// When it could not be started, did not get ready in time, or OpenCode does not accept its configuration. Nothing of
    /// it is left then.
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    pub async fn serve(&self, request: impl Into<ServeRequest>) -> Result<Server, ServeError> {
        Box::pin(server::serve(Arc::clone(&self.host), request.into())).await
    }

    /// Attaches to a server that runs already, here or elsewhere, and checks that it answers.
    ///
    /// # Errors
    ///
    /// When it does not, or wants other credentials.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    pub async fn attach(&self, request: impl Into<AttachRequest>) -> Result<Server, AttachError> {
        Box::pin(server::attach(Arc::clone(&self.host), request.into())).await
    }

    /// Runs many jobs on few servers, and hands out what happens. Nothing happens until the stream is polled.
    ///
    /// ```no_run
    /// # async fn example(opencode: opencode_client::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_client::BatchRequest;
    ///
    /// let files = ["lib.rs", "main.rs"].map(|file| format!("What does {file} do?"));
    /// let report = opencode.batch(BatchRequest::new(files)).outcome().await?;
    /// for job in &report.jobs {
    ///     println!("{}", job.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(&self, request: BatchRequest) -> BatchStream {
        BatchStream::new(Arc::clone(&self.host), request)
    }

    /// The executable that is run.
    ///
    /// # Errors
    ///
    /// Every place where it was looked for.
    pub async fn binary(&self) -> Result<PathBuf, BinaryNotFound> {
        let host = Arc::clone(&self.host);
        unblock(&self.host.runtime, move || host.binary.locate(&host.environment)).await
    }

    /// The version of OpenCode (`opencode --version`). Takes about a second.
    ///
    /// # Errors
    ///
    /// When it is not installed, cannot be started, does not answer within 30 seconds, or answers with something else.
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    pub async fn version(&self) -> Result<Version, VersionError> {
        crate::process::version::version(&self.host).await
    }
}

impl fmt::Debug for OpenCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenCode")
            .field("runtime", &self.host.runtime)
            .field("binary", &self.host.binary)
            .finish_non_exhaustive()
    }
}

/// Choices for an [`OpenCode`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    runtime: Arc<dyn Runtime>,
    binary: Binary,
    environment: Environment,
    temp_dir: PathBuf,
    pacing: StartPacing,
}

impl Builder {
    /// Which program to run. Default: the one that `OPENCODE_BINARY`, `PATH` or `~/.opencode/bin` leads to.
    pub fn binary(mut self, binary: Binary) -> Self {
        self.binary = binary;
        self
    }

    /// The environment the runs start from. Default: that of this process, as it is now.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Where the private directories of the runs are made. Default: the system's temporary directory.
    pub fn temp_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.temp_dir = path.into();
        self
    }

    /// How many may start at once, and how soon after another. Default: any number, at any time.
    pub fn pacing(mut self, pacing: StartPacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// The handle.
    pub fn build(self) -> OpenCode {
        let guardian = Guardian::new(self.environment.var("PATH").map(Into::into));
        OpenCode {
            host: Arc::new(Host {
                runtime: self.runtime,
                binary: self.binary,
                environment: self.environment,
                temp_dir: self.temp_dir,
                starts: Starts::new(self.pacing),
                guardian,
            }),
        }
    }
}
