//! Conversations: sessions of a server, their state, and typed answers.
//!
//! [`Server::create_session`](crate::Server::create_session) creates a [`Session`], and
//! [`Session::send`] returns a [`TurnStream`]: the events of one turn, until
//! [`opencode_proto::Turn`] decides that the turn has ended. All sessions of a directory share one
//! event stream, which is reopened when the connection breaks.
//!
//! ```no_run
//! use opencode_tokio::{CreateSession, OpenCode, PermissionReply, ServeRequest};
//!
//! # async fn example(opencode: OpenCode) -> Result<(), Box<dyn std::error::Error>> {
//! let server = opencode.serve(ServeRequest::new().with_directory("/src/project")).await?;
//! let session = server.create_session(CreateSession::new().with_title("tidy")).await?;
//! let session = session.on_permission(|_| async { PermissionReply::Once });
//! let mut turn = session.send("Tidy up.");
//! while let Some(event) = turn.next_event().await {
//!     if let Some(text) = event.text() {
//!         print!("{text}");
//!     }
//! }
//! let outcome = turn.outcome().await?;
//! println!("{} tool calls, {} USD", outcome.tools().count(), outcome.cost());
//! # Ok(())
//! # }
//! ```

pub(crate) mod core;
mod operations;
pub(crate) mod structured;
pub(crate) mod turn;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opencode_config::ModelRef;
use opencode_proto::{
    BackgroundWork, Feature, Pending, PermissionKind, PermissionReply, PermissionRequest, Prompt,
    QuestionKind, QuestionReply, QuestionRequest, RequestedDirectory, TurnSettings,
};

use crate::http::CallError;
use crate::log::{EventLogConfig, EventLogMode};
use crate::server::Server;
use crate::server::place::wrong_directory;
use crate::session::turn::handler::{AskHandlers, Handler, boxed};
use crate::session::turn::{
    FollowRequest, PostError, PostedPrompt, TurnError, TurnRequest, TurnStream,
};

use self::core::SessionCore;

pub use opencode_proto::api::CreateSession;
pub use opencode_proto::{
    Artifact, ArtifactChange, FileDiff, MessageInfo, MessageWithParts, Role, SessionId,
    SessionInfo, SessionRevert, SessionStatus, Todo,
};
#[cfg(feature = "schema")]
pub use schemars;
pub use structured::{
    AnswerSchema, Misfit, Problem, SchemaError, StructuredError, StructuredOutcome,
    StructuredStream,
};

/// A session of a server. Cloning the handle is cheap.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
/// let session = server.create_session(Default::default()).await?;
/// let outcome = session.send("Which licence does this project have?").outcome().await?;
/// println!("{}", outcome.text());
/// # Ok(())
/// # }
/// ```
///
/// The handle keeps a server that this crate started alive. Dropping the handle does not delete the
/// session: see [`delete`](Self::delete).
#[derive(Clone)]
pub struct Session {
    pub(crate) core: SessionCore,
    handlers: AskHandlers,
    /// Policy decider, which takes precedence over all handlers.
    decider: Option<Handler<PermissionKind>>,
    log: Option<SessionLog>,
}

/// Event log shared by a handle and all clones.
#[derive(Clone)]
struct SessionLog {
    config: EventLogConfig,
    /// Set once a turn has begun to write the log.
    is_begun: Arc<AtomicBool>,
}

impl Session {
    fn new(server: &Server, info: &SessionInfo, model: Option<ModelRef>) -> Self {
        let core = SessionCore::new(server, info, model);
        Self { core, handlers: AskHandlers::default(), decider: None, log: None }
    }

    /// Creates a handle from the server's description of a session.
    pub(crate) fn found(server: &Server, info: &SessionInfo) -> Self {
        if let Some(created_ms) = info.created_ms {
            server.inner.observe_time(created_ms);
        }
        Self::new(server, info, None)
    }

    /// Returns the id of the session, by which the session can be resumed.
    pub fn id(&self) -> &SessionId {
        &self.core.state.id
    }

    /// Returns the project directory of the session.
    pub fn directory(&self) -> Option<&str> {
        self.core.state.directory.as_deref()
    }

    /// Sets the handler for permission requests of the turns of this handle, including those of
    /// subagents. Without a handler, every permission request is rejected, which ends the turn.
    ///
    /// The deadlines of a turn are suspended while the handler runs. When the handler panics, the
    /// permission request is rejected. The handler of one request runs beside those of others. A
    /// rejection is sent when the other requests of the same session have their answers, since
    /// OpenCode rejects all pending requests with one of them.
    #[must_use]
    pub fn on_permission<R>(
        mut self,
        handler: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        self.handlers.set::<PermissionKind, R>(handler);
        self
    }

    /// Sets the decider of all permission requests, which takes precedence over any handlers.
    pub(crate) fn with_decider<R>(
        mut self,
        decider: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        self.decider = Some(boxed::<PermissionKind, R>(decider));
        self
    }

    /// Sets the handler for questions of the turns of this handle, including those of subagents.
    /// Without a handler, questions are dismissed, which ends the turn.
    #[must_use]
    pub fn on_question<R>(
        mut self,
        handler: impl Fn(Pending<QuestionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = QuestionReply> + Send + 'static,
    {
        self.handlers.set::<QuestionKind, R>(handler);
        self
    }

    /// Writes the events of the turns of this handle to a file, as the server sent them, one turn
    /// after the other. The first turn truncates the file or appends to it, depending on the mode
    /// of `log`.
    #[must_use]
    pub fn with_log(mut self, log: EventLogConfig) -> Self {
        self.log = Some(SessionLog { config: log, is_begun: Arc::default() });
        self
    }

    /// Sends a prompt (or a [`TurnRequest`] with more options) and returns the events of the turn.
    /// Nothing is sent until the stream is polled.
    ///
    /// A busy session takes up the prompt after the current step; both turns then end with the same
    /// answer.
    pub fn send(&self, request: impl Into<TurnRequest>) -> TurnStream {
        let mut request = request.into();
        self.complete(&mut request.handlers, &mut request.log);
        TurnStream::new(self.core.clone(), request)
    }

    /// Adds the handlers and the log of the session to those of a request.
    fn complete(&self, handlers: &mut AskHandlers, log: &mut Option<EventLogConfig>) {
        handlers.or(&self.handlers);
        if let Some(decider) = &self.decider {
            handlers.decide_by(decider);
        }
        if log.is_none() {
            *log = self.log.as_ref().map(SessionLog::next);
        }
    }

    /// Posts a prompt and leaves it: the server works on, and [`follow`](Self::follow) takes up the
    /// turn later, in this program or in another one. `POST /session/{sessionID}/prompt_async`.
    ///
    /// All settings of the prompt hold as in [`send`](Self::send). The handlers and the log of this
    /// handle have no part in the post; permission requests and questions wait at the server until
    /// the turn is followed. The prompt is sent once, also when the reply is lost.
    ///
    /// ```no_run
    /// # async fn example(session: opencode_tokio::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::Prompt;
    ///
    /// let posted = session.post(Prompt::from("Tidy up.").with_agent("build")).await?;
    /// println!("{} {}", posted.session, posted.message);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PostError::Refused`] and [`PostError::ToolSwitches`] when the prompt cannot be posted;
    /// [`PostError::Unknown`] and [`PostError::TimedOut`] when the server may have the prompt.
    ///
    /// # Cancel safety
    ///
    /// After cancellation, the server may have the prompt. Nothing is aborted.
    pub async fn post(&self, prompt: impl Into<Prompt>) -> Result<PostedPrompt, PostError> {
        turn::post::post(self.core.clone(), prompt.into()).await
    }

    /// Follows a turn that runs already, whichever program began it: the turn of one prompt, or
    /// ([`FollowRequest::new`]) the one that the session works on.
    ///
    /// The stream begins with the messages that the turn has so far. Permission requests and
    /// questions from before go to the handlers, or come with the events. The turn of a prompt that
    /// has ended before has the same outcome as if it had been followed, from the messages of the
    /// session. Where there is no turn, the stream ends with [`TurnEnd::NothingToFollow`].
    ///
    /// Dropping the stream leaves the turn running, so that it can be followed again:
    /// [`FollowRequest::with_dropped`] changes that. Deadlines and
    /// [`cancel`](TurnStream::cancel) abort the turn.
    ///
    /// ```no_run
    /// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::turn::FollowRequest;
    ///
    /// let session = server.session("ses_1fc301c8effe4BhMoDHUvJDQPj").await?;
    /// let mut turn = session.follow(FollowRequest::new().with_asks_in_stream());
    /// while let Some(event) = turn.next_event().await {
    ///     print!("{}", event.text().unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`TurnEnd::NothingToFollow`]: opencode_proto::TurnEnd::NothingToFollow
    pub fn follow(&self, request: impl Into<FollowRequest>) -> TurnStream {
        let mut request = request.into();
        self.complete(&mut request.handlers, &mut request.log);
        TurnStream::follow(self.core.clone(), request)
    }

    /// Follows the latest turn of the session until neither the session nor a subagent has worked
    /// for this time: work that a turn has left
    /// ([`TurnOutcome::still_running`](opencode_proto::TurnOutcome::still_running)), and prompts
    /// that a plugin posts when the session is idle.
    ///
    /// The outcome is that of the latest turn, with all later work. The requests of the work go to
    /// the handlers of this handle. [`FollowRequest::latest`] has more options.
    ///
    /// ```no_run
    /// # async fn example(session: opencode_tokio::Session) -> Result<(), opencode_tokio::TurnError> {
    /// use std::time::Duration;
    ///
    /// println!("{}", session.ask("Look for bugs with subagents in the background.").await?);
    /// let outcome = session.until_quiet(Duration::from_secs(5)).await?;
    /// println!("{}", outcome.text());
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_quiet(&self, quiet: Duration) -> TurnStream {
        let work = BackgroundWork::AwaitQuiet(quiet);
        let settings = TurnSettings::default().with_background(work);
        self.follow(FollowRequest::latest().with_settings(settings))
    }

    /// Sends a prompt, waits for the end of the turn, and returns only the text of the answer.
    ///
    /// ```no_run
    /// # use opencode_tokio::{Session, TurnError};
    /// # async fn example(session: Session) -> Result<(), TurnError> {
    /// println!("{}", session.ask("Which licence does this project have?").await?);
    /// println!("{}", session.ask("Name it in one word.").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`TurnStream::outcome`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the turn on the server, in the background.
    pub async fn ask(&self, request: impl Into<TurnRequest>) -> Result<String, TurnError> {
        Ok(self.send(request).outcome().await?.text().into_owned())
    }
}

impl SessionLog {
    /// Returns the configuration for the next turn: the first turn uses the configured mode, later
    /// turns append.
    fn next(&self) -> EventLogConfig {
        let config = self.config.clone();
        if self.is_begun.swap(true, Ordering::Relaxed) {
            config.with_mode(EventLogMode::Append)
        } else {
            config
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.core.state.id)
            .field("directory", &self.core.state.directory)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Creates a session. `POST /session`. The first session of a directory is preceded by a survey
    /// (`GET /config`, `GET /mcp`), whose result is in [`warnings`](Self::warnings).
    ///
    /// # Errors
    ///
    /// The errors of the call; [`CallError::Directory`] when OpenCode cannot work in the server's
    /// directory, or works in another one; [`CallError::Unsupported`] when the version of the server
    /// has no metadata of sessions.
    ///
    /// # Cancel safety
    ///
    /// After cancellation, a session may exist on the server without a handle to it.
    pub async fn create_session(&self, create: CreateSession) -> Result<Session, CallError> {
        if create.metadata().is_some() {
            Feature::SessionMetadata.check(self.version())?;
        }
        let place = self.place(None).await?;
        // The session would have the plugins loaded, whose faults OpenCode publishes once.
        drop(self.inner.surroundings(self.directory()).await);
        let info = self.http.call(&create, self.directory()).await?;
        self.inner.check_created(&place.requested, &info).await?;
        if let Some(created_ms) = info.created_ms {
            self.inner.observe_time(created_ms);
        }
        Ok(Session::new(self, &info, create.model().cloned()))
    }

    /// Returns a handle to an existing session, which keeps working in the directory in which it
    /// was created ([`Session::directory`]). `GET /session/{sessionID}`.
    ///
    /// # Errors
    ///
    /// The errors of the call;
    /// [`ApiErrorKind::NotFound`](opencode_proto::api::ApiErrorKind::NotFound) when the session
    /// does not exist; [`CallError::Directory`] when OpenCode would continue the session in another
    /// directory.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn session(&self, id: impl Into<SessionId>) -> Result<Session, CallError> {
        let info = self.call(&opencode_proto::api::ReadSession::new(id)).await?;
        let own = RequestedDirectory::of_server();
        own.check_resumed(&info).map_err(|error| wrong_directory(&own, &info, error))?;
        Ok(Session::new(self, &info, None))
    }
}
