//! Results of scenarios, and the limits that they may have.

use std::fmt;

/// Result of a scenario with one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Passed,
    Limited(Limit),
    Failed(String),
}

/// Difference of old versions that is known and documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The version lacks a feature, and the library refuses to start.
    Refused,
    /// OpenCode does not print tool calls that failed.
    FailedToolsUnprinted,
    /// The error of a model that does not exist does not name the model.
    ModelUnnamed,
    /// OpenCode exits before it has printed all events.
    OutputLost,
    /// OpenCode asks the model for a title although the session has one.
    TitleAnyway,
}

impl Limit {
    pub(crate) const ALL: [Self; 5] = [
        Self::Refused,
        Self::FailedToolsUnprinted,
        Self::TitleAnyway,
        Self::OutputLost,
        Self::ModelUnnamed,
    ];

    /// Sign of the limit in the table.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::FailedToolsUnprinted => "a",
            Self::TitleAnyway => "b",
            Self::OutputLost => "c",
            Self::ModelUnnamed => "d",
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Refused => {
                "The version lacks a feature. The library refuses the request with `Unsupported`, \
                 before anything is started or sent."
            }
            Self::FailedToolsUnprinted => {
                "A run as a process does not report tool calls that failed, because OpenCode does \
                 not print them. Runs over a server report all calls (`Backend::NewServer`)."
            }
            Self::OutputLost => {
                "`opencode run` exits before it has printed all events, often or always. The run is an \
                 error (`RunEnd::Torn`, or `StartupError` when nothing was printed), never a wrong \
                 answer. Runs over a server are not affected (`Backend::NewServer`)."
            }
            Self::ModelUnnamed => {
                "The error of a run for a model that does not exist is an agent error without the \
                 name of the model."
            }
            Self::TitleAnyway => {
                "OpenCode asks the model for a title although the session has one: a call of the \
                 small model for each session that the library cannot prevent."
            }
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("ok"),
            Self::Limited(limit) => f.write_str(limit.sign()),
            Self::Failed(reason) => write!(f, "FAILED: {reason}"),
        }
    }
}
