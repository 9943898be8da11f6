//! Courses of turns that are recorded.

use serde_json::{Value, json};
use testkit::model::{Gate, Reply, Script, Usage};

use super::{RecordingStage, call};

pub(super) type Scene = fn(&RecordingStage<'_>);

pub(super) const SCENES: [(&str, Scene); 18] = [
    ("srv_compact_overflow", overflow),
    ("srv_compact_overflow_again", overflow_again),
    ("srv_compact_between_steps", compact_between_steps),
    ("srv_compact_after_answer", compact_after_answer),
    ("srv_compact_refused", compact_refused),
    ("srv_summarize_idle", summarize_idle),
    ("srv_summarize_busy", summarize_busy),
    ("srv_json_schema_missing", structured_missing),
    ("srv_shell_abort", shell_abort),
    ("srv_prompt_queued", prompt_queued),
    ("srv_prompt_joined", prompt_joined),
    ("srv_prompt_together", prompt_together),
    ("srv_plugin_prompt", plugin_prompt),
    ("srv_dispose_text", dispose_text),
    ("srv_dispose_tool", dispose_tool),
    ("srv_dispose_by_config", dispose_by_config),
    ("srv_break_off", break_off),
    ("srv_break_off_tool", break_off_tool),
];

fn overflow(stage: &RecordingStage<'_>) {
    let attempts = [Reply::context_overflow(), Reply::new().text("After.")];
    stage.script("one", Script::new().then(attempts));
    stage.prompt("Go. [[one]]");
}

fn overflow_again(stage: &RecordingStage<'_>) {
    let attempts = [Reply::context_overflow(), Reply::new().text("After.")];
    stage.script("one", Reply::new().text("First."));
    stage.script("two", Script::new().then(attempts));
    stage.prompt("Go. [[one]]");
    stage.until("session.idle");
    stage.prompt("Go on. [[two]]");
}

fn full() -> Usage {
    Usage { input: 190_000, ..Usage::default() }
}

fn compact_between_steps(stage: &RecordingStage<'_>) {
    let call = Reply::new().text("I look.").tool("bash", bash("echo a")).usage(full());
    stage.script("one", Script::new().then(call).then(Reply::new().text("Done.")));
    stage.prompt("Go. [[one]]");
}

fn compact_after_answer(stage: &RecordingStage<'_>) {
    let answer = Reply::new().text("The answer.").usage(full());
    let next = Reply::new().text("Nothing is left to do.");
    stage.script("one", Script::new().then(answer).then(next));
    stage.prompt("Go. [[one]]");
}

fn compact_refused(stage: &RecordingStage<'_>) {
    stage.model.answer_compactions(Reply::error(401, "no summaries"));
    stage.script("one", Reply::context_overflow());
    stage.prompt("Go. [[one]]");
    stage.until("session.idle");
    stage.until("session.idle");
    stage.model.answer_compactions(Reply::new().text("Scripted summary."));
}

fn summarize_idle(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("The answer."));
    stage.prompt("Go. [[one]]");
    stage.until("session.idle");
    stage.call("POST", "/summarize", json!({ "providerID": "scripted", "modelID": "m1" }));
}

fn summarize_busy(stage: &RecordingStage<'_>) {
    let gate = Gate::new();
    stage.script("one", Reply::new().text("Begun ").pause_until(&gate).text("and done."));
    stage.prompt("Go. [[one]]");
    stage.until("delta");
    let summary =
        stage.later("POST", "/summarize", json!({ "providerID": "scripted", "modelID": "m1" }));
    stage.until("compaction");
    gate.open();
    summary.join().unwrap();
}

fn structured_missing(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("In words."));
    let schema = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
    let parts = json!([{ "type": "text", "text": "Go. [[one]]" }]);
    let format = json!({ "type": "json_schema", "schema": schema });
    stage.call("POST", "/prompt_async", json!({ "parts": parts, "format": format }));
}

fn shell_abort(stage: &RecordingStage<'_>) {
    let body = json!({ "agent": "build", "command": "echo begun; sleep 100" });
    let shell = stage.later("POST", "/shell", body);
    stage.until("begun\\n");
    stage.call("POST", "/abort", json!({}));
    shell.join().unwrap();
}

fn prompt_queued(stage: &RecordingStage<'_>) {
    let gate = Gate::new();
    stage.script("one", Reply::new().text("First ").pause_until(&gate).text("answer."));
    stage.script("two", Reply::new().text("Second answer."));
    stage.prompt("One. [[one]]");
    stage.until("delta");
    stage.prompt("Two. [[two]]");
    stage.until("Two.");
    gate.open();
}

fn prompt_joined(stage: &RecordingStage<'_>) {
    let gate = Gate::new();
    let call = Reply::new().text("I look.").pause_until(&gate).tool("bash", bash("echo a"));
    stage.script("one", Script::new().then(call).then(Reply::new().text("First answer.")));
    stage.script("two", Reply::new().text("Both answers."));
    stage.prompt("One. [[one]]");
    stage.until("delta");
    stage.prompt("Two. [[two]]");
    stage.until("Two.");
    gate.open();
}

fn prompt_together(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("First answer."));
    stage.script("two", Reply::new().text("Second answer."));
    let one = stage.later("POST", "/prompt_async", prompt("One. [[one]]"));
    let two = stage.later("POST", "/prompt_async", prompt("Two. [[two]]"));
    one.join().unwrap();
    two.join().unwrap();
}

fn plugin_prompt(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("First answer."));
    stage.script("again", Reply::new().text("Second answer."));
    let title = json!({ "title": "plugin" });
    call("PATCH", &format!("/session/{}", stage.session), &title);
    stage.prompt("One. [[one]]");
}

fn break_off(stage: &RecordingStage<'_>) {
    let gate = Gate::new();
    let half = Reply::new().reasoning("Hm.").text("Half").pause_until(&gate).hang_up();
    stage.script("one", Script::new().then([half, Reply::new().text("Whole.")]));
    stage.prompt("One. [[one]]");
    stage.until("Half");
    gate.open();
    stage.until("retry");
}

fn break_off_tool(stage: &RecordingStage<'_>) {
    let gate = Gate::new();
    let call = r#"{"role":"assistant","tool_calls":[{"index":0,"id":"call_half",
        "type":"function","function":{"name":"bash","arguments":"{\"command\":"}}]}"#;
    let chunk = format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":0,\
         \"model\":\"m1\",\"choices\":[{{\"index\":0,\"delta\":{},\"finish_reason\":null}}]}}\
         \n\n",
        call.replace('\n', "")
    );
    let half = Reply::new().text("I look.").raw(chunk).pause_until(&gate).hang_up();
    let call = Reply::new().text("I look again.").tool("bash", bash("echo a"));
    stage.script("one", Script::new().then([half, call]).then(Reply::new().text("Done.")));
    stage.prompt("One. [[one]]");
    stage.until("\"pending\"");
    gate.open();
    stage.until("retry");
}

fn dispose_text(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("Begun ").stall());
    stage.prompt("One. [[one]]");
    stage.until("delta");
    call("POST", "/instance/dispose", &json!({}));
}

fn dispose_tool(stage: &RecordingStage<'_>) {
    stage
        .script("one", Script::new().then(Reply::new().tool("bash", bash("echo begun; sleep 99"))));
    stage.prompt("One. [[one]]");
    stage.until("begun\\n");
    call("POST", "/instance/dispose", &json!({}));
}

fn dispose_by_config(stage: &RecordingStage<'_>) {
    stage.script("one", Reply::new().text("Begun ").stall());
    stage.prompt("One. [[one]]");
    stage.until("delta");
    call("PATCH", "/config", &json!({ "username": "somebody" }));
}

fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "d" })
}

pub(super) fn prompt(text: &str) -> Value {
    json!({ "parts": [{ "type": "text", "text": text }] })
}
