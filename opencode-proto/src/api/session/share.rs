use bytes::Bytes;
use http::{Request, Response};

use super::session;
use crate::api::call::Call;
use crate::api::{ApiError, Operation};
use crate::{SessionId, SessionInfo};

/// Publishes a session on the internet; the result has the address. `POST /session/{sessionID}/share`.
///
/// [`Server`](crate::ApiErrorKind::Server) where the configuration disables it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareSession {
    /// The session.
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

/// Publishes a session no more. `DELETE /session/{sessionID}/share`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnshareSession {
    /// The session.
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
