//! HTTP/1.1 client of one server: connections, limits and repeats of requests.

use std::fmt;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use opencode_proto::api::{Operation, Pace, Repeat};
use opencode_proto::{ApiCall, ApiReply, CallFailure, CallScope};

use crate::log::describe;
use crate::runtime::Runtime;

mod call;
mod calls;
mod endpoint;
mod error;
mod events;
mod idle;
mod limits;
mod link;
mod observer;
mod options;
mod reply;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "tls")]
mod tls;

use call::CallTerms;
use idle::Idle;
use observer::ObservedCall;

pub(crate) use calls::Calls;
pub(crate) use endpoint::with_parameter;
pub use endpoint::{Endpoint, UrlError};
pub use error::CallError;
#[cfg(feature = "tls")]
pub use error::TlsError;
use events::EVENT_STREAM;
pub(crate) use events::EventBody;
pub use limits::HttpLimits;
pub use observer::{RequestEvent, RequestNotice};
pub use options::CallOptions;
pub use reply::HttpReply;
pub(crate) use reply::read_json;

pub(crate) const JSON: &str = "application/json";

#[cfg(feature = "tls")]
pub(crate) use tls::TlsClient;

const DIRECTORY: HeaderName = HeaderName::from_static("x-opencode-directory");
const WORKSPACE: HeaderName = HeaderName::from_static("x-opencode-workspace");

/// HTTP/1.1 client of one server. Clones share the idle connections.
#[derive(Clone)]
pub(crate) struct Http {
    inner: Arc<Inner>,
    options: Arc<CallOptions>,
}

struct Inner {
    runtime: Arc<dyn Runtime>,
    endpoint: Endpoint,
    limits: HttpLimits,
    idle: Idle,
    /// `None` for connections that are not encrypted.
    #[cfg(feature = "tls")]
    tls: Option<TlsClient>,
}

impl Http {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, endpoint: Endpoint, limits: HttpLimits) -> Self {
        let inner = Inner {
            runtime,
            endpoint,
            limits,
            idle: Idle::default(),
            #[cfg(feature = "tls")]
            tls: None,
        };
        Self { inner: Arc::new(inner), options: Arc::default() }
    }

    /// Encrypts the connections of a client that has no clone yet.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, tls: TlsClient) -> Self {
        let inner = Arc::get_mut(&mut self.inner).expect("the client has no clone yet");
        inner.tls = Some(tls);
        self
    }

    /// Returns a client of the same server with other options, over those of this one.
    pub(crate) fn with_options(&self, options: CallOptions) -> Self {
        let options = Arc::new(options.over(&self.options));
        Self { inner: Arc::clone(&self.inner), options }
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.inner.runtime
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Carries out one operation, for `directory` or else for the server's own directory.
    ///
    /// A request may be sent more than once only when the operation is
    /// [`Repeat::Safe`](opencode_proto::api::Repeat).
    ///
    /// # Errors
    ///
    /// [`CallError::delivery`] is the delivery of the request, where no reply came.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have received the request.
    pub(crate) async fn call<O: Operation>(
        &self,
        operation: &O,
        directory: Option<&str>,
    ) -> Result<O::Output, CallError> {
        let (repeat, pace) = (operation.repeat(), operation.pace());
        let reply = self.send(operation.request(), repeat, pace, directory).await?;
        Ok(operation.decode(reply)?)
    }

    /// Sends one request and returns the reply, of any status.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have received the request.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        repeat: Repeat,
        pace: Pace,
        directory: Option<&str>,
    ) -> Result<Response<Bytes>, CallError> {
        let terms = self.terms(&request, repeat, pace);
        let request = self.address(request, JSON, directory);
        // On the heap, because every future that waits for a call contains the call.
        Box::pin(self.inner.reply(request, terms)).await
    }

    /// Sends one request and returns the reply, of any status, with the body as a stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the body, closes the connection.
    pub(crate) async fn open(
        &self,
        request: Request<Bytes>,
        directory: Option<&str>,
    ) -> Result<Response<EventBody>, CallError> {
        let terms = self.terms(&request, Repeat::Never, Pace::Boot);
        let request = self.address(request, JSON, directory);
        Box::pin(self.inner.open(&request, &terms)).await
    }

    /// Returns method and URL of a request, without the query.
    pub(crate) fn name(&self, request: &Request<Bytes>) -> String {
        self.inner.name(request)
    }

    /// Makes a call that a machine asked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have received the request.
    pub(crate) async fn answer(&self, call: ApiCall, directory: Option<&str>) -> ApiReply {
        let directory = match call.scope {
            CallScope::Directory => directory,
            CallScope::Session => None,
        };
        let terms = self.terms(&call.request, call.repeat, call.pace).without_timeout();
        let request = self.address(call.request, JSON, directory);
        let reply = Box::pin(self.inner.reply(request, terms)).await;
        reply.map_err(|error| CallFailure::new(error.delivery(), describe(&error)))
    }

    /// Opens the event stream at `path_and_query` (`GET /event`, `/global/event`), on a connection
    /// of its own.
    ///
    /// # Errors
    ///
    /// The errors of [`call`](Self::call), and an error for a response that is no event stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the body, closes the connection.
    pub(crate) async fn events(
        &self,
        path_and_query: &str,
        directory: Option<&str>,
    ) -> Result<EventBody, CallError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = path_and_query.parse().expect("the path of an event stream");
        let terms = self.terms(&request, Repeat::Never, Pace::Quick).without_timeout();
        let request = self.address(request, EVENT_STREAM, directory);
        Ok(self.inner.events(&request, &terms).await?.into_body())
    }

    /// Sends one request whose reply is an event stream, within the timeout of the options.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the body, closes the connection.
    pub(crate) async fn open_events(
        &self,
        request: Request<Bytes>,
        directory: Option<&str>,
    ) -> Result<Response<EventBody>, CallError> {
        let terms = self.terms(&request, Repeat::Never, Pace::Boot);
        let request = self.address(request, EVENT_STREAM, directory);
        Box::pin(self.inner.events(&request, &terms)).await
    }

    pub(crate) fn limits(&self) -> &HttpLimits {
        &self.inner.limits
    }

    /// Returns the limits and the repeat policy of a call that begins now.
    fn terms(&self, request: &Request<Bytes>, repeat: Repeat, pace: Pace) -> CallTerms {
        let timeout = self
            .options
            .timeout()
            .map(|timeout| (timeout, self.inner.runtime.now().checked_add(timeout)));
        let retry = self.options.retry().unwrap_or(self.inner.limits.retry);
        let observer = self.options.observer();
        let observed = observer.map(|observer| ObservedCall::new(observer, request));
        CallTerms { repeat, pace, retry, timeout, observed }
    }

    /// Adds the parts of a request that depend on the server and the user.
    fn address(
        &self,
        mut request: Request<Bytes>,
        accept: &'static str,
        directory: Option<&str>,
    ) -> Request<Bytes> {
        let endpoint = &self.inner.endpoint;
        let mut defaults = self.options.headers().clone();
        if let Some(workspace) = self.options.workspace() {
            if request.uri().path().starts_with("/api/") {
                set(&mut defaults, WORKSPACE, endpoint::component(workspace));
            } else if !endpoint::has_parameter(request.uri(), "workspace") {
                let target = with_parameter(request.uri(), "workspace", workspace);
                // A target at the limit of the size stays as it is.
                *request.uri_mut() = target.unwrap_or_else(|_| request.uri().clone());
            }
        }
        *request.uri_mut() = endpoint.uri(request.uri());
        set(&mut defaults, HOST, endpoint.host_header());
        set(&mut defaults, ACCEPT, HeaderValue::from_static(accept));
        // For other methods, a server may wait for a body unless the length is zero.
        if !matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_empty() {
            set(&mut defaults, CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(authorization) = endpoint.authorization() {
            set(&mut defaults, AUTHORIZATION, authorization.clone());
        }
        if let Some(directory) = directory {
            set(&mut defaults, DIRECTORY, endpoint::component(directory));
        }
        let own = mem::replace(request.headers_mut(), defaults);
        request.headers_mut().extend(own);
        request
    }
}

/// Sets a header, unless there is one of the name.
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.inner.endpoint).finish()
    }
}
