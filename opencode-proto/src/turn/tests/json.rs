//! JSON of ends, which programs pass on: field by field, so that a change shows.

use super::*;
use crate::AgentError;
use crate::session::ToolSwitchError;

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn every_end_serializes_with_its_name_and_message() {
    let failure = || Some(Box::new(crate::ProviderFailure::new("slow down")));
    let error = r#"{"name":"APIError","data":{"message":"no","statusCode":401}}"#;
    let error = AgentError::decode(crate::RawJson::parse(error).unwrap());
    let gone = http::Response::builder().status(404).body(bytes::Bytes::new()).unwrap();
    let refusal = crate::api::Operation::decode(&crate::api::ReadSession::new("ses_1"), gone);
    let refusal = refusal.unwrap_err();
    let deadline = Deadline::Idle;
    let timed_out = r#""deadline":"idle","failure":{"message":"slow down"}"#;
    for (end, fields) in [
        (TurnEnd::Aborted, "".to_owned()),
        (
            TurnEnd::AgentError(Box::new(error)),
            r#","error":{"name":"APIError","data":{"message":"no","statusCode":401}}"#.to_owned(),
        ),
        (TurnEnd::Cancelled, "".to_owned()),
        (TurnEnd::Completed, "".to_owned()),
        (TurnEnd::EmptyReplies, "".to_owned()),
        (TurnEnd::Endless, "".to_owned()),
        (TurnEnd::ReplacedBySummary, "".to_owned()),
        (
            TurnEnd::NotPosted { reason: "reset".into(), is_certain: true },
            r#","reason":"reset""#.to_owned(),
        ),
        (TurnEnd::Refused(Box::new(refusal.clone())), format!(r#","error":{}"#, json(&refusal))),
        (TurnEnd::Rejected { refused: "bash".into() }, r#","refused":"bash""#.to_owned()),
        (TurnEnd::RepeatedCalls { tool: "bash".into() }, r#","tool":"bash""#.to_owned()),
        (
            TurnEnd::RetryTooLate { failure: failure() },
            r#","failure":{"message":"slow down"}"#.to_owned(),
        ),
        (TurnEnd::server_lost("exited"), r#","reason":"exited""#.to_owned()),
        (TurnEnd::SessionDeleted, "".to_owned()),
        (TurnEnd::TimedOut { deadline, failure: failure() }, format!(",{timed_out}")),
        (TurnEnd::ToolSwitches(ToolSwitchError::OwnRules), "".to_owned()),
        (TurnEnd::Torn, "".to_owned()),
    ] {
        let message = json(&end.to_string());
        let expected = format!(r#"{{"type":"{}","message":{message}{fields}}}"#, end.name());
        assert_eq!(json(&end), expected);
    }
}
