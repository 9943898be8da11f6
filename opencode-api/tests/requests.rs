//! Requests as they go over the wire, and replies that cannot be used.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use bytes::Bytes;
use http::Response;
use opencode_api::auth::{ApiAuth, Auth, SetAuth};
use opencode_api::file::ReadFile;
use opencode_api::global::ReadHealth;
use opencode_api::mcp::ReadMcpStatus;
use opencode_api::message::ListMessages;
use opencode_api::next::fs::{FindNextFiles, ReadNextFile};
use opencode_api::next::session::PromptInput;
use opencode_api::next::session::PromptNextSession;
use opencode_api::pty::{CreatePty, CreatePtyTicket};
use opencode_api::session::{CreateSession, ReadSession};
use opencode_api::vcs::{ReadVcsDiff, ReadVcsDiffRaw, VcsDiffMode};
use opencode_proto::ApiError;
use opencode_proto::api::{ApiErrorKind, Operation, Pace, Repeat};

fn sent(operation: &impl Operation) -> (String, String) {
    let request = operation.request();
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    (format!("{} {}", request.method(), request.uri()), body)
}

fn error<O: Operation<Output: std::fmt::Debug>>(operation: &O, body: &'static str) -> ApiError {
    operation.decode(Response::new(Bytes::from_static(body.as_bytes()))).unwrap_err()
}

#[test]
fn values_in_paths_and_queries_are_encoded() {
    let (target, body) = sent(&ReadSession::new("../auth?x").with_directory("/a b&c"));
    assert_eq!(target, "GET /session/..%2Fauth%3Fx?directory=%2Fa%20b%26c");
    assert_eq!(body, "");
    let (target, _) = sent(&ReadSession::new(".."));
    assert_eq!(target, "GET /session/%252E%252E");
    let (target, _) = sent(&ReadVcsDiff::new(VcsDiffMode::Other("new".into())).with_context(0));
    assert_eq!(target, "GET /vcs/diff?mode=new&context=0");
    let (target, _) = sent(&ReadSession::new("s").with_directory("/a").with_directory("/b"));
    assert_eq!(target, "GET /session/s?directory=%2Fb");
}

#[test]
fn the_place_below_api_is_an_object_in_the_query() {
    let (target, _) = sent(&FindNextFiles::new("x").with_directory("/work"));
    assert_eq!(target, "GET /api/fs/find?query=x&location%5Bdirectory%5D=%2Fwork");
}

#[test]
fn a_path_in_a_path_keeps_the_slashes_and_stays_below() {
    let (target, _) = sent(&ReadNextFile::new("/src/../a b.rs"));
    assert_eq!(target, "GET /api/fs/read/src/%252E%252E/a%20b.rs");
}

#[test]
fn bodies_have_the_fields_that_were_set() {
    assert_eq!(sent(&CreatePty::new()), ("POST /pty".into(), "{}".into()));
    let (_, body) = sent(&CreateSession::new().with_title("a").with_title("b"));
    assert_eq!(body, r#"{"title":"b"}"#);
    let auth = SetAuth::new("acme", ApiAuth::new("secret").into());
    let sent_auth = sent(&auth);
    let body = r#"{"type":"api","key":"secret"}"#;
    assert_eq!(sent_auth, ("PUT /auth/acme".into(), body.into()));
    let request = auth.request();
    assert_eq!(request.headers()["content-type"], "application/json");
    let (_, body) = sent(&PromptNextSession::new("ses_1", PromptInput::new("Hi")));
    assert_eq!(body, r#"{"prompt":{"text":"Hi"}}"#);
}

#[test]
fn a_ticket_is_asked_for_with_the_header_that_the_server_insists_on() {
    let request = CreatePtyTicket::new("pty_1").request();
    assert_eq!(request.headers()["x-opencode-ticket"], "1");
}

#[test]
fn only_reading_is_repeated() {
    assert_eq!(ReadHealth::new().repeat(), Repeat::Safe);
    assert_eq!(CreateSession::new().repeat(), Repeat::Never);
    assert_eq!(ReadHealth::new().pace(), Pace::Quick);
    assert_eq!(ReadMcpStatus::new().pace(), Pace::Boot);
}

#[test]
fn keys_do_not_show_in_debug() {
    let auth = Auth::Api(ApiAuth::new("secret"));
    let shown = format!("{auth:?} {:?}", SetAuth::new("acme", auth.clone()));
    assert_eq!(shown, "Api(ApiAuth { .. }) SetAuth { call: PUT /auth/acme }");
}

#[test]
fn an_unreadable_reply_names_the_field_and_keeps_the_body() {
    let list = ListMessages::new("ses_1");
    let body = r#"[{"info":{"role":"user","id":"msg_1","sessionID":"ses_1","time":{"created":1},
        "agent":"build","model":{"providerID":"p","modelID":"m"}},"parts":[{"type":"tool",
        "id":"prt_1","sessionID":"ses_1","messageID":"msg_1","callID":"c","tool":"bash",
        "state":{"status":"running","input":{},"time":{"start":null}}}]}]"#;
    let error = error(&list, body);

    let ApiErrorKind::Unreadable(reason) = &error.kind else { panic!("{error:?}") };
    let place = "[0].parts[0].state.time.start: expected an integer from 0, found null";
    assert_eq!(reason.to_string(), place);
    assert_eq!(error.body(), body);
    assert_eq!(error.path, "/session/ses_1/message");
}

#[test]
fn replies_that_are_no_json_have_errors_of_their_own() {
    let read = ReadFile::new("a");
    assert!(matches!(error(&read, "").kind, ApiErrorKind::Unreadable(_)));
    assert!(matches!(error(&read, "null").kind, ApiErrorKind::Unreadable(_)));
    let page = Response::builder().header("content-type", "text/html").body("<html>".into());
    assert_eq!(read.decode(page.unwrap()).unwrap_err().kind, ApiErrorKind::UnknownRoute);
    let refused = Response::builder().status(404).body(r#"{"_tag":"X","message":"gone"}"#.into());
    let error = read.decode(refused.unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "GET /file/content: gone");
}

#[test]
fn text_and_bytes_are_handed_over_as_they_are() {
    let diff = ReadVcsDiffRaw::new().decode(Response::new("--- a\n".into())).unwrap();
    assert_eq!(diff, "--- a\n");
    let bytes = ReadNextFile::new("a").decode(Response::new(Bytes::from_static(b"\xff"))).unwrap();
    assert_eq!(bytes, &b"\xff"[..]);
}
