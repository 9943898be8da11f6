//! A run over a server, with the events and the end of `opencode run --format json`.
//!
//! # Theory of operation
//!
//! The driver owns the server and the turn. [`ServedRun`] finds agent and session as `opencode run`
//! does, asks for one turn, and makes the lines of a process of the events of that turn.
//!
//! ```text
//!   Starting -- server ready --> Preparing -- agent and session found --> Following
//!      | server failed,             | refused, deadline, cancel              | the turn has ended
//!      | cancel                     v                                        v
//!      +-------------------------> Over <------------------------------------+
//! ```
//!
//! Deadlines are watched here until the turn begins; the turn is given the rest of them.

mod action;
mod end;
mod part;
mod prepare;
mod record;
mod request;

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use crate::SessionId;
use crate::answer::Answer;
use crate::call::{ApiCallId, ApiReply};
use crate::hub::HubEnd;
use crate::run::{RunEnd, RunOutcome};
use crate::run_event::Notice;
use crate::serve::{ServeEnd, ServeOutcome};
use crate::turn::{TurnEnd, TurnEvent};

pub use action::{ServedRunAction, ServedTurn};
use prepare::{Preparation, Prepared};
use record::ServedRecord;
pub use request::{ServedFile, ServedFileKind, ServedRunRequest};

/// Machine for one run over a server: the events are those of the process that would have run the
/// same prompt, with the same lines, and so are the answer and the end.
///
/// A run over a server has text deltas as well
/// ([`RunEventKind::TextDelta`](crate::RunEventKind::TextDelta)). Facts that the process would have
/// printed on standard error are [`Notice`]s.
///
/// Inputs never fail and may come in any order; input after the end is ignored. The only contract:
/// take all actions until [`ServedRunAction::Wait`] before you wait.
///
/// ```
/// use std::time::Instant;
/// use http::Response;
/// use opencode_config::RunConfig;
/// use opencode_proto::{
///     RunEnd, RunSettings, ServedRun, ServedRunAction, ServedRunRequest, TurnEnd,
/// };
///
/// let now = Instant::now();
/// let request = ServedRunRequest::new("Hello!", &RunConfig::new(), RunSettings::new());
/// let mut run = ServedRun::new(request, now);
/// // The server listens since this moment.
/// run.handle_server_ready(now, now);
/// let outcome = loop {
///     match run.poll_action() {
///         ServedRunAction::Call(call) => {
///             // Send `call.request` to the server. This is the reply to `POST /session`.
///             assert_eq!(call.request.uri(), "/session");
///             let reply = Ok(Response::new(r#"{"id":"ses_1"}"#.into()));
///             run.handle_reply(call.id, reply, now);
///         }
///         ServedRunAction::Send(turn) => {
///             // Drive a `Turn` of the session, and pass on the events. This is the end.
///             run.handle_turn_end(&turn.session.id, &TurnEnd::Completed, 1_700_000_000_000, now);
///         }
///         ServedRunAction::CancelTurn => { /* cancel the turn, and go on until it has ended */ }
///         ServedRunAction::Event(event) => println!("{}", event.event_type()),
///         // Wait for input or for the time, and look at the clock.
///         ServedRunAction::Wait(_at) => run.handle_timeout(Instant::now()),
///         ServedRunAction::Finished(outcome) => break outcome,
///     }
/// };
/// assert_eq!(outcome.end, RunEnd::Completed);
/// ```
#[derive(Debug)]
pub struct ServedRun {
    state: ServedState,
    record: ServedRecord,
    actions: VecDeque<ServedRunAction>,
}

#[derive(Debug)]
enum ServedState {
    /// The turn runs.
    Following,
    Over,
    /// Agent and session are searched for.
    Preparing(Box<Preparation>),
    /// The server is not ready.
    Starting(Box<ServedRunRequest>),
}

impl ServedRun {
    /// Creates a run that waits for the server.
    pub fn new(request: ServedRunRequest, now: Instant) -> Self {
        Self {
            record: ServedRecord::new(&request, now),
            state: ServedState::Starting(Box::new(request)),
            actions: VecDeque::new(),
        }
    }

    /// Takes a server that is ready. The deadlines count from `since`: the start of a server of the
    /// run's own, or the start of the run.
    pub fn handle_server_ready(&mut self, since: Instant, now: Instant) {
        match mem::replace(&mut self.state, ServedState::Over) {
            ServedState::Starting(request) => {
                let mut preparation = Box::new(Preparation::new(*request, since));
                let step = preparation.begin();
                self.state = ServedState::Preparing(preparation);
                self.prepared(step, now);
                self.advance(now);
            }
            other @ (ServedState::Following | ServedState::Over | ServedState::Preparing(_)) => {
                self.state = other;
            }
        }
    }

    /// Takes a fault in the surroundings, which was found before the server was ready for the run.
    pub fn handle_notice(&mut self, notice: Notice) {
        if let ServedState::Starting(_) = self.state {
            self.record.notice(notice);
            self.tell();
        }
    }

    /// Takes the end of the run's own server, which was never ready.
    ///
    /// A server that was not ready in time ends the run as
    /// [`RunEnd::TimedOut`] where a deadline limited the start.
    pub fn handle_server_failed(&mut self, server: &ServeOutcome, now: Instant) {
        let ServedState::Starting(request) = &self.state else { return };
        let end = match (&server.end, request.start_deadline()) {
            (ServeEnd::TimedOut, Some(deadline)) => {
                let installing = self.record.installing();
                RunEnd::TimedOut { deadline, failure: None, installing }
            }
            (failure, _) => end::of_server(failure),
        };
        self.record.server_failed(server.exit, server.stderr.clone());
        self.finish(end, now);
    }

    /// Takes the reply to [`ServedRunAction::Call`].
    pub fn handle_reply(&mut self, id: ApiCallId, reply: ApiReply, now: Instant) {
        let ServedState::Preparing(preparation) = &mut self.state else { return };
        if let Some(step) = preparation.handle_reply(id, reply, now) {
            self.prepared(step, now);
        }
        self.advance(now);
    }

    /// Takes an event of the turn. `now_ms` is the time of day, in milliseconds since 1970.
    pub fn handle_turn_event(&mut self, event: &TurnEvent, now_ms: u64) {
        if let ServedState::Following = self.state {
            self.record.event(event, now_ms);
            self.tell();
        }
    }

    /// Takes the end of the turn of this session. `now_ms` is the time of day, in milliseconds
    /// since 1970.
    pub fn handle_turn_end(
        &mut self,
        session: &SessionId,
        end: &TurnEnd,
        now_ms: u64,
        now: Instant,
    ) {
        if let ServedState::Following = self.state {
            if let TurnEnd::Refused(error) = end {
                self.record.error(session, &end::refusal(error), now_ms);
            }
            self.finish(end::of_turn(end), now);
        }
    }

    /// Takes the end of the server's event stream, which could not be opened for the turn.
    pub fn handle_lost(&mut self, end: &HubEnd, now: Instant) {
        if let ServedState::Following = self.state {
            self.finish(RunEnd::ServerLost { reason: end.reason() }, now);
        }
    }

    /// Takes the time. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Ends the run for the application. The outcome holds all that was gathered.
    pub fn cancel(&mut self, now: Instant) {
        match self.state {
            ServedState::Following => self.actions.push_back(ServedRunAction::CancelTurn),
            ServedState::Over => {}
            ServedState::Preparing(_) | ServedState::Starting(_) => {
                self.finish(RunEnd::Cancelled, now);
            }
        }
    }

    /// Returns the next action. After [`ServedRunAction::Finished`], always returns
    /// [`ServedRunAction::Wait`].
    pub fn poll_action(&mut self) -> ServedRunAction {
        self.actions.pop_front().unwrap_or_else(|| ServedRunAction::Wait(self.wake()))
    }

    /// Returns the answer so far. After the end, the answer is in the outcome, and this one is
    /// empty.
    pub fn answer(&self) -> &Answer {
        &self.record.answer
    }

    /// Returns the outcome of a run that was cancelled before it had a server.
    pub fn not_started(request: ServedRunRequest, now: Instant) -> RunOutcome {
        Self::new(request, now).record.take_outcome(RunEnd::Cancelled, now)
    }

    fn prepared(&mut self, step: Result<Prepared, RunEnd>, now: Instant) {
        if let ServedState::Preparing(preparation) = &mut self.state {
            for notice in preparation.take_notices() {
                self.record.notice(notice);
            }
        }
        self.tell();
        match step {
            Ok(Prepared::Call(call)) => self.actions.push_back(ServedRunAction::Call(call)),
            Ok(Prepared::Turn(turn)) => {
                self.state = ServedState::Following;
                self.actions.push_back(ServedRunAction::Send(turn));
            }
            Err(end) => self.finish(end, now),
        }
    }

    /// Carries out everything that is due.
    fn advance(&mut self, now: Instant) {
        if let ServedState::Preparing(preparation) = &self.state
            && let Some(deadline) = preparation.passed(now)
        {
            self.finish(RunEnd::timed_out(deadline), now);
        }
    }

    fn tell(&mut self) {
        let events = self.record.events.drain(..);
        self.actions.extend(events.map(|event| ServedRunAction::Event(Box::new(event))));
    }

    fn finish(&mut self, end: RunEnd, now: Instant) {
        self.tell();
        self.state = ServedState::Over;
        let outcome = self.record.take_outcome(end, now);
        self.actions.push_back(ServedRunAction::Finished(Box::new(outcome)));
    }

    fn wake(&self) -> Option<Instant> {
        match &self.state {
            ServedState::Preparing(preparation) => preparation.wake(),
            ServedState::Following | ServedState::Over | ServedState::Starting(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
