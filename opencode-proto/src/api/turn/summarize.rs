use bytes::Bytes;
use http::{Request, Response};
use opencode_config::ModelRef;
use serde::Serialize;

use crate::api::call::{Call, nothing};
use crate::api::prompt::WireModel;
use crate::api::{ApiError, Operation, Pace};
use crate::{MessageId, SessionId};

/// Has a model summarise the conversation, which makes room in the context, and waits for the
/// summary. `POST /session/{sessionID}/summarize`.
///
/// ```
/// use opencode_proto::api::{Operation, Summarize};
/// use opencode_config::ModelRef;
///
/// let model = ModelRef::new("anthropic/claude-haiku-4-5")?;
/// let request = Summarize::new("ses_1", model).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/summarize");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summarize {
    /// The session.
    pub(crate) session: SessionId,
    /// The model to ask.
    pub(crate) model: ModelRef,
}

impl Summarize {
    /// Summarizes this session with this model.
    pub fn new(session: impl Into<SessionId>, model: ModelRef) -> Self {
        Self { session: session.into(), model }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "summarize"])
    }
}

impl Operation for Summarize {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().json(&WireModel::from(&self.model))
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }

    fn pace(&self) -> Pace {
        Pace::Turn
    }
}

/// A request to summarize the conversation, which makes room in the context.
///
/// ```
/// use opencode_proto::{SummarizeRequest, TurnPost};
///
/// let request = SummarizeRequest::new("anthropic/claude-haiku-4-5".parse()?);
/// assert!(matches!(TurnPost::from(request), TurnPost::Summarize(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SummarizeRequest {
    /// The model to ask.
    pub(crate) model: ModelRef,
}

impl SummarizeRequest {
    /// Has this model write the summary.
    pub fn new(model: ModelRef) -> Self {
        Self { model }
    }
}

/// A request to write `AGENTS.md` for the project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitRequest {
    /// The model to ask.
    pub(crate) model: ModelRef,
}

impl InitRequest {
    /// Has this model look at the project and write the file.
    pub fn new(model: ModelRef) -> Self {
        Self { model }
    }
}

/// Has a model write `AGENTS.md` for the project, and waits for it.
/// `POST /session/{sessionID}/init`.
///
/// ```
/// use opencode_proto::api::{Init, Operation};
/// use opencode_config::ModelRef;
/// use opencode_proto::InitRequest;
///
/// let model = ModelRef::new("anthropic/claude-haiku-4-5")?;
/// let request = Init::new("ses_1", "msg_1", InitRequest::new(model)).request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/init");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Init {
    /// The session.
    pub(crate) session: SessionId,
    /// Id for the message (`msg_…`), which identifies the turn.
    pub(crate) message: MessageId,
    /// The model to ask.
    pub(crate) request: InitRequest,
}

impl Init {
    /// Writes `AGENTS.md`; `message` becomes the id of the user message.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        request: InitRequest,
    ) -> Self {
        Self { session: session.into(), message: message.into(), request }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "init"])
    }
}

impl Operation for Init {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct SummarizeBody<'a> {
            #[serde(flatten)]
            model: WireModel<'a>,
            #[serde(rename = "messageID")]
            message_id: &'a MessageId,
        }
        self.call().json(&SummarizeBody {
            model: WireModel::from(&self.request.model),
            message_id: &self.message,
        })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }

    fn pace(&self) -> Pace {
        Pace::Turn
    }
}
