use std::time::{Duration, Instant};

use super::settings::TurnSettings;
use crate::guard::Repetition;
use crate::watchdog::{DEADLINE_GRACE, Deadline};

#[derive(Debug)]
pub(super) enum Course {
    /// The session is to be aborted. The turn ends when the server has replied and the session is
    /// idle, or when the abort limit is over.
    Stopping {
        why: StopCause,
        since: Instant,
    },
    Working,
}

/// Reason to stop a turn before the answer is complete.
#[derive(Clone, Debug)]
pub(super) enum StopCause {
    Cancelled,
    Repeated(Repetition),
    /// A call of the model failed, and OpenCode repeats the call after the deadlines.
    RetryTooLate,
    TimedOut(Deadline),
}

impl StopCause {
    /// Returns the time that the abort may take until the turn ends.
    pub(super) fn limit(&self, settings: &TurnSettings) -> Duration {
        match self {
            Self::Cancelled | Self::Repeated(_) => settings.abort_limit,
            Self::RetryTooLate | Self::TimedOut(_) => settings.abort_limit.min(DEADLINE_GRACE),
        }
    }
}

impl Course {
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping { .. })
    }
}
