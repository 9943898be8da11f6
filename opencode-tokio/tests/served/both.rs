//! The same prompt over a server and as a process has the same events and results.

use opencode_tokio::config::{Approval, PermissionAction, Reasoning, RunFlags};
use opencode_tokio::log::EventLogConfig;
use opencode_tokio::{Permissions, RunEnd, RunError, RunEvent};
use serde_json::{Value, json};
use testkit::conformance::real::runs::bash;
use testkit::model::{Reply, Script};

use crate::world::{ServedRun, ServedWorld, titled};

#[tokio::test]
async fn an_answer_is_streamed_and_counted_once() {
    let world = ServedWorld::new("both-text").await;
    let file = world.write("notes.txt", "The word is xylophone.");
    let first = Reply::new().reasoning("Let me see.").deltas(["I ", "will ", "look."]);
    let first = first.tool("bash", bash("echo hi; exit 3"));
    let second = Reply::new().tool("read", json!({ "filePath": "missing.txt" }));
    let script = Script::new().then(first).then(second).then(Reply::new().deltas(["Do", "ne."]));
    let flags = RunFlags::new().with_reasoning(Reasoning::Show).with_file(file);
    let request = world.request("both-text", script).with_config(titled(flags));

    let served = world.run_over_both(request).await;

    let report = served.result.as_ref().unwrap();
    assert_eq!((&*report.text(), &*served.text()), ("Done.", "I will look.Done."));
    assert!(served.deltas() > 2, "{:?}", served.events);
    assert_eq!(served.types().first(), Some(&"step_start"));
    assert_eq!(served.types().iter().filter(|kind| **kind == "tool_use").count(), 2);
    assert_eq!(report.answer().reasoning(), "Let me see.");
    let requests = world.shared.model_requests("both-text");
    assert!(requests.iter().all(|request| request.body().to_string().contains("xylophone")));
    let tools = |request: usize| requests[request].tools().into_iter().map(str::to_owned);
    assert!(tools(0).eq(tools(3)), "process and server offer different tools");
}

#[tokio::test]
async fn summaries_and_errors_are_the_same() {
    let world = ServedWorld::new("both-errors").await;
    let answered = [Reply::context_overflow(), Reply::new().text("The answer.")];
    let request = world.request("both-overflow", Script::new().then(answered));
    let served = world.run(request.clone()).await;
    assert_eq!(served.text(), "The answer.", "the text of the summary was streamed");
    // The model counts attempts by session, and each run has a session of its own.
    let printed = world.run_as_process(request).await;
    assert_eq!(served.types(), printed.types());
    assert_eq!((served.end(), served.report().text()), (printed.end(), printed.report().text()));
    let roles = |run: &ServedRun| -> Vec<_> {
        run.report().answer().steps().iter().map(|step| step.role()).collect()
    };
    assert_eq!(roles(&served), roles(&printed));
    assert_eq!(served.report().answer().tokens(), printed.report().answer().tokens());

    let served = world.run_over_both(world.request("both-400", Reply::error(400, "no"))).await;
    assert_eq!(served.types(), ["error"]);
    let end = &served.report().outcome.end;
    let RunEnd::AgentError(error) = end else { panic!("{end}") };
    assert_eq!((error.status, &*error.message), (Some(400), "no"));
}

#[tokio::test]
async fn permissions_are_rejected_or_granted_alike() {
    let world = ServedWorld::new("both-asks").await;
    world.write("opencode.json", &json!({ "permission": { "bash": "ask" } }).to_string());
    let script = || {
        let step = Reply::new().text("I will.").tool("bash", bash("touch made"));
        Script::new().then(step).then(Reply::new().text("I did."))
    };

    let served = world.run_over_both(world.request("both-refused", script())).await;

    assert_eq!(served.end().split(": ").next(), Some("permission_rejected"));
    assert!(served.end().ends_with("bash (touch made)"), "{}", served.end());
    assert_eq!(served.report().outcome.notices.len(), 1);
    assert!(!world.project().join("made").exists());

    let flags = RunFlags::new().with_approval(Approval::Auto);
    let request = world.request("both-granted", script()).with_config(titled(flags));
    let served = world.run(request).await;
    assert_eq!(
        (&*served.result.as_ref().unwrap().text(), served.end().as_str()),
        ("I did.", "completed: completed")
    );
    assert_eq!(served.report().outcome.notices, []);
    assert!(world.project().join("made").exists());

    // No one could reply to a permission request.
    let ask = Permissions::new().pattern("bash", "*", PermissionAction::Ask);
    let request = world.request("both-never", script());
    let config = titled(RunFlags::new()).with_permission(ask);
    let error = world.run(request.with_config(config)).await.result.unwrap_err();
    assert!(matches!(error, RunError::Config(_)), "{error:?}");
}

#[tokio::test]
async fn an_unsuitable_agent_is_reported_alike() {
    let world = ServedWorld::new("both-agents").await;
    for agent in ["nobody", "general"] {
        let request = world.request("both-agent", Reply::new().text("Never said."));
        let config = request.config().clone().with_agent(agent);
        let request = request.with_config(config);
        let before = world.shared.model_requests("both-agent").len();

        let served = world.run(request.clone()).await;

        let end = &served.report().outcome.end;
        let RunEnd::AgentReplaced { reason } = end else { panic!("{end}") };
        assert!(reason.contains(agent), "{reason}");
        let after = world.shared.model_requests("both-agent").len();
        assert_eq!(after, before, "a prompt was sent");
        let printed = world.run_as_process(request).await;
        assert_eq!(served.end(), printed.end());
        assert_eq!(served.report().outcome.notices, printed.report().outcome.notices);
    }
}

#[tokio::test]
async fn logs_have_the_same_lines() {
    let world = ServedWorld::new("both-log").await;
    let step = Reply::new().text("One\n").tool("bash", bash("printf 'a\\nb'"));
    let script = Script::new().then(step).then(Reply::new().text("Two \u{1f980}"));
    let request = world.request("both-log", script);
    let mut logs = Vec::new();
    for name in ["served.jsonl", "printed.jsonl"] {
        let path = world.own.path(name);
        let request =
            request.clone().with_log(EventLogConfig::new(&path).without_type("step_start"));
        let run = match name {
            "served.jsonl" => world.run(request).await,
            _ => world.run_as_process(request).await,
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.to_owned()).collect();
        let is_logged =
            |event: &&RunEvent| !["step_start", "text_delta"].contains(&event.event_type());
        let events = run.events.iter().filter(is_logged);
        assert!(events.map(RunEvent::to_json_line).eq(lines.iter().map(String::as_bytes)));
        logs.push(lines.iter().map(|line| shape(line)).collect::<Vec<_>>());
    }
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0].len(), 5, "{logs:?}");
}

/// A line of a log without everything that differs from run to run.
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
