use bytes::Bytes;
use http::{Request, Response};
use serde::Serialize;

use super::{Pending, pending};
use crate::api::call::{Call, list, nothing};
use crate::api::{ApiError, Operation, Repeat};
use crate::{PermissionId, PermissionRequest, SessionId};

/// The answer to a [`PermissionRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermissionReply {
    /// Yes, and the same again without asking. OpenCode remembers it for all sessions of the directory, until the
    /// server ends.
    Always,
    /// Yes, this time.
    Once,
    /// No. All other requests of the session are rejected with it.
    #[non_exhaustive]
    Reject {
        /// What to tell the model. With it the turn goes on; without, it stops.
        message: Option<String>,
    },
}

impl PermissionReply {
    /// No, and the turn stops.
    pub const fn reject() -> Self {
        Self::Reject { message: None }
    }

    /// No, and the turn goes on: the model is told why.
    pub fn reject_with(message: impl Into<String>) -> Self {
        Self::Reject { message: Some(message.into()) }
    }

    /// OpenCode's spelling: `once`, `always` or `reject`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Once => "once",
            Self::Reject { .. } => "reject",
        }
    }
}

/// Lists the permissions that turns of a directory wait for. `GET /permission`, since 1.0.224.
///
/// A request whose turn was aborted may still be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPermissions;

impl ListPermissions {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["permission"])
    }
}

impl Operation for ListPermissions {
    type Output = Vec<Pending<PermissionRequest>>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError> {
        Self::call().read(response, |body| {
            list(body, |raw| pending(raw, PermissionRequest::decode(body, raw)?))
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

/// Answers a permission request. `POST /permission/{requestID}/reply`, since 1.0.224.
///
/// Needs the session's directory. A request that was answered, or is not known, is
/// [`NotFound`](crate::ApiErrorKind::NotFound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyPermission {
    /// The request.
    pub(crate) request: PermissionId,
    /// The answer.
    pub(crate) reply: PermissionReply,
}

impl ReplyPermission {
    /// Answers this request.
    pub fn new(request: impl Into<PermissionId>, reply: PermissionReply) -> Self {
        Self { request: request.into(), reply }
    }

    fn call(&self) -> Call {
        Call::post(["permission", self.request.as_str(), "reply"])
    }
}

impl Operation for ReplyPermission {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            reply: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
        }
        let message = match &self.reply {
            PermissionReply::Always | PermissionReply::Once => None,
            PermissionReply::Reject { message } => message.as_deref(),
        };
        self.call().json(&Body { reply: self.reply.as_str(), message })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Answers a permission request the old way, which all 1.x servers know.
/// `POST /session/{sessionID}/permissions/{permissionID}`.
///
/// Needs no directory, and has no place for a message: a rejection stops the turn.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RespondPermission {
    /// The session that waits, or the one whose agent started it as a subagent.
    pub(crate) session: SessionId,
    /// The request.
    pub(crate) request: PermissionId,
    /// The answer.
    pub(crate) reply: PermissionReply,
}

impl RespondPermission {
    /// Answers this request of this session.
    pub fn new(
        session: impl Into<SessionId>,
        request: impl Into<PermissionId>,
        reply: PermissionReply,
    ) -> Self {
        Self { session: session.into(), request: request.into(), reply }
    }

    fn call(&self) -> Call {
        let (session, request) = (self.session.as_str(), self.request.as_str());
        Call::post(["session", session, "permissions", request])
    }
}

impl Operation for RespondPermission {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            response: &'a str,
        }
        self.call().json(&Body { response: self.reply.as_str() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}
