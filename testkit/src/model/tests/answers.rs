use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Ending, ask, prompt};
use crate::model::{ModelServer, Reply, Script, Usage};

#[test]
fn the_default_script_says_hello() {
    let model = ModelServer::start().unwrap();
    let response = ask(&model, "a", &prompt("hi"));
    assert_eq!(response.status(), 200);
    assert_eq!(response.text(), "Hello from the scripted model.");
    assert_eq!(response.finish().as_deref(), Some("stop"));
    assert_eq!(response.ending, Ending::Complete);
    assert!(response.body.ends_with("data: [DONE]\n\n"), "{}", response.body);
}

#[test]
fn the_default_script_can_be_replaced() {
    let model = ModelServer::start().unwrap();
    model.default_script(Reply::new().text("Bye."));
    assert_eq!(ask(&model, "a", &prompt("hi")).text(), "Bye.");
}

#[test]
fn a_reply_streams_reasoning_text_and_usage() {
    let model = ModelServer::start().unwrap();
    let usage = Usage { input: 7, output: 5, cached: 3, reasoning: 2 };
    let reply =
        Reply::new().reasoning("hm").deltas(["a", "b"]).text("c").usage(usage).finish("length");
    model.script("x", reply);
    let response = ask(&model, "a", &prompt("[[x]]"));
    assert_eq!(response.joined("reasoning_content"), "hm");
    assert_eq!(response.text(), "abc");
    assert_eq!(response.finish().as_deref(), Some("length"));
    let events = response.events();
    assert_eq!(events.len(), 6);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(
        events[5]["usage"],
        json!({
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": { "cached_tokens": 3 },
            "completion_tokens_details": { "reasoning_tokens": 2 },
        })
    );
}

#[test]
fn every_call_of_a_turn_plays_the_next_step() {
    let model = ModelServer::start().unwrap();
    let tools = Reply::new()
        .text("Let me look.")
        .tool("bash", json!({ "command": "ls" }))
        .tool_raw("read", "not json");
    model.script("x", Script::new().then(tools).then(Reply::new().text("Done.")));

    let mut messages = prompt("please [[x]] now");
    let response = ask(&model, "a", &messages);
    assert_eq!(response.text(), "Let me look.");
    assert_eq!(response.finish().as_deref(), Some("tool_calls"));
    let calls = tool_calls(&response.events());
    assert_eq!(
        calls,
        [("bash".into(), r#"{"command":"ls"}"#.into()), ("read".into(), "not json".into())]
    );

    let messages = messages.as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": "Let me look." }));
    messages.push(json!({ "role": "tool", "tool_call_id": "call_0_0", "content": "a [[y]]" }));
    messages.push(json!({ "role": "tool", "tool_call_id": "call_0_1", "content": "b" }));
    assert_eq!(ask(&model, "a", &json!(messages)).text(), "Done.");

    messages.push(json!({ "role": "assistant", "content": "Done." }));
    messages.push(json!({ "role": "user", "content": "thanks" }));
    assert_eq!(ask(&model, "a", &json!(messages)).text(), "Hello from the scripted model.");
}

#[test]
fn calls_beyond_the_last_step_are_refused_unless_it_repeats() {
    let model = ModelServer::start().unwrap();
    let second = json!([
        { "role": "user", "content": "[[x]]" },
        { "role": "assistant", "content": "one" },
        { "role": "tool", "content": "" },
    ]);
    model.script("x", Reply::new().text("one"));
    let response = ask(&model, "a", &second);
    assert_eq!(response.status(), 400);
    assert!(response.body.contains("the script `x` has no step 1"), "{}", response.body);

    model.script("x", Script::from(Reply::new().text("again")).repeat_last());
    assert_eq!(ask(&model, "a", &second).text(), "again");
}

#[test]
fn titles_and_compactions_use_up_no_step() {
    let model = ModelServer::start().unwrap();
    model.script("x", Script::new().then([Reply::error(500, "no"), Reply::new().text("yes")]));
    let title = json!([
        { "role": "user", "content": "Generate a title for this conversation:\n" },
        { "role": "user", "content": "[[x]]" },
    ]);
    let compaction = prompt("Here is the conversation so far:\n[User]: [[x]]");
    assert_eq!(ask(&model, "a", &prompt("[[x]]")).status(), 500);
    assert_eq!(ask(&model, "a", &title).text(), "Scripted title");
    assert_eq!(ask(&model, "a", &compaction).text(), "Scripted summary.");
    assert_eq!(ask(&model, "a", &prompt("[[x]]")).text(), "yes");

    model.answer_titles(Reply::new().text("T"));
    model.answer_compactions(Reply::context_overflow());
    assert_eq!(ask(&model, "a", &title).text(), "T");
    assert_eq!(ask(&model, "a", &compaction).status(), 400);
}

#[test]
fn parallel_sessions_do_not_disturb_each_other() {
    const SESSIONS: usize = 16;
    let model = ModelServer::start().unwrap();
    let flaky = || [Reply::error(429, "slow down"), Reply::new().reset()];
    for session in 0..SESSIONS {
        let text = Reply::new().text(format!("for {session}"));
        model.script(
            &format!("own-{session}"),
            Script::new().then([flaky().to_vec(), vec![text]].concat()),
        );
    }
    let shared = Reply::new().text("for all");
    model.script("shared", Script::new().then([flaky().to_vec(), vec![shared]].concat()));
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            let model = &model;
            scope.spawn(move || {
                let id = format!("ses_{session}");
                for (name, text) in [
                    (format!("own-{session}"), format!("for {session}")),
                    ("shared".into(), "for all".into()),
                ] {
                    let prompt = prompt(&format!("[[{name}]]"));
                    assert_eq!(ask(model, &id, &prompt).status(), 429);
                    assert_eq!(ask(model, &id, &prompt).ending, Ending::Reset);
                    assert_eq!(ask(model, &id, &prompt).text(), text);
                }
            });
        }
    });
    assert_eq!(model.requests().len(), SESSIONS * 6);
}

#[test]
fn a_slow_reply_pauses_between_deltas() {
    let model = ModelServer::start().unwrap();
    let interval = Duration::from_millis(20);
    model.script("x", Reply::new().deltas(["a", "b", "c"]).slow(interval));
    let begin = Instant::now();
    assert_eq!(ask(&model, "a", &prompt("[[x]]")).text(), "abc");
    assert!(begin.elapsed() >= interval * 2, "{:?}", begin.elapsed());
}

#[test]
fn the_config_describes_a_provider() {
    let model = ModelServer::start().unwrap();
    let config = model.config();
    let provider = &config["provider"]["scripted"];
    assert_eq!(provider["npm"], "@ai-sdk/openai-compatible");
    assert_eq!(provider["options"]["baseURL"], format!("http://{}/v1", model.address()));
    assert_eq!(config["model"], "scripted/m1");
    assert_eq!(config["small_model"], "scripted/small");
    for name in ["m1", "small"] {
        assert!(provider["models"][name]["cost"]["input"].as_f64().unwrap() > 0.0);
    }
}

#[test]
#[should_panic(expected = "invalid name of a script")]
fn a_name_that_cannot_be_a_marker_is_refused() {
    ModelServer::start().unwrap().script("a b", Reply::new());
}

/// Names and arguments of the calls, joined from their deltas.
fn tool_calls(events: &[Value]) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in events {
        let Some(call) = event["choices"][0]["delta"]["tool_calls"].get(0) else { continue };
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        if let Some(name) = call["function"]["name"].as_str() {
            assert_eq!(index, calls.len());
            calls.push((name.to_owned(), String::new()));
        }
        calls[index].1 += call["function"]["arguments"].as_str().unwrap();
    }
    calls
}
