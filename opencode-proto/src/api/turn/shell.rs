use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::ModelRef;
use serde::Serialize;

use crate::api::call::Call;
use crate::api::message::message;
use crate::api::prompt::WireModel;
use crate::api::{ApiError, MessageWithParts, Operation, Pace};
use crate::{MessageId, SessionId};

/// A command line for a session to run, whose output becomes part of the conversation.
///
/// `Debug` shows the size of the command line only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShellRequest {
    /// The agent in whose name the command line runs.
    pub(crate) agent: String,
    /// The command line.
    pub(crate) command: String,
}

impl ShellRequest {
    /// Runs this command line in the name of `agent`.
    pub fn new(agent: impl Into<String>, command: impl Into<String>) -> Self {
        Self { agent: agent.into(), command: command.into() }
    }
}

/// Runs a command line in the session's directory, puts the line and the output into the
/// conversation, and waits for the end. No model and no permission is asked. `POST
/// /session/{sessionID}/shell`.
///
/// The result is a message of the model's with a part of tool `bash`.
/// [`Busy`](crate::ApiErrorKind::Busy) while the session works on a prompt.
///
/// ```
/// use opencode_proto::api::{Operation, Shell};
/// use opencode_proto::ShellRequest;
///
/// let request = Shell::new("ses_1", "msg_1", ShellRequest::new("build", "ls")).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/shell");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shell {
    /// The session.
    pub(crate) session: SessionId,
    /// Id for the message (`msg_…`), which identifies the turn.
    pub(crate) message: MessageId,
    /// The command line.
    pub(crate) request: ShellRequest,
    /// The model that the message names. `None`: the agent's, or the session's.
    pub(crate) model: Option<ModelRef>,
}

impl Shell {
    /// Runs this command line.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        request: ShellRequest,
    ) -> Self {
        Self { session: session.into(), message: message.into(), request, model: None }
    }

    /// Names this model in the message.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "shell"])
    }
}

impl Operation for Shell {
    type Output = MessageWithParts;

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct ShellBody<'a> {
            #[serde(rename = "messageID")]
            message_id: &'a MessageId,
            agent: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            model: Option<WireModel<'a>>,
            command: &'a str,
        }
        self.call().json(&ShellBody {
            message_id: &self.message,
            agent: &self.request.agent,
            model: self.model.as_ref().map(WireModel::from),
            command: &self.request.command,
        })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<MessageWithParts, ApiError> {
        self.call().read(response, message)
    }

    fn pace(&self) -> Pace {
        Pace::Turn
    }
}

impl fmt::Debug for ShellRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShellRequest")
            .field("agent", &self.agent)
            .field("command", &format_args!("{} bytes", self.command.len()))
            .finish()
    }
}
