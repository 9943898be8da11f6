//! Servers: started by us, or attached to.

mod attach;
mod error;
mod health;
mod local;
mod port;
mod pump;
mod request;
mod start;
mod stop;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use opencode_proto::api::{Health, Operation, ServerHealth};
use opencode_proto::{EventStream, HubSettings, ServeOutcome, SessionId};

use crate::binary::Version;
use crate::error::Warning;
use crate::http::{CallError, Http};
use crate::hub::{Follower, HubServer, Hubs};
use crate::inner::Inner;
use crate::session::{MessageIds, Sessions};
use crate::start::{NoDirectory, existing};

use local::Local;
use pump::Life;

pub(crate) use attach::attach;
pub use error::{AttachError, HealthError, ServeError, ServerReport, StopError};
pub(crate) use request::Place;
pub use request::{AttachRequest, ServeRequest};
pub(crate) use start::serve;

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

/// What all clones of a server, and all that is made from it, share.
pub(crate) struct ServerInner {
    pub(crate) http: Http,
    pub(crate) inner: Arc<Inner>,
    /// What is asked for: `None` is where the server was started.
    pub(crate) directory: Option<String>,
    version: Option<Version>,
    /// `None`: somebody else's.
    local: Option<Local>,
    events: HubSettings,
    hubs: Hubs,
    pub(crate) sessions: Sessions,
    pub(crate) message_ids: MessageIds,
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
        self.inner.http.call(&Health, None).await
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

impl ServerInner {
    fn new(
        inner: Arc<Inner>,
        http: Http,
        directory: Option<String>,
        version: Option<Version>,
        local: Option<Local>,
    ) -> Self {
        Self {
            http,
            inner,
            directory,
            version,
            local,
            events: HubSettings::default(),
            hubs: Hubs::default(),
            sessions: Sessions::default(),
            message_ids: MessageIds::default(),
        }
    }

    fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }

    /// Follows a session that works in this directory, and its descendants.
    pub(crate) fn follow(&self, session: SessionId, directory: Option<String>) -> Follower {
        // Not the stream of all directories: OpenCode says there that it is connected before it listens to anything,
        // and what a prompt sets off at once would be lost.
        let server = self.hub_server(EventStream::Directory, directory);
        self.hubs.follow(server, Some(session))
    }

    /// Follows everything.
    pub(crate) fn follow_all(&self) -> Follower {
        let server = self.hub_server(self.events.stream, self.directory.clone());
        self.hubs.follow(server, None)
    }

    fn hub_server(&self, stream: EventStream, directory: Option<String>) -> HubServer {
        HubServer {
            runtime: Arc::clone(&self.inner.runtime),
            http: self.http.clone(),
            directory,
            exit: self.exit(),
            settings: self.events.clone().with_stream(stream),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.local.as_ref().is_none_or(|local| local.life().ended.value().is_none())
    }

    /// The end of its process, for tasks that must not keep it alive.
    pub(crate) fn exit(&self) -> ServerExit {
        ServerExit { life: self.local.as_ref().map(|local| Arc::clone(local.life())) }
    }
}

/// The end of a server's process. Does not keep it alive.
#[derive(Clone, Debug)]
pub(crate) struct ServerExit {
    /// `None`: somebody else's.
    life: Option<Arc<Life>>,
}

impl ServerExit {
    /// Waits until the process has ended; for ever when it is somebody else's.
    pub(crate) async fn exited(&self) -> Arc<ServeOutcome> {
        match &self.life {
            Some(life) => life.ended.wait().await,
            None => std::future::pending().await,
        }
    }
}
