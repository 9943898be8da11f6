//! A scripted fake of an OpenCode server, for what the real one does not do on demand.
//!
//! Without a script it plays a server of one directory whose sessions can be created and prompted: it
//! answers, but nothing happens by itself. The events are the test's: [`FakeServer::send_event`].
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
//! after 60 seconds. An async test shares the server in an [`Arc`] and waits on a thread that may block.

mod events;
mod reply;
mod script;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod usual;

use std::fmt::{self, Formatter};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::listener::Listener;
use crate::request::{PATIENCE, Pattern};
use crate::watched::Watched;

pub use crate::request::Request;

pub use self::reply::Reply;
pub use self::script::{Greeting, Script};
pub use self::turn::turn_events;

use self::events::Item;
use self::state::State;

/// A fake OpenCode server. Dropping it closes every connection and ends its threads.
pub struct FakeServer {
    state: Arc<Watched<State>>,
    listener: Listener,
}

impl FakeServer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the socket or the thread cannot be had.
    pub fn start(script: Script) -> io::Result<Self> {
        let state = Arc::new(Watched::new(State::new(script)));
        let listener = Listener::start("server", {
            let state = Arc::clone(&state);
            move |stream| serve::serve(stream, &state)
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

    /// Adds a route to those of the script, with the same meaning as [`Script::on`].
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub fn on(&self, method: &str, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        self.state.update(|state| state.script.add(Pattern::new(method, path), replies));
    }

    /// Sends one event to every event stream that is open now; to nobody when none is.
    ///
    /// `json` is `{"id":..,"type":..,"properties":..}` on one line. `GET /event` gets it so,
    /// `GET /global/event` as the `payload` beside the `directory`. Returns at once.
    pub fn send_event(&self, json: &str) {
        self.state.update(|state| state.send(&Item::Event(json.to_owned())));
    }

    /// Sends bytes to every event stream that is open now, as they are. Returns at once.
    pub fn send_raw(&self, bytes: &[u8]) {
        self.state.update(|state| state.send(&Item::Raw(bytes.to_owned())));
    }

    /// Ends every event stream that is open now, in order and behind what was sent.
    pub fn close_events(&self) {
        self.state.update(|state| state.send(&Item::End));
    }

    /// Blocks until `n` event streams have been opened in all.
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
            (state.streams.len() == n).then_some(())
        });
    }

    /// The requests that came so far, in order, those without a password as well.
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

    #[track_caller]
    fn wait<R>(&self, what: &str, look: impl FnMut(&State) -> Option<R>) -> R {
        let found = self.state.wait_within(PATIENCE, look);
        found.unwrap_or_else(|| panic!("no {what} within {PATIENCE:?}, but {:#?}", self.requests()))
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        let gates = self.state.update(|state| {
            state.stop();
            state.script.gates().cloned().collect::<Vec<_>>()
        });
        for gate in gates {
            gate.nudge();
        }
        self.listener.stop();
    }
}
