use opencode_client::api::http::Method;
use opencode_client::api::{Caller, McpServer, Operation, Paged};
use opencode_client::process::{Version, Warning};
use opencode_client::server::{CallOptions, ServeOutcome, ServerHealth, ServerReport, StopError};
use opencode_client::{CallError, CreateSession, SessionId};

use super::forward::forward;
use super::worker::Held;
use super::{HttpRequest, PageStream, ServerEvents, ServerOutput, Session};

/// Blocking form of [`Server`](crate::Server). Clones are cheap. A server that was started ends
/// with the drop of the last clone and of every handle made from a clone.
#[derive(Clone, Debug)]
pub struct Server(pub(super) Held<crate::Server>);

impl Server {
    forward! {
        "Server":
        get url() -> String;
        get version() -> Option<&Version>;
        get directory() -> Option<&str>;
        get process_id() -> Option<u32>;
        get command() -> Option<&str>;
        get warnings() -> Vec<Warning>;
        get is_running() -> bool;
        wait mcp_servers() -> Result<Vec<McpServer>, CallError>;
        wait health() -> Result<ServerHealth, CallError>;
        wait stop() -> Result<ServerReport, StopError>;
    }

    /// Blocking form of [`Server::pages`](crate::Server::pages).
    ///
    /// ```no_run
    /// # use opencode_tokio::blocking::Server;
    /// # fn example(server: Server) -> Result<(), opencode_tokio::CallError> {
    /// use opencode_tokio::api::ListMessages;
    ///
    /// let list = ListMessages::new("ses_1fc301c8effe4BhMoDHUvJDQPj").with_limit(50);
    /// for message in server.pages(list) {
    ///     println!("{}", message?.info.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<O: Paged>(&self, list: O) -> PageStream<O> {
        PageStream(self.0.beside(self.0.pages(list)))
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
    /// # use opencode_tokio::blocking::Server;
    /// # fn example(server: Server) -> Result<(), Box<dyn std::error::Error>> {
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

    /// Blocking form of [`Server::output`](crate::Server::output).
    pub fn output(&self) -> Option<ServerOutput> {
        self.0.output().map(|output| ServerOutput(self.0.beside(output)))
    }

    /// Blocking form of [`Server::exited`](crate::Server::exited).
    pub fn exited(&self) -> ServeOutcome {
        self.0.wait(self.0.exited())
    }

    /// Returns the async handle, also for [runs](crate::RunRequest) and batches on this server.
    pub fn as_async(&self) -> &crate::Server {
        &self.0
    }
}

/// Calls return the output itself.
impl Caller for Server {
    type Called<O: Operation<Output: Send> + Send + Sync + 'static> = Result<O::Output, CallError>;

    fn carry_out<O>(&self, operation: O) -> Self::Called<O>
    where
        O: Operation<Output: Send> + Send + Sync + 'static,
    {
        self.call(&operation)
    }
}
