//! Actions and ends of an attempt.

use std::time::Instant;

use crate::batch::action::JobStop;
use crate::call::{ApiCall, CallFault};
use crate::directory::DirectoryError;
use crate::hub::HubEnd;
use crate::server_event::SessionInfo;
use crate::turn::TurnEnd;
use crate::{MessageId, SessionId};

/// Next task for the driver of a [`JobAttempt`](super::JobAttempt).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum AttemptAction {
    /// Send the request to the server, and pass the reply to
    /// [`handle_reply`](super::JobAttempt::handle_reply).
    Call(Box<ApiCall>),
    /// Cancel the turn. The end of the turn still has to be passed on.
    CancelTurn,
    /// The attempt is over. No action follows.
    Finished(Box<AttemptEnd>),
    /// Follow the session on the server's event stream: pass on when the stream is open
    /// ([`handle_stream_open`](super::JobAttempt::handle_stream_open)), and then events and gaps.
    Follow(SessionId),
    /// Put the session under the policy, write down that the prompt is about to be sent, and call
    /// [`handle_prepared`](super::JobAttempt::handle_prepared).
    Prepare(Box<SessionInfo>),
    /// Begin the turn of the session. Comes at most once.
    Send,
    /// Wait for the next input. At the given time, if any, call
    /// [`handle_timeout`](super::JobAttempt::handle_timeout).
    Wait(Option<Instant>),
}

/// End of an attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttemptEnd {
    /// Meaning of the end for the batch.
    pub stop: JobStop,
    /// Cause of the end.
    pub cause: AttemptCause,
    /// Reason for which the server is of no use any more, if it is.
    pub fault: Option<String>,
}

/// Cause of the end of an attempt.
///
/// Exhaustive on purpose: a driver that does not know a cause must not compile.
#[derive(Clone, Debug)]
pub enum AttemptCause {
    /// The caller cancelled the job before the prompt was sent.
    Cancelled,
    /// The session works in another directory than the requested one.
    Directory(DirectoryError),
    /// The driver could not prepare the session.
    NotPrepared,
    /// The server that was given up aborted the turn. Holds the reason.
    ServerLost(String),
    /// The session could not be created.
    Session(CallFault),
    /// The turns ended by themselves.
    Turn,
}

/// End of the turns of an attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttemptTurn {
    /// The answer is complete, and fits the schema.
    Answered,
    /// A turn ended without a complete answer.
    Ended {
        /// End of the turn.
        end: TurnEnd,
        /// Id of the turn's prompt.
        prompt: MessageId,
        /// Number of the turn, from 1.
        number: usize,
    },
    /// No answer fitted the schema.
    Misfit,
    /// The event stream could not be opened, so the prompt was not sent.
    NoEvents {
        /// End of the stream.
        end: HubEnd,
        /// Number of the turn, from 1.
        number: usize,
    },
    /// The turn could not begin or be recorded, for a reason of this machine.
    Unusable,
}

impl AttemptEnd {
    pub(super) fn new(stop: JobStop, cause: AttemptCause) -> Self {
        Self { stop, cause, fault: None }
    }
}
