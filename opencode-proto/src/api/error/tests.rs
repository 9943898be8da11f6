//! Errors of 1.18.33, as they were recorded.

use http::header::{AUTHORIZATION, CONTENT_TYPE, SET_COOKIE};

use super::*;
use crate::api::{AbortSession, Health, Operation, ReadSession};

fn reply(status: u16, content_type: &str, body: &str) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    if !content_type.is_empty() {
        response = response.header(CONTENT_TYPE, content_type);
    }
    response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn error(response: Response<Bytes>) -> ApiError {
    ReadSession::new("ses_1").decode(response).unwrap_err()
}

fn kind(status: u16, body: &str) -> ApiErrorKind {
    error(reply(status, "application/json", body)).kind
}

fn message(text: &str) -> Box<str> {
    text.into()
}

#[test]
fn an_unknown_session() {
    let error = error(reply(
        404,
        "application/json",
        r#"{"name":"NotFoundError","data":{"message":"Session not found: ses_1"}}"#,
    ));
    assert_eq!(error.kind, ApiErrorKind::NotFound { message: message("Session not found: ses_1") });
    assert_eq!(error.name().as_deref(), Some("NotFoundError"));
    assert_eq!(error.status, 404);
    assert_eq!(error.to_string(), "GET /session/ses_1: Session not found: ses_1");
    assert!(error.source().is_none());
}

#[test]
fn a_request_of_the_wrong_form() {
    let body = r#"{"name":"BadRequest","data":{"message":"Missing key\n  at [\"parts\"]","kind":"Payload"}}"#;
    let (text, field) = ("Missing key\n  at [\"parts\"]", Some("Payload".into()));
    let kind = kind(400, body);
    assert_eq!(kind.to_string(), "Missing key at [\"parts\"]");
    assert_eq!(kind, ApiErrorKind::BadRequest { message: message(text), field });
}

#[test]
fn a_busy_session() {
    let body =
        r#"{"_tag":"SessionBusyError","sessionID":"ses_1","message":"Session is busy: ses_1"}"#;
    let error = error(reply(409, "application/json", body));
    assert_eq!(error.kind, ApiErrorKind::Busy { message: message("Session is busy: ses_1") });
    assert_eq!(error.name().as_deref(), Some("SessionBusyError"));
    let other = r#"{"_tag":"ConflictError","message":"taken"}"#;
    assert_eq!(kind(409, other), ApiErrorKind::Conflict { message: message("taken") });
}

#[test]
fn a_request_that_was_answered() {
    let body = r#"{"_tag":"PermissionNotFoundError","requestID":"per_1","message":"Permission request not found: per_1"}"#;
    let message = message("Permission request not found: per_1");
    assert_eq!(kind(404, body), ApiErrorKind::NotFound { message });
}

#[test]
fn a_defect_has_a_reference() {
    let text = "Unexpected server error. Check server logs for details.";
    let body =
        format!(r#"{{"name":"UnknownError","data":{{"message":"{text}","ref":"err_1a2b3c4d"}}}}"#);
    let kind = kind(500, &body);
    assert_eq!(kind.to_string(), format!("{text} (err_1a2b3c4d)"));
    let reference = Some("err_1a2b3c4d".into());
    assert_eq!(kind, ApiErrorKind::Server { message: message(text), reference });
}

#[test]
fn wrong_credentials() {
    let mut response = reply(401, "", "");
    let challenge = "Basic realm=\"Secure Area\"".parse().unwrap();
    response.headers_mut().insert("www-authenticate", challenge);
    let error = error(response);
    assert_eq!(error.kind, ApiErrorKind::Unauthorized);
    assert_eq!(error.headers()["www-authenticate"], "Basic realm=\"Secure Area\"");
    assert!(error.is_auth());

    let body = r#"{"_tag":"UnauthorizedError","message":"Authentication required"}"#;
    let next = self::error(reply(401, "application/json", body));
    assert_eq!((&next.kind, next.is_auth()), (&ApiErrorKind::Unauthorized, true));
    assert_eq!(next.name().as_deref(), Some("UnauthorizedError"));
    assert_eq!(&*next.message(), "Authentication required");
}

#[test]
fn a_forbidden_request() {
    let body = r#"{"_tag":"PtyForbiddenError","message":"Invalid PTY ticket"}"#;
    let error = error(reply(403, "application/json", body));
    assert_eq!(error.kind, ApiErrorKind::Forbidden { message: message("Invalid PTY ticket") });
    assert!(error.is_auth());
    assert_eq!(error.to_string(), "GET /session/ses_1: Invalid PTY ticket");
}

#[test]
fn a_request_that_cannot_be_carried_out() {
    let unprocessable = ApiErrorKind::Unprocessable { message: message("Unprocessable Entity") };
    assert_eq!(kind(422, ""), unprocessable);
}

#[test]
fn an_error_with_a_tag_and_the_name_of_something_else() {
    let body = r#"{"_tag":"McpServerNotFoundError","name":"files","message":"MCP server not found: files"}"#;
    let error = error(reply(404, "application/json", body));
    assert_eq!(error.name().as_deref(), Some("McpServerNotFoundError"));
    assert!(error.is_not_found() && !error.is_unknown_route());
}

#[test]
fn an_error_of_the_next_api() {
    let body =
        r#"{"_tag":"InvalidRequestError","message":"Invalid session ID","field":"sessionID"}"#;
    let field = Some("sessionID".into());
    let message = message("Invalid session ID");
    assert_eq!(kind(400, body), ApiErrorKind::BadRequest { message, field });

    let body = r#"{"_tag":"UnknownError","message":"Unexpected","ref":"err_1"}"#;
    let error = error(reply(500, "application/json", body));
    assert_eq!(error.reference().as_deref(), Some("err_1"));
    assert_eq!(error.to_string(), "GET /session/ses_1: Unexpected (err_1)");
}

#[test]
fn an_error_without_a_message() {
    let body = r#"{"name":"ProviderAuthOauthMissing","data":{"providerID":"x"}}"#;
    assert_eq!(kind(400, body).to_string(), "ProviderAuthOauthMissing");
}

#[test]
fn errors_answer_by_group() {
    for status in 100..600 {
        let Ok(code) = StatusCode::from_u16(status) else { continue };
        if code.is_success() {
            continue;
        }
        let error = error(reply(status, "application/json", "{}"));
        let groups = [
            error.is_auth(),
            error.is_conflict(),
            error.is_not_found(),
            error.is_rate_limited(),
            error.is_server_fault(),
        ];
        let expected = [[401, 403].contains(&status), status == 409, status == 404, status == 429];
        assert_eq!(groups[..4], expected, "{status}");
        assert_eq!(groups[4], status >= 500, "{status}");
    }
    assert!(error(reply(200, "application/json", "[]")).is_unreadable());
}

#[test]
fn plain_text() {
    let text = "Unsupported content-type: text/plain";
    let error = error(reply(415, "text/plain", text));
    let message = message(text);
    assert_eq!(error.kind, ApiErrorKind::BadRequest { message, field: None });
}

#[test]
fn an_unknown_route_is_a_page() {
    let page = "<!doctype html><html></html>";
    for (status, content_type) in [
        (200, "text/html"),
        (200, "Text/HTML; charset=utf-8"),
        (404, "text/html"),
        (405, "text/html"),
    ] {
        // Also where the operation would not look at the body.
        let abort = AbortSession::new("ses_1");
        let error = abort.decode(reply(status, content_type, page)).unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::UnknownRoute);
        assert_eq!(
            error.to_string(),
            "POST /session/ses_1/abort: this server does not have the endpoint"
        );
    }
    // A proxy's page says nothing about routes.
    let error = error(reply(502, "text/html", page));
    let message = message("Bad Gateway");
    assert_eq!(error.kind, ApiErrorKind::Unavailable { message, retry_after: None });
}

#[test]
fn a_reply_that_is_something_else() {
    for body in ["", "true", "{\"healthy\":true}", "{\"version\":1.18}", "[", "\u{feff}{}"] {
        let error = Health.decode(reply(200, "application/json", body)).unwrap_err();
        assert!(matches!(error.kind, ApiErrorKind::Unreadable(_)), "{body}: {error:?}");
        assert_eq!(error.to_string(), "GET /global/health: the reply cannot be read");
        let cause = error.source().unwrap().to_string();
        assert!(!cause.is_empty());
        assert_eq!(error.body(), body);
    }
}

#[test]
fn how_long_to_wait() {
    let wait = |status, headers: &[(&'static str, &str)]| {
        let mut response = reply(status, "application/json", "");
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        let kind = error(response).kind;
        if let ApiErrorKind::TooManyRequests { retry_after, message } = kind {
            assert_eq!((status, &*message), (429, "Too Many Requests"));
            return retry_after;
        }
        let ApiErrorKind::Unavailable { retry_after, .. } = kind else { panic!("{kind:?}") };
        assert!(matches!(status, 503 | 504));
        retry_after
    };
    assert_eq!(wait(429, &[]), None);
    assert_eq!(wait(429, &[("retry-after", "3")]), Some(Duration::from_secs(3)));
    assert_eq!(wait(503, &[("retry-after", "0.25")]), Some(Duration::from_millis(250)));
    assert_eq!(wait(504, &[("retry-after", " 7 ")]), Some(Duration::from_secs(7)));
    let both = [("retry-after", "3"), ("retry-after-ms", "1500")];
    assert_eq!(wait(429, &both), Some(Duration::from_millis(1500)));
    for nonsense in ["-1", "NaN", "inf", "1e300", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
        assert_eq!(wait(429, &[("retry-after", nonsense)]), None, "{nonsense}");
    }
}

#[test]
fn any_status_without_words_is_named() {
    for (status, words) in [
        (400, "Bad Request"),
        (404, "Not Found"),
        (409, "Conflict"),
        (500, "Internal Server Error"),
        (302, "Found"),
        (418, "I'm a teapot"),
        (599, "status 599"),
    ] {
        for body in ["", "{}", "[1]", "nonsense", r#"{"message":"","data":17}"#] {
            assert_eq!(kind(status, body).to_string(), words, "{status} {body}");
        }
    }
    assert_eq!(kind(502, r#"{"error":"upstream"}"#).to_string(), "upstream");
    assert_eq!(kind(502, r#"{"error":{"message":"upstream"}}"#).to_string(), "upstream");
    assert_eq!(kind(400, r#"{"_tag":"BadRequest"}"#).to_string(), "BadRequest");
}

#[test]
fn secrets_are_not_shown() {
    let mut response = reply(500, "application/json", r#"{"token":"hunter2"}"#);
    for name in [SET_COOKIE, AUTHORIZATION] {
        response.headers_mut().insert(name, "hunter2".parse().unwrap());
    }
    let error = error(response);
    let shown = format!("{error:?} {error:#?} {error}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("(status 500)"), "{shown}");
    let json = serde_json::to_string(&error).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
}

#[test]
fn an_error_is_small() {
    assert!(size_of::<ApiError>() < 128);
}

#[test]
fn debug_shows_the_sources_on_one_line() {
    let unreadable = ReadSession::new("ses_1").decode(reply(200, "application/json", "{}"));
    let shown = format!("{:?}", unreadable.unwrap_err());
    let start = "GET /session/ses_1: the reply cannot be read: missing field `id`";
    assert!(shown.starts_with(start) && !shown.contains('\n'), "{shown}");
}

#[test]
fn an_error_serializes_for_programs() {
    let body = r#"{"name":"NotFoundError","data":{"message":"Session not found"}}"#;
    assert_eq!(
        serde_json::to_string(&error(reply(404, "application/json", body))).unwrap(),
        r#"{"type":"not_found","method":"GET","path":"/session/ses_1","status":404,"message":"Session not found"}"#
    );
}
