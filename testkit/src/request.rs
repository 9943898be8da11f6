use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::http::Head;

/// Limit on every wait of a test; only failing tests reach it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One complete HTTP request.
///
/// `Debug` shows method, path and size, never headers or the body.
pub struct Request {
    head: Head,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(head: Head, body: Vec<u8>) -> Self {
        Self { head, body }
    }

    /// Method, such as `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.head.method
    }

    /// Path with the query, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.head.path
    }

    /// Value of the first header of this name, in upper or lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Names and values of all headers, in order.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.head.headers
    }

    /// Body, with chunks joined.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Body as JSON, or [`Value::Null`] when the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Path without the query.
    pub(crate) fn route(&self) -> &str {
        self.path().split('?').next().unwrap_or_default()
    }

    /// Event stream that the request opens.
    pub(crate) fn event_stream(&self) -> Option<EventStream> {
        match (self.method(), self.route()) {
            ("GET", "/event") => Some(EventStream::Directory),
            ("GET", "/global/event") => Some(EventStream::Global),
            _ => None,
        }
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        self.head.keeps_alive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method(), self.path(), self.body.len())
    }
}

/// One of the event streams of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventStream {
    /// Stream of one directory: `GET /event`.
    Directory,
    /// Stream of all directories: `GET /global/event`.
    Global,
}

/// A method and a path pattern that select requests.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    method: String,
    path: String,
}

impl Pattern {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned() }
    }

    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.method == request.method() && begins(request.path(), &self.path)
    }

    /// Requests that match, in order.
    pub(crate) fn among(&self, requests: &[Arc<Request>]) -> Vec<Arc<Request>> {
        requests.iter().filter(|request| self.matches(request)).cloned().collect()
    }
}

fn begins(path: &str, pattern: &str) -> bool {
    if pattern == "$" {
        return path.is_empty() || path.starts_with('?');
    }
    let Some((plain, rest)) = pattern.split_once('{') else {
        return match pattern.strip_suffix('$') {
            Some(plain) => path.strip_prefix(plain).is_some_and(|rest| begins(rest, "$")),
            None => path.starts_with(pattern),
        };
    };
    let Some((_, rest)) = rest.split_once('}') else { return false };
    let Some(path) = path.strip_prefix(plain) else { return false };
    let size = path.find(['/', '?']).unwrap_or(path.len());
    size > 0 && begins(&path[size..], rest)
}

#[cfg(test)]
mod tests {
    use super::begins;

    #[test]
    fn a_pattern_is_a_prefix_with_placeholders_and_an_optional_end() {
        for (pattern, path) in [
            ("/session", "/session"),
            ("/session", "/session/ses_1/abort"),
            ("/session$", "/session"),
            ("/session$", "/session?directory=/a"),
            ("/session/{id}/abort", "/session/ses_1/abort?x"),
            ("/session/{id}$", "/session/ses_1"),
            ("/session/{id}/message/{id}$", "/session/ses_1/message/msg_1"),
            ("/session/{id}", "/session/ses_1/message"),
        ] {
            assert!(begins(path, pattern), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/session$", "/session/ses_1"),
            ("/session/{id}$", "/session/ses_1/abort"),
            ("/session/{id}/abort", "/session//abort"),
            ("/session/{id}/abort", "/session/ses_1/message"),
            ("/session/{id", "/session/{id"),
            ("/event", "/global/event"),
        ] {
            assert!(!begins(path, pattern), "{pattern} {path}");
        }
    }
}
