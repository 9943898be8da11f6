//! The same for programs that are not async: calls wait, and streams are iterators.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use opencode_tokio::{CreateSession, PermissionReply, ServeRequest, blocking};
//!
//! let opencode = blocking::opencode()?;
//! println!("{}", opencode.run("Which licence does this project have?")?.text());
//!
//! let server = opencode.serve(ServeRequest::new())?;
//! let session = server.create_session(CreateSession::new())?.on_permission(|_| PermissionReply::Once);
//! let mut turn = session.send("Tidy up.");
//! for event in &mut turn {
//!     print!("{}", event.text().unwrap_or_default());
//! }
//! println!("{} USD", turn.outcome()?.cost());
//! # Ok(())
//! # }
//! ```
//!
//! The types have the names, errors, outcomes and events of the async ones, which [`OpenCode::as_async`] and its like lead
//! to. It is here and not in `opencode-client` because event streams, servers and aborts go on between two calls: it takes
//! a runtime with a thread of its own, not just something that waits for a future.
//!
//! An [`OpenCode`] has one such thread, shared with all that is made from it. When the last of them is dropped, the thread
//! ends, after what it is still removing (one second at most). A turn whose stream is dropped is aborted by that thread
//! in the background, as in async programs: who ends at once should cancel it and wait for its outcome.
//!
//! # Panics
//!
//! Whatever waits panics inside of an async runtime of tokio, since it would hold up everybody else there: use the async
//! types, or `tokio::task::spawn_blocking`. Dropping does not.

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

pub use server::Server;
pub use session::Session;
pub use streams::{BatchStream, RunStream, ServerEvents, TurnStream};

use worker::{Held, Worker};

/// An [`OpenCode`] with the defaults.
///
/// # Errors
///
/// When its thread cannot be started.
pub fn opencode() -> io::Result<OpenCode> {
    OpenCode::new(crate::opencode())
}

/// [`OpenCode`](crate::OpenCode) for programs that are not async. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct OpenCode(Held<crate::OpenCode>);

impl OpenCode {
    /// Makes a handle wait: one of [`builder`](crate::builder) that nobody else uses.
    ///
    /// # Errors
    ///
    /// When its thread cannot be started.
    pub fn new(opencode: crate::OpenCode) -> io::Result<Self> {
        Ok(Self(Worker::start()?.hold(opencode)))
    }

    /// As [`OpenCode::run`](crate::OpenCode::run).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn run(&self, request: impl Into<RunRequest>) -> Result<RunReport, RunError> {
        self.stream(request).outcome()
    }

    /// As [`OpenCode::stream`](crate::OpenCode::stream). Nothing happens until the first event is asked for.
    pub fn stream(&self, request: impl Into<RunRequest>) -> RunStream {
        RunStream(self.0.beside(self.0.stream(request)))
    }

    /// As [`OpenCode::serve`](crate::OpenCode::serve).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn serve(&self, request: impl Into<ServeRequest>) -> Result<Server, ServeError> {
        let server = self.0.wait(self.0.serve(request))?;
        Ok(Server(self.0.beside(server)))
    }

    /// As [`OpenCode::attach`](crate::OpenCode::attach).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn attach(&self, request: impl Into<AttachRequest>) -> Result<Server, AttachError> {
        let server = self.0.wait(self.0.attach(request))?;
        Ok(Server(self.0.beside(server)))
    }

    /// As [`OpenCode::batch`](crate::OpenCode::batch). Nothing happens until the first event is asked for.
    pub fn batch(&self, request: BatchRequest) -> BatchStream {
        BatchStream(self.0.beside(self.0.batch(request)))
    }

    /// As [`OpenCode::binary`](crate::OpenCode::binary).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn binary(&self) -> Result<PathBuf, BinaryNotFound> {
        self.0.wait(self.0.binary())
    }

    /// As [`OpenCode::version`](crate::OpenCode::version).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn version(&self) -> Result<Version, VersionError> {
        self.0.wait(self.0.version())
    }

    /// The async handle.
    pub fn as_async(&self) -> &crate::OpenCode {
        &self.0
    }
}
