//! A proxy between a client and a real OpenCode server, which loses connections on demand.
//!
//! It listens on 127.0.0.1 and passes the bytes of both directions on unchanged and at once, except
//! that a request leaves when it has come whole. It reads as much HTTP/1.1 as it needs to see every
//! request, and knows the event streams, `GET /event` and `GET /global/event`. It has no notion of
//! pipelined requests and of upgrades to another protocol.
//!
//! # Paths
//!
//! Wherever a path is asked for, it is the beginning of the paths that are meant. `{id}` stands for
//! one segment, and `$` at the end for the end of the path, before a query:
//! `/session/{id}/prompt_async`, `/session$`.
//!
//! # Waiting
//!
//! Everything that waits blocks its thread until it has come, and panics with a list of the requests
//! after 60 seconds. An async test shares the proxy in an [`Arc`] and waits on a thread that may block.

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
use crate::request::{PATIENCE, Pattern};
use crate::watched::Watched;

pub use crate::request::Request;

use self::state::{Door, Fault, Flow, Rule, State};
use self::watch::Trigger;

/// A TCP proxy in front of an OpenCode server. Dropping it closes every connection and ends its threads.
pub struct Proxy {
    state: Arc<Watched<State>>,
    listener: Listener,
}

/// How a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In order (FIN): the client reads the end of the stream, without the end that HTTP asks for.
    Close,
    /// Reset (RST): the client gets an error, and may lose what it has not read yet.
    Reset,
}

/// When the connection of a request is closed; always in order ([`Cut::Close`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutAt {
    /// The request came whole; the server never sees it.
    Before,
    /// The server has got the request and begun to answer, of which the client sees nothing.
    AfterRequest,
    /// The client got half of what came first: half of the head when the reply has no body, else the
    /// head and half of the body's first bytes.
    InsideReply,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 for a server on that port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the socket or the thread cannot be had.
    pub fn start(upstream_port: u16) -> io::Result<Self> {
        let state = Arc::new(Watched::new(State::default()));
        let listener = Listener::start("proxy", {
            let state = Arc::clone(&state);
            move |client| requests::serve(client, upstream_port, &state)
        })?;
        Ok(Self { state, listener })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The requests that came so far, in order, whatever became of them.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.state.read(|state| state.requests.clone())
    }

    /// The requests with this method and path that came so far, in order.
    #[must_use]
    pub fn requests_to(&self, method: &str, path: &str) -> Vec<Arc<Request>> {
        Pattern::new(method, path).among(&self.requests())
    }

    /// Blocks until a request with this method and path has come, and returns the first.
    ///
    /// # Panics
    ///
    /// After 60 seconds.
    #[track_caller]
    pub fn wait_for_request(&self, method: &str, path: &str) -> Arc<Request> {
        self.wait_for_requests(method, path, 1).remove(0)
    }

    /// Blocks until at least `n` requests with this method and path have come, and returns all of them.
    ///
    /// # Panics
    ///
    /// After 60 seconds.
    #[track_caller]
    pub fn wait_for_requests(&self, method: &str, path: &str, n: usize) -> Vec<Arc<Request>> {
        let pattern = Pattern::new(method, path);
        self.wait(&format!("request {n} to {method} {path}"), |state| {
            Some(pattern.among(&state.requests)).filter(|requests| requests.len() >= n)
        })
    }

    /// Blocks until the server has opened `n` event streams in all: it answered with status 200.
    ///
    /// # Panics
    ///
    /// After 60 seconds.
    #[track_caller]
    pub fn wait_for_events(&self, n: usize) {
        self.wait(&format!("event stream {n}"), |state| (state.opened >= n).then_some(()));
    }

    /// Blocks until exactly `n` event streams are open, such as 0 when the client has left them all.
    ///
    /// # Panics
    ///
    /// After 60 seconds.
    #[track_caller]
    pub fn wait_for_open_events(&self, n: usize) {
        self.wait(&format!("{n} open event streams"), |state| {
            (state.open_events() == n).then_some(())
        });
    }

    /// Closes the connections that carry event streams, on both sides. Returns when they are closed.
    pub fn cut_events(&self, cut: Cut) {
        let ended = self.state.update(|state| state.end_events(cut));
        self.wait_for_end(&ended);
    }

    /// Closes every connection, on both sides. Returns when they are closed.
    pub fn cut_all(&self, cut: Cut) {
        let ended = self.state.update(|state| state.end_all(cut));
        self.wait_for_end(&ended);
    }

    /// Closes the next `times` event streams ([`Cut::Close`]) behind the event in which `text` is.
    ///
    /// That event is passed on whole, to its empty line. Replaces what was asked for earlier.
    pub fn cut_events_after(&self, text: &str, times: usize) {
        let trigger = (times > 0).then(|| Trigger::new(text, times));
        self.state.update(|state| state.trigger = trigger);
    }

    /// Passes nothing on of event streams, neither bytes nor their end, of those to come as well:
    /// connections that are half open. What a client does is still passed on.
    pub fn hold_events(&self) {
        self.state.update(|state| state.flow = Flow::Held);
    }

    /// Passes on what was held, and what comes.
    pub fn release_events(&self) {
        self.state.update(|state| state.flow = Flow::Passing);
    }

    /// Resets new connections at once, as if the server was away. Open ones stay: see [`Self::cut_all`].
    pub fn refuse(&self) {
        self.state.update(|state| state.door = Door::Shut);
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.state.update(|state| state.door = Door::Open);
    }

    /// Closes the connection of the next request with this method and path.
    ///
    /// Further calls add to what waits for its request; a request uses up the first that matches.
    pub fn cut_request(&self, method: &str, path: &str, at: CutAt) {
        self.add_rule(method, path, Fault::Cut(at));
    }

    /// Answers the next request with this method and path itself; the server never sees it.
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
        self.wait("the end of connections", |state| {
            let open = numbers.iter().any(|number| state.links.contains_key(number));
            (!open).then_some(())
        });
    }

    #[track_caller]
    fn wait<R>(&self, what: &str, look: impl FnMut(&State) -> Option<R>) -> R {
        let found = self.state.wait_within(PATIENCE, look);
        found.unwrap_or_else(|| panic!("no {what} within {PATIENCE:?}, but {:#?}", self.requests()))
    }
}

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
