use opencode_client::api::Operation;
use opencode_client::server::{ServeOutcome, ServerHealth, ServerReport, StopError};
use opencode_client::{CallError, CreateSession, SessionId};

use super::worker::Held;
use super::{ServerEvents, Session};

/// [`Server`](crate::Server) for programs that are not async. Cloning it is cheap; the drop of the last clone, and of
/// everything made from it, ends a server that was started.
#[derive(Clone, Debug)]
pub struct Server(pub(super) Held<crate::Server>);

impl Server {
    /// As [`Server::url`](crate::Server::url).
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// As [`Server::create_session`](crate::Server::create_session).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn create_session(&self, create: CreateSession) -> Result<Session, CallError> {
        let session = self.0.wait(self.0.create_session(create))?;
        Ok(Session(self.0.beside(session)))
    }

    /// As [`Server::session`](crate::Server::session).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn session(&self, id: impl Into<SessionId>) -> Result<Session, CallError> {
        let session = self.0.wait(self.0.session(id))?;
        Ok(Session(self.0.beside(session)))
    }

    /// As [`Server::events`](crate::Server::events).
    pub fn events(&self) -> ServerEvents {
        ServerEvents(self.0.beside(self.0.wait(async { self.0.events() })))
    }

    /// As [`Server::call`](crate::Server::call).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.0.wait(self.0.call(operation))
    }

    /// As [`Server::health`](crate::Server::health).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn health(&self) -> Result<ServerHealth, CallError> {
        self.0.wait(self.0.health())
    }

    /// As [`Server::is_running`](crate::Server::is_running).
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// As [`Server::exited`](crate::Server::exited).
    pub fn exited(&self) -> ServeOutcome {
        self.0.wait(self.0.exited())
    }

    /// As [`Server::stop`](crate::Server::stop).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn stop(&self) -> Result<ServerReport, StopError> {
        self.0.wait(self.0.stop())
    }

    /// The async handle, also for [runs](opencode_client::RunRequest) and batches on this server.
    pub fn as_async(&self) -> &crate::Server {
        &self.0
    }
}
