//! Requests of any kind, and options, from programs that are not async.

use std::time::Duration;

use opencode_tokio::api::Repeat;
use opencode_tokio::api::http::Method;
use opencode_tokio::server::{ApiEvent, CallOptions};
use opencode_tokio::{AttachRequest, CallError, blocking};
use serde_json::json;
use testkit::server::{FakeServer, Greeting, ServerReply, ServerScript};

#[test]
fn a_request_waits_for_its_reply() {
    let script = ServerScript::new()
        .on("POST", "/log", [ServerReply::json(json!(true))])
        .on("GET", "/silent", [ServerReply::never()])
        .on("GET", "/text", [ServerReply::new(200, "text/plain", "some text")]);
    let fake = FakeServer::start(script).unwrap();
    let server = blocking::opencode().unwrap().attach(AttachRequest::new(fake.url())).unwrap();

    let log = server.request(Method::POST, "/log").query("directory", "/a").header("x-a", "b");
    let reply = log.json(&json!({ "level": "info" })).repeat(Repeat::Safe).send().unwrap();
    assert!(reply.json::<bool>().unwrap());
    let sent = &fake.requests_to("POST", "/log")[0];
    assert_eq!((sent.path(), sent.header("x-a")), ("/log?directory=%2Fa", Some("b")));
    assert_eq!(sent.json(), json!({ "level": "info" }));

    let stream = server.request(Method::GET, "/text").stream().unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap()).collect();
    assert_eq!(chunks.concat(), b"some text");

    let quick = CallOptions::new().with_timeout(Duration::from_millis(20));
    let error = server.with_options(quick).request(Method::GET, "/silent").send().unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error:?}");
    let error = server.request(Method::GET, "/x").body("{").header("é", "").send().unwrap_err();
    assert!(matches!(error, CallError::Invalid { .. }), "{error:?}");
}

#[test]
fn typed_events_are_an_iterator() {
    let fake = FakeServer::start(ServerScript::new().with_greeting(Greeting::Silence)).unwrap();
    let server = blocking::opencode().unwrap().attach(AttachRequest::new(fake.url())).unwrap();
    let events = server.request(Method::GET, "/event").events::<u64>().unwrap();
    for text in ["1", "\"two\"", "3"] {
        fake.send_event(text);
    }
    fake.close_events();
    let items: Vec<_> = events.map(Result::unwrap).collect();
    let [ApiEvent::Event(1), ApiEvent::Malformed(odd), ApiEvent::Event(3)] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(&*odd.raw, b"\"two\"");
}
