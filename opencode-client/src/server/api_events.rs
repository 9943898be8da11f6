//! Event streams of a server, decoded as types of the caller.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use opencode_proto::{DecodeError, SseEvent, SseFramer};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error};

use super::http_stream::HttpStream;
use crate::http::{CallError, read_json};

/// Events of one connection, decoded as `T`, from
/// [`HttpRequest::events`](super::HttpRequest::events). Dropping the stream closes the connection.
///
/// Every item is a sign of life. The stream does not reconnect:
/// [`Server::events`](crate::Server::events) does.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), opencode_tokio::CallError> {
/// use opencode_tokio::api::http::Method;
/// use opencode_tokio::server::{ApiEvent, ApiEvents};
///
/// let request = server.request(Method::GET, "/event");
/// let mut events: ApiEvents<serde_json::Value> = request.events().await?;
/// while let Some(event) = events.next_event().await {
///     match event? {
///         ApiEvent::Event(event) => println!("{}", event["type"]),
///         ApiEvent::Malformed(event) => eprintln!("{}: {:?}", event.error, event.raw),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "events wait until they are read"]
pub struct ApiEvents<T> {
    stream: HttpStream,
    framer: SseFramer,
    event_size_max: usize,
    decoded: PhantomData<fn() -> T>,
}

/// An item of [`ApiEvents`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApiEvent<T> {
    /// An event. Types of `opencode-api` keep events of unknown types too.
    Event(T),
    /// A sign of life without content: `server.heartbeat`, every 10 seconds on `/event` and
    /// `/global/event`, or a comment, every 15 seconds on `/api/event`.
    Heartbeat,
    /// An event that cannot be decoded. The stream goes on.
    Malformed(MalformedEvent),
}

/// An event that cannot be decoded.
#[derive(Clone)]
#[non_exhaustive]
pub struct MalformedEvent {
    /// The data of the event; empty for an event over the limit of the size
    /// ([`HttpLimits::body_size_max`](super::HttpLimits::body_size_max)).
    pub raw: Bytes,
    /// The reason, with the path of the field.
    pub error: DecodeError,
}

/// `Debug` without the data, which can be large.
impl fmt::Debug for MalformedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MalformedEvent")
            .field("size", &self.raw.len())
            .field("error", &self.error)
            .finish()
    }
}

impl<T: DeserializeOwned> ApiEvents<T> {
    pub(super) fn new(stream: HttpStream, event_size_max: usize) -> Self {
        let framer = SseFramer::new(event_size_max);
        Self { stream, framer, event_size_max, decoded: PhantomData }
    }

    /// Returns the headers of the reply.
    pub fn headers(&self) -> &HeaderMap {
        self.stream.headers()
    }

    /// Returns the next event; `None` at the end of the stream. No event follows an error.
    ///
    /// OpenCode ends `/event` when the instance of the directory is disposed, and `/api/event` when
    /// the reader is too slow.
    ///
    /// # Errors
    ///
    /// [`CallError::Lost`] when the connection was lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<Result<ApiEvent<T>, CallError>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ApiEvent<T>, CallError>>> {
        loop {
            while let Some(event) = self.framer.next_event() {
                if let Some(event) = self.read(event) {
                    return Poll::Ready(Some(Ok(event)));
                }
            }
            match ready!(self.stream.poll_chunk(cx)) {
                Some(Ok(chunk)) => self.framer.push(chunk),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Returns the item of an event of the framing; `None` for one without a meaning.
    fn read(&self, event: SseEvent) -> Option<ApiEvent<T>> {
        match event {
            SseEvent::Comment => Some(ApiEvent::Heartbeat),
            SseEvent::Message { data, .. } if is_heartbeat(&data) => Some(ApiEvent::Heartbeat),
            SseEvent::Message { data, .. } => {
                let mut json = serde_json::Deserializer::from_slice(&data);
                Some(match read_json(&mut json) {
                    Ok(event) => ApiEvent::Event(event),
                    Err(error) => {
                        let error = error.into();
                        ApiEvent::Malformed(MalformedEvent { raw: data, error })
                    }
                })
            }
            SseEvent::Retry { .. } => None,
            SseEvent::TooLong { size } => {
                let limit = self.event_size_max;
                let message = format!("the event has {size} bytes, more than {limit}");
                let error = <serde_json::Error as Error>::custom(message).into();
                Some(ApiEvent::Malformed(MalformedEvent { raw: Bytes::new(), error }))
            }
        }
    }
}

/// Returns whether the event is a heartbeat, on any stream.
fn is_heartbeat(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Beat<'a> {
        #[serde(borrow, rename = "type")]
        event_type: Option<&'a str>,
        #[serde(borrow)]
        payload: Option<Box<Self>>,
    }
    // Larger events are not parsed twice.
    const HEARTBEAT_SIZE_MAX: usize = 256;
    if data.len() > HEARTBEAT_SIZE_MAX {
        return false;
    }
    let Ok(beat) = serde_json::from_slice::<Beat<'_>>(data) else { return false };
    let of = |beat: &Beat<'_>| beat.event_type == Some("server.heartbeat");
    of(&beat) || beat.payload.is_some_and(|payload| of(&payload))
}

impl<T: DeserializeOwned> Stream for ApiEvents<T> {
    type Item = Result<ApiEvent<T>, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}

impl<T> fmt::Debug for ApiEvents<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiEvents").field("stream", &self.stream).finish_non_exhaustive()
    }
}
