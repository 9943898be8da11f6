use std::time::Instant;

use opencode_config::Approval;

use crate::call::ApiCall;
use crate::run::RunOutcome;
use crate::run_event::RunEvent;
use crate::server_event::SessionInfo;
use crate::turn::{TurnPost, TurnSettings};

/// Next task for the driver of a [`ServedRun`](super::ServedRun).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum ServedRunAction {
    /// Send the request to the server, and pass the reply to
    /// [`handle_reply`](super::ServedRun::handle_reply).
    Call(Box<ApiCall>),
    /// Cancel the turn. The events and the end still have to be passed on.
    CancelTurn,
    /// Hand the event to the application.
    Event(Box<RunEvent>),
    /// The run is over. No action follows.
    Finished(Box<RunOutcome>),
    /// Begin this turn, and pass on the events and the end. Comes at most once.
    Send(Box<ServedTurn>),
    /// Wait for the next input. At the given time, if any, call
    /// [`handle_timeout`](super::ServedRun::handle_timeout).
    Wait(Option<Instant>),
}

/// Turn of a run over a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedTurn {
    /// Session of the turn.
    pub session: SessionInfo,
    /// Request that begins the turn: a prompt or a command.
    pub post: TurnPost,
    /// Settings of the turn, with the time that the run has left.
    pub settings: TurnSettings,
    /// Answer to permission requests of the turn.
    pub approval: Approval,
}
