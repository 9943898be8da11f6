use std::fmt;
use std::future::Future;

use opencode_proto::{
    Deadlines, DroppedFollow, FollowTarget, MessageId, Pending, PermissionKind, PermissionReply,
    PermissionRequest, QuestionKind, QuestionReply, QuestionRequest, TurnSettings,
};

use super::handler::AskHandlers;
use super::post::PostedPrompt;
use crate::log::EventLogConfig;

/// Request to follow a turn that runs already, or the work that goes on after a turn: see
/// [`Session::follow`](crate::Session::follow).
///
/// ```
/// use std::time::Duration;
/// use opencode_tokio::turn::{DroppedFollow, FollowRequest};
/// use opencode_tokio::{Deadlines, PermissionReply};
///
/// // The turn of one prompt, whether it still runs or not.
/// let request = FollowRequest::new()
///     .with_prompt("msg_1fc301ca9001900pf1RaXDn36k")
///     .with_deadlines(Deadlines::default().with_overall(Duration::from_secs(300)))
///     .on_permission(|_| async { PermissionReply::Once });
/// # drop(request);
///
/// // The turn that the session works on, which ends with the stream.
/// let request = FollowRequest::new().with_dropped(DroppedFollow::Abort);
/// # drop(request);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct FollowRequest {
    pub(super) target: FollowTarget,
    pub(super) dropped: DroppedFollow,
    pub(super) settings: TurnSettings,
    pub(crate) log: Option<EventLogConfig>,
    pub(crate) handlers: AskHandlers,
}

impl FollowRequest {
    /// Creates a request for the turn that the session works on.
    pub fn new() -> Self {
        Self {
            target: FollowTarget::Running,
            dropped: DroppedFollow::default(),
            settings: TurnSettings::default(),
            log: None,
            handlers: AskHandlers::default(),
        }
    }

    /// Creates a request for the latest turn of the session, ended or not, and for all subagents of
    /// the session that still work.
    pub fn latest() -> Self {
        Self { target: FollowTarget::Latest, ..Self::new() }
    }

    /// Follows the turn of this prompt, which may have ended before. Default: the turn that the
    /// session works on.
    #[must_use]
    pub fn with_prompt(self, prompt: impl Into<MessageId>) -> Self {
        Self { target: FollowTarget::Prompt(prompt.into()), ..self }
    }

    /// Returns the prompt whose turn is followed, when known.
    #[must_use]
    pub fn prompt(&self) -> Option<&MessageId> {
        self.target.prompt()
    }

    /// Returns the turn that is followed.
    #[must_use]
    pub fn target(&self) -> &FollowTarget {
        &self.target
    }

    /// Sets the effect of dropping the stream. Default: the turn goes on.
    #[must_use]
    pub fn with_dropped(self, dropped: DroppedFollow) -> Self {
        Self { dropped, ..self }
    }

    /// Returns the effect of dropping the stream.
    #[must_use]
    pub fn dropped(&self) -> DroppedFollow {
        self.dropped
    }

    /// Sets the deadlines, which count from the moment of following. A deadline that passes aborts
    /// the turn.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.settings = self.settings.with_deadlines(deadlines);
        self
    }

    /// Sets deadlines and limits.
    #[must_use]
    pub fn with_settings(self, settings: TurnSettings) -> Self {
        Self { settings, ..self }
    }

    /// Returns deadlines and limits.
    #[must_use]
    pub fn settings(&self) -> &TurnSettings {
        &self.settings
    }

    /// Lets `handler` decide about the permission requests of the turn, in place of the session's
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

    /// Lets `handler` answer the questions of the turn, in place of the session's handler.
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
    /// [`TurnRequest::with_asks_in_stream`](super::TurnRequest::with_asks_in_stream).
    #[must_use]
    pub fn with_asks_in_stream(mut self) -> Self {
        self.handlers.offer_unhandled();
        self
    }

    /// Writes every event from now on to a file, as the server sent it.
    #[must_use]
    pub fn with_log(self, log: EventLogConfig) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Returns the log that every event is written to.
    #[must_use]
    pub fn log(&self) -> Option<&EventLogConfig> {
        self.log.as_ref()
    }
}

impl Default for FollowRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl From<MessageId> for FollowRequest {
    fn from(prompt: MessageId) -> Self {
        Self::new().with_prompt(prompt)
    }
}

impl From<PostedPrompt> for FollowRequest {
    fn from(posted: PostedPrompt) -> Self {
        posted.message.into()
    }
}

impl fmt::Debug for FollowRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowRequest")
            .field("target", &self.target)
            .field("dropped", &self.dropped)
            .field("settings", &self.settings)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
