//! JSON of runs, for programs that pass them on.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::outcome::{RunEnd, RunOutcome};
use crate::turn::{EndError, EndFields, milliseconds};

impl Serialize for RunEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = EndFields {
            r#type: self.name(),
            message: self.to_string(),
            deadline: self.deadline(),
            failure: self.provider_failure(),
            ..EndFields::default()
        };
        match self {
            Self::AgentError(error) => fields.error = Some(EndError::Agent(error)),
            Self::AgentReplaced { reason }
            | Self::NotPosted { reason }
            | Self::ServerLost { reason } => fields.reason = Some(reason),
            Self::Crashed { code, message } => {
                fields.code = Some(*code);
                fields.reason = Some(message);
            }
            Self::EventsLost { lines } => fields.lines = Some(*lines),
            Self::Interrupted { signal } => fields.signal = Some(*signal),
            Self::McpUnavailable(server) => fields.server = Some(server),
            Self::PermissionRejected { refused } => fields.refused = Some(refused),
            Self::RepeatedCalls { tool } => fields.tool = Some(tool),
            Self::AnsweredByAnother { prompt } => fields.prompt = Some(prompt),
            Self::StartupDatabase { message } | Self::StartupError { message } => {
                fields.reason = Some(message);
            }
            Self::Aborted
            | Self::Attachment(_)
            | Self::Cancelled
            | Self::Completed
            | Self::Directory(_)
            | Self::Disposed
            | Self::EmptyReplies
            | Self::Endless
            | Self::ReplacedBySummary
            | Self::RetryTooLate { .. }
            | Self::SessionDeleted
            | Self::TimedOut { .. }
            | Self::Torn => {}
        }
        fields.serialize(serializer)
    }
}

impl Serialize for RunOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw_lines: Vec<_> =
            self.raw_lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        let mut outcome = serializer.serialize_struct("RunOutcome", 8)?;
        outcome.serialize_field("end", &self.end)?;
        outcome.serialize_field("answer", &self.answer)?;
        outcome.serialize_field("exit", &self.exit)?;
        outcome.serialize_field("stderr", &self.stderr)?;
        outcome.serialize_field("notices", &self.notices)?;
        outcome.serialize_field("lines", &self.lines)?;
        outcome.serialize_field("raw_lines", &raw_lines)?;
        outcome.serialize_field("elapsed_ms", &milliseconds(self.elapsed))?;
        outcome.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::process::Exit;
    use crate::run::LineCounts;
    use crate::run_event::Notice;
    use crate::{Deadline, ProviderFailure};
    use std::time::Duration;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn an_outcome_serializes_with_its_end() {
        let outcome = RunOutcome {
            end: RunEnd::Crashed { code: 3, message: "out of memory".into() },
            answer: Answer::new(),
            exit: Some(Exit::Code(3)),
            stderr: "out of memory".into(),
            notices: vec![Notice::Shared { url: "https://opncd.ai/s/1".into() }],
            lines: LineCounts::default(),
            raw_lines: vec![b"{}"[..].into()],
            elapsed: Duration::from_millis(1500),
        };
        let expected = format!(
            concat!(
                r#"{{"end":{{"type":"crashed","message":"the process exited with code 3: out of memory","#,
                r#""reason":"out of memory","code":3}},"answer":{},"exit":{{"code":3}},"#,
                r#""stderr":"out of memory","notices":[{{"type":"shared","url":"https://opncd.ai/s/1"}}],"#,
                r#""lines":{{"events":0,"unknown":0,"malformed":0,"diagnostics":0,"lost":0}},"#,
                r#""raw_lines":["{{}}"],"elapsed_ms":1500}}"#,
            ),
            json(&Answer::new())
        );
        assert_eq!(json(&outcome), expected);
    }

    #[test]
    fn ends_serialize_with_name_message_and_fields() {
        let failure = Some(Box::new(ProviderFailure::new("slow down")));
        for (end, fields) in [
            (RunEnd::Completed, ""),
            (RunEnd::AgentReplaced { reason: "no x".into() }, r#","reason":"no x""#),
            (RunEnd::EventsLost { lines: 2 }, r#","lines":2"#),
            (RunEnd::Interrupted { signal: 9 }, r#","signal":9"#),
            (RunEnd::PermissionRejected { refused: "bash".into() }, r#","refused":"bash""#),
            (RunEnd::RepeatedCalls { tool: "bash".into() }, r#","tool":"bash""#),
            (RunEnd::StartupError { message: "no".into() }, r#","reason":"no""#),
            (
                RunEnd::TimedOut {
                    deadline: Deadline::FirstEvent,
                    failure,
                    installing: Vec::new(),
                },
                r#","deadline":"first_event","failure":{"message":"slow down"}"#,
            ),
        ] {
            let (name, message) = (end.name(), json(&end.to_string()));
            let expected = format!(r#"{{"type":"{name}","message":{message}{fields}}}"#);
            assert_eq!(json(&end), expected);
        }
    }
}
