//! Event streams of a server, as bytes.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use opencode_proto::Delivery;
use opencode_proto::api::ApiError;

use super::Inner;
use super::call::CallTerms;
use super::error::CallError;
use super::link::{Gathered, Link};
use crate::runtime::wait::within;

pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Maximum size of a response that is read in place of an event stream.
const REFUSAL_SIZE_MAX: usize = 64 << 10;

/// Body of a reply, as a stream. Dropping the body closes the connection.
pub(crate) struct EventBody {
    body: Incoming,
    link: Link,
}

impl EventBody {
    /// Returns the next chunk; `None` is the end. Not called again after the end or an error.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.link.poll_body(&mut self.body, cx).map(io::Result::transpose)
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}

impl Inner {
    /// Sends a request and returns the head of the reply, with the body as a stream.
    pub(super) async fn open(
        &self,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Response<EventBody>, CallError> {
        let mut observed = terms.observe(&*self.runtime);
        let mut link = self.connect(request, terms).await?;
        let limit = terms.reply_limit(&self.limits, self.runtime.now());
        let head = within(&*self.runtime, limit, link.send(request.clone())).await;
        let response = self.complete(head, request, link.delivery(), terms)?;
        if let Some(observed) = &mut observed {
            observed.status = Some(response.status());
        }
        Ok(response.map(|body| EventBody { body, link }))
    }

    pub(super) async fn events(
        &self,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Response<EventBody>, CallError> {
        let (method, path) = (request.method(), request.uri().path());
        let (head, mut stream) = self.open(request, terms).await?.into_parts();
        if head.status == StatusCode::OK && is_event_stream(&head.headers) {
            tracing::debug!(%method, path, "event stream opened");
            return Ok(Response::from_parts(head, stream));
        }
        let limit = terms.reply_limit(&self.limits, self.runtime.now());
        let refusal = stream.link.gather(stream.body, REFUSAL_SIZE_MAX);
        let refusal = within(&*self.runtime, limit, refusal).await;
        let (Gathered::Whole(text) | Gathered::Start(text)) =
            self.complete(refusal, request, Delivery::Received, terms)?;
        let response = Response::from_parts(head, text);
        let status = response.status().as_u16();
        tracing::debug!(%method, path, status, "response is no event stream");
        Err(ApiError::no_stream(path, response).into())
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(EVENT_STREAM))
}
