//! Turns as JSON, for programs that pass events and outcomes on.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::event::{Origin, TurnEvent, TurnEventKind};
use super::outcome::{TurnEnd, TurnOutcome};
use crate::answer::StepRole;
use crate::server_event::ServerEvent;
use crate::{AgentError, ApiError, Deadline, ProviderFailure, SessionId};

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
            Self::Aborted
            | Self::Cancelled
            | Self::Completed
            | Self::EmptyReplies
            | Self::Endless
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
        let mut outcome = serializer.serialize_struct("TurnOutcome", 9)?;
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
        outcome.serialize_field("gaps", &self.gaps)?;
        outcome.serialize_field("elapsed_ms", &milliseconds(self.elapsed))?;
        outcome.end()
    }
}

/// Returns a duration in whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
// Expected JSON is written as values.
#[allow(clippy::disallowed_types)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::hub::Interruption;
    use crate::transcript::{TextKind, Transcript};
    use crate::{RawJson, RunEvent, RunEventKind};

    fn event(kind: TurnEventKind) -> TurnEvent {
        TurnEvent {
            session: "ses_1".into(),
            origin: Origin::Subagent,
            step: StepRole::Answer,
            kind,
            source: None,
        }
    }

    fn value(of: &impl Serialize) -> Value {
        let text = serde_json::to_string(of).expect("JSON");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn an_event_has_a_type_and_data() {
        let delta = TurnEventKind::PartDelta {
            message: Some("msg_1".into()),
            part: "prt_1".into(),
            kind: TextKind::Text,
            delta: "Hel".into(),
        };
        assert_eq!(
            value(&event(delta)),
            json!({
                "sessionID": "ses_1", "origin": "subagent", "step": "answer", "type": "part_delta",
                "data": {
                    "messageID": "msg_1", "partID": "prt_1", "kind": "text", "delta": "Hel"
                }
            })
        );
        let lost = TurnEventKind::ConnectionLost(Interruption::Closed);
        assert_eq!(value(&event(lost))["data"], json!("the server closed the event stream"));
        let compacted = value(&event(TurnEventKind::Compacted));
        assert_eq!((&compacted["type"], compacted.get("data")), (&json!("compacted"), None));
    }

    #[test]
    fn an_event_has_the_part_as_opencode_writes_parts() {
        let line = r#"{"type":"text","part":{"id":"prt_1","type":"text","text":"Hi"}}"#;
        let RunEventKind::Text(part) = RunEvent::decode(line.into()).kind else {
            panic!("a text part")
        };
        let added = TurnEventKind::PartAdded(crate::Part::Text(part));
        let data = &value(&event(added))["data"];
        assert_eq!((&data["type"], &data["text"]), (&json!("text"), &json!("Hi")));
    }

    #[test]
    fn an_event_of_another_type_has_its_source() {
        let text = r#"{"type":"lsp.updated","properties":{}}"#;
        let source = Some(Arc::new(ServerEvent::decode(text.into())));
        let other = TurnEvent { source: source.clone(), ..event(TurnEventKind::Other) };
        assert_eq!(value(&other)["source"]["type"], "lsp.updated");
        let known = TurnEvent { source, ..event(TurnEventKind::Compacted) };
        assert_eq!(value(&known).get("source"), None);
    }

    #[test]
    fn an_end_has_a_type_a_message_and_the_error() {
        assert_eq!(
            value(&TurnEnd::TimedOut { deadline: Deadline::Idle, failure: None }),
            json!({
                "type": "timed_out", "message": "timed out: no event within the idle deadline",
                "deadline": "idle"
            })
        );
        let raw = RawJson::parse("{}").expect("JSON");
        let error = AgentError::new("UnknownError", "Overloaded".to_owned(), raw);
        let end = value(&TurnEnd::AgentError(Box::new(error)));
        assert_eq!(end["type"], "agent_error");
        assert_eq!(end["error"]["data"]["message"], "Overloaded");
    }

    #[test]
    fn an_outcome_has_text_spend_and_transcripts() {
        let outcome = TurnOutcome {
            end: TurnEnd::Completed,
            message: "msg_1".into(),
            transcript: Transcript::new("ses_1".into()),
            children: vec![Transcript::new("ses_2".into())],
            gaps: 1,
            elapsed: Duration::from_millis(1500),
        };
        let json = value(&outcome);
        assert_eq!(json["end"], json!({ "type": "completed", "message": "completed" }));
        assert_eq!(json["children"][0]["id"], "ses_2");
        assert_eq!((&json["gaps"], &json["elapsed_ms"]), (&json!(1), &json!(1500)));
        assert_eq!((&json["spend"]["cost"], json.get("structured")), (&json!(0.0), None));
    }
}
