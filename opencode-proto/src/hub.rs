//! Event stream of one server: connecting, watching for silence, reconnecting, and routing of
//! events to the sessions that are followed.
//!
//! # Theory of operation
//!
//! ```text
//!              stream refused for good
//!   Connecting ----------------------> Finished
//!     ^    | head
//!     |    v
//!     |  Opening                  (the server listens from `server.connected` on, not before)
//!     |    | server.connected
//!     |    v
//!     |   Open --- end, failure, silence ---> Waiting
//!     |                                        |   | given up
//!     +------------- backoff ------------------+   +-------> Finished
//! ```
//!
//! A server has no replay: events published while the stream was down are lost. Followers of a
//! session therefore get every gap reported once the stream is open again, and look up the missed
//! state themselves.

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

/// Machine for the event stream of one server. Owns no connection, clock or task.
///
/// Inputs never fail; inputs that do not fit the state are ignored. The only contract: take all
/// actions until [`HubAction::Wait`] before waiting for anything.
///
/// ```
/// use std::time::Instant;
/// use opencode_proto::{Hub, HubAction, HubEnd, HubSettings};
///
/// let now = Instant::now();
/// let mut hub = Hub::new(HubSettings::default(), now);
/// // 1. Follow sessions: events of their subagents are delivered to them as well.
/// hub.follow("ses_1".into());
/// let mut chunks = [
///     "data: {\"type\":\"server.connected\",\"properties\":{}}\n\n",
///     "data: {\"type\":\"session.idle\",\"properties\":{\"sessionID\":\"ses_1\"}}\n\n",
/// ]
/// .into_iter();
///
/// let (mut is_open, mut delivered) = (false, Vec::new());
/// let end = loop {
///     // 2. Carry out the actions until the hub waits.
///     match hub.poll_action() {
///         HubAction::Connect(stream) => {
///             assert_eq!(stream.path(), "/event");
///             hub.handle_head(now); // The server has answered with a stream.
///         }
///         HubAction::Deliver { event, root } => delivered.push((event, root)),
///         HubAction::Disconnect => { /* drop the connection */ }
///         HubAction::Interrupted(_) => is_open = false,
///         HubAction::Opened => is_open = true,
///         HubAction::Finished(end) => break end,
///         // 3. Wait for the next chunk, the end of the stream, or the time.
///         HubAction::Wait(_) => match chunks.next() {
///             Some(chunk) => hub.handle_chunk(chunk.into(), now),
///             None => hub.handle_exit(), // The server's process has exited.
///         },
///     }
/// };
/// assert!(is_open && matches!(end, HubEnd::Exited));
/// assert_eq!(delivered.last().unwrap().1, Some("ses_1".into()));
/// ```
#[derive(Debug)]
pub struct Hub {
    settings: HubSettings,
    stream: EventStream,
    state: HubState,
    framer: SseFramer,
    routes: Routes,
    backoff: Backoff,
    actions: VecDeque<HubAction>,
}

#[derive(Debug)]
enum HubState {
    Connecting { since: Instant },
    Finished,
    Open { heard: Instant },
    Opening { since: Instant },
    Waiting { until: Instant },
}

impl Hub {
    /// Creates a hub that connects at once.
    pub fn new(settings: HubSettings, now: Instant) -> Self {
        let stream = settings.stream;
        Self {
            stream,
            state: HubState::Connecting { since: now },
            framer: SseFramer::new(settings.event_size_max),
            routes: Routes::default(),
            backoff: Backoff::new(&settings),
            actions: VecDeque::from([HubAction::Connect(stream)]),
            settings,
        }
    }

    /// Adds a follower of this session. The events of the session and of its descendants are
    /// delivered under this root.
    ///
    /// Failures from before do not count for a new follower: the limits of the settings begin anew.
    pub fn follow(&mut self, session: SessionId) {
        self.backoff.reset();
        self.routes.follow(session);
    }

    /// Removes a follower of this session.
    pub fn leave(&mut self, session: &SessionId) {
        self.routes.leave(session);
    }

    /// Links a child session to the parent, when the link was found by a look instead of an event.
    pub fn link(&mut self, child: &SessionId, parent: &SessionId) {
        self.routes.link(child, parent);
    }

    /// Handles the head of a response that is an event stream.
    pub fn handle_head(&mut self, now: Instant) {
        if let HubState::Connecting { .. } = self.state {
            self.framer = SseFramer::new(self.settings.event_size_max);
            self.state = HubState::Opening { since: now };
        }
    }

    /// Handles a response that is not an event stream.
    pub fn handle_refused(&mut self, error: ApiError, now: Instant) {
        if !matches!(self.state, HubState::Connecting { .. }) {
            return;
        }
        match (error.is_unknown_fixed_route(), self.stream) {
            // Old servers have the stream of one directory only.
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

    /// Handles a chunk of the stream.
    pub fn handle_chunk(&mut self, chunk: Bytes, now: Instant) {
        match &mut self.state {
            HubState::Open { heard } => *heard = now,
            HubState::Opening { .. } => {}
            HubState::Connecting { .. } | HubState::Finished | HubState::Waiting { .. } => return,
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

    /// Handles the failure of the connection, with the reason.
    pub fn handle_lost(&mut self, reason: impl Into<String>, now: Instant) {
        self.interrupt(Interruption::Lost { reason: reason.into() }, now);
    }

    /// Handles a connection that was refused, since nothing listens at the address.
    pub fn handle_no_listener(&mut self, reason: impl Into<String>, now: Instant) {
        let why = Interruption::Lost { reason: reason.into() };
        self.interrupt_until(why, Backoff::next_after_refusal, now);
    }

    /// Handles the end of the stream.
    pub fn handle_end(&mut self, now: Instant) {
        self.interrupt(Interruption::Closed, now);
    }

    /// Handles the exit of the server process, after which no reconnect is tried.
    pub fn handle_exit(&mut self) {
        self.finish(HubEnd::Exited);
    }

    /// Handles the passage of time. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(wake) = self.wake() else { return };
        if wake > now {
            return;
        }
        match &self.state {
            HubState::Connecting { .. } | HubState::Opening { .. } => {
                self.interrupt(Interruption::NotOpened { limit: self.settings.open_limit }, now);
            }
            HubState::Open { .. } => {
                self.interrupt(Interruption::Silent { limit: self.settings.silence_limit }, now);
            }
            HubState::Waiting { .. } => self.connect(now),
            HubState::Finished => {}
        }
    }

    /// Returns the next action.
    pub fn poll_action(&mut self) -> HubAction {
        self.actions.pop_front().unwrap_or_else(|| HubAction::Wait(self.wake()))
    }

    fn wake(&self) -> Option<Instant> {
        let settings = &self.settings;
        match &self.state {
            HubState::Connecting { since } | HubState::Opening { since } => {
                since.checked_add(settings.open_limit)
            }
            HubState::Open { heard } => heard.checked_add(settings.silence_limit),
            HubState::Waiting { until } => Some(*until),
            HubState::Finished => None,
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
        // Work and requests of the sessions are over, and no event reports their end.
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
        if !matches!(self.state, HubState::Opening { .. }) {
            return;
        }
        self.state = HubState::Open { heard: now };
        self.backoff.reset();
        self.actions.push_back(HubAction::Opened);
    }

    /// Reports a gap in the open stream.
    fn gap(&mut self, why: Interruption) {
        self.actions.push_back(HubAction::Interrupted(why));
        self.actions.push_back(HubAction::Opened);
    }

    fn interrupt(&mut self, why: Interruption, now: Instant) {
        self.interrupt_until(why, Backoff::next, now);
    }

    fn interrupt_until(
        &mut self,
        why: Interruption,
        next: fn(&mut Backoff, Instant) -> Option<Instant>,
        now: Instant,
    ) {
        match self.state {
            HubState::Finished | HubState::Waiting { .. } => return,
            HubState::Open { .. } => self.actions.push_back(HubAction::Interrupted(why.clone())),
            HubState::Connecting { .. } | HubState::Opening { .. } => {}
        }
        self.actions.push_back(HubAction::Disconnect);
        match next(&mut self.backoff, now) {
            Some(until) => self.state = HubState::Waiting { until },
            None => self.finish(HubEnd::GivenUp { last: why }),
        }
    }

    fn connect(&mut self, now: Instant) {
        self.state = HubState::Connecting { since: now };
        self.actions.push_back(HubAction::Connect(self.stream));
    }

    fn finish(&mut self, end: HubEnd) {
        if !matches!(self.state, HubState::Finished) {
            self.state = HubState::Finished;
            self.actions.push_back(HubAction::Finished(end));
        }
    }
}

/// Returns whether a retry can help although the status blames the request.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429)
}

#[cfg(test)]
mod tests;
