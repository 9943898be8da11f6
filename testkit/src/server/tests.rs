use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use super::{FakeServer, Greeting, ServerReply, ServerScript, turn_events};
use crate::client::Client;
#[cfg(target_os = "linux")]
use crate::listener::threads;
use crate::model::Gate;

const CONNECTED: &str = r#"{"id":"evt_0","type":"server.connected","properties":{}}"#;

#[test]
fn a_session_can_be_created_and_prompted_without_a_script() {
    let server = FakeServer::start(ServerScript::new().with_directory("/a")).unwrap();
    let mut client = Client::new(server.address());
    let mut ask = |method: &str, path: &str, body: &str| {
        let response = client.ask(method, path, body);
        (response.status, serde_json::from_str::<Value>(&response.body).unwrap_or_default())
    };
    assert_eq!(
        ask("GET", "/global/health", ""),
        (200, json!({"healthy":true,"version":"1.18.33"}))
    );
    let (_, session) = ask("POST", "/session?directory=/a", r#"{"title":"mine"}"#);
    assert_eq!([&session["id"], &session["title"], &session["directory"]], ["ses_1", "mine", "/a"]);
    assert_eq!(ask("POST", "/session", "").1["id"], "ses_2");
    assert_eq!(ask("GET", "/session/ses_1", "").1["id"], "ses_1");
    assert_eq!(ask("GET", "/session", "").1.as_array().unwrap().len(), 2);
    assert_eq!(ask("POST", "/session/ses_1/prompt_async", r#"{"parts":[]}"#), (204, Value::Null));
    assert_eq!(ask("POST", "/session/ses_1/abort", ""), (200, json!(true)));
    assert_eq!(ask("POST", "/permission/per_1/reply", "{}"), (200, json!(true)));
    assert_eq!(ask("GET", "/session/status", ""), (200, json!({})));
    for path in ["/session/ses_1/message?limit=9", "/permission", "/question"] {
        assert_eq!(ask("GET", path, ""), (200, json!([])), "{path}");
    }
    let unknown = client.ask("POST", "/session/ses_1/unknown", "");
    assert_eq!(unknown.status, 200);
    assert!(unknown.head.contains("\r\ncontent-type: text/html\r\n"), "{}", unknown.head);

    let prompts = server.requests_to("POST", "/session/{id}/prompt_async");
    assert_eq!(prompts.len(), 1);
    assert_eq!(prompts[0].json(), json!({ "parts": [] }));
    assert_eq!(server.requests().len(), 13);
}

#[test]
fn events_reach_every_stream_in_its_own_shape() {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    let mut directory = Client::events(server.address(), "/event?directory=/workspace");
    let mut global = Client::events(server.address(), "/global/event");
    server.wait_for_events(2);
    server.send_event(r#"{"id":"evt_1"}"#);
    server.send_raw(b": comment\n\n");
    server.close_events();
    assert_eq!(directory.chunk(), format!("data: {CONNECTED}\n\n"));
    assert_eq!(directory.chunk(), "data: {\"id\":\"evt_1\"}\n\n");
    assert_eq!(directory.chunk(), ": comment\n\n");
    assert_eq!(directory.rest().unwrap(), "0\r\n\r\n");
    assert_eq!(global.chunk(), format!("data: {{\"payload\":{CONNECTED}}}\n\n"));
    let event = "data: {\"directory\":\"/workspace\",\"payload\":{\"id\":\"evt_1\"}}\n\n";
    assert_eq!(global.chunk(), event);
    assert_eq!(global.chunk(), ": comment\n\n");
    assert_eq!(global.rest().unwrap(), "0\r\n\r\n");
    server.wait_for_open_events(0);
}

#[test]
fn events_without_an_open_stream_are_lost() {
    let server = FakeServer::start(ServerScript::new().with_greeting(Greeting::Silence)).unwrap();
    server.send_event("\"lost\"");
    let mut client = Client::events(server.address(), "/event");
    server.send_event("\"seen\"");
    assert_eq!(client.chunk(), "data: \"seen\"\n\n");
    drop(client);
    server.wait_for_open_events(0);
    server.wait_for_events(1);
}

#[test]
fn routes_reply_in_order_and_the_last_route_wins() {
    let busy =
        ServerReply::error(409, json!({ "_tag": "SessionBusyError" })).with_header("x-a", "b");
    let script = ServerScript::new()
        .on("POST", "/session", ServerReply::status(500))
        .on("POST", "/session$", [ServerReply::status(503), ServerReply::unscripted()])
        .on("GET", "/event", [ServerReply::status(502), ServerReply::unscripted()]);
    let server = FakeServer::start(script).unwrap();
    server.on("POST", "/session/{id}/shell", busy);
    let mut client = Client::new(server.address());
    let mut status = |method: &str, path: &str| client.ask(method, path, "").status;
    assert_eq!(status("POST", "/session"), 503);
    assert_eq!(status("POST", "/session"), 200);
    assert_eq!(status("POST", "/session?x"), 200);
    assert_eq!(status("POST", "/session/ses_1/abort"), 500);
    assert_eq!(status("GET", "/session/status"), 200);
    let busy = client.ask("POST", "/session/ses_1/shell", "{}");
    assert_eq!((busy.status, busy.body.as_str()), (409, r#"{"_tag":"SessionBusyError"}"#));
    assert!(busy.head.contains("\r\nx-a: b\r\n"), "{}", busy.head);
    assert_eq!(client.ask("GET", "/event", "").status, 502);
    assert!(Client::events(server.address(), "/event").chunk().contains("server.connected"));
}

#[test]
fn a_reply_can_close_the_connection() {
    let server =
        FakeServer::start(ServerScript::new().on("GET", "/permission", ServerReply::close()))
            .unwrap();
    let mut client = Client::new(server.address());
    client.send("GET", "/permission", "");
    assert_eq!(client.rest().unwrap(), "");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_gate_lets_events_overtake_the_reply() {
    let gate = Gate::new();
    let prompt = "/session/{id}/prompt_async";
    let script = ServerScript::new().on("POST", prompt, ServerReply::unscripted().with_gate(&gate));
    let server = Arc::new(FakeServer::start(script).unwrap());
    let mut events = Client::events(server.address(), "/event");
    let waiting = thread::spawn({
        let server = Arc::clone(&server);
        move || server.wait_for_request("POST", prompt)
    });
    let mut client = Client::new(server.address());
    client.send("POST", "/session/ses_1/prompt_async", "body");
    assert_eq!(waiting.join().unwrap().body(), b"body");
    server.send_event("1");
    events.chunk();
    assert_eq!(events.chunk(), "data: 1\n\n");
    gate.open();
    assert_eq!(client.response().unwrap().status, 204);
}

#[test]
fn a_password_is_required() {
    let script = ServerScript::new().with_password("opencode", "secret");
    let server = FakeServer::start(script).unwrap();
    let mut client = Client::new(server.address());
    let refused = client.ask("GET", "/event", "");
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
    let realm = "\r\nwww-authenticate: Basic realm=\"Secure Area\"\r\n";
    assert!(refused.head.contains(realm), "{}", refused.head);
    for (authorization, status) in [
        ("Basic b3BlbmNvZGU6c2VjcmV0", 200),
        ("Basic b3BlbmNvZGU6c2VjcmV1", 401),
        ("Bearer b3BlbmNvZGU6c2VjcmV0", 401),
    ] {
        let head = format!("GET /session HTTP/1.1\r\nauthorization: {authorization}\r\n\r\n");
        client.write(head.as_bytes());
        assert_eq!(client.response().unwrap().status, status, "{authorization}");
    }
    let by_query = client.ask("GET", "/session?a=b&auth_token=b3BlbmNvZGU6c2VjcmV0", "");
    assert_eq!(by_query.status, 200);
}

#[test]
fn a_turn_has_the_events_of_the_real_server() {
    let recording =
        include_str!("../../../opencode-proto/tests/corpus/1.18.33/server/srv_warm.sse");
    let noise = ["plugin.", "catalog.", "reference.", "integration.", "server.", "session.created"];
    let recorded = recording.lines().filter_map(|line| line.strip_prefix("data: "));
    let recorded: Vec<Value> = recorded
        .map(|json| serde_json::from_str(json).unwrap())
        .filter(|event: &Value| {
            let kind = event["type"].as_str().unwrap();
            !noise.iter().any(|noise| kind.starts_with(noise))
        })
        .map(shape)
        .collect();
    let events = turn_events("ses_7", "msg_7", "x");
    let events: Vec<Value> =
        events.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    assert_eq!(events.len(), 23);
    let text = events[12]["properties"]["delta"].as_str();
    assert_eq!(text, Some("x"));
    for (event, recorded) in events.into_iter().map(shape).zip(&recorded) {
        assert_eq!(event, *recorded);
    }
    assert_eq!(recorded.len(), 23);

    let long = turn_events("ses_7", "msg_7", "one two  three");
    let deltas: String = long
        .iter()
        .map(|json| serde_json::from_str::<Value>(json).unwrap())
        .filter_map(|event| event["properties"]["delta"].as_str().map(str::to_owned))
        .collect();
    assert_eq!((long.len(), deltas.as_str()), (26, "one two  three"));
}

/// Removes everything from an event that differs from turn to turn.
fn shape(mut event: Value) -> Value {
    let fixed = ["type", "role", "field", "reason", "finish", "mode", "agent", "snapshot", "delta"];
    fn strip(value: &mut Value, fixed: &[&str]) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if !fixed.contains(&name.as_str()) {
                        strip(value, fixed);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| strip(item, fixed)),
            Value::String(text) => {
                // Ids keep their prefix; other texts only keep their type.
                let kind = text.split_once('_').map_or("", |(kind, _)| kind);
                *text = if kind.len() == 3 { kind.to_owned() } else { String::new() };
            }
            Value::Number(number) if number.as_u64().is_some_and(|number| number > 1_000_000) => {
                *value = json!(1);
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }
    strip(&mut event, &fixed);
    event
}

#[test]
fn dropping_the_server_leaves_nothing() {
    let script = ServerScript::new().on("GET", "/never", ServerReply::never()).on(
        "GET",
        "/gate",
        ServerReply::status(204).with_gate(&Gate::new()),
    );
    let server = FakeServer::start(script).unwrap();
    let address = server.address();
    let mut idle = Client::new(address);
    idle.ask("GET", "/session", "");
    let mut never = Client::new(address);
    never.send("GET", "/never", "");
    let mut gated = Client::new(address);
    gated.send("GET", "/gate", "");
    let mut events = Client::events(address, "/event");
    let deaf = Client::events(address, "/event");
    server.wait_for_request("GET", "/gate");
    server.wait_for_request("GET", "/never");
    events.chunk();
    // More data than the sockets hold, so that one of the threads blocks in a write.
    server.send_raw(&vec![b'x'; 64 << 20]);
    #[cfg(target_os = "linux")]
    let name = format!("server-{}", address.port());
    #[cfg(target_os = "linux")]
    assert!(threads(&name) > 0);
    drop(server);
    #[cfg(target_os = "linux")]
    crate::processes::eventually(crate::request::PATIENCE, || match threads(&name) {
        0 => Ok(()),
        left => Err(left),
    });
    for client in [&mut idle, &mut never, &mut gated] {
        assert_eq!(client.rest().unwrap(), "");
    }
    drop(deaf);
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
