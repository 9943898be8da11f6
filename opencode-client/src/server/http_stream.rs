//! Replies whose bodies are read as they arrive.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use opencode_proto::Delivery;

use super::Server;
use crate::http::{CallError, EventBody};

/// Reply to a request, of any status, whose body is read chunk by chunk. Dropping the stream closes
/// the connection.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), opencode_tokio::CallError> {
/// use opencode_tokio::api::http::Method;
///
/// let mut events = server.request(Method::GET, "/event").stream().await?;
/// while let Some(chunk) = events.next_chunk().await {
///     println!("{} bytes", chunk?.len());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "the body is read by polling the stream"]
pub struct HttpStream {
    head: Parts,
    /// `None` after the end or an error.
    body: Option<Box<EventBody>>,
    /// Method and URL of the request, for errors.
    request: String,
    /// Keeps a server alive that this library started.
    _server: Server,
}

impl HttpStream {
    pub(super) fn new(server: Server, request: String, response: Response<EventBody>) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body: Some(Box::new(body)), request, _server: server }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the next chunk of the body, which is never empty; `None` at the end. No chunk
    /// follows an error.
    ///
    /// # Errors
    ///
    /// [`CallError::Lost`] when the connection was lost before the end of the body.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, CallError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CallError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let chunk = ready!(body.poll_chunk(cx));
        if !matches!(chunk, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(chunk.map(|chunk| {
            chunk.map_err(|source| CallError::Lost {
                request: self.request.clone(),
                delivery: Delivery::Received,
                source,
            })
        }))
    }
}

impl Stream for HttpStream {
    type Item = Result<Bytes, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

/// `Debug` without headers, which can hold secrets.
impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStream")
            .field("request", &self.request)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
