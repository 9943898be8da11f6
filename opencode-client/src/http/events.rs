//! Event streams of a server, as bytes.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use opencode_proto::api::ApiError;

use super::Inner;
use super::error::CallError;
use super::link::{Gathered, Link};
use crate::runtime::wait::within;

pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Maximum size of a response that is read in place of an event stream.
const REFUSAL_SIZE_MAX: usize = 64 << 10;

/// Body of an event stream. Dropping the body closes the connection.
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
    pub(super) async fn events(&self, request: Request<Bytes>) -> Result<EventBody, CallError> {
        let mut link = self.connect(&request).await?;
        let limit = Some(self.limits.reply);
        let response = async {
            let (head, body) = link.send(request.clone()).await?.into_parts();
            io::Result::Ok(if head.status == StatusCode::OK && is_event_stream(&head.headers) {
                Opened::Stream(body)
            } else {
                let (Gathered::Whole(text) | Gathered::Start(text)) =
                    link.gather(body, REFUSAL_SIZE_MAX).await?;
                Opened::Refusal(Response::from_parts(head, text))
            })
        };
        let response = within(&*self.runtime, limit, response).await;
        let (method, path) = (request.method(), request.uri().path());
        match self.complete(response, &request, link.delivery())? {
            Opened::Stream(body) => {
                tracing::debug!(%method, path, "event stream opened");
                Ok(EventBody { body, link })
            }
            Opened::Refusal(response) => {
                let status = response.status().as_u16();
                tracing::debug!(%method, path, status, "response is no event stream");
                Err(ApiError::no_stream(path, response).into())
            }
        }
    }
}

enum Opened {
    Stream(Incoming),
    Refusal(Response<Bytes>),
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(EVENT_STREAM))
}
