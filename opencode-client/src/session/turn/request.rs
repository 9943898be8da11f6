use std::fmt;
use std::future::Future;

use opencode_proto::{
    Deadlines, DroppedFollow, FollowTarget, Pending, PermissionKind, PermissionReply,
    PermissionRequest, Prompt, QuestionKind, QuestionReply, QuestionRequest, TurnPost,
    TurnSettings,
};

use super::follow::FollowRequest;
use super::handler::AskHandlers;
use crate::log::EventLogConfig;

/// Request for a turn: a prompt, a command, a command line or `AGENTS.md`, and how the turn goes.
///
/// ```
/// use std::time::Duration;
/// use opencode_tokio::turn::CommandRequest;
/// use opencode_tokio::{Deadlines, PermissionReply, Prompt, TurnRequest};
///
/// let request = TurnRequest::from(Prompt::from("Tidy up.").with_agent("build"))
///     .with_deadlines(Deadlines::default().with_overall(Duration::from_secs(300)))
///     .on_permission(|ask| async move {
///         if ask.request.permission == "bash" {
///             PermissionReply::reject()
///         } else {
///             PermissionReply::Once
///         }
///     });
/// # drop(request);
///
/// let request = TurnRequest::from(CommandRequest::new("review").with_arguments("HEAD~3"))
///     .with_asks_in_stream();
/// # drop(request);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct TurnRequest {
    pub(super) post: TurnPost,
    pub(super) settings: TurnSettings,
    pub(crate) log: Option<EventLogConfig>,
    pub(crate) handlers: AskHandlers,
}

impl TurnRequest {
    /// Creates a request for a turn that begins with this post, for example a prompt.
    pub fn new(post: impl Into<TurnPost>) -> Self {
        Self {
            post: post.into(),
            settings: TurnSettings::default(),
            log: None,
            handlers: AskHandlers::default(),
        }
    }

    /// Sets the deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings = self.settings.with_deadlines(deadlines);
        self
    }

    /// Sets deadlines and limits.
    #[must_use]
    pub fn with_settings(mut self, settings: TurnSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Returns deadlines and limits.
    #[must_use]
    pub fn settings(&self) -> &TurnSettings {
        &self.settings
    }

    /// Lets `handler` decide about the permission requests of this turn, in place of the session's
    /// handler.
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

    /// Lets `handler` answer the questions of this turn, in place of the session's handler.
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

    /// Hands asks to the reader of the stream: see
    /// [`TurnStream::take_ask`](super::TurnStream::take_ask). Handlers of this turn come first,
    /// those of the session are not asked.
    #[must_use]
    pub fn with_asks_in_stream(mut self) -> Self {
        self.handlers.offer_unhandled();
        self
    }

    /// Writes every event to a file, as the server sent it.
    #[must_use]
    pub fn with_log(mut self, log: EventLogConfig) -> Self {
        self.log = Some(log);
        self
    }

    /// Returns the log that every event is written to.
    #[must_use]
    pub fn log(&self) -> Option<&EventLogConfig> {
        self.log.as_ref()
    }

    /// Returns the prompt, if the turn begins with one.
    pub(crate) fn prompt_mut(&mut self) -> Option<&mut Prompt> {
        if let TurnPost::Prompt(prompt) = &mut self.post { Some(prompt) } else { None }
    }
}

/// Everything that a turn is begun with.
pub(super) struct TurnStart {
    pub(super) begin: TurnBegin,
    pub(super) settings: TurnSettings,
    pub(super) log: Option<EventLogConfig>,
    pub(super) handlers: AskHandlers,
}

/// Beginning of a turn.
pub(super) enum TurnBegin {
    /// A turn that was there before.
    Follow(FollowTarget, DroppedFollow),
    Post(TurnPost),
}

impl From<TurnRequest> for TurnStart {
    fn from(request: TurnRequest) -> Self {
        let TurnRequest { post, settings, log, handlers } = request;
        Self { begin: TurnBegin::Post(post), settings, log, handlers }
    }
}

impl From<FollowRequest> for TurnStart {
    fn from(request: FollowRequest) -> Self {
        let FollowRequest { target, dropped, settings, log, handlers } = request;
        Self { begin: TurnBegin::Follow(target, dropped), settings, log, handlers }
    }
}

impl<P: Into<TurnPost>> From<P> for TurnRequest {
    fn from(post: P) -> Self {
        Self::new(post)
    }
}

impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnRequest")
            .field("post", &self.post)
            .field("settings", &self.settings)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
