use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use opencode_proto::api::ApiError;
use serde::de::DeserializeOwned;
use serde_json::de::SliceRead;

/// Reply to a request, of any status: also an error of the server is a reply.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
/// use opencode_tokio::api::http::Method;
///
/// let reply = server.request(Method::GET, "/vcs").await?;
/// println!("{} {} bytes", reply.status(), reply.bytes().len());
/// let vcs: serde_json::Value = reply.json()?;
/// println!("{}", vcs["branch"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpReply {
    method: Method,
    path: String,
    response: Response<Bytes>,
}

impl HttpReply {
    pub(crate) fn new(method: Method, path: String, response: Response<Bytes>) -> Self {
        Self { method, path, response }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the body.
    pub fn bytes(&self) -> &Bytes {
        self.response.body()
    }

    /// Returns the reply, if the server accepted the request.
    ///
    /// # Errors
    ///
    /// The server refused the request, or answered with the web page, as OpenCode does to unknown
    /// paths: [`ApiErrorKind::UnknownRoute`](opencode_proto::api::ApiErrorKind::UnknownRoute).
    pub fn check(self) -> Result<Self, ApiError> {
        let Self { method, path, response } = self;
        let response = ApiError::check(method.clone(), &path, response)?;
        Ok(Self { method, path, response })
    }

    /// Decodes the body as JSON.
    ///
    /// # Errors
    ///
    /// The errors of [`check`](Self::check);
    /// [`ApiErrorKind::Unreadable`](opencode_proto::api::ApiErrorKind::Unreadable) when the body
    /// does not fit `T`: the message names the field, and [`ApiError::body`] returns the bytes.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let reply = self.clone().check()?;
        let mut json = serde_json::Deserializer::from_slice(reply.bytes());
        let read = read_json(&mut json);
        read.and_then(|value| json.end().map(|()| value))
            .map_err(|error| ApiError::unreadable(reply.method, &reply.path, reply.response, error))
    }

    /// Returns the body as text. Bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Returns the reply as a value of the crate `http`, for
    /// [`Operation::decode`](opencode_proto::api::Operation::decode).
    pub fn into_response(self) -> Response<Bytes> {
        self.response
    }
}

/// Reads a value. An error names the field.
pub(crate) fn read_json<T: DeserializeOwned>(
    json: &mut serde_json::Deserializer<SliceRead<'_>>,
) -> Result<T, serde_json::Error> {
    serde_path_to_error::deserialize(json).map_err(with_path)
}

/// Adds the path of the field to the message of an error.
fn with_path(error: serde_path_to_error::Error<serde_json::Error>) -> serde_json::Error {
    let at = error.path().to_string();
    let error = error.into_inner();
    // The path of the whole body is a dot, and an error of syntax has a line instead.
    if at == "." || error.is_syntax() || error.is_eof() {
        return error;
    }
    <serde_json::Error as serde::de::Error>::custom(format_args!("{at}: {error}"))
}

/// `Debug` without headers and body, which can hold secrets.
impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status())
            .field("size", &self.bytes().len())
            .finish()
    }
}
