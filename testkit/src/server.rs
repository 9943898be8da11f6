//! A scripted fake of an OpenCode server, for faults that the real server does not show on demand.
//!
//! Without a script, the fake is a server of one directory: sessions can be created and prompted,
//! and every request gets a reply, but no event follows. The test sends all events:
//! [`FakeServer::send_event`].
//!
//! # Paths
//!
//! A path argument is a prefix of the paths that it selects. `{id}` stands for one segment, and `$`
//! at the end for the end of the path, before a query: `/session/{id}/prompt_async`, `/session$`.
//!
//! # Waiting
//!
//! Every waiting method blocks the thread, and panics with a list of the requests after 60 seconds.
//! An async test shares the server in an [`Arc`] and waits on a thread that may block.

mod events;
mod reply;
mod script;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod unscripted;

use std::fmt::{self, Formatter};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::listener::Listener;
use crate::request::Pattern;
use crate::traffic::traffic_methods;
use crate::watched::Watched;

pub use crate::request::Request;

pub use self::reply::ServerReply;
pub use self::script::{Greeting, ServerScript};
pub use self::turn::turn_events;

use self::state::FakeServerState;
use self::state::StreamItem;

/// A fake OpenCode server. Dropping the server closes every connection and ends the threads.
pub struct FakeServer {
    state: Arc<Watched<FakeServerState>>,
    listener: Listener,
}

impl FakeServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound or the thread cannot be started.
    pub fn start(script: ServerScript) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Starts a server at this address.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound or the thread cannot be started.
    pub fn start_at(address: SocketAddr, script: ServerScript) -> io::Result<Self> {
        let state = Arc::new(Watched::new(FakeServerState::new(script)));
        let listener = Listener::start_at(address, "server", {
            let state = Arc::clone(&state);
            move |stream| serve::serve(stream, &state)
        })?;
        Ok(Self { state, listener })
    }

    /// Address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Base URL `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Adds a route to the script, like [`ServerScript::on`].
    ///
    /// # Panics
    ///
    /// When `replies` is empty.
    pub fn on(&self, method: &str, path: &str, replies: impl IntoIterator<Item = ServerReply>) {
        let replies = replies.into_iter().collect();
        self.state.update(|state| state.script.add(Pattern::new(method, path), replies));
    }

    /// Sends one event to every event stream that is open now. Without an open stream the event is
    /// lost. Returns at once.
    ///
    /// `json` is `{"id":..,"type":..,"properties":..}` on one line. `GET /event` sends it
    /// unchanged, `GET /global/event` as the `payload` beside the `directory`.
    pub fn send_event(&self, json: &str) {
        self.state.update(|state| state.send(&StreamItem::Event(json.to_owned())));
    }

    /// Sends bytes unchanged to every event stream that is open now. Returns at once.
    pub fn send_raw(&self, bytes: &[u8]) {
        self.state.update(|state| state.send(&StreamItem::Raw(bytes.to_owned())));
    }

    /// Ends every event stream that is open now, in order and after all data that was sent before.
    pub fn close_events(&self) {
        self.state.update(|state| state.send(&StreamItem::End));
    }
}

traffic_methods!(FakeServer);

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
