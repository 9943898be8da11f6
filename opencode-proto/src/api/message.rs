//! Messages of a session.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, list, nothing, one, within};
use super::{ApiError, Operation, Repeat};
use crate::part::Part;
use crate::{MessageId, MessageInfo, PartId, SessionId};

/// A message with all parts. Mirrors `{info, parts}`.
///
/// Values are slices of the reply, as those of an event are slices of the chunk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MessageWithParts {
    /// The message.
    pub info: MessageInfo,
    /// The parts of the message, in order.
    pub parts: Vec<Part>,
}

impl MessageWithParts {
    /// Creates a message with these parts.
    pub fn new(info: MessageInfo, parts: Vec<Part>) -> Self {
        Self { info, parts }
    }
}

/// Some messages of a session, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<MessageWithParts>,
    /// Cursor of the page with older messages; `None` for the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<MessageCursor>,
}

/// The server's name for a place in the messages of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct MessageCursor(Box<str>);

/// Reads messages of a session: all of them, or a page of the newest.
/// `GET /session/{sessionID}/message`.
///
/// One unreadable message or part makes the reply [`Unreadable`](super::ApiErrorKind::Unreadable),
/// with the place: a list with a gap would pass for a whole one. 1.18.33 answers with status 400
/// for a session that was ever prompted with
/// [`OutputFormat::JsonSchema`](crate::OutputFormat::JsonSchema), as [`ReadMessage`] does for that
/// prompt.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ListMessages, Operation};
///
/// let newest = ListMessages::new("ses_1").with_limit(1);
/// assert_eq!(newest.request().uri(), "/session/ses_1/message?limit=1");
///
/// let reply = Response::builder()
///     .header("x-next-cursor", "abc")
///     .body(r#"[{"info":{"id":"msg_2","role":"assistant"},"parts":[]}]"#.into())?;
/// let page = newest.decode(reply)?;
/// assert_eq!(page.messages[0].info.id, "msg_2");
///
/// let older = newest.with_before(page.next.unwrap());
/// assert_eq!(older.request().uri(), "/session/ses_1/message?limit=1&before=abc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListMessages {
    pub(crate) session: SessionId,
    pub(crate) limit: Option<u32>,
    pub(crate) before: Option<MessageCursor>,
}

impl MessageWithParts {
    /// Decodes a message from `raw`, which must borrow the memory of `body`.
    pub(crate) fn decode(body: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct WireMessageWithParts<'a> {
            #[serde(borrow)]
            info: &'a RawValue,
            #[serde(borrow)]
            parts: &'a RawValue,
        }
        let wire: WireMessageWithParts<'_> = serde_json::from_str(raw.get())?;
        let info = MessageInfo::decode(body, wire.info)?;
        let parts = list(wire.parts.get().as_bytes(), |raw| Part::decode(body, raw))
            .map_err(|error| within("parts of", &info.id, &error))?;
        Ok(Self { info, parts })
    }
}

impl MessageCursor {
    /// Returns the cursor in the server's spelling.
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
    /// Reads all messages of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into(), limit: None, before: None }
    }

    /// Reads only the newest messages, up to this number.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Reads the page at this cursor ([`MessagePage::next`]). Needs a limit.
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
///
/// ```
/// use opencode_proto::api::{Operation, ReadMessage};
///
/// let request = ReadMessage::new("ses_1", "msg_1").request();
/// assert_eq!(request.method(), "GET");
/// assert_eq!(request.uri(), "/session/ses_1/message/msg_1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadMessage {
    pub(crate) session: SessionId,
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

/// Deletes a message with all parts. `DELETE /session/{sessionID}/message/{messageID}`.
///
/// The server responds with [`Busy`](super::ApiErrorKind::Busy) while the session works on a
/// prompt. The deletion of a message that does not exist succeeds.
///
/// ```
/// use opencode_proto::api::{DeleteMessage, Operation};
///
/// let request = DeleteMessage::new("ses_1", "msg_1").request();
/// assert_eq!(request.method(), "DELETE");
/// assert_eq!(request.uri(), "/session/ses_1/message/msg_1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteMessage {
    pub(crate) session: SessionId,
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
/// The deletion of a part that does not exist succeeds.
///
/// ```
/// use opencode_proto::api::{DeletePart, Operation};
///
/// let request = DeletePart::new("ses_1", "msg_1", "prt_1").request();
/// assert_eq!(request.method(), "DELETE");
/// assert_eq!(request.uri(), "/session/ses_1/message/msg_1/part/prt_1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletePart {
    pub(crate) session: SessionId,
    pub(crate) message: MessageId,
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
        let (message, part) = (self.message.as_str(), self.part.as_str());
        Call::delete(["session", self.session.as_str(), "message", message, "part", part])
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

/// Reads a reply that is one message with all parts.
pub(super) fn message(body: &Bytes) -> Result<MessageWithParts, serde_json::Error> {
    one(body, |raw| MessageWithParts::decode(body, raw))
}
