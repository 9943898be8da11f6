use crate::api::ApiError;
use crate::json::RawJson;
use crate::run::RunEnd;
use crate::turn::TurnEnd;
use crate::{AgentError, ErrorName};

/// What the end of a turn is for the run that it was.
pub(super) fn end(end: &TurnEnd) -> RunEnd {
    match end {
        TurnEnd::Aborted => RunEnd::Aborted,
        TurnEnd::AgentError(error) => RunEnd::AgentError(error.clone()),
        TurnEnd::Cancelled => RunEnd::Cancelled,
        TurnEnd::Completed => RunEnd::Completed,
        TurnEnd::Endless => RunEnd::Endless,
        TurnEnd::NotPosted { reason, .. } => RunEnd::NotPosted { reason: reason.clone() },
        TurnEnd::Refused(error) => RunEnd::AgentError(Box::new(AgentError::decode(refusal(error)))),
        TurnEnd::Rejected { refused } => RunEnd::PermissionRejected { refused: refused.clone() },
        TurnEnd::ServerLost { reason } => RunEnd::ServerLost { reason: reason.clone() },
        TurnEnd::SessionDeleted => RunEnd::SessionDeleted,
        TurnEnd::TimedOut(deadline) => RunEnd::TimedOut(*deadline),
        TurnEnd::Torn => RunEnd::Torn,
    }
}

/// The error that the process would have printed: the body of the reply, where that is one.
pub(super) fn refusal(error: &ApiError) -> RawJson {
    let body = RawJson::parse(error.body().clone()).ok();
    let body = body.filter(|body| body.as_str().starts_with('{'));
    body.unwrap_or_else(|| {
        let data = serde_json::json!({ "message": error.to_string() });
        let error = serde_json::json!({ "name": ErrorName::UNKNOWN, "data": data });
        RawJson::whole(error.to_string().into())
    })
}
