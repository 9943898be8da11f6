//! Requests and replies of all operations.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::Error;
use serde_json::value::RawValue;

use super::{ApiError, ApiErrorKind};

/// The characters with a meaning in a path or a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Limit on a request target, for `http::Uri` takes no longer one. OpenCode's own names are far
/// shorter; the server refuses a target that is cut here.
const TARGET_SIZE_MAX: usize = 65_000;

/// Method and target of a request.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: String,
}

impl Call {
    pub(super) fn delete<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn patch<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(super) fn post<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::POST, path)
    }

    fn new<const N: usize>(method: Method, segments: [&str; N]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            match segment {
                // As they are, or encoded once, they would lead to another endpoint.
                "." => path.push_str("%252E"),
                ".." => path.push_str("%252E%252E"),
                _ => path.extend(utf8_percent_encode(segment, RESERVED)),
            }
        }
        Self { method, path, query: String::new() }
    }

    /// Adds a parameter to the query; none without a value.
    pub(super) fn query(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.query.push(if self.query.is_empty() { '?' } else { '&' });
            self.query.push_str(name);
            self.query.push('=');
            self.query.extend(utf8_percent_encode(&value.to_string(), RESERVED));
        }
        self
    }

    /// Returns the request without a body.
    pub(super) fn request(self) -> Request<Bytes> {
        self.with_body(Bytes::new())
    }

    /// Returns the request with a JSON body.
    pub(super) fn json(self, body: &impl Serialize) -> Request<Bytes> {
        let body = serde_json::to_vec(body).expect("request bodies have string keys only");
        let mut request = self.with_body(body.into());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    fn with_body(self, body: Bytes) -> Request<Bytes> {
        let mut target = self.path;
        target.push_str(&self.query);
        target.truncate(TARGET_SIZE_MAX);
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::try_from(target).expect("a target is short and encoded");
        request
    }

    /// Decodes the body of a successful reply with `read`; any other reply is an error.
    pub(super) fn read<T>(
        self,
        response: Response<Bytes>,
        read: impl FnOnce(&Bytes) -> Result<T, serde_json::Error>,
    ) -> Result<T, ApiError> {
        self.read_all(response, |_, body| read(body))
    }

    /// Like [`read`](Self::read), with the headers of the reply.
    pub(super) fn read_all<T>(
        self,
        mut response: Response<Bytes>,
        read: impl FnOnce(&HeaderMap, &Bytes) -> Result<T, serde_json::Error>,
    ) -> Result<T, ApiError> {
        if let Some(kind) = ApiErrorKind::read(&response) {
            return Err(ApiError::new(self.method, self.path, kind, response));
        }
        if str::from_utf8(response.body()).is_err() {
            *response.body_mut() = String::from_utf8_lossy(response.body()).into_owned().into();
        }
        read(response.headers(), response.body()).map_err(|error| {
            let kind = ApiErrorKind::Unreadable(error.into());
            ApiError::new(self.method, self.path, kind, response)
        })
    }
}

/// Reads a reply whose status is all there is to know.
pub(super) fn nothing(_: &Bytes) -> Result<(), serde_json::Error> {
    Ok(())
}

/// Reads a reply that is one JSON value.
pub(super) fn one<T>(
    body: &Bytes,
    read: impl FnOnce(&RawValue) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    read(serde_json::from_slice(body)?)
}

/// Reads an array. One unreadable element is an error with the index: a list with a gap would pass
/// for a whole one.
pub(super) fn list<T>(
    json: &[u8],
    mut read: impl FnMut(&RawValue) -> Result<T, serde_json::Error>,
) -> Result<Vec<T>, serde_json::Error> {
    let elements: Vec<&RawValue> = serde_json::from_slice(json)?;
    let read = |(index, raw)| read(raw).map_err(|error| within("element", index, &error));
    elements.into_iter().enumerate().map(read).collect()
}

/// Adds the place of an error to the message.
pub(super) fn within(
    place: &str,
    index: impl Display,
    error: &serde_json::Error,
) -> serde_json::Error {
    serde_json::Error::custom(format_args!("{place} {index}: {error}"))
}
