use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation};
use crate::{MessageId, PartId, SessionId, SessionInfo};

/// Makes a new session with the messages of another. `POST /session/{sessionID}/fork`.
///
/// The messages get new ids. The new session has no parent, and no permission rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkSession {
    /// The session to copy from.
    pub(crate) session: SessionId,
    /// The first message that is not copied. `None`: all are.
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
        struct Body<'a> {
            #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
            message_id: Option<&'a MessageId>,
        }
        self.call().json(&Body { message_id: self.before.as_ref() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

/// Takes back a message, or the rest of it from a part on, and all after it; files are restored.
/// `POST /session/{sessionID}/revert`.
///
/// The next prompt deletes what was taken back; until then [`UnrevertSession`] has it back. Where nothing of an answer
/// would be left, its prompt is taken back too.
/// [`Busy`](crate::ApiErrorKind::Busy) while the session works on a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevertSession {
    /// The session.
    pub(crate) session: SessionId,
    /// The first message to take back.
    pub(crate) message: MessageId,
    /// The part of it from which on. `None`: all of it.
    pub(crate) part: Option<PartId>,
}

impl RevertSession {
    /// Reverts this message and all later ones.
    pub fn new(session: impl Into<SessionId>, message: impl Into<MessageId>) -> Self {
        Self { session: session.into(), message: message.into(), part: None }
    }

    /// Keeps the parts of the message that come before this one.
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
        struct Body<'a> {
            #[serde(rename = "messageID")]
            message_id: &'a MessageId,
            #[serde(rename = "partID", skip_serializing_if = "Option::is_none")]
            part_id: Option<&'a PartId>,
        }
        self.call().json(&Body { message_id: &self.message, part_id: self.part.as_ref() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

/// Has back what was taken back. `POST /session/{sessionID}/unrevert`.
///
/// [`Busy`](crate::ApiErrorKind::Busy) while the session works on a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnrevertSession {
    /// The session.
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
