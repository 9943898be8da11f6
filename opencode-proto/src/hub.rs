//! The event stream of one server, for as long as anybody cares: connected, watched, connected again, and told apart by
//! session.
//!
//! # Theory of operation
//!
//! ```text
//!              stream refused for good
//!   Connecting ----------------------> Finished
//!     ^    | head
//!     |    v
//!     |  Opening                  (the server has the listener when it says `server.connected`, not before)
//!     |    | server.connected
//!     |    v
//!     |   Open --- end, failure, silence ---> Waiting
//!     |                                        |   | given up
//!     +------------- backoff ------------------+   +-------> Finished
//! ```
//!
//! A server has no replay: what it said while nobody listened is gone. So whoever follows a session is told of every gap
//! once the stream is open again, and looks for itself at what it missed.

mod action;
mod backoff;
mod routes;
mod settings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::SessionId;
use crate::api::ApiError;
use crate::server_event::{ServerEvent, ServerEventKind};
use crate::sse::{SseEvent, SseFramer};

pub use action::{EventStream, HubAction, HubEnd, Interruption};
use backoff::Backoff;
use routes::Routes;
pub(crate) use routes::child_of;
pub use settings::HubSettings;

/// The machine for one server's event stream. Owns no connection, clock or task.
///
/// Inputs never fail; those that do not fit the state are ignored. The only contract: take all actions until
/// [`HubAction::Wait`] before waiting for anything.
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    stream: EventStream,
    state: State,
    framer: SseFramer,
    routes: Routes,
    backoff: Backoff,
    actions: VecDeque<HubAction>,
}

#[derive(Debug)]
enum State {
    Connecting { since: Instant },
    Finished,
    Open { heard: Instant },
    Opening { since: Instant },
    Waiting { until: Instant },
}

impl Hub {
    /// A hub that connects at once.
    pub fn new(settings: HubSettings, now: Instant) -> Self {
        let stream = settings.stream;
        Self {
            stream,
            state: State::Connecting { since: now },
            framer: SseFramer::new(settings.event_size_max),
            routes: Routes::default(),
            backoff: Backoff::new(&settings),
            actions: VecDeque::from([HubAction::Connect(stream)]),
            settings,
        }
    }

    /// Somebody follows this session: its events, and those of its descendants, are delivered to it.
    pub fn follow(&mut self, session: SessionId) {
        self.routes.follow(session);
    }

    /// Nobody follows this session any more.
    pub fn leave(&mut self, session: &SessionId) {
        self.routes.leave(session);
    }

    /// This session was found to be a child of that one, in another way than by an event.
    pub fn link(&mut self, child: &SessionId, parent: &SessionId) {
        self.routes.link(child, parent);
    }

    /// The server answered with an event stream.
    pub fn handle_head(&mut self, now: Instant) {
        if let State::Connecting { .. } = self.state {
            self.framer = SseFramer::new(self.settings.event_size_max);
            self.state = State::Opening { since: now };
        }
    }

    /// The server answered with something else.
    pub fn handle_refused(&mut self, error: ApiError, now: Instant) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        match (error.is_unknown_route(), self.stream) {
            // Old servers know one directory's stream only.
            (true, EventStream::Global) => {
                self.stream = EventStream::Directory;
                self.connect(now);
            }
            (true, EventStream::Directory) => self.finish(HubEnd::Refused(Box::new(error))),
            (false, _) if error.status.is_client_error() && !is_passing(error.status.as_u16()) => {
                self.finish(HubEnd::Refused(Box::new(error)));
            }
            (false, _) => {
                self.interrupt(Interruption::Refused { status: error.status.as_u16() }, now)
            }
        }
    }

    /// A piece of the stream.
    pub fn handle_chunk(&mut self, chunk: Bytes, now: Instant) {
        match &mut self.state {
            State::Open { heard } => *heard = now,
            State::Opening { .. } => {}
            State::Connecting { .. } | State::Finished | State::Waiting { .. } => return,
        }
        self.framer.push(chunk);
        while let Some(event) = self.framer.next_event() {
            match event {
                SseEvent::Message { data, .. } => self.event(ServerEvent::decode(data), now),
                SseEvent::TooLong { size } => {
                    let limit = self.settings.event_size_max;
                    self.gap(Interruption::TooLong { size, limit });
                }
                SseEvent::Comment | SseEvent::Retry { .. } => {}
            }
        }
    }

    /// The stream ended, or could not be opened, and this is why.
    pub fn handle_lost(&mut self, reason: impl Into<String>, now: Instant) {
        self.interrupt(Interruption::Lost { reason: reason.into() }, now);
    }

    /// The server closed the stream.
    pub fn handle_end(&mut self, now: Instant) {
        self.interrupt(Interruption::Closed, now);
    }

    /// The server is gone for good: its process has ended.
    pub fn handle_exit(&mut self) {
        self.finish(HubEnd::Exited);
    }

    /// Time has passed. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(wake) = self.wake() else { return };
        if wake > now {
            return;
        }
        match &self.state {
            State::Connecting { .. } | State::Opening { .. } => {
                self.interrupt(Interruption::NotOpened { limit: self.settings.open_limit }, now);
            }
            State::Open { .. } => {
                self.interrupt(Interruption::Silent { limit: self.settings.silence_limit }, now);
            }
            State::Waiting { .. } => self.connect(now),
            State::Finished => {}
        }
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> HubAction {
        self.actions.pop_front().unwrap_or_else(|| HubAction::Wait(self.wake()))
    }

    fn wake(&self) -> Option<Instant> {
        let settings = &self.settings;
        match &self.state {
            State::Connecting { since } | State::Opening { since } => {
                since.checked_add(settings.open_limit)
            }
            State::Open { heard } => heard.checked_add(settings.silence_limit),
            State::Waiting { until } => Some(*until),
            State::Finished => None,
        }
    }

    fn event(&mut self, event: ServerEvent, now: Instant) {
        let kind = &event.kind;
        if matches!(kind, ServerEventKind::Connected) {
            return self.opened(now);
        }
        if matches!(kind, ServerEventKind::Heartbeat | ServerEventKind::Sync) {
            return;
        }
        // Whatever the sessions were doing or asking is over, and nothing tells of it.
        let is_disposed =
            matches!(kind, ServerEventKind::InstanceDisposed | ServerEventKind::GlobalDisposed);
        self.deliver(event);
        if is_disposed {
            self.gap(Interruption::Disposed);
        }
    }

    fn deliver(&mut self, event: ServerEvent) {
        let root = self.routes.root(&event);
        self.actions.push_back(HubAction::Deliver { event: Arc::new(event), root });
    }

    fn opened(&mut self, now: Instant) {
        if !matches!(self.state, State::Opening { .. }) {
            return;
        }
        self.state = State::Open { heard: now };
        self.backoff.reset();
        self.actions.push_back(HubAction::Opened);
    }

    /// Something of the open stream is missing.
    fn gap(&mut self, why: Interruption) {
        self.actions.push_back(HubAction::Interrupted(why));
        self.actions.push_back(HubAction::Opened);
    }

    fn interrupt(&mut self, why: Interruption, now: Instant) {
        match self.state {
            State::Finished | State::Waiting { .. } => return,
            State::Open { .. } => self.actions.push_back(HubAction::Interrupted(why.clone())),
            State::Connecting { .. } | State::Opening { .. } => {}
        }
        self.actions.push_back(HubAction::Disconnect);
        match self.backoff.next(now) {
            Some(until) => self.state = State::Waiting { until },
            None => self.finish(HubEnd::GivenUp { last: why }),
        }
    }

    fn connect(&mut self, now: Instant) {
        self.state = State::Connecting { since: now };
        self.actions.push_back(HubAction::Connect(self.stream));
    }

    fn finish(&mut self, end: HubEnd) {
        if !matches!(self.state, State::Finished) {
            self.state = State::Finished;
            self.actions.push_back(HubAction::Finished(end));
        }
    }
}

/// Whether another try can help although the status blames the request.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429)
}

#[cfg(test)]
mod tests;
