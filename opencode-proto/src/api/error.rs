mod body;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::run_event::DecodeError;
use body::ErrorBody;

/// A reply that is not what the operation asked for.
///
/// `Debug` shows sizes in place of headers and body, which can hold secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// The method of the request.
    pub method: Method,
    /// The path of the request, percent-encoded, without its query.
    pub path: String,
    /// The status of the reply. A success too can be an error: see [`ApiErrorKind::UnknownRoute`] and
    /// [`ApiErrorKind::Unreadable`].
    pub status: StatusCode,
    /// What is wrong.
    pub kind: ApiErrorKind,
    /// The reply. Boxed, so that a `Result` stays small.
    response: Box<Response<Bytes>>,
}

/// What is wrong with a reply, by whose fault it is. Messages are in the server's words.
///
/// OpenCode has four shapes of errors: `{name, data: {message, ..}}`, `{_tag, message, ..}`, plain text, and an empty
/// body. All are understood, and what has no message is named: the error, else the status.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// 400, 413, 415 and 422: the server cannot use this request. `BadRequest` in OpenCode.
    #[error("{}", OneLine(.message))]
    #[non_exhaustive]
    BadRequest {
        /// What it says.
        message: Box<str>,
        /// Where the mistake is, if it says so: `Params`, `Headers`, `Query`, `Body` or `Payload`.
        field: Option<Box<str>>,
    },
    /// The session works on a prompt and cannot do this meanwhile. `SessionBusyError`, 409.
    #[error("{message}")]
    #[non_exhaustive]
    Busy {
        /// What it says.
        message: Box<str>,
    },
    /// 409, any other.
    #[error("{message}")]
    #[non_exhaustive]
    Conflict {
        /// What it says.
        message: Box<str>,
    },
    /// 404: no such session, message or request. `NotFoundError`, `PermissionNotFoundError` and the like.
    #[error("{message}")]
    #[non_exhaustive]
    NotFound {
        /// What it says.
        message: Box<str>,
    },
    /// Any other status.
    #[error("{message}")]
    #[non_exhaustive]
    Other {
        /// The status.
        status: StatusCode,
        /// What it says.
        message: Box<str>,
    },
    /// 500 and what else is the server's own fault. OpenCode answers so to ids of the wrong form, and to agents and
    /// models that it does not know.
    #[error("{message}{}", Reference(.reference.as_deref()))]
    #[non_exhaustive]
    Server {
        /// What it says.
        message: Box<str>,
        /// Where the server's log has the cause (`err_…`).
        reference: Option<Box<str>>,
    },
    /// 429.
    #[error("{message}")]
    #[non_exhaustive]
    TooManyRequests {
        /// What it says.
        message: Box<str>,
        /// How long to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// 401 and 403: the credentials are missing or wrong.
    #[error("the server wants other credentials")]
    Unauthorized,
    /// 502, 503 and 504: not now.
    #[error("{message}")]
    #[non_exhaustive]
    Unavailable {
        /// What it says.
        message: Box<str>,
        /// How long to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// A page instead of an answer: this version of the server does not have the endpoint. OpenCode answers to unknown
    /// paths with its web page and status 200.
    #[error("this server does not have the endpoint")]
    UnknownRoute,
    /// The server did it, and its answer is not what the operation reads.
    #[error("the reply cannot be read")]
    Unreadable(#[source] DecodeError),
}

impl ApiError {
    /// The headers of the reply.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The body of the reply.
    pub fn body(&self) -> &Bytes {
        self.response.body()
    }

    /// The error's name in OpenCode, for example `NotFoundError` or `SessionBusyError`.
    pub fn name(&self) -> Option<String> {
        ErrorBody::read(&self.response).name
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
            | ApiErrorKind::Other { .. }
            | ApiErrorKind::Server { .. }
            | ApiErrorKind::TooManyRequests { .. }
            | ApiErrorKind::Unauthorized
            | ApiErrorKind::Unavailable { .. }
            | ApiErrorKind::Unreadable(_) => false,
        }
    }

    pub(super) fn new(
        method: Method,
        path: String,
        kind: ApiErrorKind,
        response: Response<Bytes>,
    ) -> Self {
        Self { method, path, status: response.status(), kind, response: Box::new(response) }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.path, self.kind)
    }
}

impl Error for ApiError {
    /// The kind is part of this level.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("kind", &self.kind)
            .field("headers", &format_args!("{} headers", self.headers().len()))
            .field("body", &format_args!("{} bytes", self.body().len()))
            .finish()
    }
}

impl ApiErrorKind {
    /// What is wrong with a reply, going by its status and kind of content. `None`: its body is to be read.
    pub(super) fn read(response: &Response<Bytes>) -> Option<Self> {
        let status = response.status();
        let no_such_page = status.is_success()
            || status == StatusCode::NOT_FOUND
            || status == StatusCode::METHOD_NOT_ALLOWED;
        if no_such_page && is_content(response, "text/html") {
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
            400 | 413 | 415 | 422 => Self::BadRequest { message, field: body.field },
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound { message },
            409 => Self::Conflict { message },
            429 => Self::TooManyRequests { message, retry_after: retry_after() },
            502..=504 => Self::Unavailable { message, retry_after: retry_after() },
            500.. => Self::Server { message, reference: body.reference },
            _ => Self::Other { status, message },
        })
    }
}

/// A message on one line. Mistakes in requests are told on two.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.split_whitespace();
        f.write_str(words.next().unwrap_or_default())?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}

/// The reference of an error, where there is one.
struct Reference<'a>(Option<&'a str>);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(reference) => write!(f, " ({reference})"),
            None => Ok(()),
        }
    }
}

fn is_content(response: &Response<Bytes>, media_type: &str) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let (value, _parameters) = value.split_once(';').unwrap_or((value, ""));
        value.trim().eq_ignore_ascii_case(media_type)
    })
}

/// What `retry-after-ms` or `retry-after` say. A date needs a clock to be understood, and is not.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    Duration::try_from_secs_f64(seconds?).ok()
}
