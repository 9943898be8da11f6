use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use opencode_config::ModelRef;
use serde::Serialize;

use crate::api::call::Call;
use crate::api::message::message;
use crate::api::prompt::WirePromptPart;
use crate::api::{ApiError, MessageWithParts, Operation, Pace, PromptFile};
use crate::{MessageId, SessionId};

/// A command (`/review` and the like) for a session to run.
///
/// ```
/// use opencode_proto::CommandRequest;
///
/// let review = CommandRequest::new("review").with_arguments("HEAD~3").with_agent("plan");
/// ```
///
/// `Debug` shows the size of the arguments only.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CommandRequest {
    /// Name of the command, without the slash.
    pub(crate) command: String,
    /// Text after the name.
    pub(crate) arguments: String,
    /// The agent to answer. `None`: the command's.
    pub(crate) agent: Option<String>,
    /// The model to ask. `None`: the command's.
    pub(crate) model: Option<ModelRef>,
    /// Variant of the model, for example `high`.
    pub(crate) variant: Option<String>,
    /// Files to go with the command.
    pub(crate) files: Vec<PromptFile>,
}

impl CommandRequest {
    /// Runs this command, without arguments.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            arguments: String::new(),
            agent: None,
            model: None,
            variant: None,
            files: Vec::new(),
        }
    }

    /// Adds the text after the name.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl Into<String>) -> Self {
        self.arguments = arguments.into();
        self
    }

    /// Has this agent answer.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Asks this model.
    #[must_use]
    pub fn with_model(mut self, model: ModelRef) -> Self {
        self.model = Some(model);
        self
    }

    /// Asks this variant of the model, for example `high`.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn with_file(mut self, file: PromptFile) -> Self {
        self.files.push(file);
        self
    }
}

/// Runs a command and waits for the answer. `POST /session/{sessionID}/command`.
///
/// The result is the last message of the model. A command that does not exist is
/// [`Server`](crate::ApiErrorKind::Server).
///
/// ```
/// use opencode_proto::api::{Command, Operation};
/// use opencode_proto::CommandRequest;
///
/// let request = Command::new("ses_1", "msg_1", CommandRequest::new("review")).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/command");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Command {
    /// The session.
    pub(crate) session: SessionId,
    /// Id for the message (`msg_…`), which identifies the turn.
    pub(crate) message: MessageId,
    /// The command.
    pub(crate) request: CommandRequest,
}

impl Command {
    /// Runs this command.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        request: CommandRequest,
    ) -> Self {
        Self { session: session.into(), message: message.into(), request }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "command"])
    }
}

impl Operation for Command {
    type Output = MessageWithParts;

    fn request(&self) -> Request<Bytes> {
        let request = &self.request;
        self.call().json(&WireCommand {
            message_id: &self.message,
            agent: request.agent.as_deref(),
            model: request.model.as_ref().map(ModelRef::as_str),
            arguments: &request.arguments,
            command: &request.command,
            variant: request.variant.as_deref(),
            parts: request.files.iter().map(WirePromptPart::from).collect(),
        })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<MessageWithParts, ApiError> {
        self.call().read(response, message)
    }

    fn pace(&self) -> Pace {
        Pace::Turn
    }
}

impl fmt::Debug for CommandRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandRequest")
            .field("command", &self.command)
            .field("arguments", &format_args!("{} bytes", self.arguments.len()))
            .field("agent", &self.agent)
            .field("model", &self.model)
            .field("variant", &self.variant)
            .field("files", &self.files)
            .finish()
    }
}

#[derive(Serialize)]
struct WireCommand<'a> {
    #[serde(rename = "messageID")]
    message_id: &'a MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    /// `provider/model`, unlike everywhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    arguments: &'a str,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<WirePromptPart<'a>>,
}
