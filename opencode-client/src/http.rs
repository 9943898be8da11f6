//! HTTP/1.1 client of one server: connections, limits and repeats of requests.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use opencode_proto::api::Operation;
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
#[cfg(test)]
pub(crate) mod tests;

use idle::Idle;

pub(crate) use calls::Calls;
pub use endpoint::{Endpoint, UrlError};
pub use error::CallError;
pub(crate) use events::EventBody;
pub use limits::HttpLimits;

const DIRECTORY: HeaderName = HeaderName::from_static("x-opencode-directory");

/// HTTP/1.1 client of one server. Clones share the idle connections.
#[derive(Clone)]
pub(crate) struct Http {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Arc<dyn Runtime>,
    endpoint: Endpoint,
    limits: HttpLimits,
    idle: Idle,
}

impl Http {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, endpoint: Endpoint, limits: HttpLimits) -> Self {
        Self { inner: Arc::new(Inner { runtime, endpoint, limits, idle: Idle::default() }) }
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
        let request = self.inner.address(operation.request(), "application/json", directory);
        // On the heap, because every future that waits for a call contains the call.
        let reply = Box::pin(self.inner.reply(request, operation.repeat(), operation.pace()));
        let reply = reply.await?;
        Ok(operation.decode(reply)?)
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
        let request = self.inner.address(call.request, "application/json", directory);
        let reply = Box::pin(self.inner.reply(request, call.repeat, call.pace)).await;
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
        let request = self.inner.address(request, events::EVENT_STREAM, directory);
        self.inner.events(request).await
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.inner.endpoint).finish()
    }
}

impl Inner {
    /// Adds the parts of a request that depend on the server and the user.
    fn address(
        &self,
        mut request: Request<Bytes>,
        accept: &'static str,
        directory: Option<&str>,
    ) -> Request<Bytes> {
        *request.uri_mut() = self.endpoint.uri(request.uri());
        // For other methods, a server may wait for a body unless the length is zero.
        let bodiless =
            matches!(*request.method(), Method::GET | Method::HEAD) || !request.body().is_empty();
        let headers = request.headers_mut();
        headers.insert(HOST, self.endpoint.host_header());
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if !bodiless {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(authorization) = self.endpoint.authorization() {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(directory) = directory {
            headers.insert(DIRECTORY, endpoint::component(directory));
        }
        request
    }
}
