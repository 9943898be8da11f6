use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::body::{ErrorBody, is_content};
use crate::run_event::DecodeError;

/// Kinds of [`ApiError`](super::ApiError)s, by fault. Messages are in the server's words.
///
/// OpenCode has four shapes of errors: `{name, data: {message, ref, ..}}`, `{_tag, message, ref,
/// ..}`, plain text, and an empty body. All are understood, and those of common proxies (`{error}`,
/// `{error: {message}}`). Without a message, the name of the error or else
/// the status stands in for the text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The server cannot use this request: status 400, 413 or 415, `BadRequest` in OpenCode.
    #[error("{}", OneLine(.message))]
    #[non_exhaustive]
    BadRequest {
        /// Message of the server.
        message: Box<str>,
        /// Place of the mistake, if named: `Params`, `Headers`, `Query`, `Body` or `Payload`, else
        /// the name of the field.
        field: Option<Box<str>>,
    },
    /// The session works on a prompt and cannot do this meanwhile: `SessionBusyError`, status 409.
    #[error("{message}")]
    #[non_exhaustive]
    Busy {
        /// Message of the server.
        message: Box<str>,
    },
    /// Any other conflict: status 409.
    #[error("{message}")]
    #[non_exhaustive]
    Conflict {
        /// Message of the server.
        message: Box<str>,
    },
    /// The credentials do not permit the request: status 403.
    #[error("{message}")]
    #[non_exhaustive]
    Forbidden {
        /// Message of the server.
        message: Box<str>,
    },
    /// The session, message or request does not exist: status 404, `NotFoundError`,
    /// `PermissionNotFoundError` and the like.
    #[error("{message}")]
    #[non_exhaustive]
    NotFound {
        /// Message of the server.
        message: Box<str>,
    },
    /// Any other status.
    #[error("{message}")]
    #[non_exhaustive]
    Other {
        /// Status of the reply.
        status: StatusCode,
        /// Message of the server.
        message: Box<str>,
    },
    /// A fault of the server: status 500 and above. OpenCode also answers so to ids of the wrong
    /// form, and to unknown agents and models.
    #[error("{message}{}", Reference(.reference.as_deref()))]
    #[non_exhaustive]
    Server {
        /// Message of the server.
        message: Box<str>,
        /// Reference (`err_…`) to the server's log, which has the cause.
        reference: Option<Box<str>>,
    },
    /// Too many requests: status 429.
    #[error("{message}")]
    #[non_exhaustive]
    TooManyRequests {
        /// Message of the server.
        message: Box<str>,
        /// Delay that the server asks for, if any.
        retry_after: Option<Duration>,
    },
    /// The credentials are missing or wrong: status 401.
    #[error("the server rejected the credentials")]
    Unauthorized,
    /// The server is not available now: status 502, 503 or 504.
    #[error("{message}")]
    #[non_exhaustive]
    Unavailable {
        /// Message of the server.
        message: Box<str>,
        /// Delay that the server asks for, if any.
        retry_after: Option<Duration>,
    },
    /// The request is well formed and cannot be carried out: status 422.
    #[error("{}", OneLine(.message))]
    #[non_exhaustive]
    Unprocessable {
        /// Message of the server.
        message: Box<str>,
    },
    /// This version of the server does not have the endpoint: OpenCode answers unknown paths with
    /// the web page and status 200.
    #[error("this server does not have the endpoint")]
    UnknownRoute,
    /// The request succeeded, and the operation cannot read the reply.
    #[error("the reply cannot be read")]
    Unreadable(#[source] DecodeError),
}

impl ApiErrorKind {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::Busy { .. } => "busy",
            Self::Conflict { .. } => "conflict",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Other { .. } => "other",
            Self::Server { .. } => "server",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable { .. } => "unavailable",
            Self::Unprocessable { .. } => "unprocessable",
            Self::UnknownRoute => "unknown_route",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Returns the kind of error by status and content type; `None` for a reply whose body is to be
    /// read.
    pub(in crate::api) fn read(response: &Response<Bytes>) -> Option<Self> {
        let status = response.status();
        let may_be_page = status.is_success()
            || status == StatusCode::NOT_FOUND
            || status == StatusCode::METHOD_NOT_ALLOWED;
        if may_be_page && is_content(response, "text/html") {
            return Some(Self::UnknownRoute);
        }
        if status.is_success() {
            return None;
        }
        let body = ErrorBody::read(response);
        let retry_after = || retry_after(response.headers());
        let message = body.message;
        Some(match status.as_u16() {
            _ if body.name.as_deref() == Some("SessionBusyError") => Self::Busy { message },
            400 | 413 | 415 => Self::BadRequest { message, field: body.field },
            401 => Self::Unauthorized,
            403 => Self::Forbidden { message },
            404 => Self::NotFound { message },
            409 => Self::Conflict { message },
            422 => Self::Unprocessable { message },
            429 => Self::TooManyRequests { message, retry_after: retry_after() },
            502..=504 => Self::Unavailable { message, retry_after: retry_after() },
            500.. => Self::Server { message, reference: body.reference },
            _ => Self::Other { status, message },
        })
    }
}

/// Writes a message on one line. OpenCode reports mistakes in requests on two.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.split_whitespace();
        f.write_str(words.next().unwrap_or_default())?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}

/// Writes the reference of an error in parentheses, if any.
struct Reference<'a>(Option<&'a str>);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(reference) => write!(f, " ({reference})"),
            None => Ok(()),
        }
    }
}

/// Returns the delay of `retry-after-ms` or `retry-after`. A date there is ignored: the meaning
/// depends on a clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    Duration::try_from_secs_f64(seconds?).ok()
}
