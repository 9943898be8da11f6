//! Requests and replies of all operations.

use std::fmt;
use std::fmt::Display;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use opencode_config::{Json, JsonObject};
use opencode_proto::api::{ApiError, Repeat, RouteTemplate};

use crate::json::JsonType;

/// Limit on a request target, for `http::Uri` takes no longer one. The server refuses a target that
/// is cut here.
const TARGET_SIZE_MAX: usize = 65_000;

/// Identity of an operation: OpenCode's name, the method, and the path with the names of the
/// parameters.
///
/// ```
/// use opencode_api::session::ReadSession;
///
/// let route = ReadSession::ROUTE;
/// assert_eq!(route.operation_id, "session.get");
/// assert_eq!((route.method, route.path), ("GET", "/session/{sessionID}"));
/// assert_eq!(route.since, "1.1.65");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Route {
    /// The `operationId` of the document, for example `session.get`.
    pub operation_id: &'static str,
    /// The method in capitals.
    pub method: &'static str,
    /// The path, with the names of parameters in braces.
    pub path: &'static str,
    /// The first version of OpenCode that has the route, of thirteen that were looked at. 1.1.65 is
    /// the oldest of them.
    pub since: &'static str,
}

impl Route {
    pub(crate) const fn new(
        operation_id: &'static str,
        method: &'static str,
        path: &'static str,
        since: &'static str,
    ) -> Self {
        Self { operation_id, method, path, since }
    }
}

/// Request of an operation, as far as the values are known.
#[derive(Clone, PartialEq)]
pub(crate) struct Call {
    route: Route,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Json>,
    header: Option<(&'static str, &'static str)>,
}

impl Call {
    /// Creates the request, with the values of the path's parameters in order.
    pub(crate) fn new(route: Route, values: &[&str]) -> Self {
        let mut values = values.iter();
        let mut path = String::new();
        for segment in route.path.split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                push_segment(&mut path, values.next().copied().unwrap_or_default());
            } else if segment == "*" {
                push_path(&mut path, values.next().copied().unwrap_or_default());
            } else {
                path.push_str(segment);
            }
        }
        Self { route, path, query: Vec::new(), body: None, header: None }
    }

    /// Sends a JSON object, which gets its fields from [`field`](Self::field).
    pub(crate) fn with_object(mut self) -> Self {
        self.body = Some(Json::Object(JsonObject::new()));
        self
    }

    /// Sends this value as JSON.
    pub(crate) fn with_body(mut self, body: &impl JsonType) -> Self {
        self.body = Some(body.write());
        self
    }

    /// Sends this header, which the endpoint insists on.
    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Sets a parameter of the query.
    pub(crate) fn query(&mut self, name: &'static str, value: impl Display) {
        let value = value.to_string();
        match self.query.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => self.query.push((name, value)),
        }
    }

    /// Sets a field of the body.
    pub(crate) fn field(&mut self, name: &str, value: &impl JsonType) {
        if let Some(Json::Object(object)) = &mut self.body {
            object.insert(name, value.write());
        }
    }

    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut target = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            encode(&mut target, name);
            target.push('=');
            encode(&mut target, value);
        }
        target.truncate(TARGET_SIZE_MAX);
        let body = self.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let has_body = body.is_some();
        let mut request = Request::new(body.unwrap_or_default());
        *request.method_mut() = self.method();
        *request.uri_mut() = Uri::try_from(target).expect("a target is short and encoded");
        request.extensions_mut().insert(RouteTemplate::new(self.route.path));
        if let Some((name, value)) = self.header {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if has_body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        request
    }

    /// Returns the repeat policy: reading twice does no harm.
    pub(crate) fn repeat(&self) -> Repeat {
        if self.route.method == "GET" { Repeat::Safe } else { Repeat::Never }
    }

    /// Decodes a reply whose status is all there is to know.
    pub(crate) fn nothing(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        ApiError::check(self.method(), &self.path, response).map(drop)
    }

    /// Decodes a reply that is one JSON value.
    pub(crate) fn json<T: JsonType>(&self, response: Response<Bytes>) -> Result<T, ApiError> {
        let mut response = ApiError::check(self.method(), &self.path, response)?;
        if str::from_utf8(response.body()).is_err() {
            let text = String::from_utf8_lossy(response.body()).into_owned();
            *response.body_mut() = text.into();
        }
        let read = serde_json::from_slice::<Json>(response.body()).and_then(|json| {
            T::read(json).map_err(<serde_json::Error as serde::de::Error>::custom)
        });
        read.map_err(|error| ApiError::unreadable(self.method(), &self.path, response, error))
    }

    /// Decodes a reply that is text.
    pub(crate) fn text(&self, response: Response<Bytes>) -> Result<String, ApiError> {
        let response = ApiError::check(self.method(), &self.path, response)?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    /// Decodes a reply of any kind of content.
    pub(crate) fn bytes(&self, response: Response<Bytes>) -> Result<Bytes, ApiError> {
        ApiError::check(self.method(), &self.path, response).map(Response::into_body)
    }

    fn method(&self) -> Method {
        Method::from_bytes(self.route.method.as_bytes()).expect("routes have usual methods")
    }
}

/// Leaves out query and body, which can hold secrets.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.route.method, self.path)
    }
}

fn push_segment(path: &mut String, segment: &str) {
    match segment {
        // As they are, or encoded once, they would lead to another endpoint.
        "." => path.push_str("%252E"),
        ".." => path.push_str("%252E%252E"),
        _ => encode(path, segment),
    }
}

/// Adds a path of several segments, whose slashes stay.
fn push_path(path: &mut String, value: &str) {
    for (index, segment) in value.trim_start_matches('/').split('/').enumerate() {
        if index > 0 {
            path.push('/');
        }
        push_segment(path, segment);
    }
}

/// Appends text with all characters encoded that have a meaning in a path or a query.
fn encode(target: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                target.push(char::from(byte));
            }
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                target.push('%');
                target.push(char::from(DIGITS[usize::from(byte >> 4)]));
                target.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

/// Implements `Operation` for a struct with a field `call`.
macro_rules! operation {
    (
        $name:ident, $id:literal, $since:literal, $method:literal $path:literal,
        $pace:ident, $read:ident -> $output:ty
    ) => {
        impl $name {
            /// Identity of the operation.
            pub const ROUTE: $crate::Route = $crate::Route::new($id, $method, $path, $since);
        }

        impl opencode_proto::api::Operation for $name {
            type Output = $output;

            fn request(&self) -> http::Request<bytes::Bytes> {
                self.call.request()
            }

            fn decode(
                &self,
                response: http::Response<bytes::Bytes>,
            ) -> Result<$output, opencode_proto::ApiError> {
                self.call.$read(response)
            }

            fn repeat(&self) -> opencode_proto::api::Repeat {
                self.call.repeat()
            }

            fn pace(&self) -> opencode_proto::api::Pace {
                opencode_proto::api::Pace::$pace
            }
        }
    };
}

/// Adds the parameters of an operation that works in a directory.
macro_rules! in_directory {
    ($name:ident) => {
        $crate::call::in_place!($name, "directory", "workspace");
    };
}

/// Adds the parameters of an operation of `/api/*` that works in a directory.
macro_rules! in_location {
    ($name:ident) => {
        $crate::call::in_place!($name, "location[directory]", "location[workspace]");
    };
}

macro_rules! in_place {
    ($name:ident, $directory:literal, $workspace:literal) => {
        impl $name {
            /// Sets the directory, in place of the one that the sender names.
            pub fn with_directory(mut self, directory: impl Into<String>) -> Self {
                let directory: String = directory.into();
                self.call.query($directory, directory);
                self
            }

            /// Sets the workspace, by its id.
            pub fn with_workspace(mut self, workspace: impl Into<String>) -> Self {
                let workspace: String = workspace.into();
                self.call.query($workspace, workspace);
                self
            }
        }
    };
}

pub(crate) use {in_directory, in_location, in_place, operation};
