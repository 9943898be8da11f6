//! Everything that a server tells of a directory.

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

/// All events of a server's directory, of all its sessions, as they come. Ends when the server is gone.
///
/// It shares its connection with the turns of the directory. Nobody waits for who reads it: when too many events wait to be
/// read, they are dropped, and [`ServerNews::Interrupted`] says so.
#[must_use = "events wait until they are read"]
pub struct ServerEvents {
    follower: Option<Follower>,
    /// Keeps a server alive that we started.
    server: Arc<ServerInner>,
}

/// What is told of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerNews {
    /// The server is gone, or refuses to tell anything. Nothing follows.
    Ended(HubEnd),
    /// An event. Heartbeats, and the copies of events on the stream of all directories, are left out.
    Event(Arc<ServerEvent>),
    /// Events are being missed from here on, until [`Opened`](Self::Opened).
    Interrupted(Interruption),
    /// Nothing is missed from here on.
    Opened,
}

impl Server {
    /// Everything that the server tells of its directory. `GET /event`.
    ///
    /// With [`EventStream::Global`](opencode_proto::EventStream) in the settings of its events
    /// ([`AttachRequest::with_events`](crate::AttachRequest::with_events)), of all directories: `GET /global/event`. OpenCode
    /// 1.18.33 says that this one is open before it is, so that something can be missed at the beginning.
    pub fn events(&self) -> ServerEvents {
        let server = Arc::clone(&self.inner);
        ServerEvents { follower: Some(server.follow_all()), server }
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
