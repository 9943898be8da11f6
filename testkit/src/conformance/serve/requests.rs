//! Requests of any kind to a server, and the options of handles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opencode_client::api::http::header::ACCEPT;
use opencode_client::api::http::{HeaderName, HeaderValue, Method};
use opencode_client::api::{ApiError, ApiErrorKind, ListAgents, Operation};
use opencode_client::server::{
    ApiEvent, ApiEvents, CallOptions, Delivery, RequestEvent, RequestNotice, RetryPolicy,
};
use opencode_client::{AttachRequest, CallError, CreateSession, Server};
use serde_json::{Value, json};

use crate::conformance::Host;
use crate::server::{FakeServer, Greeting, ServerReply, ServerScript};

async fn attach(on: &Host, server: &FakeServer) -> Server {
    on.opencode().attach(AttachRequest::new(server.url()).with_directory("/src")).await.unwrap()
}

pub(crate) async fn any_request_has_a_status_headers_bytes_and_a_typed_body(on: &Host) {
    let found = ServerReply::json(json!(["src/main.rs"])).with_header("x-next-cursor", "abc");
    let script = ServerScript::new().on("GET", "/find/file", [found]);
    let script =
        script.on("POST", "/session$", [ServerReply::error(400, json!({ "name": "Odd" }))]);
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;

    let find = attached.request(Method::GET, "/find/file?limit=3").query("query", "ä & b");
    let reply = find.header("x-request-id", "4711").await.unwrap();
    assert_eq!((reply.status().as_u16(), &**reply.bytes()), (200, &br#"["src/main.rs"]"#[..]));
    assert_eq!(reply.headers()["x-next-cursor"], "abc");
    assert_eq!(reply.json::<Vec<String>>().unwrap(), ["src/main.rs"]);
    let sent = &server.requests_to("GET", "/find/file")[0];
    assert_eq!(sent.path(), "/find/file?limit=3&query=%C3%A4%20%26%20b");
    assert_eq!(sent.header("x-request-id"), Some("4711"));
    assert_eq!(sent.header("x-opencode-directory"), Some("%2Fsrc"));

    // An error of the server is a reply too.
    let body = json!({ "title": "review" });
    let reply = attached.request(Method::POST, "/session").json(&body).await.unwrap();
    assert_eq!(reply.status().as_u16(), 400);
    let error = reply.json::<Value>().unwrap_err();
    assert!(matches!(error.kind, ApiErrorKind::BadRequest { .. }), "{error:?}");
    assert_eq!(error.name().as_deref(), Some("Odd"));
    assert_eq!(error.to_string(), "POST /session: Odd");
    let sent = &server.requests_to("POST", "/session")[0];
    assert_eq!(sent.json(), body);
    assert_eq!(sent.header("content-type"), Some("application/json"));
}

pub(crate) async fn a_body_that_does_not_fit_names_the_field(on: &Host) {
    let script = ServerScript::new()
        .on("GET", "/list", [ServerReply::json(json!([{ "size": 1 }, { "size": "big" }]))])
        .on("GET", "/cut", [ServerReply::new(200, "application/json", "[{\"size\":1},")])
        .on("GET", "/two", [ServerReply::new(200, "application/json", "[] []")]);
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    for (path, reason) in [
        ("/list", "[1].size: invalid type: string \"big\", expected u64"),
        ("/cut", "EOF while parsing"),
        ("/two", "trailing characters"),
    ] {
        let reply = attached.request(Method::GET, path).await.unwrap();
        let error = reply.json::<Vec<BTreeMap<String, u64>>>().unwrap_err();
        let ApiErrorKind::Unreadable(found) = &error.kind else { panic!("{error:?}") };
        assert!(found.to_string().starts_with(reason), "{found}");
        assert_eq!(error.body(), reply.bytes());
    }
    // An unknown path.
    let reply = attached.request(Method::GET, "/no/such/route").await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    let error = reply.json::<Value>().unwrap_err();
    assert!(matches!(error.kind, ApiErrorKind::UnknownRoute), "{error:?}");
    assert!(reply.check().is_err());
}

pub(crate) async fn an_operation_gives_its_reply_as_sent(on: &Host) {
    let agents =
        ServerReply::json(json!([{ "name": "build", "mode": "primary", "permission": [] }]));
    let script = ServerScript::new().on("GET", "/agent", [agents.with_header("x-a", "b")]);
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    let list = ListAgents::new();
    let reply = attached.request_for(&list).await.unwrap();
    assert_eq!(reply.headers()["x-a"], "b");
    assert_eq!(list.decode(reply.into_response()).unwrap()[0].name, "build");
}

pub(crate) async fn a_directory_or_a_header_of_the_caller_is_used(on: &Host) {
    let script = ServerScript::new().on("GET", "/path", [ServerReply::json(json!({}))]);
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    let request = || attached.request(Method::GET, "/path");
    request().await.unwrap();
    request().header("x-opencode-directory", "%2Fother").await.unwrap();
    request().header(ACCEPT, "text/plain").header("authorization", "Token t").await.unwrap();
    let there = attached.with_options(CallOptions::new().with_directory("/there"));
    assert_eq!((attached.directory(), there.directory()), (Some("/src"), Some("/there")));
    there.request(Method::GET, "/path").await.unwrap();

    let sent = server.requests_to("GET", "/path");
    let directories: Vec<_> =
        sent.iter().map(|sent| sent.header("x-opencode-directory").unwrap()).collect();
    assert_eq!(directories, ["%2Fsrc", "%2Fother", "%2Fsrc", "%2Fthere"]);
    assert_eq!(sent[2].header("accept"), Some("text/plain"));
    assert_eq!(sent[2].header("authorization"), Some("Token t"));
}

pub(crate) async fn options_hold_for_a_handle_and_all_made_from_it(on: &Host) {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    let header = |value: &'static str| {
        let (name, value) = (HeaderName::from_static("x-who"), HeaderValue::from_static(value));
        CallOptions::new().with_header(name, value)
    };
    let request = AttachRequest::new(server.url()).with_options(header("all"));
    let attached = on.opencode().attach(request).await.unwrap();
    let one = attached.with_options(header("one").with_directory("/one"));
    let session = one.create_session(CreateSession::new()).await.unwrap();
    session.status().await.unwrap();
    attached.create_session(CreateSession::new()).await.unwrap();

    let who = |method, path: &str| {
        let sent = server.requests_to(method, path);
        sent.iter().map(|sent| sent.header("x-who").map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(who("GET", "/global/health"), [some("all")]);
    assert_eq!(who("POST", "/session$"), [some("one"), some("all")]);
    assert_eq!(who("GET", "/session/status"), [some("one")]);
    let created = &server.requests_to("POST", "/session$")[0];
    assert_eq!(created.header("x-opencode-directory"), Some("%2Fone"));
}

pub(crate) async fn a_request_that_cannot_be_sent_is_an_error(on: &Host) {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    let attached = attach(on, &server).await;
    let post = |path: &str| attached.request(Method::POST, path);
    let no_json = BTreeMap::from([((1, 2), 3)]);
    let requests = [
        post("no/slash"),
        post("/a b"),
        post("http://elsewhere/"),
        post("/x").header("bad name", "v"),
        post("/x").header("x-name", "line\nbreak"),
        post("/x").header("content-length", "7"),
        post("/x").json(&no_json),
        post("/x").query("q", "y".repeat(70_000)),
    ];
    for request in requests {
        let shown = format!("{request:?}");
        let error = request.await.unwrap_err();
        assert!(matches!(error, CallError::Invalid { .. }), "{shown}: {error:?}");
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert!(error.to_string().ends_with("cannot send the request"), "{error}");
    }
    assert!(server.requests_to("POST", "/").is_empty());
}

pub(crate) async fn a_body_is_read_in_chunks(on: &Host) {
    let large = "x".repeat(1 << 20);
    let script = ServerScript::new()
        .on("GET", "/large", [ServerReply::new(200, "text/plain", large.clone())])
        .on("GET", "/refused", [ServerReply::status(503)]);
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    let mut stream = attached.request(Method::GET, "/large").stream().await.unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    assert_eq!(stream.headers()["content-type"], "text/plain");
    let (mut chunks, mut body) = (0, Vec::new());
    while let Some(chunk) = stream.next_chunk().await {
        let chunk: Bytes = chunk.unwrap();
        assert!(!chunk.is_empty());
        body.extend_from_slice(&chunk);
        chunks += 1;
    }
    assert!(stream.next_chunk().await.is_none());
    assert!(chunks > 1 && body == large.as_bytes(), "{chunks} chunks, {} bytes", body.len());

    // A stream of events has no end; dropping the stream closes the connection.
    let mut events = attached.request(Method::GET, "/event").stream().await.unwrap();
    let first = events.next_chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "), "{first:?}");
    drop(events);
    server.wait_for_open_events(0);

    let refused = attached.request(Method::GET, "/refused").stream().await.unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    assert_eq!(server.requests_to("GET", "/refused").len(), 1);
}

pub(crate) async fn a_timeout_and_a_retry_policy_hold_for_a_call(on: &Host) {
    let script = ServerScript::new().on("GET", "/silent", [ServerReply::never()]).on(
        "GET",
        "/busy",
        [ServerReply::status(503).with_header("retry-after-ms", "1"), ServerReply::json(json!(1))],
    );
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    let limit = Duration::from_millis(50);
    let quick = attached.with_options(CallOptions::new().with_timeout(limit));
    let error = quick.request(Method::GET, "/silent").await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { limit: found, .. } if found == limit), "{error}");

    let once = attached.with_options(CallOptions::new().with_retry(RetryPolicy::NONE));
    assert_eq!(once.request(Method::GET, "/busy").await.unwrap().status().as_u16(), 503);
    assert_eq!(attached.request(Method::GET, "/busy").await.unwrap().bytes(), "1");
}

/// Breaks of the contract, each with the error that reports the break.
pub(crate) async fn each_break_of_the_contract_has_an_error_of_its_own(on: &Host) {
    let error = |status: u16, name: &str| {
        let body = json!({ "name": name, "data": { "message": "No.", "ref": "err_1" } });
        ServerReply::error(status, body)
    };
    let text = |text: &str| ServerReply::new(200, "application/json", text);
    type Check = fn(&CallError) -> bool;
    let cases: [(&str, ServerReply, Check, &str); 16] = [
        (
            "bad request",
            error(400, "BadRequest"),
            |error| matches!(api(error), Some(ApiErrorKind::BadRequest { .. })),
            "GET /agent: No.",
        ),
        (
            "unauthorized",
            ServerReply::status(401),
            CallError::is_auth,
            "GET /agent: the server rejected the credentials",
        ),
        (
            "forbidden",
            error(403, "Forbidden"),
            |error| error.is_auth() && matches!(api(error), Some(ApiErrorKind::Forbidden { .. })),
            "GET /agent: No.",
        ),
        ("not found", error(404, "NotFoundError"), CallError::is_not_found, "GET /agent: No."),
        ("conflict", error(409, "ConflictError"), CallError::is_conflict, "GET /agent: No."),
        (
            "busy",
            ServerReply::error(409, json!({ "_tag": "SessionBusyError", "message": "Busy." })),
            |error| matches!(api(error), Some(ApiErrorKind::Busy { .. })),
            "GET /agent: Busy.",
        ),
        (
            "unprocessable",
            error(422, "Odd"),
            |error| matches!(api(error), Some(ApiErrorKind::Unprocessable { .. })),
            "GET /agent: No.",
        ),
        ("rate limited", error(429, "Slow"), CallError::is_rate_limited, "GET /agent: No."),
        (
            "a defect",
            error(500, "UnknownError"),
            CallError::is_server_fault,
            "GET /agent: No. (err_1)",
        ),
        ("an upstream", error(502, "Gateway"), CallError::is_server_fault, "GET /agent: No."),
        (
            "no such route",
            ServerReply::new(200, "text/html", "<!doctype html>"),
            |error| error.api().is_some_and(ApiError::is_unknown_route),
            "GET /agent: this server does not have the endpoint",
        ),
        ("no JSON", text("OK"), is_unreadable, "GET /agent: the reply cannot be read"),
        ("half a body", text("[{\"name\""), is_unreadable, "GET /agent: the reply cannot be read"),
        (
            "another shape",
            text("[{\"name\":1}]"),
            is_unreadable,
            "GET /agent: the reply cannot be read",
        ),
        ("no reply", ServerReply::close(), CallError::is_connection, "the connection was lost"),
        ("silence", ServerReply::never(), CallError::is_timeout, "no complete reply in 60ms"),
    ];
    for (name, reply, check, message) in cases {
        let server = FakeServer::start(ServerScript::new().on("GET", "/agent", [reply])).unwrap();
        let attached = attach(on, &server).await;
        let once = CallOptions::new().with_retry(RetryPolicy::NONE);
        let once = match name {
            "silence" => once.with_timeout(Duration::from_millis(60)),
            _ => once,
        };
        let error = attached.with_options(once).call(&ListAgents::new()).await.unwrap_err();
        assert!(check(&error), "{name}: {error:?}");
        assert!(error.to_string().ends_with(message), "{name}: {error}");
    }
}

fn api(error: &CallError) -> Option<&ApiErrorKind> {
    error.api().map(|error| &error.kind)
}

/// Returns whether the error has the bytes of the reply, and the reason.
fn is_unreadable(error: &CallError) -> bool {
    error.api().is_some_and(|error| {
        let reason = std::error::Error::source(error).map(ToString::to_string);
        error.is_unreadable() && !error.body().is_empty() && reason.is_some()
    })
}

pub(crate) async fn every_request_has_a_start_and_an_end_for_the_observer(on: &Host) {
    let busy = ServerReply::status(503).with_header("retry-after-ms", "1");
    let script = ServerScript::new().on("GET", "/agent", [busy, ServerReply::json(json!([]))]).on(
        "GET",
        "/silent",
        [ServerReply::never()],
    );
    let server = FakeServer::start(script).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let options = CallOptions::new().with_observer(move |notice: &RequestNotice<'_>| {
        let event = match notice.event {
            RequestEvent::Finished { status, .. } => status
                .map_or_else(|| " failed".to_owned(), |status| format!(" {}", status.as_u16())),
            _ => String::new(),
        };
        record.lock().unwrap().push(format!("{} {}{event}", notice.method, notice.route));
    });
    let request = AttachRequest::new(server.url()).with_options(options);
    let attached = on.opencode().attach(request).await.unwrap();
    let taken = || std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(taken(), ["GET /global/health", "GET /global/health 200"]);

    attached.call(&ListAgents::new()).await.unwrap();
    assert_eq!(taken(), ["GET /agent", "GET /agent 503", "GET /agent", "GET /agent 200"]);

    let session = attached.create_session(CreateSession::new()).await.unwrap();
    session.info().await.unwrap();
    let notices = taken();
    assert_eq!(
        notices[notices.len() - 2..],
        ["GET /session/{sessionID}", "GET /session/{sessionID} 200"]
    );

    let quick = attached.with_options(CallOptions::new().with_timeout(Duration::from_millis(30)));
    quick.request(Method::GET, "/silent?secret=1").await.unwrap_err();
    assert_eq!(taken(), ["GET /silent", "GET /silent failed"]);

    drop(attached.request(Method::GET, "/event").stream().await.unwrap());
    assert_eq!(taken(), ["GET /event", "GET /event 200"]);
}

pub(crate) async fn events_are_known_malformed_or_signs_of_life(on: &Host) {
    let script = ServerScript::new().with_greeting(Greeting::Silence).on(
        "GET",
        "/refused",
        [ServerReply::error(404, json!({ "name": "NotFoundError" }))],
    );
    let server = FakeServer::start(script).unwrap();
    let attached = attach(on, &server).await;
    let mut events: ApiEvents<BTreeMap<String, String>> =
        attached.request(Method::GET, "/event").events().await.unwrap();
    server.wait_for_open_events(1);
    let sent = &server.requests_to("GET", "/event")[0];
    assert_eq!(sent.header("accept"), Some("text/event-stream"));

    server.send_event(r#"{"type":"a","n":"1"}"#);
    server.send_event(r#"{"type":"server.heartbeat"}"#);
    server.send_event(r#"{"type":"a","n":1}"#);
    server.send_raw(b": heartbeat\n\n");
    server.send_event(r#"{"payload":{"type":"server.heartbeat","properties":{}}}"#);
    server.send_event(r#"{"type":"b"}"#);
    server.close_events();
    let mut seen = Vec::new();
    while let Some(event) = events.next_event().await {
        seen.push(match event.unwrap() {
            ApiEvent::Event(event) => event["type"].clone(),
            ApiEvent::Heartbeat => "beat".to_owned(),
            ApiEvent::Malformed(event) => {
                assert_eq!(serde_json::from_slice::<Value>(&event.raw).unwrap()["n"], 1);
                event.error.to_string()
            }
            _ => unreachable!("there is no other item"),
        });
    }
    let reason = "n: invalid type: integer `1`, expected a string at line 1 column 17";
    assert_eq!(seen, ["a", "beat", reason, "beat", "beat", "b"]);
    assert!(events.next_event().await.is_none());

    // Refusals.
    for (path, message) in [
        ("/refused", "GET /refused: NotFoundError"),
        ("/no/such/route", "GET /no/such/route: this server does not have the endpoint"),
        ("/session/status", "GET /session/status: the reply cannot be read"),
    ] {
        let refused = attached.request(Method::GET, path).events::<Value>().await;
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

pub(crate) async fn a_lost_event_stream_is_an_error(on: &Host) {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    let attached = attach(on, &server).await;
    let mut events = attached.request(Method::GET, "/event").events::<Value>().await.unwrap();
    assert!(matches!(events.next_event().await, Some(Ok(ApiEvent::Event(_)))));
    drop(server);
    let lost = events.next_event().await.unwrap().unwrap_err();
    assert!(lost.is_connection(), "{lost:?}");
    assert_eq!(lost.delivery(), Delivery::Received);
    assert!(events.next_event().await.is_none());
}
