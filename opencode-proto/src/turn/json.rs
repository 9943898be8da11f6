//! Turns as JSON, for programs that pass events and outcomes on.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::event::{Origin, TurnEvent, TurnEventKind};
use super::outcome::{TurnEnd, TurnOutcome};
use crate::answer::StepRole;
use crate::server_event::ServerEvent;
use crate::surroundings::McpServer;
use crate::{AgentError, ApiError, Deadline, MessageId, ProviderFailure, SessionId};

impl Serialize for TurnEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct EventFields<'a> {
            #[serde(rename = "sessionID")]
            session: &'a SessionId,
            origin: Origin,
            step: StepRole,
            #[serde(flatten)]
            kind: &'a TurnEventKind,
            #[serde(skip_serializing_if = "Option::is_none")]
            source: Option<&'a ServerEvent>,
        }
        let is_other = matches!(self.kind, TurnEventKind::Other);
        let fields = EventFields {
            session: &self.session,
            origin: self.origin,
            step: self.step,
            kind: &self.kind,
            source: self.source.as_deref().filter(|_| is_other),
        };
        fields.serialize(serializer)
    }
}

/// The fields of all ends of turns and runs.
#[derive(Default, Serialize)]
pub(crate) struct EndFields<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<EndError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<&'a str>,
    #[serde(rename = "promptID", skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<&'a MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Deadline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<&'a ProviderFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<&'a McpServer>,
}

/// Error that ended a turn or run.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum EndError<'a> {
    Agent(&'a AgentError),
    Server(&'a ApiError),
}

impl Serialize for TurnEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = EndFields {
            r#type: self.name(),
            message: self.to_string(),
            deadline: self.deadline(),
            failure: self.provider_failure(),
            ..EndFields::default()
        };
        match self {
            Self::NotPosted { reason, .. } | Self::ServerLost { reason } => {
                fields.reason = Some(reason);
            }
            Self::AgentError(error) => fields.error = Some(EndError::Agent(error)),
            Self::Refused(error) => fields.error = Some(EndError::Server(error)),
            Self::Rejected { refused } => fields.refused = Some(refused),
            Self::RepeatedCalls { tool } => fields.tool = Some(tool),
            Self::AnsweredByAnother { prompt } => fields.prompt = Some(prompt),
            Self::Aborted
            | Self::Cancelled
            | Self::Completed
            | Self::Disposed
            | Self::EmptyReplies
            | Self::Endless
            | Self::NothingToFollow(_)
            | Self::ReplacedBySummary
            | Self::RetryTooLate { .. }
            | Self::SessionDeleted
            | Self::TimedOut { .. }
            | Self::ToolSwitches(_)
            | Self::Torn => {}
        }
        fields.serialize(serializer)
    }
}

impl Serialize for TurnOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut outcome = serializer.serialize_struct("TurnOutcome", 12)?;
        outcome.serialize_field("end", &self.end)?;
        outcome.serialize_field("messageID", &self.message)?;
        outcome.serialize_field("text", &self.text())?;
        match self.structured() {
            Some(answer) => outcome.serialize_field("structured", answer)?,
            None => outcome.skip_field("structured")?,
        }
        outcome.serialize_field("spend", &self.spend())?;
        outcome.serialize_field("transcript", &self.transcript)?;
        outcome.serialize_field("children", &self.children)?;
        outcome.serialize_field("answered_with", &self.answered_with)?;
        outcome.serialize_field("still_running", &self.still_running)?;
        outcome.serialize_field("gaps", &self.gaps)?;
        outcome.serialize_field("elapsed_ms", &milliseconds(self.elapsed))?;
        outcome.serialize_field("version", &self.version)?;
        outcome.end()
    }
}

/// Returns a duration in whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
