//! Operations that begin a turn of a session.

mod command;
mod shell;
mod summarize;

use bytes::Bytes;
use http::{Request, Response};

pub use command::{Command, CommandRequest};
pub use shell::{Shell, ShellRequest};
pub use summarize::{Init, InitRequest, Summarize, SummarizeRequest};

use super::call::{Call, nothing};
use super::message::message;
use super::prompt::WirePrompt;
use super::{ApiError, MessageWithParts, Operation, Pace, Prompt};
use crate::{MessageId, SessionId};

/// Prompts a session and does not wait for the answer. `POST /session/{sessionID}/prompt_async`.
///
/// Later failures are in the event stream only. A session that is at
/// work takes the prompt up after the current step. Sent again with the same message, the turn may
/// run twice.
///
/// ```
/// use opencode_proto::api::{Operation, PromptAsync};
/// use opencode_proto::Prompt;
///
/// let request = PromptAsync::new("ses_1", "msg_1", Prompt::from("Tidy up.")).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/prompt_async");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PromptAsync {
    /// The session.
    pub(crate) session: SessionId,
    /// Id for the message (`msg_…`), which identifies the turn.
    /// OpenCode's own ids sort by time, and parts of it rely on that.
    pub(crate) message: MessageId,
    /// The prompt.
    pub(crate) prompt: Prompt,
}

impl PromptAsync {
    /// Prompts this session; `message` becomes the id of the user message.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        prompt: impl Into<Prompt>,
    ) -> Self {
        Self { session: session.into(), message: message.into(), prompt: prompt.into() }
    }

    /// Returns the session to prompt.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Returns the id of the user message.
    pub fn message(&self) -> &MessageId {
        &self.message
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "prompt_async"])
    }
}

impl Operation for PromptAsync {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().json(&WirePrompt::new(&self.message, &self.prompt))
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Prompts a session and waits for the answer. `POST /session/{sessionID}/message`.
///
/// The result is the last message of the model; an answer that failed or was aborted is one too,
/// with the error. Servers before 1.0.150 have this alone.
///
/// ```
/// use opencode_proto::api::{Operation, SendMessage};
/// use opencode_proto::Prompt;
///
/// let request = SendMessage::new("ses_1", "msg_1", Prompt::from("Tidy up.")).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/message");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SendMessage {
    /// The session.
    pub(crate) session: SessionId,
    /// Id for the message (`msg_…`), which identifies the turn.
    pub(crate) message: MessageId,
    /// The prompt.
    pub(crate) prompt: Prompt,
}

impl SendMessage {
    /// Prompts this session; `message` becomes the id of the user message.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        prompt: impl Into<Prompt>,
    ) -> Self {
        Self { session: session.into(), message: message.into(), prompt: prompt.into() }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "message"])
    }
}

impl Operation for SendMessage {
    type Output = MessageWithParts;

    fn request(&self) -> Request<Bytes> {
        self.call().json(&WirePrompt::new(&self.message, &self.prompt))
    }

    fn decode(&self, response: Response<Bytes>) -> Result<MessageWithParts, ApiError> {
        self.call().read(response, message)
    }

    fn pace(&self) -> Pace {
        Pace::Turn
    }
}
