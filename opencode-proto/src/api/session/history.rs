use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation};
use crate::{MessageId, PartId, SessionId, SessionInfo};

/// Creates a session with the messages of another. `POST /session/{sessionID}/fork`.
///
/// The copied messages get new ids. The new session has no parent and no permission rules.
///
/// ```
/// use opencode_proto::api::{ForkSession, Operation};
///
/// let fork = ForkSession::new("ses_1").with_before("msg_3");
/// assert_eq!(fork.request().uri(), "/session/ses_1/fork");
/// assert_eq!(fork.request().body(), r#"{"messageID":"msg_3"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkSession {
    pub(crate) session: SessionId,
    pub(crate) before: Option<MessageId>,
}

impl ForkSession {
    /// Copies all messages of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into(), before: None }
    }

    /// Leaves out this message and all later ones.
    #[must_use]
    pub fn with_before(mut self, before: impl Into<MessageId>) -> Self {
        self.before = Some(before.into());
        self
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "fork"])
    }
}

impl Operation for ForkSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct WireFork<'a> {
            #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
            message_id: Option<&'a MessageId>,
        }
        self.call().json(&WireFork { message_id: self.before.as_ref() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

/// Reverts a message, or the rest of a message from a part on, and all messages after; files are
/// restored. `POST /session/{sessionID}/revert`.
///
/// The next prompt deletes the reverted messages; until then [`UnrevertSession`] restores them. A
/// revert that would leave nothing of an answer reverts the prompt too. The server responds with
/// [`Busy`](crate::ApiErrorKind::Busy) while the session works on a prompt.
///
/// ```
/// use opencode_proto::api::{Operation, RevertSession};
///
/// let revert = RevertSession::new("ses_1", "msg_2").with_part("prt_5");
/// assert_eq!(revert.request().body(), r#"{"messageID":"msg_2","partID":"prt_5"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevertSession {
    pub(crate) session: SessionId,
    pub(crate) message: MessageId,
    pub(crate) part: Option<PartId>,
}

impl RevertSession {
    /// Reverts this message and all later ones.
    pub fn new(session: impl Into<SessionId>, message: impl Into<MessageId>) -> Self {
        Self { session: session.into(), message: message.into(), part: None }
    }

    /// Keeps the parts of the message before this one.
    #[must_use]
    pub fn with_part(mut self, part: impl Into<PartId>) -> Self {
        self.part = Some(part.into());
        self
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "revert"])
    }
}

impl Operation for RevertSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct WireRevertRequest<'a> {
            #[serde(rename = "messageID")]
            message_id: &'a MessageId,
            #[serde(rename = "partID", skip_serializing_if = "Option::is_none")]
            part_id: Option<&'a PartId>,
        }
        self.call()
            .json(&WireRevertRequest { message_id: &self.message, part_id: self.part.as_ref() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

/// Restores the reverted messages. `POST /session/{sessionID}/unrevert`.
///
/// The server responds with [`Busy`](crate::ApiErrorKind::Busy) while the session works on a
/// prompt.
///
/// ```
/// use opencode_proto::api::{Operation, UnrevertSession};
///
/// let request = UnrevertSession::new("ses_1").request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/unrevert");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnrevertSession {
    pub(crate) session: SessionId,
}

impl UnrevertSession {
    /// Restores the reverted messages of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "unrevert"])
    }
}

impl Operation for UnrevertSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}
