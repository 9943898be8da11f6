//! Tool calls in run mode.

use opencode_tokio::RunEventKind;
use opencode_tokio::event::{ToolPart, ToolState};
use serde::Deserialize;
use serde_json::json;
use testkit::conformance::real::runs::{RunWorld, bash, types};
use testkit::model::{Reply, Script};

use crate::on;

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct BashInput {
    command: String,
    description: String,
}

#[derive(Debug, Deserialize)]
struct BashMetadata {
    exit: i32,
}

#[tokio::test]
async fn parallel_tools_are_reported_in_order_of_completion() {
    let world = RunWorld::new(&on());
    let slow = "until [ -e go ]; do sleep 0.05; done; echo slow";
    let first =
        Reply::new().text("Looking.").tool("bash", bash(slow)).tool("bash", bash("echo fast"));
    let script = Script::new().then(first).then(Reply::new().text("Both ran."));
    world.model.default_script(script);

    let mut run = world.start(world.request("Run both."));
    let is_tool = |kind: &RunEventKind| matches!(kind, RunEventKind::ToolUse(_));
    let fast = run.until(|event| is_tool(&event.kind)).await;
    let RunEventKind::ToolUse(fast) = fast.kind else { unreachable!() };
    assert_eq!(fast.call, "call_0_1", "the first call waits for the file");
    world.write("project/go", "");
    let rest = run.events().await;
    let report = run.outcome().await.unwrap();

    let next_step = ["step_start", "text", "step_finish"];
    assert_eq!(types(&rest), [&["tool_use", "step_finish"], &next_step[..]].concat());
    let answer = report.answer();
    assert_eq!(
        (answer.text(), answer.full_text()),
        ("Both ran.".into(), "Looking.Both ran.".into())
    );
    let steps: Vec<_> = answer.steps().iter().map(|step| step.finish().unwrap().as_str()).collect();
    assert_eq!(steps, ["tool-calls", "stop"]);
    assert_eq!(answer.tokens().total, 2 * 110);

    let [first, second] = answer.tools() else { panic!("{:?}", answer.tools()) };
    assert_eq!((&first.call, &second.call), (&fast.call, &"call_0_0".into()));
    for (tool, command, output) in [(first, "echo fast", "fast\n"), (second, slow, "slow\n")] {
        assert_eq!((&*tool.tool, tool.state.status()), ("bash", "completed"));
        let input: BashInput = tool.state.input().unwrap().decode().unwrap();
        let expected = BashInput { command: command.into(), description: "for a test".into() };
        assert_eq!(input, expected);
        assert_eq!(*tool.state.output().unwrap(), output);
        assert_eq!(exit(tool), 0);
        assert!(tool.state.time().duration_ms().is_some());
    }
    let results = world.turns()[1].tool_results();
    let results: Vec<_> = results.iter().map(|result| (&*result.call_id, &*result.text)).collect();
    assert_eq!(results, [("call_0_0", "slow\n"), ("call_0_1", "fast\n")]);
}

#[tokio::test]
async fn failing_tools_do_not_fail_the_run() {
    let world = RunWorld::new(&on());
    let calls = Reply::new()
        .tool("bash", bash("echo before; echo problem >&2; exit 3"))
        .tool("read", json!({ "filePath": "missing.txt" }))
        .tool("frobnicate", json!({ "a": 1 }))
        .tool("bash", json!({ "description": "no command" }));
    world.model.default_script(Script::new().then(calls).then(Reply::new().text("All failed.")));

    let report = world.run(world.request("Try.")).await.unwrap();

    assert_eq!(report.text(), "All failed.");
    let tools = report.answer().tools();
    let call = |id: &str| tools.iter().find(|tool| tool.call == id).unwrap();
    assert_eq!(tools.len(), 4);

    let failed = call("call_0_0");
    assert_eq!((failed.state.status(), exit(failed)), ("completed", 3));
    assert_eq!(*failed.state.output().unwrap(), "before\nproblem\n");

    let missing = call("call_0_1");
    let ToolState::Error { error, .. } = &missing.state else { panic!("{missing:?}") };
    let file = world.project().join("missing.txt");
    assert!(error.to_str().contains(file.to_str().unwrap()), "{error}");
    assert!(!missing.state.is_rejected());

    let unknown = call("call_0_2");
    assert_eq!((&*unknown.tool, unknown.state.status()), ("invalid", "completed"));
    assert!(unknown.state.output().unwrap().to_str().contains("frobnicate"), "{unknown:?}");

    let invalid = call("call_0_3");
    assert_eq!((&*invalid.tool, invalid.state.status()), ("bash", "error"));
    assert!(invalid.state.output().unwrap().to_str().contains("command"), "{invalid:?}");
}

fn exit(tool: &ToolPart) -> i32 {
    tool.state.metadata().unwrap().decode::<BashMetadata>().unwrap().exit
}
