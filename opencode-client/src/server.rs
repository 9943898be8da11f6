//! Servers: started by this library, or attached.
//!
//! [`OpenCode::serve`](crate::OpenCode::serve) starts a [`Server`],
//! [`OpenCode::attach`](crate::OpenCode::attach) uses one that is running. [`Server::call`] carries
//! out any operation of [`api`](crate::api).

mod attach;
pub(crate) mod core;
mod error;
mod events;
mod health;
pub(crate) mod hub;
pub(crate) mod life;
mod local;
mod port;
mod pump;
pub(crate) mod request;
pub(crate) mod sessions;
mod start;
mod stop;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use opencode_proto::api::{Health, Operation};

use crate::process::binary::Version;
use crate::process::host::NoDirectory;
use crate::process::host::existing;
use crate::process::warning::Warning;

use self::core::ServerInner;
use local::Local;

pub(crate) use attach::attach;
pub use error::{AttachError, HealthError, ServeError};
pub use events::{ServerEvents, ServerNews};
pub(crate) use request::Place;
pub use request::{AttachRequest, ServeRequest};
pub(crate) use start::serve;
pub use stop::{ServerReport, StopError};

pub use crate::http::{CallError, Endpoint, HttpLimits, Reached, UrlError};
pub use opencode_proto::api::ServerHealth;
pub use opencode_proto::{
    EventStream, HubEnd, HubSettings, Interruption, RetryPolicy, ServeEnd, ServeOutcome,
    ServeSettings,
};

/// A running server. Cloning it is cheap.
///
/// A server that [`OpenCode::serve`](crate::OpenCode::serve) started lives until it is stopped, or until the last clone,
/// and everything made from it, is dropped. That drop ends the process and everything that its tools started, and
/// removes its private files, before it returns, which blocks the thread for some milliseconds; [`stop`](Self::stop)
/// does not. A server that was attached to goes on.
#[derive(Clone)]
pub struct Server {
    pub(crate) inner: Arc<ServerInner>,
}

impl Server {
    fn new(inner: ServerInner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Where it is: `http://127.0.0.1:4096`, without a password.
    pub fn url(&self) -> String {
        self.inner.http.endpoint().to_string()
    }

    /// Its version; `None` before 1.0.224, when servers did not say.
    pub fn version(&self) -> Option<&Version> {
        self.inner.version.as_ref()
    }

    /// The project's directory; `None` for the one in which a server that was attached to was started.
    pub fn directory(&self) -> Option<&str> {
        self.inner.directory.as_deref()
    }

    /// Where something is to work that asks for this directory, or for none: as its machine knows it. Blocks.
    pub(crate) fn place_of(&self, path: Option<&Path>) -> Result<Option<PathBuf>, NoDirectory> {
        match path {
            // Elsewhere nobody can look.
            Some(path) if self.inner.local.is_none() => Ok(Some(path.to_owned())),
            Some(path) => existing(Some(path)).map(Some),
            None => Ok(self.directory().map(PathBuf::from)),
        }
    }

    /// Its process; `None` when it was attached to.
    pub fn process_id(&self) -> Option<u32> {
        self.inner.local.as_ref().map(Local::process_id)
    }

    /// The command it was started with, as a shell would take it; `None` when it was attached to.
    pub fn command(&self) -> Option<&str> {
        self.inner.local.as_ref().map(Local::command)
    }

    /// What was not as it should be and did not keep it from starting.
    pub fn warnings(&self) -> &[Warning] {
        self.inner.local.as_ref().map_or(&[], Local::warnings)
    }

    /// When its process was started; `None` when it was attached to.
    pub(crate) fn started(&self) -> Option<Instant> {
        self.inner.local.as_ref().map(Local::started)
    }

    /// The warnings of a server that nobody else has.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        let local = Arc::into_inner(self.inner).and_then(|inner| inner.local);
        local.map(Local::into_warnings).unwrap_or_default()
    }

    /// Carries out any operation of the server's HTTP API, for the server's directory.
    ///
    /// # Errors
    ///
    /// What the server answered, or why it could not be asked: [`CallError::reached`] says whether it may have been done.
    ///
    /// # Cancel safety
    ///
    /// The server may have done it.
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.inner.http.call(operation, self.directory()).await
    }

    /// Asks the server how it is. `GET /global/health`.
    ///
    /// # Errors
    ///
    /// When it does not answer; before 1.0.224, always.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn health(&self) -> Result<ServerHealth, CallError> {
        self.inner.http.call(&Health::new(), None).await
    }

    /// Whether its process has not ended. Of a server that was attached to, nobody knows: `true`.
    pub fn is_running(&self) -> bool {
        self.inner.is_running()
    }

    /// Waits until its process has ended, by whose doing ever, and says how. For a server that was attached to, this
    /// waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn exited(&self) -> ServeOutcome {
        let exit = self.inner.exit();
        ServeOutcome::clone(&*exit.exited().await)
    }

    /// Stops the server: aborts its busy sessions (`POST /session/{sessionID}/abort`, 3 seconds at most), asks the
    /// process to end twice, kills it, ends what its tools left running, and removes its private files. May be called
    /// more than once, by any clone; all get the same outcome.
    ///
    /// Of a server that was attached to, nothing ends: it is not ours.
    ///
    /// # Errors
    ///
    /// When not everything could be removed.
    ///
    /// # Cancel safety
    ///
    /// A server that was asked to end goes on ending. Its files may stay until it is stopped again or dropped.
    pub async fn stop(&self) -> Result<ServerReport, StopError> {
        Box::pin(stop::stop(&self.inner)).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url())
            .field("version", &self.version())
            .field("directory", &self.directory())
            .field("process_id", &self.process_id())
            .finish_non_exhaustive()
    }
}
