//! The messages of a session.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Call, list, nothing, one, within};
use super::{ApiError, Operation, Repeat};
use crate::part::Part;
use crate::{MessageId, MessageInfo, PartId, SessionId};

/// A message with all its parts. Mirrors `{info, parts}`.
///
/// What it holds are slices of the reply, as in events of the chunk they came in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessageWithParts {
    /// The message.
    pub info: MessageInfo,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

impl MessageWithParts {
    /// A message with these parts.
    pub fn new(info: MessageInfo, parts: Vec<Part>) -> Self {
        Self { info, parts }
    }
}

/// Some messages of a session, the oldest first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<MessageWithParts>,
    /// Where the older ones are. `None`: there are none.
    pub next: Option<MessageCursor>,
}

/// A place in the messages of a session, as the server names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCursor(Box<str>);

/// Reads messages of a session: all of them, or the newest so many. `GET /session/{sessionID}/message`.
///
/// One message or part that cannot be read makes the reply
/// [`Unreadable`](super::ApiErrorKind::Unreadable), with its place: a list with a gap would pass for a whole one.
/// 1.18.33 answers 400 for a session that was ever prompted for an answer of a given form
/// ([`OutputFormat::JsonSchema`](crate::OutputFormat::JsonSchema)), and [`ReadMessage`] does for that prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListMessages {
    /// The session.
    pub(crate) session: SessionId,
    /// How many at most. `None`: all.
    pub(crate) limit: Option<u32>,
    /// Only older ones than these. Needs a limit.
    pub(crate) before: Option<MessageCursor>,
}

impl MessageWithParts {
    pub(crate) fn decode(body: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            info: &'a RawValue,
            #[serde(borrow)]
            parts: &'a RawValue,
        }
        let wire: Wire<'_> = serde_json::from_str(raw.get())?;
        let info = MessageInfo::decode(body, wire.info)?;
        let parts = list(wire.parts.get().as_bytes(), |raw| Part::decode(body, raw))
            .map_err(|error| within("parts of", &info.id, &error))?;
        Ok(Self { info, parts })
    }
}

impl MessageCursor {
    /// The cursor as the server writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for MessageCursor {
    fn from(cursor: &str) -> Self {
        Self(cursor.into())
    }
}

impl ListMessages {
    /// All messages of a session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into(), limit: None, before: None }
    }

    /// Only the newest so many.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Only older ones than the page that [`MessagePage::next`] is from. Needs a limit.
    #[must_use]
    pub fn with_before(mut self, cursor: MessageCursor) -> Self {
        self.before = Some(cursor);
        self
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str(), "message"])
            .query("limit", self.limit)
            .query("before", self.before.as_ref().map(MessageCursor::as_str))
    }
}

impl Operation for ListMessages {
    type Output = MessagePage;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<MessagePage, ApiError> {
        self.call().read_all(response, |headers, body| {
            let messages = list(body, |raw| MessageWithParts::decode(body, raw))?;
            let next = headers.get("x-next-cursor").and_then(|cursor| cursor.to_str().ok());
            Ok(MessagePage { messages, next: next.map(MessageCursor::from) })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Reads one message. `GET /session/{sessionID}/message/{messageID}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadMessage {
    /// The session.
    pub(crate) session: SessionId,
    /// The message.
    pub(crate) message: MessageId,
}

impl ReadMessage {
    /// Reads this message.
    pub fn new(session: impl Into<SessionId>, message: impl Into<MessageId>) -> Self {
        Self { session: session.into(), message: message.into() }
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str(), "message", self.message.as_str()])
    }
}

impl Operation for ReadMessage {
    type Output = MessageWithParts;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<MessageWithParts, ApiError> {
        self.call().read(response, message)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Deletes a message and its parts. `DELETE /session/{sessionID}/message/{messageID}`.
///
/// [`Busy`](super::ApiErrorKind::Busy) while the session works on a prompt. Succeeds also when there is no such
/// message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteMessage {
    /// The session.
    pub(crate) session: SessionId,
    /// The message.
    pub(crate) message: MessageId,
}

impl DeleteMessage {
    /// Deletes this message.
    pub fn new(session: impl Into<SessionId>, message: impl Into<MessageId>) -> Self {
        Self { session: session.into(), message: message.into() }
    }

    fn call(&self) -> Call {
        Call::delete(["session", self.session.as_str(), "message", self.message.as_str()])
    }
}

impl Operation for DeleteMessage {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Deletes a part of a message. `DELETE /session/{sessionID}/message/{messageID}/part/{partID}`.
///
/// Succeeds also when there is no such part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletePart {
    /// The session.
    pub(crate) session: SessionId,
    /// The message.
    pub(crate) message: MessageId,
    /// The part.
    pub(crate) part: PartId,
}

impl DeletePart {
    /// Deletes this part.
    pub fn new(
        session: impl Into<SessionId>,
        message: impl Into<MessageId>,
        part: impl Into<PartId>,
    ) -> Self {
        Self { session: session.into(), message: message.into(), part: part.into() }
    }

    fn call(&self) -> Call {
        let message = self.message.as_str();
        Call::delete([
            "session",
            self.session.as_str(),
            "message",
            message,
            "part",
            self.part.as_str(),
        ])
    }
}

impl Operation for DeletePart {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Reads a reply that is one message with its parts.
pub(super) fn message(body: &Bytes) -> Result<MessageWithParts, serde_json::Error> {
    one(body, |raw| MessageWithParts::decode(body, raw))
}
