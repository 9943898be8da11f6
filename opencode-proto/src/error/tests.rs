use super::*;

fn error(json: &'static str) -> AgentError {
    AgentError::decode(RawJson::parse(json).unwrap())
}

#[test]
fn an_error_serializes_with_all_of_its_data() {
    let json = r#"{"name":"APIError","data":{"isRetryable":false,"message":"no","responseBody":"{}","statusCode":401}}"#;
    assert_eq!(serde_json::to_string(&error(json)).unwrap(), json);
}

#[test]
fn every_shape_of_an_error_serializes_as_name_and_data() {
    for (json, expected) in [
        (r#""plain""#, r#"{"name":"UnknownError","data":{"message":"plain"}}"#),
        (
            r#"{"type":"overloaded","message":"m"}"#,
            r#"{"name":"overloaded","data":{"message":"m"}}"#,
        ),
        (
            r#"{"name":"X","data":{"ref":"err_1"}}"#,
            r#"{"name":"X","data":{"message":"{\"name\":\"X\",\"data\":{\"ref\":\"err_1\"}}","ref":"err_1"}}"#,
        ),
        (
            r#"{"name":"X","data":7}"#,
            r#"{"name":"X","data":{"message":"{\"name\":\"X\",\"data\":7}"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&error(json)).unwrap(), expected, "{json}");
    }
}

#[test]
fn a_cause_is_part_of_the_data() {
    let mut opaque = error(r#"{"name":"UnknownError","data":{"message":"See logs.","ref":"r"}}"#);
    opaque.cause = Some("no such model".into());
    assert_eq!(
        serde_json::to_string(&opaque).unwrap(),
        r#"{"name":"UnknownError","data":{"message":"See logs.","ref":"r","cause":"no such model"}}"#
    );
}

#[test]
fn debug_and_display_are_one_readable_line() {
    let refused = error(r#"{"name":"APIError","data":{"message":"no","statusCode":401}}"#);
    let text = "APIError 401: no; store credentials with `opencode auth login`";
    assert_eq!(format!("{refused:?}"), text);
    assert_eq!(refused.to_string(), text);
}

#[test]
fn failures_are_told_apart() {
    let api = |status| {
        AgentError::decode(
            RawJson::parse(format!(
                r#"{{"name":"APIError","data":{{"message":"model not found","statusCode":{status}}}}}"#
            ))
            .unwrap(),
        )
    };
    for status in [401, 403] {
        assert!(api(status).is_auth() && !api(status).is_rate_limited(), "{status}");
    }
    assert!(api(429).is_rate_limited() && !api(429).is_auth());
    assert!(!api(404).is_auth() && !api(404).is_rate_limited());
    assert!(!api(404).is_model_not_found(), "unknown to the provider, not to OpenCode");

    assert!(error(r#"{"name":"ProviderAuthError","data":{"message":"no key"}}"#).is_auth());
    assert!(error(r#"{"name":"ContextOverflowError","data":{}}"#).is_context_overflow());
    assert!(error(r#"{"name":"MessageAbortedError","data":{}}"#).is_aborted());
    for json in [
        r#"{"name":"UnknownError","data":{"message":"Model not found: mock/nope."}}"#,
        r#"{"name":"UnknownError","data":{"message":"ProviderModelNotFoundError: x"}}"#,
        r#"{"name":"ProviderModelNotFoundError","data":{"message":"x"}}"#,
    ] {
        assert!(error(json).is_model_not_found(), "{json}");
    }
    let mut opaque = error(r#"{"name":"UnknownError","data":{"message":"See logs.","ref":"r"}}"#);
    assert!(!opaque.is_model_not_found());
    opaque.cause = Some("Model not found: mock/nope.".into());
    assert!(opaque.is_model_not_found());
}
