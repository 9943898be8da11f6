//! One HTTP/1.1 connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use opencode_proto::Delivery;

use crate::runtime::Connection;
use crate::runtime::fair::Fair;

/// Maximum memory that is reserved for a body before its bytes arrive.
const RESERVED_MAX: usize = 1 << 20;

/// An HTTP/1.1 connection.
///
/// No task drives a link; the future that waits for a reply does. So dropping the future closes the
/// socket at once, and no work goes on without a caller.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None` when the connection is closed.
    driver: Option<Driver>,
    /// Delivery of the last request.
    delivery: Delivery,
}

/// Body of a response, as far as it was read.
pub(super) enum Gathered {
    Whole(Bytes),
    /// The body continues.
    Start(Bytes),
}

impl Link {
    pub(super) async fn new(connection: Box<dyn Connection>) -> io::Result<Self> {
        let (sender, driver) = http1::handshake(Fair::new(connection)).await.map_err(io_error)?;
        Ok(Self { sender, driver: Some(driver), delivery: Delivery::NotSent })
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(&mut self, request: Request<Bytes>) -> io::Result<Response<Incoming>> {
        self.delivery = Delivery::Unknown;
        let mut response = pin!(self.sender.try_send_request(request.map(Full::new)));
        let driver = &mut self.driver;
        match poll_fn(|cx| poll_driven(driver, cx, |cx| response.as_mut().poll(cx))).await {
            Ok(response) => {
                self.delivery = Delivery::Received;
                Ok(response)
            }
            Err(failed) => {
                if failed.message().is_some() {
                    self.delivery = Delivery::NotSent;
                }
                Err(io_error(failed.into_error()))
            }
        }
    }

    /// Reads a body to the end, or up to `size_max` bytes.
    pub(super) async fn gather(
        &mut self,
        mut body: Incoming,
        size_max: usize,
    ) -> io::Result<Gathered> {
        let Some(first) = self.next(&mut body).await? else {
            return Ok(Gathered::Whole(Bytes::new()));
        };
        // A body in one chunk is not copied.
        if body.is_end_stream() && first.len() <= size_max {
            return Ok(Gathered::Whole(first));
        }
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut gathered = BytesMut::with_capacity(first.len() + expected.min(RESERVED_MAX));
        let mut next = Some(first);
        while let Some(chunk) = next {
            let room = size_max - gathered.len();
            if chunk.len() > room {
                gathered.extend_from_slice(&chunk[..room]);
                return Ok(Gathered::Start(gathered.freeze()));
            }
            gathered.extend_from_slice(&chunk);
            next = self.next(&mut body).await?;
        }
        Ok(Gathered::Whole(gathered.freeze()))
    }

    async fn next(&mut self, body: &mut Incoming) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_body(body, cx)).await
    }

    /// Returns the next non-empty chunk of the body.
    pub(super) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let frame = poll_driven(&mut self.driver, cx, |cx| Pin::new(&mut *body).poll_frame(cx));
            match frame {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io_error(error))),
                // Trailers and empty chunks have no content.
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => return Poll::Ready(Ok(Some(chunk))),
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }

    /// Returns true when another request can be sent, as far as is known without waiting.
    pub(super) fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.driver, cx);
        self.driver.is_some() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }
}

type Driver = http1::Connection<Fair<Box<dyn Connection>>, Full<Bytes>>;

/// Polls for output of the connection, and drives the connection when there is none yet.
fn poll_driven<T>(
    driver: &mut Option<Driver>,
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if let Poll::Ready(output) = poll(cx) {
        return Poll::Ready(output);
    }
    drive(driver, cx);
    poll(cx)
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection).poll(cx).is_ready()
    {
        // The future that waits for a reply gets the error.
        *driver = None;
    }
}

fn io_error(error: hyper::Error) -> io::Error {
    let kind = if error.is_incomplete_message() || error.is_closed() {
        io::ErrorKind::UnexpectedEof
    } else if error.is_parse() {
        io::ErrorKind::InvalidData
    } else {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        source.map_or(io::ErrorKind::Other, io::Error::kind)
    };
    io::Error::new(kind, error)
}
