//! File changes of a session.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, list};
use super::{ApiError, Operation, Repeat};
use crate::json::{RawJson, RawText, string};
use crate::part::Lenient;
use crate::run_event::DecodeError;
use crate::{MessageId, SessionId};

/// The change of one file. Mirrors `SnapshotFileDiff`, and the `FileDiff` of versions before 1.4.
///
/// ```
/// use opencode_proto::{FileDiff, RawJson};
///
/// let diff = RawJson::parse(r#"[{"file":"a.txt","additions":2,"deletions":1,"patch":"@@ .."}]"#)?;
/// let [file] = &FileDiff::list(&diff)?[..] else { panic!() };
/// assert_eq!((file.file.as_deref(), file.additions), (Some("a.txt"), 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FileDiff {
    /// Path of the file, relative to the root of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Box<str>>,
    /// `added`, `deleted` or `modified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<str>>,
    /// Number of added lines.
    pub additions: u64,
    /// Number of removed lines.
    pub deletions: u64,
    /// The change as a unified diff (since 1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<RawText>,
    /// The text before the change (before 1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<RawText>,
    /// The text after the change (before 1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RawText>,
}

impl FileDiff {
    /// Decodes a JSON array of file changes, as in
    /// [`SessionDiff`](crate::ServerEventKind::SessionDiff).
    ///
    /// # Errors
    ///
    /// The first element that is not the change of a file, with the index; or the JSON is no array.
    pub fn list(diff: &RawJson) -> Result<Vec<Self>, DecodeError> {
        let bytes = Bytes::copy_from_slice(diff.as_bytes());
        Ok(list(&bytes, |raw| Self::decode(&bytes, raw))?)
    }

    /// Decodes a change of which no memory is shared.
    pub(crate) fn copied(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let bytes = Bytes::copy_from_slice(raw.get().as_bytes());
        Self::decode(&bytes, serde_json::from_slice(&bytes)?)
    }

    fn decode(line: &Bytes, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let wire: WireDiff<'_> = serde_json::from_str(raw.get())?;
        let short = |raw: Option<&RawValue>| raw.and_then(string).map(Box::from);
        let text = |raw: Option<&RawValue>| raw.and_then(|raw| RawText::slice(line, raw));
        Ok(Self {
            file: short(wire.file),
            status: short(wire.status),
            additions: wire.additions.count(),
            deletions: wire.deletions.count(),
            patch: text(wire.patch),
            before: text(wire.before),
            after: text(wire.after),
        })
    }
}

/// Reads the file changes of a session. `GET /session/{sessionID}/diff`.
///
/// 1.18.33 answers with nothing unless the operation names a message.
///
/// ```
/// use opencode_proto::api::{Operation, SessionDiff};
///
/// let diff = SessionDiff::new("ses_1").with_message("msg_1");
/// assert_eq!(diff.request().uri(), "/session/ses_1/diff?messageID=msg_1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionDiff {
    pub(crate) session: SessionId,
    pub(crate) message: Option<MessageId>,
}

impl SessionDiff {
    /// Reads the changes of all turns of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into(), message: None }
    }

    /// Restricts the changes to the turn of this user message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<MessageId>) -> Self {
        self.message = Some(message.into());
        self
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str(), "diff"])
            .query("messageID", self.message.as_ref())
    }
}

impl Operation for SessionDiff {
    type Output = Vec<FileDiff>;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<FileDiff>, ApiError> {
        self.call().read(response, |body| list(body, |raw| FileDiff::decode(body, raw)))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

#[derive(Deserialize)]
struct WireDiff<'a> {
    #[serde(borrow, default)]
    file: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    additions: Lenient,
    deletions: Lenient,
    #[serde(borrow, default)]
    patch: Option<&'a RawValue>,
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
}
