use opencode_proto::{HubEnd, TurnEnd, TurnOutcome};

use crate::log::EventLogError;
use crate::runtime::describe::debug_as_chain;

/// Why a turn gave no complete answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// It ended, and its end is not [`TurnEnd::Completed`]. All that was gathered is in the outcome.
    #[error("the turn has no complete answer: {}", .0.end)]
    Ended(Box<TurnOutcome>),
    /// The server's event stream could not be opened, so nothing was posted.
    #[error("cannot follow the events of the server")]
    Events(#[source] HubEnd),
    /// It ended with an answer, but its events could not all be written to the log.
    #[error("the event log of the turn is not complete")]
    Log {
        /// What it came to.
        outcome: Box<TurnOutcome>,
        /// What failed.
        source: EventLogError,
    },
    /// The log could not be opened, so nothing was posted.
    #[error("cannot write an event log")]
    LogOpen(#[source] EventLogError),
}

debug_as_chain!(TurnError);

impl TurnError {
    /// What was gathered, when there was a turn at all.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        match self {
            Self::Ended(outcome) | Self::Log { outcome, .. } => Some(outcome),
            Self::Events(_) | Self::LogOpen(_) => None,
        }
    }

    /// How the turn ended, when there was one at all.
    pub fn end(&self) -> Option<&TurnEnd> {
        self.outcome().map(|outcome| &outcome.end)
    }
}

/// What is told of the turn. Its own failure says most.
pub(super) fn conclude(
    outcome: Box<TurnOutcome>,
    logged: Result<(), EventLogError>,
) -> Result<TurnOutcome, TurnError> {
    if !outcome.end.is_completed() {
        if let Err(error) = logged {
            tracing::warn!(%error, "the event log of a turn that failed is not complete");
        }
        return Err(TurnError::Ended(outcome));
    }
    match logged {
        Ok(()) => Ok(*outcome),
        Err(source) => Err(TurnError::Log { outcome, source }),
    }
}
