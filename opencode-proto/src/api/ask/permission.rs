use bytes::Bytes;
use http::{Request, Response};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Pending, pending};
use crate::api::call::{Call, list, nothing};
use crate::api::{ApiError, Operation, Repeat};
use crate::{PermissionId, PermissionRequest, SessionId};

/// Answer to a [`PermissionRequest`]. `Serialize` writes OpenCode's `{reply, message?}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermissionReply {
    /// Allows the call, and the same patterns from now on without a request. OpenCode remembers
    /// them for all sessions of the directory, until the server ends. Counts as [`Once`](Self::Once)
    /// while a refusal of the same permission waits for other requests.
    Always,
    /// Allows this call.
    Once,
    /// Refuses the call. OpenCode refuses all other open requests of the session as well: a
    /// [`Turn`](crate::Turn) sends the refusal when those have their answers.
    #[non_exhaustive]
    Reject {
        /// Message for the model, which then goes on; without one the turn stops.
        message: Option<String>,
    },
}

impl PermissionReply {
    /// Refuses the call and stops the turn.
    pub const fn reject() -> Self {
        Self::Reject { message: None }
    }

    /// Refuses the call with a message for the model, which goes on.
    pub fn reject_with(message: impl Into<String>) -> Self {
        Self::Reject { message: Some(message.into()) }
    }

    /// Returns OpenCode's spelling: `once`, `always` or `reject`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Once => "once",
            Self::Reject { .. } => "reject",
        }
    }
}

impl Serialize for PermissionReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = match self {
            Self::Always | Self::Once => None,
            Self::Reject { message } => message.as_deref(),
        };
        let fields = 1 + usize::from(message.is_some());
        let mut reply = serializer.serialize_struct("PermissionReply", fields)?;
        reply.serialize_field("reply", self.as_str())?;
        if let Some(message) = message {
            reply.serialize_field("message", message)?;
        }
        reply.end()
    }
}

/// Lists the open permission requests of a directory. `GET /permission`, since 1.0.224.
///
/// A request of an aborted turn may still be listed.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ListPermissions, Operation};
///
/// let reply = r#"[{"id":"per_1","sessionID":"ses_1","permission":"bash","patterns":["ls"]}]"#;
/// let open = ListPermissions::new().decode(Response::new(reply.into()))?;
/// assert_eq!((&open[0].session, &*open[0].request.permission), (&"ses_1".into(), "bash"));
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
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
/// The request needs the session's directory. For an answered or unknown request the server
/// responds with [`NotFound`](crate::ApiErrorKind::NotFound).
///
/// ```
/// use opencode_proto::api::{Operation, PermissionReply, ReplyPermission};
///
/// let refuse = ReplyPermission::new("per_1", PermissionReply::reject_with("use `ls`"));
/// let request = refuse.request();
/// assert_eq!(request.uri(), "/permission/per_1/reply");
/// assert_eq!(request.body(), r#"{"reply":"reject","message":"use `ls`"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyPermission {
    pub(crate) request: PermissionId,
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
        self.call().json(&self.reply)
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}

/// Answers a permission request by the older endpoint, which all 1.x servers have.
/// `POST /session/{sessionID}/permissions/{permissionID}`.
///
/// The request needs no directory and takes no message: a refusal stops the turn.
///
/// ```
/// use opencode_proto::api::{Operation, PermissionReply, RespondPermission};
///
/// let allow = RespondPermission::new("ses_1", "per_1", PermissionReply::Once);
/// let request = allow.request();
/// assert_eq!(request.uri(), "/session/ses_1/permissions/per_1");
/// assert_eq!(request.body(), r#"{"response":"once"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RespondPermission {
    pub(crate) session: SessionId,
    pub(crate) request: PermissionId,
    pub(crate) reply: PermissionReply,
}

impl RespondPermission {
    /// Answers this request. `session` is the waiting session, or one whose agent started that
    /// session as a subagent.
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
        struct WireResponse<'a> {
            response: &'a str,
        }
        self.call().json(&WireResponse { response: self.reply.as_str() })
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        self.call().read(response, nothing)
    }
}
