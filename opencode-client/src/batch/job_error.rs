use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::RunConfigError;
use opencode_proto::api::McpServer;
use opencode_proto::{AttachmentError, CallFault, ResumeStatus, SkipReason, TurnEnd, TurnOutcome};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::record::JobRecord;
use super::results::ResultsError;
use crate::policy::PolicyError;
use crate::runtime::describe::{debug_as_chain, describe};
use crate::session::structured::StructuredError;
use crate::session::turn::TurnError;

/// Error of a job without a complete answer.
///
/// `Serialize` writes `{type, message}`: the [`name`](Self::name), and the message with all causes.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A file to attach cannot be used. Nothing was sent.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// The configuration is not usable.
    #[error("the configuration of the job is not usable")]
    Config(#[from] RunConfigError),
    /// Two settings of the job exclude each other. Nothing was sent.
    #[error("a job with {other} cannot have {setting}")]
    #[non_exhaustive]
    Conflict {
        /// Setting that would have no effect.
        setting: &'static str,
        /// Setting that takes precedence.
        other: &'static str,
    },
    /// The project's directory does not exist or cannot be read.
    #[error("cannot work in {}", path.display())]
    Directory {
        /// Directory that cannot be used.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file to attach does not exist.
    #[error("file not found: {}", path.display())]
    #[non_exhaustive]
    FileNotFound {
        /// Path as the caller wrote it.
        path: PathBuf,
    },
    /// A flag of `opencode run` is not supported by jobs. Nothing was sent.
    #[error("flag `{flag}` is not supported by jobs of a batch")]
    #[non_exhaustive]
    Flag {
        /// Name of the flag, with dashes.
        flag: String,
    },
    /// An earlier batch was interrupted while the job ran. The work of the job until then is
    /// unknown.
    #[error("an earlier batch was interrupted while the job ran")]
    Interrupted,
    /// A required MCP server is not available in the directory of the job
    /// ([`RunConfig::with_required_mcp`](crate::RunConfig::with_required_mcp)). Nothing was sent.
    #[error("a required {0}")]
    McpUnavailable(Box<McpServer>),
    /// No server was available. Holds the error of the last server that was tried.
    #[error("no server is available for the job: {0}")]
    NoServer(String),
    /// The job did not begin.
    #[error("{0}")]
    NotRun(SkipReason),
    /// The job failed, and only the record is known: an earlier batch ran the job, or the request
    /// discards turns.
    #[error("{message}")]
    #[non_exhaustive]
    Recorded {
        /// Kind of the failure, in snake case.
        end: String,
        /// Message of the failure.
        message: String,
    },
    /// The policy cannot be applied to the session.
    #[error("cannot apply the policy to the job's session")]
    Policy(#[from] PolicyError),
    /// The start of the job could not be written to the results file, so the prompt was not sent.
    #[error("cannot record the start of the job")]
    Results(#[source] Arc<ResultsError>),
    /// The session could not be created.
    #[error("cannot create the job's session")]
    Session(#[source] CallFault),
    /// The job needs a setting that a server takes at the start only. Nothing was sent.
    #[error("`{setting}` cannot be changed on a running server")]
    #[non_exhaustive]
    Setting {
        /// Name of the setting.
        setting: &'static str,
    },
    /// No answer fits the schema.
    #[error(transparent)]
    Structured(#[from] StructuredError),
    /// The turn has no complete answer.
    #[error(transparent)]
    Turn(#[from] TurnError),
}

debug_as_chain!(JobError);

impl JobError {
    /// Creates the error of a job of which only a record is known.
    pub(super) fn recorded(record: &JobRecord) -> Self {
        let message = record.error.clone().unwrap_or_default();
        Self::Recorded { end: record.end.clone(), message }
    }

    /// Returns the outcome of the last turn, if there was a turn.
    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.turns().last()
    }

    /// Returns the error of the turn that failed.
    pub(super) fn turn(&self) -> Option<&TurnError> {
        if let Self::Structured(StructuredError::Turn { source, .. }) = self {
            Some(source)
        } else if let Self::Turn(error) = self {
            Some(error)
        } else {
            None
        }
    }

    /// Names the server that was lost as the end of the turn, which that server aborted.
    #[must_use]
    pub(super) fn blame_server(mut self, reason: String) -> Self {
        let turn = if let Self::Structured(StructuredError::Turn { source, .. }) = &mut self {
            Some(&mut **source)
        } else if let Self::Turn(error) = &mut self {
            Some(error)
        } else {
            None
        };
        if let Some(TurnError::Ended(outcome)) = turn {
            outcome.end = TurnEnd::server_lost(reason);
        }
        self
    }

    /// Returns the outcomes of all turns, in order.
    pub(super) fn turns(&self) -> impl Iterator<Item = &TurnOutcome> {
        let turn = if let Self::Turn(error) = self { error.outcome() } else { None };
        let structured =
            if let Self::Structured(error) = self { Some(error.turns()) } else { None };
        structured.into_iter().flatten().chain(turn)
    }

    /// Returns the end of the last turn, if there was a turn.
    pub fn end(&self) -> Option<&TurnEnd> {
        self.outcome().map(|outcome| &outcome.end)
    }

    /// Returns the kind of the failure, in snake case.
    pub fn name(&self) -> &str {
        match self {
            Self::Attachment(_) => "attachment",
            Self::Config(_) => "config",
            Self::Conflict { .. } => "conflict",
            Self::Directory { .. } => "directory",
            Self::FileNotFound { .. } => "file_not_found",
            Self::Flag { .. } => "flag",
            Self::Interrupted => "interrupted",
            Self::McpUnavailable(_) => "mcp_unavailable",
            Self::NoServer(_) => "no_server",
            Self::NotRun(reason) => match reason {
                SkipReason::BudgetSpent => "budget_spent",
                SkipReason::Cancelled => "cancelled",
                SkipReason::NoServer => "no_server",
                SkipReason::Halted | _ => "halted",
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

    /// Returns the meaning of the error for a batch that resumes.
    pub(super) fn status(&self) -> ResumeStatus {
        match self {
            Self::Attachment(_)
            | Self::Config(_)
            | Self::Conflict { .. }
            | Self::Directory { .. }
            | Self::FileNotFound { .. }
            | Self::Flag { .. }
            | Self::McpUnavailable(_)
            | Self::Policy(_)
            | Self::Recorded { .. }
            | Self::Setting { .. } => ResumeStatus::Failed,
            Self::Interrupted => ResumeStatus::Broken,
            Self::NoServer(_) | Self::NotRun(_) | Self::Results(_) | Self::Session(_) => {
                ResumeStatus::NotBegun
            }
            Self::Structured(_) | Self::Turn(_) => {
                self.turn().map_or(ResumeStatus::Failed, turn_status)
            }
        }
    }
}

impl Serialize for JobError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("JobError", 2)?;
        error.serialize_field("type", self.name())?;
        error.serialize_field("message", &describe(self))?;
        error.end()
    }
}

fn turn_name(error: &TurnError) -> &'static str {
    match error {
        TurnError::Ended(outcome) => outcome.end.name(),
        TurnError::Attachment(_) => "attachment",
        TurnError::Events(_) => "events",
        TurnError::Log { .. } | TurnError::LogOpen(_) => "log",
        TurnError::UnknownAgent(_) => "unknown_agent",
    }
}

fn turn_status(error: &TurnError) -> ResumeStatus {
    match error {
        TurnError::Ended(outcome) => ResumeStatus::of(&outcome.end),
        TurnError::Events(_) | TurnError::LogOpen(_) => ResumeStatus::NotBegun,
        TurnError::Attachment(_) | TurnError::Log { .. } | TurnError::UnknownAgent(_) => {
            ResumeStatus::Failed
        }
    }
}
