use opencode_proto::{AttachmentError, HubEnd, TurnEnd, TurnOutcome};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::agent::UnknownAgent;
use crate::log::EventLogError;
use crate::process::version::in_parentheses;
use crate::runtime::describe::{debug_as_chain, describe};

/// Error of a turn without a complete answer.
///
/// `Serialize` writes `{message, outcome}`: the message with its causes, and the
/// [`outcome`](Self::outcome) or `null`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The turn ended, and not with [`TurnEnd::Completed`]. The outcome has everything that was
    /// gathered.
    #[error("the turn failed{}: {}", in_parentheses(.0.version.as_ref()), .0.end)]
    Ended(Box<TurnOutcome>),
    /// An attached file cannot be used, so nothing was posted.
    #[error(transparent)]
    Attachment(AttachmentError),
    /// The server's event stream could not be opened, so nothing was posted or followed.
    #[error("cannot follow the events of the server")]
    Events(#[source] HubEnd),
    /// The turn ended with an answer, but not all events could be written to the log.
    #[error("the event log of the turn is not complete")]
    Log {
        /// Result of the turn.
        outcome: Box<TurnOutcome>,
        /// The error of the log.
        source: EventLogError,
    },
    /// The log could not be opened, so nothing was posted or followed.
    #[error("cannot write an event log")]
    LogOpen(#[source] EventLogError),
    /// The server has no such agent, so nothing was posted. Only servers before 1.14.34 are asked
    /// for their agents; later ones end the turn with an error that names the agent.
    #[error(transparent)]
    UnknownAgent(#[from] UnknownAgent),
}

debug_as_chain!(TurnError);

impl Serialize for TurnError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("TurnError", 2)?;
        error.serialize_field("message", &describe(self))?;
        error.serialize_field("outcome", &self.outcome())?;
        error.end()
    }
}

impl TurnError {
    /// Returns the outcome with everything that was gathered; `None` for a turn that could not begin.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        match self {
            Self::Ended(outcome) | Self::Log { outcome, .. } => Some(outcome),
            Self::Attachment(_) | Self::Events(_) | Self::LogOpen(_) | Self::UnknownAgent(_) => {
                None
            }
        }
    }

    /// Returns the end of the turn; `None` for a turn that could not begin.
    pub fn end(&self) -> Option<&TurnEnd> {
        self.outcome().map(|outcome| &outcome.end)
    }
}

/// Joins the results of a turn and of the log. A failure of the turn comes first.
pub(super) fn conclude(
    outcome: Box<TurnOutcome>,
    logged: Result<(), EventLogError>,
) -> Result<TurnOutcome, TurnError> {
    if !outcome.end.is_completed() {
        if let Err(error) = logged {
            tracing::warn!(%error, "event log of a failed turn is incomplete");
        }
        return Err(TurnError::Ended(outcome));
    }
    match logged {
        Ok(()) => Ok(*outcome),
        Err(source) => Err(TurnError::Log { outcome, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_serializes_with_its_causes() {
        let json = serde_json::to_string(&TurnError::Events(HubEnd::Exited)).unwrap();
        let expected = r#"{"message":"cannot follow the events of the server: the server has ended","outcome":null}"#;
        assert_eq!(json, expected);
    }
}
