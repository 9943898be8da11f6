use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use opencode_config::Environment;
use opencode_proto::Version;

use crate::batch::{BatchRequest, BatchStream};
use crate::log::write_to_stderr;
use crate::process::binary::{Binary, BinaryNotFound};
use crate::process::guardian::Guardian;
use crate::process::host::Host;
use crate::process::known_versions::KnownVersions;
use crate::process::pacing::{StartPacing, Starts};
use crate::process::version::VersionError;
use crate::run::{RunError, RunReport, RunRequest, RunStream};
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;
use crate::server::{
    self, AttachError, AttachRequest, RefusedConnection, ServeError, ServeRequest, Server,
};

/// Handle to OpenCode, with which a program begins. Clones are cheap and share the start pacing.
///
/// ```no_run
/// # async fn example(runtime: impl opencode_tokio::runtime::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use opencode_tokio::OpenCode;
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
    /// Creates a handle with the defaults: the program is searched for, and any number of processes
    /// may start at once.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::builder(runtime).build()
    }

    /// Creates a builder for a handle with other settings.
    pub fn builder(runtime: impl Runtime) -> Builder {
        Builder {
            runtime: Arc::new(runtime),
            binary: Binary::default(),
            environment: std::env::vars_os().collect(),
            temp_dir: std::env::temp_dir(),
            pacing: StartPacing::default(),
        }
    }

    /// Runs a prompt to the end, in a process (`opencode run --format json`) or as a turn of a
    /// server ([`RunRequest::with_backend`]).
    ///
    /// # Errors
    ///
    /// [`RunError::Ended`] when the run ended without a complete answer; the error contains the
    /// report. Other errors when the run could not be started, logged or cleaned up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process and all processes of tools, and removes the private
    /// files, before the drop returns. On a shared server, the turn is aborted in the background.
    pub async fn run(&self, request: impl Into<RunRequest>) -> Result<RunReport, RunError> {
        self.stream(request).outcome().await
    }

    /// Runs a prompt to the end, and returns only the text of the answer.
    ///
    /// ```no_run
    /// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::RunError> {
    /// println!("{}", opencode.ask("Which licence does this project have?").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the effects of dropping that of [`run`](Self::run).
    pub async fn ask(&self, request: impl Into<RunRequest>) -> Result<String, RunError> {
        Ok(self.run(request).await?.text().into_owned())
    }

    /// Runs a prompt as a stream of events. Nothing happens until the stream is polled.
    pub fn stream(&self, request: impl Into<RunRequest>) -> RunStream {
        RunStream::new(self.host(), request.into())
    }

    /// Starts a server (`opencode serve`) and waits until the server is ready.
    ///
    /// By default, the server listens on a free port and has a random password.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when the server cannot be started, is not ready in time, or OpenCode rejects
    /// the configuration. Nothing of the server is left then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process and removes the private files, before the drop returns.
    pub async fn serve(&self, request: impl Into<ServeRequest>) -> Result<Server, ServeError> {
        Box::pin(server::serve(self.host(), request.into())).await
    }

    /// Attaches to a running server, on this or another machine, and checks the server's health.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the server does not reply or requires other credentials.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    pub async fn attach(&self, request: impl Into<AttachRequest>) -> Result<Server, AttachError> {
        Box::pin(server::attach(self.host(), request.into(), RefusedConnection::Await)).await
    }

    /// Runs many jobs on few servers, as a stream of events. Nothing happens until the stream is
    /// polled.
    ///
    /// ```no_run
    /// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::BatchRequest;
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
        BatchStream::new(self.host(), request)
    }

    /// Locates the OpenCode executable, or the program of a [`Binary::Command`].
    ///
    /// # Errors
    ///
    /// [`BinaryNotFound`] lists all places that were searched.
    pub async fn binary(&self) -> Result<PathBuf, BinaryNotFound> {
        let host = Arc::clone(&self.host);
        let locate = move || host.binary.locate(&host.environment);
        Ok(unblock(&self.host.runtime, locate).await?.program().to_owned())
    }

    /// Reads the version of OpenCode (`opencode --version`), which takes about a second. The
    /// version need not be supported ([`Version::is_supported`]).
    ///
    /// # Errors
    ///
    /// [`VersionError`] when OpenCode is not installed, cannot be started, does not exit within a
    /// minute, or prints no version.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process and removes the private files, before the drop returns.
    pub async fn version(&self) -> Result<Version, VersionError> {
        crate::process::version::version(&self.host()).await
    }

    /// Returns the host for work that begins now. Not before: a program may set up logging after
    /// the handle was made.
    fn host(&self) -> Arc<Host> {
        write_to_stderr(&self.host.environment);
        Arc::clone(&self.host)
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

/// Settings for a new [`OpenCode`] handle.
///
/// ```
/// use std::time::Duration;
/// use opencode_tokio::run::StartPacing;
///
/// let opencode = opencode_tokio::builder()
///     .temp_dir("/var/tmp")
///     .pacing(StartPacing::new().with_spacing(Duration::from_millis(50)))
///     .build();
/// # drop(opencode);
/// ```
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
    /// Sets the program. Default: the first one found through `OPENCODE_BINARY`, `PATH` and
    /// `~/.opencode/bin`.
    pub fn binary(mut self, binary: impl Into<Binary>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Sets the environment that runs inherit. Default: a copy of the environment of this process.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the parent of all private directories. Default: the system's temporary directory.
    pub fn temp_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.temp_dir = path.into();
        self
    }

    /// Sets the pacing of starts. Default: any number of processes may start at any time.
    pub fn pacing(mut self, pacing: StartPacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// Creates the handle.
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
                swept: Once::new(),
                known_versions: KnownVersions::default(),
            }),
        }
    }
}
