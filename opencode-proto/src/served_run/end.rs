use crate::api::ApiError;
use crate::json::RawJson;
use crate::process::Exit;
use crate::run::{RunEnd, RunOutcome};
use crate::serve::{ServeEnd, ServeOutcome};
use crate::turn::TurnEnd;
use crate::{AgentError, ErrorName};

/// Returns the end of a run for the end of the turn.
pub(super) fn of_turn(end: &TurnEnd) -> RunEnd {
    match end {
        TurnEnd::Aborted => RunEnd::Aborted,
        TurnEnd::AgentError(error) => RunEnd::AgentError(error.clone()),
        TurnEnd::AnsweredByAnother { prompt } => {
            RunEnd::AnsweredByAnother { prompt: prompt.clone() }
        }
        TurnEnd::Cancelled => RunEnd::Cancelled,
        TurnEnd::Completed => RunEnd::Completed,
        TurnEnd::Disposed => RunEnd::Disposed,
        TurnEnd::EmptyReplies => RunEnd::EmptyReplies,
        TurnEnd::Endless => RunEnd::Endless,
        TurnEnd::NothingToFollow(reason) => RunEnd::NotPosted { reason: reason.to_string() },
        TurnEnd::NotPosted { reason, .. } => RunEnd::NotPosted { reason: reason.clone() },
        TurnEnd::Refused(error) => RunEnd::AgentError(Box::new(AgentError::decode(refusal(error)))),
        TurnEnd::Rejected { refused } => RunEnd::PermissionRejected { refused: refused.clone() },
        TurnEnd::RepeatedCalls { tool } => RunEnd::RepeatedCalls { tool: tool.clone() },
        TurnEnd::ServerLost { reason } => RunEnd::ServerLost { reason: reason.clone() },
        TurnEnd::SessionDeleted => RunEnd::SessionDeleted,
        TurnEnd::ReplacedBySummary => RunEnd::ReplacedBySummary,
        TurnEnd::RetryTooLate { failure } => RunEnd::RetryTooLate { failure: failure.clone() },
        TurnEnd::TimedOut { deadline, failure } => RunEnd::TimedOut {
            deadline: *deadline,
            failure: failure.clone(),
            installing: Vec::new(),
        },
        TurnEnd::ToolSwitches(error) => RunEnd::NotPosted { reason: error.to_string() },
        TurnEnd::Torn => RunEnd::Torn,
    }
}

/// Returns the error that the process would have printed: the body of the reply, where the body is
/// an object.
pub(super) fn refusal(error: &ApiError) -> RawJson {
    let body = RawJson::parse(error.body().clone()).ok();
    let body = body.filter(|body| body.as_str().starts_with('{'));
    body.unwrap_or_else(|| {
        let data = serde_json::json!({ "message": error.to_string() });
        let error = serde_json::json!({ "name": ErrorName::UNKNOWN, "data": data });
        RawJson::whole(error.to_string().into())
    })
}

/// Returns the end of a run whose own server did not start.
pub(super) fn of_server(end: &ServeEnd) -> RunEnd {
    match end {
        ServeEnd::StartupDatabase { message } => {
            RunEnd::StartupDatabase { message: message.clone() }
        }
        ServeEnd::InvalidConfig { message } | ServeEnd::StartupError { message } => {
            RunEnd::StartupError { message: message.clone() }
        }
        ServeEnd::CannotListen { .. }
        | ServeEnd::Exited
        | ServeEnd::Stopped
        | ServeEnd::TimedOut => RunEnd::StartupError { message: end.to_string() },
    }
}

impl RunOutcome {
    /// Adds the end of the run's own server: standard error, and the exit where the server went
    /// before the run did.
    #[must_use]
    pub fn with_server(mut self, server: &ServeOutcome) -> Self {
        if let (ServeEnd::Exited, RunEnd::ServerLost { .. }) = (&server.end, &self.end) {
            self.exit = server.exit;
            match server.exit {
                Some(Exit::Signal(signal)) => self.end = RunEnd::Interrupted { signal },
                Some(Exit::Code(code)) => {
                    self.end = RunEnd::Crashed { code, message: String::new() };
                }
                None => {}
            }
        }
        self.stderr.clone_from(&server.stderr);
        self
    }
}
