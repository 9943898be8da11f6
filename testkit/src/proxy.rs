//! A proxy between a client and a real OpenCode server, which breaks connections on demand.
//!
//! The proxy listens on 127.0.0.1 and forwards the bytes of both directions unchanged and at once;
//! only a request is forwarded when it is complete. The proxy parses as much HTTP/1.1 as it needs
//! to see every request, and knows the event streams `GET /event` and `GET /global/event`. It does
//! not support pipelined requests or upgrades to another protocol.
//!
//! # Paths
//!
//! A path argument is a prefix of the paths that it selects. `{id}` stands for one segment, and `$`
//! at the end for the end of the path, before a query: `/session/{id}/prompt_async`, `/session$`.
//!
//! # Waiting
//!
//! Every waiting method blocks the thread, and panics with a list of the requests after 60 seconds.
//! An async test shares the proxy in an [`Arc`] and waits on a thread that may block.

mod link;
mod replies;
mod requests;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt::{self, Formatter};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::response;
use crate::listener::Listener;
use crate::request::Pattern;
use crate::traffic::traffic_methods;
use crate::watched::Watched;

pub use crate::request::Request;

use self::state::{Door, EventFlow, Fault, ProxyState, Rule};
use self::watch::Trigger;

/// A TCP proxy in front of an OpenCode server. Dropping the proxy closes every connection and ends
/// the threads.
pub struct Proxy {
    state: Arc<Watched<ProxyState>>,
    listener: Listener,
}

/// Way of closing a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In order (FIN): the client reads the end of the connection, before the end that HTTP
    /// requires.
    Close,
    /// By a reset (RST): the client gets an error, and may lose data that it has not read yet.
    Reset,
}

/// Moment at which the connection of a request is closed; always in order ([`Cut::Close`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutAt {
    /// The request arrived at the proxy; the server never sees it.
    Before,
    /// The server received the request and began to reply; the client sees nothing of the reply.
    AfterRequest,
    /// The client received half of the first bytes: half of the head when the reply has no body,
    /// otherwise the head and half of the first bytes of the body.
    InsideReply,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1 for a server on `upstream_port` of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound or the thread cannot be started.
    pub fn start(upstream_port: u16) -> io::Result<Self> {
        let state = Arc::new(Watched::new(ProxyState::default()));
        let listener = Listener::start("proxy", {
            let state = Arc::clone(&state);
            move |client| requests::serve(client, upstream_port, &state)
        })?;
        Ok(Self { state, listener })
    }

    /// Address that the proxy listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Base URL `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Closes all connections with event streams, on both sides. Returns when they are closed.
    pub fn cut_events(&self, cut: Cut) {
        let ended = self.state.update(|state| state.end_events(cut));
        self.wait_for_end(&ended);
    }

    /// Closes all connections, on both sides. Returns when they are closed.
    pub fn cut_all(&self, cut: Cut) {
        let ended = self.state.update(|state| state.end_all(cut));
        self.wait_for_end(&ended);
    }

    /// Closes each of the next `times` event streams ([`Cut::Close`]) after the event that contains
    /// `text`.
    ///
    /// The event itself is forwarded completely, with the empty line. A further call replaces an
    /// earlier one.
    pub fn cut_events_after(&self, text: &str, times: usize) {
        let trigger = (times > 0).then(|| Trigger::new(text, times));
        self.state.update(|state| state.trigger = trigger);
    }

    /// Holds back everything on event streams, present and future ones: neither bytes nor the end
    /// of the stream are forwarded, so that the connections are half open. Requests of the client
    /// are still forwarded.
    pub fn hold_events(&self) {
        self.state.update(|state| state.flow = EventFlow::Held);
    }

    /// Forwards everything that was held back, and everything later.
    pub fn release_events(&self) {
        self.state.update(|state| state.flow = EventFlow::Passing);
    }

    /// Resets new connections at once, as if the server was gone. Open connections stay: see
    /// [`Self::cut_all`].
    pub fn refuse(&self) {
        self.state.update(|state| state.door = Door::Shut);
    }

    /// Accepts new connections again.
    pub fn accept(&self) {
        self.state.update(|state| state.door = Door::Open);
    }

    /// Closes the connection of the next request with this method and path.
    ///
    /// Further calls queue further faults; each request uses up the first fault that matches it.
    pub fn cut_request(&self, method: &str, path: &str, at: CutAt) {
        self.add_rule(method, path, Fault::Cut(at));
    }

    /// Answers the next request with this method and path in place of the server, which never sees
    /// the request.
    pub fn answer(&self, method: &str, path: &str, status: u16, content_type: &str, body: &str) {
        let reply = response(status, Some(content_type), &[], body.as_bytes());
        self.add_rule(method, path, Fault::Answer(reply));
    }

    fn add_rule(&self, method: &str, path: &str, fault: Fault) {
        let rule = Rule { pattern: Pattern::new(method, path), fault };
        self.state.update(|state| state.rules.push(rule));
    }

    #[track_caller]
    fn wait_for_end(&self, numbers: &[u64]) {
        self.state.wait_for("the end of connections", |state| {
            let open = numbers.iter().any(|number| state.links.contains_key(number));
            (!open).then_some(())
        });
    }
}

traffic_methods!(Proxy);

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.update(|state| {
            state.door = Door::Shut;
            state.end_all(Cut::Close)
        });
        self.listener.stop();
    }
}
