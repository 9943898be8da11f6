use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::RunConfigError;
use opencode_proto::{NotRun, TurnEnd, TurnOutcome};

use super::record::{JobRecord, Standing};
use super::results::ResultsError;
use crate::http::CallError;
use crate::policy::PolicyError;
use crate::runtime::describe::debug_as_chain;
use crate::session::structured::StructuredError;
use crate::session::turn::TurnError;

/// Why a job has no complete answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The configuration cannot be used.
    #[error("the job's configuration is not usable")]
    Config(#[from] RunConfigError),
    /// The project's directory is not there.
    #[error("cannot work in {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An earlier batch was broken off while it ran. What it did until then is not known.
    #[error("an earlier batch was broken off while it ran")]
    Interrupted,
    /// No server could be had for it: why the last one could not.
    #[error("there is no server for it: {0}")]
    NoServer(String),
    /// It was not begun.
    #[error("{0}")]
    NotRun(NotRun),
    /// It failed, and its record is all that is known of it: an earlier batch has run it, or what it said and did was not
    /// to be kept.
    #[error("{message}")]
    #[non_exhaustive]
    Recorded {
        /// The kind of failure, in snake case.
        end: String,
        /// Why.
        message: String,
    },
    /// It could not be put under its policy.
    #[error("it cannot be put under its policy")]
    Policy(#[from] PolicyError),
    /// That its prompt was about to be sent could not be written to the results, so it was not sent.
    #[error("the results cannot be written")]
    Results(#[source] Arc<ResultsError>),
    /// Its session could not be created.
    #[error("cannot create its session")]
    Session(#[source] CallError),
    /// It asks for something that a server which runs already cannot be told.
    #[error("a server that runs already cannot be told its {setting}")]
    #[non_exhaustive]
    Setting {
        /// What.
        setting: &'static str,
    },
    /// It has no answer that fits.
    #[error(transparent)]
    Structured(#[from] StructuredError),
    /// Its turn has no complete answer.
    #[error(transparent)]
    Turn(#[from] TurnError),
}

debug_as_chain!(JobError);

impl JobError {
    /// What is known of a failure that nothing else is known of.
    pub(super) fn recorded(record: &JobRecord) -> Self {
        let message = record.error.clone().unwrap_or_default();
        Self::Recorded { end: record.end.clone(), message }
    }

    /// What was gathered, when there was a turn: in the last one, if there were several.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.turns().last()
    }

    /// The turn that failed.
    pub(super) fn turn(&self) -> Option<&TurnError> {
        if let Self::Structured(StructuredError::Turn { source, .. }) = self {
            return Some(source);
        }
        if let Self::Turn(error) = self { Some(error) } else { None }
    }

    /// The same, to change what is told of it.
    pub(super) fn turn_mut(&mut self) -> Option<&mut TurnError> {
        if let Self::Structured(StructuredError::Turn { source, .. }) = self {
            return Some(source);
        }
        if let Self::Turn(error) = self { Some(error) } else { None }
    }

    /// All turns that there were.
    pub(super) fn turns(&self) -> impl Iterator<Item = &TurnOutcome> {
        let (turn, structured) = match self {
            Self::Turn(error) => (error.outcome(), None),
            Self::Structured(error) => (None, Some(error.turns())),
            Self::Config(_)
            | Self::Directory { .. }
            | Self::Interrupted
            | Self::NoServer(_)
            | Self::NotRun(_)
            | Self::Policy(_)
            | Self::Recorded { .. }
            | Self::Results(_)
            | Self::Session(_)
            | Self::Setting { .. } => (None, None),
        };
        structured.into_iter().flatten().chain(turn)
    }

    /// How the turn ended, when there was one.
    pub fn end(&self) -> Option<&TurnEnd> {
        self.outcome().map(|outcome| &outcome.end)
    }

    /// The kind of failure, in snake case.
    pub fn name(&self) -> &str {
        match self {
            Self::Config(_) => "config",
            Self::Directory { .. } => "directory",
            Self::Interrupted => "interrupted",
            Self::NoServer(_) => "no_server",
            Self::NotRun(why) => match why {
                NotRun::BudgetSpent => "budget_spent",
                NotRun::Cancelled => "cancelled",
                NotRun::NoServer => "no_server",
                NotRun::Halted | _ => "halted",
            },
            Self::Policy(_) => "policy",
            Self::Recorded { end, .. } => end,
            Self::Results(_) => "results",
            Self::Session(_) => "session",
            Self::Setting { .. } => "setting",
            Self::Structured(StructuredError::Turn { source, .. }) => turn_name(source),
            Self::Structured(StructuredError::Misfit { .. }) => "misfit",
            Self::Structured(_) => "schema",
            Self::Turn(error) => turn_name(error),
        }
    }

    /// What it means for another batch with the same job.
    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Config(_)
            | Self::Directory { .. }
            | Self::Policy(_)
            | Self::Recorded { .. }
            | Self::Setting { .. } => Standing::Failed,
            Self::Interrupted => Standing::Broken,
            Self::NoServer(_) | Self::NotRun(_) | Self::Results(_) | Self::Session(_) => {
                Standing::NotBegun
            }
            Self::Structured(_) | Self::Turn(_) => {
                self.turn().map_or(Standing::Failed, turn_standing)
            }
        }
    }
}

fn turn_name(error: &TurnError) -> &'static str {
    match error {
        TurnError::Ended(outcome) => outcome.end.name(),
        TurnError::Events(_) => "events",
        TurnError::Log { .. } | TurnError::LogOpen(_) => "log",
    }
}

fn turn_standing(error: &TurnError) -> Standing {
    match error {
        TurnError::Ended(outcome) => end_standing(&outcome.end),
        TurnError::Events(_) | TurnError::LogOpen(_) => Standing::NotBegun,
        TurnError::Log { .. } => Standing::Failed,
    }
}

fn end_standing(end: &TurnEnd) -> Standing {
    if matches!(end, TurnEnd::NotPosted { .. }) {
        Standing::NotBegun
    } else if matches!(end, TurnEnd::Cancelled | TurnEnd::ServerLost { .. } | TurnEnd::Torn) {
        Standing::Broken
    } else {
        Standing::Failed
    }
}
