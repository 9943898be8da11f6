use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::client::{ask, prompt, request, send};
use crate::model::{
    ModelRequest, ModelServer, NoSuchRequest, Outcome, Reply, RequestKind, Script, ToolResult,
};

#[test]
fn a_request_is_recorded_completely() {
    let model = ModelServer::start().unwrap();
    let messages = json!([
        { "role": "system", "content": "be kind" },
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "say \"hi\"\n" },
        { "role": "assistant", "content": "" },
        { "role": "tool", "tool_call_id": "call_1_0", "content": "hi" },
    ]);
    let tools = json!([{ "type": "function", "function": { "name": "bash" } }]);
    let body = json!({ "model": "small", "stream": true, "messages": messages, "tools": tools });
    model.default_script(Script::from(Reply::new()).repeat_last());
    let mut stream = TcpStream::connect(model.address()).unwrap();
    stream.write_all(&request("ses_1", &body.to_string())).unwrap();

    let request = model.wait_for(PATIENCE, |request| request.session() == Some("ses_1")).unwrap();
    assert_eq!(request.number(), 0);
    assert_eq!(request.kind(), RequestKind::Turn);
    assert_eq!(request.script(), None);
    assert_eq!(request.step(), 1);
    assert_eq!(request.path(), "/v1/chat/completions");
    assert_eq!(request.header("Authorization"), Some("Bearer secret"));
    assert_eq!(request.model(), "small");
    assert_eq!(request.prompt().as_deref(), Some("say \"hi\"\n"));
    assert_eq!(request.system(), "be kind\nbe brief");
    let result = ToolResult { call_id: "call_1_0".into(), text: "hi".into() };
    assert_eq!(request.tool_results(), [result]);
    assert_eq!(request.tools(), ["bash"]);
    assert_eq!(request.messages().len(), 5);
    assert_eq!(request.body()["model"], "small");
    assert_eq!(request.parent_session(), None);
}

#[test]
fn waiting_ends_with_a_later_request_and_with_its_end() {
    let model = ModelServer::start().unwrap();
    model.script("x", Reply::new().stall());
    ask(&model, "a", &prompt("one"));
    let begin = Instant::now();
    let arrival = wait_on_a_thread(&model, |request| request.session() == Some("b"));
    let stream = send(&model, "b", &prompt("[[x]]"));
    assert_eq!(arrival.join().unwrap().unwrap().number(), 1);
    let end = wait_on_a_thread(&model, |request| request.outcome() == Some(Outcome::ClientLeft));
    drop(stream);
    assert_eq!(end.join().unwrap().unwrap().number(), 1);
    assert!(begin.elapsed() < PATIENCE, "only the limit ended the wait");
}

/// Starts a thread that waits. Returns after the thread has looked in vain, when it holds the
/// record until it waits.
fn wait_on_a_thread(
    model: &ModelServer,
    predicate: impl Fn(&ModelRequest) -> bool + Send + 'static,
) -> JoinHandle<Result<Arc<ModelRequest>, NoSuchRequest>> {
    let recorder = model.recorder();
    let (looked, has_looked) = mpsc::channel();
    let waiter = thread::spawn(move || {
        recorder.wait_for(PATIENCE, |request| {
            // After the first look the receiver is gone.
            let _ = looked.send(());
            predicate(request)
        })
    });
    has_looked.recv().unwrap();
    waiter
}

#[test]
fn an_unfulfilled_wait_shows_requests_but_no_prompt_or_key() {
    let model = ModelServer::start().unwrap();
    ask(&model, "ses_1", &prompt("a private prompt"));
    let unasked = model.wait_for(Duration::ZERO, |_| false).unwrap_err();
    let model = format!("{model:?} {:?}", model.requests());
    for shown in [unasked.to_string(), format!("{unasked:?}"), model] {
        assert!(shown.contains("ses_1"), "{shown}");
        assert!(!shown.contains("private") && !shown.contains("secret"), "{shown}");
    }
}

#[test]
fn a_request_without_messages_is_answered() {
    let model = ModelServer::start().unwrap();
    assert_eq!(ask(&model, "a", &Value::Null).status(), 200);
    assert_eq!(model.requests()[0].prompt(), None);
}
