//! The event stream of a server.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opencode_proto::{HubEnd, Interruption, ServerEvent};

use crate::server::Server;
use crate::server::core::ServerInner;
use crate::server::hub::{Delivery, Follower};

/// Events of a server's directory, of all sessions, in order of arrival. Ends when the server is
/// gone.
///
/// The stream shares a connection with the turns of the directory. The connection does not wait for
/// the reader: when too many events wait to be read, these events are dropped, and the reader
/// receives [`ServerNews::Interrupted`].
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) {
/// let mut events = server.events();
/// while let Some(event) = events.next_event().await {
///     println!("{event:?}");
/// }
/// # }
/// ```
#[must_use = "events wait until they are read"]
pub struct ServerEvents {
    follower: Option<Follower>,
    /// Keeps a server alive that this library started.
    server: Arc<ServerInner>,
}

/// An item of [`ServerEvents`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerNews {
    /// The server is gone, or refuses the stream. No item follows.
    Ended(HubEnd),
    /// An event of the server. Heartbeats, and the copies of events on the stream of all
    /// directories, are left out.
    Event(Arc<ServerEvent>),
    /// Events are missed from here on, until [`Opened`](Self::Opened).
    Interrupted(Interruption),
    /// The stream is open; no event is missed from here on.
    Opened,
}

impl Server {
    /// Returns the events of the server's directory. `GET /event`.
    ///
    /// With [`EventStream::Global`](opencode_proto::EventStream) in the event settings
    /// ([`AttachRequest::with_events`](crate::AttachRequest::with_events)), the events of all
    /// directories: `GET /global/event`. OpenCode 1.18.33 announces the global stream as open too
    /// early, so events at the beginning can be missed.
    pub fn events(&self) -> ServerEvents {
        let server = Arc::clone(&self.inner);
        let follower = server.follow_all(self.directory().map(str::to_owned));
        ServerEvents { follower: Some(follower), server }
    }
}

impl ServerEvents {
    /// Returns the next event of the server, or `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<ServerNews> {
        poll_fn(|cx| self.poll_news(cx)).await
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<Option<ServerNews>> {
        let Some(follower) = &self.follower else { return Poll::Ready(None) };
        Poll::Ready(Some(match ready!(follower.mailbox().poll_take(cx)) {
            Delivery::Event(event) => ServerNews::Event(event),
            Delivery::Interrupted(why) => ServerNews::Interrupted(why),
            Delivery::Opened => ServerNews::Opened,
            Delivery::Finished(end) => {
                self.follower = None;
                ServerNews::Ended(end)
            }
        }))
    }
}

impl Stream for ServerEvents {
    type Item = ServerNews;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServerNews>> {
        self.get_mut().poll_news(cx)
    }
}

impl fmt::Debug for ServerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvents")
            .field("server", self.server.http.endpoint())
            .finish_non_exhaustive()
    }
}
