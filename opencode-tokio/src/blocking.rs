//! Blocking forms of the handles, for programs that are not async. Calls wait, and streams are
//! iterators.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use opencode_tokio::{CreateSession, PermissionReply, ServeRequest, blocking};
//!
//! let opencode = blocking::opencode()?;
//! println!("{}", opencode.run("Which licence does this project have?")?.text());
//!
//! let server = opencode.serve(ServeRequest::new())?;
//! let session = server.create_session(CreateSession::new())?;
//! let session = session.on_permission(|_| PermissionReply::Once);
//! let mut turn = session.send("Tidy up.");
//! for event in &mut turn {
//!     print!("{}", event.text().unwrap_or_default());
//! }
//! println!("{} USD", turn.outcome()?.cost());
//! # Ok(())
//! # }
//! ```
//!
//! The types share names, errors, outcomes and events with the async types, which
//! [`OpenCode::as_async`] and similar methods return. The module belongs to this crate and not to
//! `opencode-client` because event streams, servers and aborts continue between two calls, which
//! takes a runtime with a thread of its own.
//!
//! An [`OpenCode`] has one such thread, shared with every handle made from the [`OpenCode`]. The
//! drop of the last handle ends the thread, after cleanup in progress (one second at most). A turn
//! whose stream is dropped is aborted by that thread in the background, as in async programs: a
//! program that exits right afterwards should cancel the turn and wait for the outcome.
//!
//! # Panics
//!
//! A waiting call panics inside an async runtime of tokio, where waiting would block other tasks:
//! use the async types, or `tokio::task::spawn_blocking`. Dropping a handle does not panic.

mod forward;
mod request;
mod server;
mod session;
mod streams;
mod worker;

use std::io;
use std::path::PathBuf;

use opencode_client::process::{BinaryNotFound, Version, VersionError};
use opencode_client::{
    AttachError, AttachRequest, BatchRequest, RunError, RunReport, RunRequest, ServeError,
    ServeRequest,
};

pub use request::{ApiEvents, HttpRequest, HttpStream};
pub use server::Server;
pub use session::Session;
pub use streams::{
    BatchStream, PageStream, RunStream, ServerEvents, ServerOutput, StructuredStream, TextStream,
    TurnStream,
};

use worker::{Held, Worker};

/// Returns an [`OpenCode`] with the default settings.
///
/// # Errors
///
/// The thread of the runtime cannot be started.
pub fn opencode() -> io::Result<OpenCode> {
    OpenCode::new(crate::opencode())
}

/// [`OpenCode`](crate::OpenCode) for programs that are not async. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct OpenCode(Held<crate::OpenCode>);

impl OpenCode {
    /// Creates the blocking form of a handle from [`builder`](crate::builder) that is not used
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// The thread of the runtime cannot be started.
    pub fn new(opencode: crate::OpenCode) -> io::Result<Self> {
        Ok(Self(Worker::start()?.hold(opencode)))
    }

    /// Blocking form of [`OpenCode::run`](crate::OpenCode::run).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn run(&self, request: impl Into<RunRequest>) -> Result<RunReport, RunError> {
        self.stream(request).outcome()
    }

    /// Blocking form of [`OpenCode::ask`](crate::OpenCode::ask).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let opencode = opencode_tokio::blocking::opencode()?;
    /// println!("{}", opencode.ask("Which licence does this project have?")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn ask(&self, request: impl Into<RunRequest>) -> Result<String, RunError> {
        self.0.wait(self.0.ask(request))
    }

    /// Blocking form of [`OpenCode::stream`](crate::OpenCode::stream). The run starts with the
    /// first call of `next`.
    pub fn stream(&self, request: impl Into<RunRequest>) -> RunStream {
        RunStream(self.0.beside(self.0.stream(request)))
    }

    /// Blocking form of [`OpenCode::serve`](crate::OpenCode::serve).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn serve(&self, request: impl Into<ServeRequest>) -> Result<Server, ServeError> {
        let server = self.0.wait(self.0.serve(request))?;
        Ok(Server(self.0.beside(server)))
    }

    /// Creates an output that gets the lines of a server from its start on: pass the async form to
    /// [`ServeRequest::with_output`](crate::ServeRequest::with_output).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::{ServeRequest, blocking};
    ///
    /// let opencode = blocking::opencode()?;
    /// let output = opencode.server_output();
    /// let request = ServeRequest::new().with_output(output.as_async());
    /// std::thread::spawn(move || output.for_each(|event| eprintln!("{event:?}")));
    /// let server = opencode.serve(request)?;
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn server_output(&self) -> ServerOutput {
        ServerOutput(self.0.beside(crate::server::ServerOutput::new()))
    }

    /// Blocking form of [`OpenCode::attach`](crate::OpenCode::attach).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn attach(&self, request: impl Into<AttachRequest>) -> Result<Server, AttachError> {
        let server = self.0.wait(self.0.attach(request))?;
        Ok(Server(self.0.beside(server)))
    }

    /// Blocking form of [`OpenCode::batch`](crate::OpenCode::batch). The batch starts with the
    /// first call of `next`.
    pub fn batch(&self, request: BatchRequest) -> BatchStream {
        BatchStream(self.0.beside(self.0.batch(request)))
    }

    /// Blocking form of [`OpenCode::binary`](crate::OpenCode::binary).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn binary(&self) -> Result<PathBuf, BinaryNotFound> {
        self.0.wait(self.0.binary())
    }

    /// Blocking form of [`OpenCode::version`](crate::OpenCode::version).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn version(&self) -> Result<Version, VersionError> {
        self.0.wait(self.0.version())
    }

    /// Returns the async handle.
    pub fn as_async(&self) -> &crate::OpenCode {
        &self.0
    }
}
