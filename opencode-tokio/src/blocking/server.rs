use opencode_client::api::Operation;
use opencode_client::api::http::Method;
use opencode_client::server::{CallOptions, ServeOutcome, ServerHealth, ServerReport, StopError};
use opencode_client::{CallError, CreateSession, SessionId};

use super::worker::Held;
use super::{HttpRequest, ServerEvents, ServerOutput, Session};

/// Blocking form of [`Server`](crate::Server). Clones are cheap. A server that was started ends
/// with the drop of the last clone and of every handle made from a clone.
#[derive(Clone, Debug)]
pub struct Server(pub(super) Held<crate::Server>);

impl Server {
    /// Blocking form of [`Server::url`](crate::Server::url).
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Blocking form of [`Server::create_session`](crate::Server::create_session).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn create_session(&self, create: CreateSession) -> Result<Session, CallError> {
        let session = self.0.wait(self.0.create_session(create))?;
        Ok(Session(self.0.beside(session)))
    }

    /// Blocking form of [`Server::session`](crate::Server::session).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn session(&self, id: impl Into<SessionId>) -> Result<Session, CallError> {
        let session = self.0.wait(self.0.session(id))?;
        Ok(Session(self.0.beside(session)))
    }

    /// Blocking form of [`Server::events`](crate::Server::events).
    pub fn events(&self) -> ServerEvents {
        ServerEvents(self.0.beside(self.0.wait(async { self.0.events() })))
    }

    /// Blocking form of [`Server::call`](crate::Server::call).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.0.wait(self.0.call(operation))
    }

    /// Blocking form of [`Server::with_options`](crate::Server::with_options).
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self(self.0.beside(self.0.with_options(options)))
    }

    /// Blocking form of [`Server::request`](crate::Server::request): the request is sent by
    /// [`HttpRequest::send`].
    ///
    /// ```no_run
    /// # fn example(server: opencode_tokio::blocking::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::api::http::Method;
    ///
    /// let reply = server.request(Method::GET, "/find/file").query("query", "main").send()?;
    /// let files: Vec<String> = reply.json()?;
    /// println!("{files:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> HttpRequest {
        HttpRequest(self.0.beside(self.0.request(method, path)))
    }

    /// Blocking form of [`Server::request_for`](crate::Server::request_for).
    pub fn request_for<O: Operation>(&self, operation: &O) -> HttpRequest {
        HttpRequest(self.0.beside(self.0.request_for(operation)))
    }

    /// Blocking form of [`Server::health`](crate::Server::health).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn health(&self) -> Result<ServerHealth, CallError> {
        self.0.wait(self.0.health())
    }

    /// Blocking form of [`Server::output`](crate::Server::output).
    pub fn output(&self) -> Option<ServerOutput> {
        self.0.output().map(|output| ServerOutput(self.0.beside(output)))
    }

    /// Blocking form of [`Server::is_running`](crate::Server::is_running).
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Blocking form of [`Server::exited`](crate::Server::exited).
    pub fn exited(&self) -> ServeOutcome {
        self.0.wait(self.0.exited())
    }

    /// Blocking form of [`Server::stop`](crate::Server::stop).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn stop(&self) -> Result<ServerReport, StopError> {
        self.0.wait(self.0.stop())
    }

    /// Returns the async handle, also for [runs](crate::RunRequest) and batches on this server.
    pub fn as_async(&self) -> &crate::Server {
        &self.0
    }
}
