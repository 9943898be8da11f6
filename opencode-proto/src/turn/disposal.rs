//! Directories that another client closes at the server, which aborts their turns.

use std::time::Instant;

/// Knowledge about the directory of the session, which another client may close at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposal {
    /// Another client ended the turn. OpenCode reports the end of a directory that is closed
    /// right after the aborts of the turns there, until this time at the latest.
    Expected(Instant),
    /// The time is over: the abort has another reason.
    Passed,
    Reported,
    Unknown,
}

impl Disposal {
    pub(super) fn wake(self) -> Option<Instant> {
        match self {
            Self::Expected(until) => Some(until),
            Self::Passed | Self::Reported | Self::Unknown => None,
        }
    }
}
