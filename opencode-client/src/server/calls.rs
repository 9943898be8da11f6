//! Requests to a server: operations, and any other request.

use std::error::Error;
use std::fmt::{self, Display};
use std::future::IntoFuture;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use opencode_proto::api::{Caller, Operation, Pace, Repeat};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Server;
use super::api_events::ApiEvents;
use super::http_stream::HttpStream;
use crate::http::{CallError, CallOptions, HttpReply, JSON, with_parameter};
use crate::runtime::wait::BoxFuture;

impl Server {
    /// Returns a handle to the same server with these options, over those of this handle. Handles
    /// made from the new one (requests, sessions) have the options too.
    ///
    /// A turn sends the headers and the workspace, and has limits of its own. The event streams of
    /// a server are shared by all handles and have the options with which the server was started or
    /// attached.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        let inner = std::sync::Arc::clone(&self.inner);
        Self { inner, http: self.http.with_options(options) }
    }

    /// Carries out any operation of the server's HTTP API, for the directory of this handle: those
    /// of [`api`](crate::api), those of the crate `opencode-api`, and those of an application
    /// ([`Operation`]).
    ///
    /// An operation that changes nothing is sent again after a failure that may pass
    /// ([`RetryPolicy`](super::RetryPolicy)); any other one only when no connection was
    /// established.
    ///
    /// # Errors
    ///
    /// When the server answers with an error, or the request fails: [`CallError::delivery`] returns
    /// the state of the delivery, that is, if the operation may have been carried out.
    ///
    /// # Cancel safety
    ///
    /// The server may have carried out a cancelled operation.
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.http.call(operation, self.directory()).await
    }

    /// Creates a request for any path of the server, such as `/find/file`. The path begins with a
    /// slash, is percent-encoded, and may have a query. Nothing is sent until the request is
    /// awaited.
    ///
    /// ```no_run
    /// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::api::http::Method;
    ///
    /// let reply = server.request(Method::GET, "/find/file").query("query", "main").await?;
    /// let files: Vec<String> = reply.json()?;
    /// println!("{files:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> HttpRequest {
        let (path, mut request) = (path.as_ref(), Request::new(Bytes::new()));
        *request.method_mut() = method;
        let repeat = match *request.method() {
            Method::GET | Method::HEAD => Repeat::Safe,
            _ => Repeat::Never,
        };
        let mut request = HttpRequest::new(self, request, repeat, Pace::Boot);
        match path.parse::<Uri>() {
            Ok(uri) if path.starts_with('/') => *request.request.uri_mut() = uri,
            Ok(_) => request.fail(format!("the path does not begin with a slash: {path:?}")),
            Err(error) => request.fail(error),
        }
        request
    }

    /// Creates the request of an operation, to be sent for the reply as it is on the wire.
    ///
    /// ```no_run
    /// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::api::{ListAgents, Operation};
    ///
    /// let list = ListAgents::new();
    /// let reply = server.request_for(&list).await?;
    /// println!("{} {:?}", reply.status(), reply.headers());
    /// let agents = list.decode(reply.into_response())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_for<O: Operation>(&self, operation: &O) -> HttpRequest {
        let (repeat, pace) = (operation.repeat(), operation.pace());
        HttpRequest::new(self, operation.request(), repeat, pace)
    }
}

/// Calls are futures, which keep the server alive and can be moved to other tasks.
impl Caller for Server {
    type Called<O: Operation<Output: Send> + Send + Sync + 'static> =
        BoxFuture<Result<O::Output, CallError>>;

    fn carry_out<O>(&self, operation: O) -> Self::Called<O>
    where
        O: Operation<Output: Send> + Send + Sync + 'static,
    {
        let server = self.clone();
        Box::pin(async move { server.call(&operation).await })
    }
}

/// A request to a server. Awaiting the request sends it and gives the [`HttpReply`].
///
/// The request has the options of the handle that made it ([`Server::with_options`]).
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use opencode_tokio::api::http::Method;
/// use opencode_tokio::server::CallOptions;
///
/// let body = serde_json::json!({ "title": "review" });
/// let quick = server.with_options(CallOptions::new().with_timeout(Duration::from_secs(5)));
/// let reply = quick
///     .request(Method::POST, "/session")
///     .query("directory", "/src/crate")
///     .header("x-request-id", "4711")
///     .json(&body)
///     .await?;
/// println!("{}", reply.json::<serde_json::Value>()?["id"]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct HttpRequest {
    server: Server,
    request: Request<Bytes>,
    repeat: Repeat,
    pace: Pace,
    /// Error of the first part that cannot be sent.
    fault: Option<Box<dyn Error + Send + Sync>>,
}

impl HttpRequest {
    fn new(server: &Server, request: Request<Bytes>, repeat: Repeat, pace: Pace) -> Self {
        Self { server: server.clone(), request, repeat, pace, fault: None }
    }

    /// Adds a parameter to the query, in place of one of the same name.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        match with_parameter(self.request.uri(), name, &value.to_string()) {
            Ok(uri) => *self.request.uri_mut() = uri,
            Err(error) => self.fail(error),
        }
        self
    }

    /// Sets a header, in place of one of the same name. Every header can be set but those of the
    /// connection and of the length.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<Box<dyn Error + Send + Sync>>>,
        V: TryInto<HeaderValue, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), _) if of_connection(&name) => {
                self.fail(format!("the header `{name}` belongs to the connection"));
            }
            (Ok(name), Ok(value)) => drop(self.request.headers_mut().insert(name, value)),
            (Err(error), _) => self.fail(error),
            (_, Err(error)) => self.fail(error),
        }
        self
    }

    /// Sets the body to JSON, and the content type.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => {
                let content_type = HeaderValue::from_static(JSON);
                self.request.headers_mut().insert(CONTENT_TYPE, content_type);
                self.body(json)
            }
            Err(error) => {
                self.fail(error);
                self
            }
        }
    }

    /// Sets the body. The content type is left as it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sets the repeat policy of the request. Default: a `GET` or `HEAD` may be repeated after a
    /// failure that may pass; any other request only when no connection was established.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Sends the request and returns the reply, of any status. The same as awaiting the request.
    ///
    /// Without a timeout in the options, the limit is
    /// [`HttpLimits::boot`](super::HttpLimits::boot), since the request may be the first one about
    /// a directory. The size of the body is limited by
    /// [`HttpLimits::body_size_max`](super::HttpLimits::body_size_max).
    ///
    /// # Errors
    ///
    /// [`CallError::Invalid`] when the request cannot be sent, other errors when no reply arrived.
    /// A status of the server is no error here, but in [`HttpReply::json`] and
    /// [`HttpReply::check`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have carried out the request.
    pub async fn send(self) -> Result<HttpReply, CallError> {
        let Self { server, request, repeat, pace, .. } = self.checked()?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = server.http.send(request, repeat, pace, server.directory()).await?;
        Ok(HttpReply::new(method, path, response))
    }

    /// Sends the request and returns the head of the reply, of any status, with the body as a
    /// stream of chunks: for large bodies, and for bodies without an end.
    ///
    /// The limits of time end with the head, and no limit of size holds. The request is sent once.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream closes the connection.
    pub async fn stream(self) -> Result<HttpStream, CallError> {
        let Self { server, request, .. } = self.checked()?;
        let name = server.http.name(&request);
        let response = server.http.open(request, server.directory()).await?;
        Ok(HttpStream::new(server, name, response))
    }

    /// Sends the request and decodes the reply as a stream of events. The limits of time end with
    /// the head of the reply. The request is sent once.
    ///
    /// The events of the crate `opencode-api`, by path: `Event` for `/event`, `GlobalEvent` for
    /// `/global/event`, and `NextEvent` for `/api/event` and `/api/session/{sessionID}/event`,
    /// which replays the events of a session after `NextEvent::durable`.
    ///
    /// ```no_run
    /// # async fn example(server: opencode_tokio::Server) -> Result<(), opencode_tokio::CallError> {
    /// use opencode_api::event::{Event, EventData, StreamEvents};
    /// use opencode_tokio::server::ApiEvent;
    ///
    /// let mut events = server.request_for(&StreamEvents::new()).events::<Event>().await?;
    /// while let Some(event) = events.next_event().await {
    ///     let ApiEvent::Event(event) = event? else { continue };
    ///     if let EventData::SessionIdle(idle) = &event.data {
    ///         println!("{} is idle", idle.session_id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send); [`CallError::Api`] when the server refuses the request,
    /// or the reply is no event stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream closes the connection.
    pub async fn events<T: DeserializeOwned>(self) -> Result<ApiEvents<T>, CallError> {
        let Self { server, request, .. } = self.checked()?;
        let (name, event_size_max) =
            (server.http.name(&request), server.http.limits().body_size_max());
        let response = server.http.open_events(request, server.directory()).await?;
        Ok(ApiEvents::new(HttpStream::new(server, name, response), event_size_max))
    }

    /// Returns the request, if all parts can be sent.
    fn checked(mut self) -> Result<Self, CallError> {
        let Some(source) = self.fault.take() else { return Ok(self) };
        Err(CallError::Invalid { request: self.server.http.name(&self.request), source })
    }

    fn fail(&mut self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.fault.get_or_insert_with(|| error.into());
    }
}

impl IntoFuture for HttpRequest {
    type Output = Result<HttpReply, CallError>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// `Debug` without headers, query and body, which can hold secrets.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", self.request.method())
            .field("path", &self.request.uri().path())
            .finish_non_exhaustive()
    }
}

/// Returns whether the header describes the connection or the length of the body.
fn of_connection(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE].contains(name)
}
