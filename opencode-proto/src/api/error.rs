mod body;
mod kind;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::fmt_chain;
use crate::run_event::DecodeError;
use body::ErrorBody;
pub use kind::ApiErrorKind;
use kind::retry_after;

/// A reply that the operation cannot use: an error of the server, or an unreadable success.
///
/// `Debug` and `Display` leave out headers and body, which can hold secrets; `Debug` adds the
/// sources. `Serialize` writes `{type, method, path, status, message}`.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ApiErrorKind, Operation, ReadSession};
///
/// let body = r#"{"name":"NotFoundError","data":{"message":"Session not found: ses_1"}}"#;
/// let reply = Response::builder().status(404).body(body.into())?;
/// let error = ReadSession::new("ses_1").decode(reply).unwrap_err();
/// assert!(matches!(error.kind, ApiErrorKind::NotFound { .. }));
/// assert_eq!(error.to_string(), "GET /session/ses_1: Session not found: ses_1");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// Method of the request.
    pub method: Method,
    /// Path of the request, percent-encoded, without the query.
    pub path: String,
    /// Status of the reply. A success can be an error too: see [`ApiErrorKind::UnknownRoute`] and
    /// [`ApiErrorKind::Unreadable`].
    pub status: StatusCode,
    /// Kind of the error, with the server's message.
    pub kind: ApiErrorKind,
    /// The reply, boxed to keep a `Result` small.
    response: Box<Response<Bytes>>,
}

impl ApiError {
    /// Returns the headers of the reply.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the body of the reply.
    pub fn body(&self) -> &Bytes {
        self.response.body()
    }

    /// Returns OpenCode's name of the error, for example `NotFoundError` or `SessionBusyError`.
    pub fn name(&self) -> Option<String> {
        ErrorBody::read(&self.response).name
    }

    /// Returns the server's message, or what stands in for one: the name of the error, else the
    /// words of the status.
    pub fn message(&self) -> Box<str> {
        ErrorBody::read(&self.response).message
    }

    /// Returns the reference (`err_…`) to the server's log, if the reply has one.
    pub fn reference(&self) -> Option<Box<str>> {
        ErrorBody::read(&self.response).reference
    }

    /// Returns the delay that the server asks for (`retry-after-ms`, `retry-after` in seconds).
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers())
    }

    /// Returns whether the credentials are missing, wrong, or do not permit the request: status 401
    /// or 403.
    pub fn is_auth(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden { .. })
    }

    /// Returns whether the request contradicts the state of the server: status 409, or a session
    /// that works on a prompt.
    pub fn is_conflict(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Busy { .. } | ApiErrorKind::Conflict { .. })
    }

    /// Returns whether the object of the request does not exist: status 404 of a known endpoint.
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind, ApiErrorKind::NotFound { .. })
    }

    /// Returns whether the server asks for fewer requests: status 429.
    pub fn is_rate_limited(&self) -> bool {
        matches!(self.kind, ApiErrorKind::TooManyRequests { .. })
    }

    /// Returns whether the server is at fault: status 500 and above.
    pub fn is_server_fault(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Server { .. } | ApiErrorKind::Unavailable { .. })
    }

    /// Returns whether the request succeeded and the reply cannot be read. [`body`](Self::body)
    /// returns the bytes, and the message of the source names the field.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Unreadable(_))
    }

    /// Returns whether the server does not have the endpoint, and so has done nothing.
    ///
    /// Releases before 1.0.224 answer an unknown path with a 404 that has no error name, later ones
    /// with their web page.
    pub fn is_unknown_route(&self) -> bool {
        match self.kind {
            ApiErrorKind::UnknownRoute => true,
            ApiErrorKind::NotFound { .. } => self.name().is_none(),
            ApiErrorKind::BadRequest { .. }
            | ApiErrorKind::Busy { .. }
            | ApiErrorKind::Conflict { .. }
            | ApiErrorKind::Forbidden { .. }
            | ApiErrorKind::Other { .. }
            | ApiErrorKind::Server { .. }
            | ApiErrorKind::TooManyRequests { .. }
            | ApiErrorKind::Unauthorized
            | ApiErrorKind::Unavailable { .. }
            | ApiErrorKind::Unprocessable { .. }
            | ApiErrorKind::Unreadable(_) => false,
        }
    }

    /// Returns whether the server does not have the endpoint, for a path that names no resource
    /// (`/event`, `/permission`): every 404 then concerns the route, also one with an error name.
    pub fn is_unknown_fixed_route(&self) -> bool {
        self.is_unknown_route() || matches!(self.kind, ApiErrorKind::NotFound { .. })
    }

    pub(super) fn new(
        method: Method,
        path: String,
        kind: ApiErrorKind,
        response: Response<Bytes>,
    ) -> Self {
        Self { method, path, status: response.status(), kind, response: Box::new(response) }
    }

    /// Returns the reply to a request of an operation, if the server accepted the request.
    ///
    /// An operation of an application calls this before it decodes the body.
    ///
    /// ```
    /// use http::{Method, Response};
    /// use opencode_proto::api::{ApiError, ApiErrorKind};
    ///
    /// let reply = Response::new(r#"["src/a.rs"]"#.into());
    /// assert!(ApiError::check(Method::GET, "/find/file", reply).is_ok());
    ///
    /// let reply = Response::builder().status(503).body("".into())?;
    /// let error = ApiError::check(Method::GET, "/find/file", reply).unwrap_err();
    /// assert!(matches!(error.kind, ApiErrorKind::Unavailable { .. }));
    /// # Ok::<(), http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The server refused the request, or does not have the endpoint.
    pub fn check(
        method: Method,
        path: &str,
        response: Response<Bytes>,
    ) -> Result<Response<Bytes>, Self> {
        match ApiErrorKind::read(&response) {
            Some(kind) => Err(Self::new(method, path.to_owned(), kind, response)),
            None => Ok(response),
        }
    }

    /// Creates the error of an operation that cannot read the body of an accepted request.
    pub fn unreadable(
        method: Method,
        path: &str,
        response: Response<Bytes>,
        error: impl Into<DecodeError>,
    ) -> Self {
        Self::new(method, path.to_owned(), ApiErrorKind::Unreadable(error.into()), response)
    }

    /// Creates the error of a `GET` of an event stream (`/event`, `/global/event`) whose reply is
    /// not an event stream.
    pub fn no_stream(path: &str, response: Response<Bytes>) -> Self {
        let kind = ApiErrorKind::read(&response).unwrap_or_else(|| {
            let error = <serde_json::Error as serde::de::Error>::custom("not an event stream");
            ApiErrorKind::Unreadable(error.into())
        });
        Self::new(Method::GET, path.to_owned(), kind, response)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.path, self.kind)
    }
}

impl Error for ApiError {
    /// Returns the source of the kind, whose own message is part of this error's.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_chain(self, f)?;
        write!(f, " (status {})", self.status.as_u16())
    }
}

impl Serialize for ApiError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("ApiError", 5)?;
        error.serialize_field("type", self.kind.type_name())?;
        error.serialize_field("method", self.method.as_str())?;
        error.serialize_field("path", &self.path)?;
        error.serialize_field("status", &self.status.as_u16())?;
        let message = match self.source() {
            Some(source) => format!("{}: {source}", self.kind),
            None => self.kind.to_string(),
        };
        error.serialize_field("message", &message)?;
        error.end()
    }
}
