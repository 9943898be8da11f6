use bytes::Bytes;
use http::{Request, Response};

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation};
use crate::{SessionId, SessionInfo};

/// Publishes a session on the internet, at the [`share_url`](SessionInfo::share_url) of the result.
/// `POST /session/{sessionID}/share`.
///
/// The server responds with [`Server`](crate::ApiErrorKind::Server) where the configuration
/// disables sharing.
///
/// ```
/// use opencode_proto::api::{Operation, ShareSession};
///
/// let request = ShareSession::new("ses_1").request();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.uri(), "/session/ses_1/share");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareSession {
    pub(crate) session: SessionId,
}

impl ShareSession {
    /// Shares this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::post(["session", self.session.as_str(), "share"])
    }
}

impl Operation for ShareSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}

/// Ends the publication of a session. `DELETE /session/{sessionID}/share`.
///
/// ```
/// use opencode_proto::api::{Operation, UnshareSession};
///
/// let request = UnshareSession::new("ses_1").request();
/// assert_eq!(request.method(), "DELETE");
/// assert_eq!(request.uri(), "/session/ses_1/share");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnshareSession {
    pub(crate) session: SessionId,
}

impl UnshareSession {
    /// Ends the sharing of this session.
    pub fn new(session: impl Into<SessionId>) -> Self {
        Self { session: session.into() }
    }

    fn call(&self) -> Call {
        Call::delete(["session", self.session.as_str(), "share"])
    }
}

impl Operation for UnshareSession {
    type Output = SessionInfo;

    fn request(&self) -> Request<Bytes> {
        self.call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<SessionInfo, ApiError> {
        self.call().read(response, session)
    }
}
