//! The same prompt over a server and as a process tells the same.

use opencode_tokio::{
    Approval, EventLogConfig, PermissionAction, Permissions, Reasoning, RunEnd, RunError, RunEvent,
    RunFlags,
};
use serde_json::{Value, json};
use testkit::conformance::real::runs::bash;
use testkit::model::{Reply, Script};

use crate::world::{Told, World, titled};

#[tokio::test]
async fn an_answer_is_told_while_it_is_written_and_once() {
    let world = World::new("both-text").await;
    let file = world.write("notes.txt", "The word is xylophone.");
    let first = Reply::new().reasoning("Let me see.").deltas(["I ", "will ", "look."]);
    let first = first.tool("bash", bash("echo hi; exit 3"));
    let second = Reply::new().tool("read", json!({ "filePath": "missing.txt" }));
    let script = Script::new().then(first).then(second).then(Reply::new().deltas(["Do", "ne."]));
    let flags = RunFlags::new().with_reasoning(Reasoning::Show).with_file(file);
    let request = world.request("both-text", script).with_config(titled(flags));

    let told = world.run_over_both(request).await;

    let report = told.result.as_ref().unwrap();
    assert_eq!((&*report.text(), &*told.text()), ("Done.", "I will look.Done."));
    assert!(told.deltas() > 2, "{:?}", told.events);
    assert_eq!(told.types().first(), Some(&"step_start"));
    assert_eq!(told.types().iter().filter(|kind| **kind == "tool_use").count(), 2);
    assert_eq!(report.answer().reasoning(), "Let me see.");
    let asked = world.shared.model_requests("both-text");
    assert!(asked.iter().all(|request| request.body().to_string().contains("xylophone")));
    let tools = |request: usize| asked[request].tools().into_iter().map(str::to_owned);
    assert!(tools(0).eq(tools(3)), "a process and a server offer the model the same tools");
}

#[tokio::test]
async fn a_summary_and_an_error_are_the_same() {
    let world = World::new("both-errors").await;
    let answered = [Reply::context_overflow(), Reply::new().text("The answer.")];
    let request = world.request("both-overflow", Script::new().then(answered));
    let told = world.run(request.clone()).await;
    assert_eq!(told.text(), "The answer.", "a server tells summaries apart at once");
    // The model counts attempts by session: each run has its own.
    let printed = world.run_as_process(request).await;
    assert_eq!(told.types(), printed.types());
    assert_eq!((told.end(), told.report().text()), (printed.end(), printed.report().text()));
    let roles = |told: &Told| -> Vec<_> {
        told.report().answer().steps().iter().map(|step| step.role()).collect()
    };
    assert_eq!(roles(&told), roles(&printed));
    assert_eq!(told.report().answer().tokens(), printed.report().answer().tokens());

    let told = world.run_over_both(world.request("both-400", Reply::error(400, "no"))).await;
    assert_eq!(told.types(), ["error"]);
    let RunEnd::AgentError(error) = &told.report().outcome.end else { panic!("{}", told.end()) };
    assert_eq!((error.status, &*error.message), (Some(400), "no"));
}

#[tokio::test]
async fn what_would_be_asked_is_refused_or_granted_alike() {
    let world = World::new("both-asks").await;
    world.write("opencode.json", &json!({ "permission": { "bash": "ask" } }).to_string());
    let script = || {
        let step = Reply::new().text("I will.").tool("bash", bash("touch made"));
        Script::new().then(step).then(Reply::new().text("I did."))
    };

    let told = world.run_over_both(world.request("both-refused", script())).await;

    assert_eq!(told.end().split(": ").next(), Some("permission_rejected"));
    assert!(told.end().ends_with("bash (touch made)"), "{}", told.end());
    assert_eq!(told.report().outcome.notices.len(), 1);
    assert!(!world.project().join("made").exists());

    let flags = RunFlags::new().with_approval(Approval::Auto);
    let request = world.request("both-granted", script()).with_config(titled(flags));
    let told = world.run(request).await;
    assert_eq!(
        (&*told.result.as_ref().unwrap().text(), told.end().as_str()),
        ("I did.", "completed: completed")
    );
    assert_eq!(told.report().outcome.notices, []);
    assert!(world.project().join("made").exists());

    // Nobody is there to answer, so nothing is asked.
    let ask = Permissions::new().pattern("bash", "*", PermissionAction::Ask);
    let request = world.request("both-never", script());
    let config = titled(RunFlags::new()).with_permission(ask);
    let error = world.run(request.with_config(config)).await.result.unwrap_err();
    assert!(matches!(error, RunError::Config(_)), "{error:?}");
}

#[tokio::test]
async fn an_agent_that_cannot_answer_is_told_alike() {
    let world = World::new("both-agents").await;
    for agent in ["nobody", "general"] {
        let mut request = world.request("both-agent", Reply::new().text("Never said."));
        request.config = request.config.with_agent(agent);
        let asked = world.shared.model_requests("both-agent").len();

        let told = world.run(request.clone()).await;

        let RunEnd::AgentReplaced { reason } = &told.report().outcome.end else {
            panic!("{}", told.end())
        };
        assert!(reason.contains(agent), "{reason}");
        assert_eq!(world.shared.model_requests("both-agent").len(), asked, "nothing was sent");
        let printed = world.run_as_process(request).await;
        assert_eq!(told.end(), printed.end());
        assert_eq!(told.report().outcome.notices, printed.report().outcome.notices);
    }
}

#[tokio::test]
async fn a_log_holds_the_same_lines() {
    let world = World::new("both-log").await;
    let step = Reply::new().text("One\n").tool("bash", bash("printf 'a\\nb'"));
    let script = Script::new().then(step).then(Reply::new().text("Two \u{1f980}"));
    let request = world.request("both-log", script);
    let mut logs = Vec::new();
    for name in ["served.jsonl", "printed.jsonl"] {
        let path = world.own.path(name);
        let request =
            request.clone().with_log(EventLogConfig::new(&path).without_type("step_start"));
        let told = match name {
            "served.jsonl" => world.run(request).await,
            _ => world.run_as_process(request).await,
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.to_owned()).collect();
        let is_logged =
            |event: &&RunEvent| !["step_start", "text_delta"].contains(&event.event_type());
        let events = told.events.iter().filter(is_logged);
        assert!(events.map(RunEvent::to_json_line).eq(lines.iter().map(String::as_bytes)));
        logs.push(lines.iter().map(|line| shape(line)).collect::<Vec<_>>());
    }
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0].len(), 5, "{logs:?}");
}

/// A line without what differs from run to run.
fn shape(line: &str) -> Value {
    fn clear(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let is_id = key.ends_with("ID") || key == "id";
                    let is_time = ["timestamp", "start", "end"].contains(&key.as_str());
                    if is_id || is_time || key == "snapshot" {
                        *value = Value::Null;
                    }
                    clear(value);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(clear),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_str(line).unwrap();
    clear(&mut value);
    value
}
