//! What a session changed in files.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Call, list};
use super::{ApiError, Operation, Repeat};
use crate::json::{RawJson, RawText, string};
use crate::part::Lenient;
use crate::run_event::DecodeError;
use crate::{MessageId, SessionId};

/// What changed in one file. Mirrors `SnapshotFileDiff`, and the `FileDiff` of versions before 1.4.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FileDiff {
    /// The file, relative to the project's root.
    pub file: Option<Box<str>>,
    /// `added`, `deleted` or `modified`.
    pub status: Option<Box<str>>,
    /// How many lines were added.
    pub additions: u64,
    /// How many lines were removed.
    pub deletions: u64,
    /// The change as a unified diff (since 1.4).
    pub patch: Option<RawText>,
    /// The text before the change (before 1.4).
    pub before: Option<RawText>,
    /// The text after the change (before 1.4).
    pub after: Option<RawText>,
}

impl FileDiff {
    /// Reads a JSON array of them, as [`SessionDiff`](crate::ServerEventKind::SessionDiff) has it.
    ///
    /// # Errors
    ///
    /// Not an array, or an element that is no object: the error names it.
    pub fn list(diff: &RawJson) -> Result<Vec<Self>, DecodeError> {
        let bytes = Bytes::copy_from_slice(diff.as_bytes());
        Ok(list(&bytes, |raw| Self::decode(&bytes, raw))?)
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

/// Reads what a session changed in files. `GET /session/{sessionID}/diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionDiff {
    /// The session.
    pub(crate) session: SessionId,
    /// Only what the turn of this message of the user changed. `None`: all turns, of which 1.18.33 says nothing.
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDiff<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    additions: Lenient,
    deletions: Lenient,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
}
