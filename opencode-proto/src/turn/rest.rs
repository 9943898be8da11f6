//! The wait of a turn for work after its answer.

use std::time::Instant;

use super::outcome::TurnEnd;

/// Wait for the rest of the work of a turn whose answer is complete.
#[derive(Debug)]
pub(super) struct RestOfWork {
    pub(super) end: TurnEnd,
    /// Since when neither the session nor a subagent works.
    pub(super) quiet_since: Option<Instant>,
}
