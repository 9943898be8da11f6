//! Servers, started by this library or attached.
//!
//! [`OpenCode::serve`](crate::OpenCode::serve) starts a [`Server`],
//! [`OpenCode::attach`](crate::OpenCode::attach) attaches to a running one. [`Server::call`]
//! carries out any operation of [`api`](crate::api), and [`Server::request`] sends any request.

mod api_events;
mod attach;
mod attach_request;
mod calls;
pub(crate) mod core;
mod error;
mod events;
pub(crate) mod files;
mod health;
mod http_stream;
pub(crate) mod hub;
pub(crate) mod life;
mod local;
mod output;
mod pages;
pub(crate) mod place;
mod port;
mod pump;
pub(crate) mod request;
pub(crate) mod sessions;
mod start;
mod stop;
pub(crate) mod survey;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use opencode_proto::Version;
use opencode_proto::api::{Health, ListMcpServers, McpServer};

use crate::http::Http;
use crate::process::warning::Warning;

use self::core::ServerInner;
use local::Local;

pub use api_events::{ApiEvent, ApiEvents, MalformedEvent};
pub(crate) use attach::{RefusedConnection, attach};
pub use attach_request::AttachRequest;
pub use calls::HttpRequest;
pub use error::{AttachError, ServeError};
pub use events::{ServerEvents, ServerNews};
pub use http_stream::HttpStream;
pub use output::{OutputStream, ServerOutput, ServerOutputEvent};
pub use pages::PageStream;
pub use request::ServeRequest;
pub(crate) use request::WorkingDirectory;
pub(crate) use start::serve;
pub use stop::{ServerReport, StopError};

#[cfg(feature = "tls")]
pub use crate::http::TlsError;
pub use crate::http::{
    CallError, CallOptions, Endpoint, HttpLimits, HttpReply, RequestEvent, RequestNotice, UrlError,
};
pub use opencode_proto::api::ServerHealth;
pub use opencode_proto::{
    CallFailure, CallFault, Delivery, DirectoryError, EventStream, HealthError, HubEnd,
    HubSettings, Interruption, RetryPolicy, ServeEnd, ServeOutcome, ServeSettings,
};

/// A running server. Clones are cheap.
///
/// A server that [`OpenCode::serve`](crate::OpenCode::serve) started lives until the server is
/// stopped, or until the last clone, and everything made from a clone, is dropped. That last drop
/// ends the process and everything that the server's tools started, and removes the private files,
/// before the drop returns, which blocks the thread for some milliseconds; [`stop`](Self::stop)
/// does not block. An attached server keeps running.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use opencode_tokio::{CreateSession, ServeRequest};
///
/// let server = opencode_tokio::opencode().serve(ServeRequest::new()).await?;
/// let session = server.create_session(CreateSession::new()).await?;
/// println!("{} at {}", session.id(), server.url());
/// server.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    pub(crate) inner: Arc<ServerInner>,
    /// The client with the options of this handle.
    pub(crate) http: Http,
}

impl Server {
    fn new(inner: ServerInner) -> Self {
        let http = inner.http.clone();
        Self { inner: Arc::new(inner), http }
    }

    /// Returns the URL of the server, such as `http://127.0.0.1:4096`, without a password.
    pub fn url(&self) -> String {
        self.inner.http.endpoint().to_string()
    }

    /// Returns the version of the server; `None` for a server that was built from the sources.
    pub fn version(&self) -> Option<&Version> {
        self.inner.version()
    }

    /// Returns the project's directory, or the one in the options of this handle; `None` for the
    /// directory in which an attached server was started.
    pub fn directory(&self) -> Option<&str> {
        self.http.options().directory().or(self.inner.directory.as_deref())
    }

    /// Returns the id of the server's process; `None` for an attached server.
    pub fn process_id(&self) -> Option<u32> {
        self.inner.local.as_ref().map(Local::process_id)
    }

    /// Returns the command that started the server, quoted for a shell; `None` for an attached
    /// server.
    pub fn command(&self) -> Option<&str> {
        self.inner.local.as_ref().map(Local::command)
    }

    /// Returns the output of the server's process, from the oldest line that is kept on; `None` for
    /// an attached server.
    pub fn output(&self) -> Option<ServerOutput> {
        self.inner.local.as_ref().map(|local| local.output().rewound())
    }

    /// Returns the warnings so far: problems that did not prevent the start, and plugins and MCP
    /// servers that OpenCode works without. [`serve`](crate::OpenCode::serve) returns when those of
    /// the server's directory are known; those of other directories are added with the first
    /// session, run or job there, and those of an attached server likewise. Faults of plugins are
    /// known of started servers alone.
    pub fn warnings(&self) -> Vec<Warning> {
        self.inner.warnings()
    }

    /// Returns the start time of the server's process; `None` for an attached server.
    pub(crate) fn started(&self) -> Option<Instant> {
        self.inner.local.as_ref().map(Local::started)
    }

    /// Returns the warnings of a server that has no other clone.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        let local = Arc::into_inner(self.inner).and_then(|inner| inner.local);
        local.as_ref().map(Local::warnings).unwrap_or_default()
    }

    /// Lists the MCP servers of the server's directory with their status. `GET /mcp`. OpenCode
    /// starts them if no prompt has, and waits up to 30 seconds for each.
    ///
    /// # Errors
    ///
    /// The errors of [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn mcp_servers(&self) -> Result<Vec<McpServer>, CallError> {
        self.call(&ListMcpServers::new()).await
    }

    /// Requests the health of the server. `GET /global/health`.
    ///
    /// # Errors
    ///
    /// When the server does not answer; before 1.0.224, always.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn health(&self) -> Result<ServerHealth, CallError> {
        self.http.call(&Health::new(), None).await
    }

    /// Returns `true` until the server's process exits, and always for an attached server, whose
    /// process is unknown.
    pub fn is_running(&self) -> bool {
        self.inner.is_running()
    }

    /// Waits for the process to exit, for any reason, and returns the outcome. Waits forever for an
    /// attached server.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn exited(&self) -> ServeOutcome {
        let exit = self.inner.exit();
        ServeOutcome::clone(&*exit.exited().await)
    }

    /// Stops the server: aborts the busy sessions (`POST /session/{sessionID}/abort`, 3 seconds at
    /// most), asks the process to end twice, kills the process, ends the processes that tools left
    /// running, and removes the private files. May be called more than once, by any clone; all
    /// calls return the same outcome.
    ///
    /// An attached server is left running: this library did not start that server.
    ///
    /// # Errors
    ///
    /// When not everything could be removed.
    ///
    /// # Cancel safety
    ///
    /// A server that was asked to end continues to end. The private files may stay until the server
    /// is stopped again or dropped.
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
