//! HTTP/1.1 on one connection of a simulated server.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::ServerInner;
use super::exchange::{RouteReply, RoutedRequest};
use super::play;
use super::routes;
use super::store::Subscriber;
use crate::http::{parse_head, response};
use crate::world::core::lock;
use crate::world::link::ServerEnd;

const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) async fn serve(server: Arc<ServerInner>, mut end: ServerEnd) {
    while let Some(request) = next(&mut end).await {
        let core = Arc::clone(&server.shared().core);
        let line = format!("{} {}", request.head.method, routes::pattern(&request.head));
        core.trace(format_args!("connection {} of server {}: {line}", end.number(), server.port));
        *lock(&server.store).requests.entry(line).or_default() += 1;
        if server.has_password && request.head.header("authorization").is_none() {
            let _ = end.write(response(401, None, &[], b"")).await;
            continue;
        }
        if request.head.method == "GET" && routes::path(&request.head) == "/event" {
            return stream(&server, &mut end, &request).await;
        }
        let weather = core.weather();
        let delay = core.random(|random| match random.happens(weather.slow_replies) {
            true => random.milliseconds(0, 40_000),
            false => Duration::from_micros(random.below(2_000)),
        });
        // The server may act long before it replies, or only at the moment of the reply.
        let is_first = core.random(|random| random.happens(500));
        if is_first {
            core.sleep(delay).await;
        }
        let reply = routes::handle(&server, &request);
        let RouteReply { status, kind, headers, mut body, after, answer } = reply;
        for run in after {
            play::wait_until_over(run).await;
        }
        if let Some((session, prompt)) = answer {
            body = routes::answer_to(&server, &session, &prompt).unwrap_or_default();
        }
        if !is_first {
            core.sleep(delay).await;
        }
        if end.write(response(status, kind, &headers, body.as_bytes())).await.is_err() {
            return;
        }
        // Servers close idle connections at any time.
        if core.random(|random| random.happens(weather.broken / 4)) {
            return;
        }
    }
}

async fn next(end: &mut ServerEnd) -> Option<RoutedRequest> {
    loop {
        if let Some((head, size)) = parse_head(&end.unread).ok()? {
            let length = head.header("content-length").and_then(|length| length.parse().ok());
            let length: usize = length.unwrap_or(0);
            if end.unread.len() >= size + length {
                let body = serde_json::from_slice(&end.unread[size..size + length]);
                end.unread.drain(..size + length);
                return Some(RoutedRequest { head, body: body.unwrap_or_default() });
            }
        }
        if !end.fill().await {
            return None;
        }
    }
}

async fn stream(server: &Arc<ServerInner>, end: &mut ServerEnd, request: &RoutedRequest) {
    let core = Arc::clone(&server.shared().core);
    let directory = routes::directory(server, &request.head);
    let number = end.number();
    let quiet = core.weather().quiet;
    let is_quiet = core.random(|random| random.happens(quiet));
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    if end.write(head).await.is_err() {
        return;
    }
    let pause = core.random(|random| match random.below(8) {
        0 => random.milliseconds(0, 200),
        _ => Duration::ZERO,
    });
    core.sleep(pause).await;
    {
        let connected = r#"{"id":"evt_0","type":"server.connected","properties":{}}"#;
        let mut store = lock(&server.store);
        let Some(live) = &mut store.live else { return };
        let queue = [connected.into()].into();
        let subscriber = Subscriber { directory, queue, waker: None, is_closing: false };
        live.streams.insert(number, subscriber);
    }
    let _closed = SubscriptionGuard { server: Arc::clone(server), number };
    let mut heartbeat = pin!(core.sleep(HEARTBEAT));
    loop {
        let event = poll_fn(|cx| {
            let mut store = lock(&server.store);
            let Some(stream) = store.live.as_mut().and_then(|live| live.streams.get_mut(&number))
            else {
                return Poll::Ready(None);
            };
            if let Some(event) = stream.queue.pop_front() {
                return Poll::Ready(Some(event));
            }
            if stream.is_closing {
                return Poll::Ready(None);
            }
            stream.waker = Some(cx.waker().clone());
            drop(store);
            if !is_quiet && heartbeat.as_mut().poll(cx).is_ready() {
                heartbeat.set(core.sleep(HEARTBEAT));
                let _ = heartbeat.as_mut().poll(cx);
                let text = r#"{"id":"evt_0","type":"server.heartbeat","properties":{}}"#;
                return Poll::Ready(Some(text.into()));
            }
            // A closed connection shows up here.
            match end.poll_fill(cx) {
                Poll::Ready(Ok(true)) | Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(false) | Err(_)) => Poll::Ready(None),
            }
        });
        let Some(event) = event.await else {
            // The end of a chunked body.
            drop(end.write("0\r\n\r\n").await);
            return;
        };
        let chunk = format!("{:x}\r\ndata: {event}\n\n\r\n", event.len() + 8);
        if end.write(chunk).await.is_err() {
            return;
        }
    }
}

/// Removes a subscriber when the task ends or is dropped.
struct SubscriptionGuard {
    server: Arc<ServerInner>,
    number: u64,
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let mut store = lock(&self.server.store);
        let closed = store.live.as_mut().and_then(|live| live.streams.remove(&self.number));
        drop(store);
        drop(closed);
    }
}
