//! Sessions.

mod create;
mod history;
mod list;
mod share;
mod status;
mod update;

use bytes::Bytes;
use http::{Request, Response};

pub use create::CreateSession;
pub use history::{ForkSession, RevertSession, UnrevertSession};
pub use list::{ListChildren, ListSessions, SessionRoots};
pub use share::{ShareSession, UnshareSession};
pub use status::{SessionStatuses, SessionTodos};
pub use update::UpdateSession;

use super::call::{Call, list, nothing, one};
use super::{ApiError, Operation, Repeat};
use crate::{SessionId, SessionInfo};

/// Reads a session. `GET /session/{sessionID}`.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{Operation, ReadSession};
///
/// let read = ReadSession::new("ses_1");
/// assert_eq!(read.request().uri(), "/session/ses_1");
///
/// let reply = r#"{"id":"ses_1","title":"review","directory":"/src/app"}"#;
/// let session = read.decode(Response::new(reply.into()))?;
/// assert_eq!(session.directory.as_deref(), Some("/src/app"));
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadSession {
    pub(crate) session: SessionId,
}

impl ReadSession {
    /// Reads this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::get(["session", self.session.as_str()])
    }
}

impl Operation for ReadSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Deletes a session and the sessions of its subagents. `DELETE /session/{sessionID}`.
///
/// A turn under way goes on, and fails: abort the session first.
///
/// ```
/// use opencode_proto::api::{DeleteSession, Operation};
///
/// let request = DeleteSession::new("ses_1").request();
/// assert_eq!(request.method(), "DELETE");
/// assert_eq!(request.uri(), "/session/ses_1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteSession {
    pub(crate) session: SessionId,
}

impl DeleteSession {
    /// Deletes this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::delete(["session", self.session.as_str()])
    }
}

impl Operation for DeleteSession {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Aborts the turn of a session, with all tools and subagents. `POST /session/{sessionID}/abort`.
///
/// The abort of an idle or unknown session succeeds.
///
/// ```
/// use opencode_proto::api::{AbortSession, Operation, Repeat};
///
/// let abort = AbortSession::new("ses_1");
/// assert_eq!(abort.request().method(), "POST");
/// assert_eq!(abort.request().uri(), "/session/ses_1/abort");
/// assert_eq!(abort.repeat(), Repeat::Safe);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbortSession {
    pub(crate) session: SessionId,
}

impl AbortSession {
    /// Aborts the turn of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "abort"])
    }
}

impl Operation for AbortSession {
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

/// Reads a reply that is one session.
fn session(body: &Bytes) -> Result<SessionInfo, serde_json::Error> {
    one(body, |raw| SessionInfo::decode(body, raw))
}

/// Reads a reply that is a list of sessions.
fn sessions(body: &Bytes) -> Result<Vec<SessionInfo>, serde_json::Error> {
    list(body, |raw| SessionInfo::decode(body, raw))
}
