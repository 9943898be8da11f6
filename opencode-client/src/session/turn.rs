//! The pump of a turn: it carries the machine's actions out and tells it what happens. All decisions are the machine's.

mod answer;
mod error;
pub(crate) mod handler;
mod look;
mod pending;
mod post;
mod request;
mod running;
mod starting;

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opencode_proto::{MessageId, Transcript, TurnEvent, TurnOutcome};

use crate::log::EventLogError;
use crate::runtime::wait::BoxFuture;
use crate::session::core::SessionCore;

pub use answer::{Ask, PermissionToken, QuestionToken};
pub use error::TurnError;
pub use request::TurnRequest;
use running::{Progress, Running};
use starting::Starting;

/// What happens in a turn, as it happens.
///
/// The stream ends when the turn has; [`outcome`](Self::outcome) says how. It drives the turn only while it is polled;
/// the server works on in the meantime, and what happens is told later.
///
/// # Cancel safety
///
/// Waiting for the next event loses nothing when it is cancelled. Dropping the stream aborts the turn on the server, in
/// the background; the next prompt of the session waits for that.
#[must_use = "a turn does nothing unless it is polled"]
pub struct TurnStream {
    core: SessionCore,
    phase: Phase,
    cancelled: bool,
}

enum Phase {
    Created(Box<TurnRequest>),
    Starting(Starting),
    Running(Box<Running>),
    Ending(Box<TurnOutcome>, BoxFuture<Result<(), EventLogError>>),
    Ended(Box<Result<TurnOutcome, TurnError>>),
    Taken,
}

impl TurnStream {
    pub(crate) fn new(core: SessionCore, request: TurnRequest) -> Self {
        Self { core, phase: Phase::Created(Box::new(request)), cancelled: false }
    }

    /// The next event, `None` when there are no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_event(&mut self) -> Option<TurnEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The ask that the last event told of, when the request was made
    /// [`with_asks_in_stream`](TurnRequest::with_asks_in_stream). It has to be taken before the next event: what is not
    /// taken is refused.
    pub fn take_ask(&mut self) -> Option<Ask> {
        match &mut self.phase {
            Phase::Running(running) => running.take_ask(),
            Phase::Created(_)
            | Phase::Starting(_)
            | Phase::Ending(..)
            | Phase::Ended(_)
            | Phase::Taken => None,
        }
    }

    /// What was gathered so far; `None` before the prompt is posted and after the end.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.running().map(Running::transcript)
    }

    /// The prompt's message; `None` before it is posted and after the end.
    pub fn message(&self) -> Option<&MessageId> {
        self.running().map(Running::message)
    }

    /// Aborts the turn, if it is not over. The stream goes on to its end.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let Phase::Running(running) = &mut self.phase {
            running.cancel();
        }
    }

    /// Waits for the end of the turn, dropping the events that nobody took.
    ///
    /// # Errors
    ///
    /// [`TurnError::Ended`] with all that was gathered when the turn ended in any way but with a complete answer; the
    /// other kinds when it could not be begun or logged.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the stream.
    pub async fn outcome(mut self) -> Result<TurnOutcome, TurnError> {
        while self.next_event().await.is_some() {}
        match mem::replace(&mut self.phase, Phase::Taken) {
            Phase::Ended(result) => *result,
            Phase::Created(_)
            | Phase::Starting(_)
            | Phase::Running(_)
            | Phase::Ending(..)
            | Phase::Taken => unreachable!("the events have ended"),
        }
    }

    fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            Phase::Created(_)
            | Phase::Starting(_)
            | Phase::Ending(..)
            | Phase::Ended(_)
            | Phase::Taken => None,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        loop {
            match &mut self.phase {
                Phase::Created(_) => {
                    let Phase::Created(request) = mem::replace(&mut self.phase, Phase::Taken)
                    else {
                        unreachable!("it was just looked at")
                    };
                    if self.cancelled {
                        let error = starting::cancelled(&self.core, request.settings);
                        self.phase = Phase::Ended(Box::new(Err(error)));
                        continue;
                    }
                    self.phase = Phase::Starting(Starting::new(&self.core, *request));
                }
                Phase::Starting(starting) => {
                    self.phase = match ready!(starting.poll(cx, self.cancelled)) {
                        Ok(running) => Phase::Running(running),
                        Err(error) => Phase::Ended(Box::new(Err(error))),
                    };
                }
                Phase::Running(running) => match ready!(running.poll_progress(cx)) {
                    Progress::Event(event) => return Poll::Ready(Some(*event)),
                    Progress::Finished(outcome) => {
                        let closing = running.close();
                        self.phase = Phase::Ending(outcome, Box::pin(closing));
                    }
                },
                Phase::Ending(_, closing) => {
                    let closed = ready!(closing.as_mut().poll(cx));
                    let Phase::Ending(outcome, _) = mem::replace(&mut self.phase, Phase::Taken)
                    else {
                        unreachable!("it was just looked at")
                    };
                    self.phase = Phase::Ended(Box::new(error::conclude(outcome, closed)));
                }
                Phase::Ended(_) | Phase::Taken => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for TurnStream {
    type Item = TurnEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for TurnStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Created(_) => "created",
            Phase::Starting(_) => "starting",
            Phase::Running(_) => "running",
            Phase::Ending(..) => "ending",
            Phase::Ended(_) | Phase::Taken => "ended",
        };
        f.debug_struct("TurnStream")
            .field("session", &self.core.state.id)
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}
