//! Turns of an attempt.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use opencode_proto::{AttemptTurn, RawJson, TurnEvent, TurnOutcome};

use crate::batch::job_error::JobError;
use crate::runtime::wait::BoxFuture;
use crate::session::structured::{StructuredError, StructuredOutcome, StructuredStream};
use crate::session::turn::{TurnError, TurnStream};

/// Turns of an attempt, with the answer of the schema.
pub(super) type JobTurns = Result<(Vec<TurnOutcome>, Option<RawJson>), JobError>;

/// Events of one turn, or of several until the answer fits the schema.
pub(super) enum JobStream {
    Structured(Box<StructuredStream>),
    Text(Box<TurnStream>),
}

impl JobStream {
    pub(super) fn cancel(&mut self) {
        match self {
            Self::Structured(turns) => turns.cancel(),
            Self::Text(turn) => turn.cancel(),
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        match self {
            Self::Structured(turns) => Pin::new(&mut **turns).poll_next(cx),
            Self::Text(turn) => Pin::new(&mut **turn).poll_next(cx),
        }
    }

    pub(super) fn outcome(self) -> BoxFuture<JobTurns> {
        Box::pin(async {
            match self {
                Self::Structured(turns) => {
                    let StructuredOutcome { value, turns, .. } = turns.outcome().await?;
                    Ok((turns, Some(value)))
                }
                Self::Text(turn) => Ok((vec![turn.outcome().await?], None)),
            }
        })
    }
}

/// Returns the end of turns without a complete answer, for the machine.
pub(super) fn end_of(error: &JobError) -> AttemptTurn {
    if let JobError::Structured(StructuredError::Misfit { .. }) = error {
        return AttemptTurn::Misfit;
    }
    let Some(turn) = error.turn() else { return AttemptTurn::Unusable };
    let number = if let JobError::Structured(StructuredError::Turn { turns, .. }) = error {
        turns.len() + 1
    } else {
        1
    };
    match turn {
        TurnError::Ended(outcome) => {
            let (end, prompt) = (outcome.end.clone(), outcome.message.clone());
            AttemptTurn::Ended { end, prompt, number }
        }
        TurnError::Events(end) => AttemptTurn::NoEvents { end: end.clone(), number },
        TurnError::Attachment(_)
        | TurnError::Log { .. }
        | TurnError::LogOpen(_)
        | TurnError::UnknownAgent(_) => AttemptTurn::Unusable,
    }
}
