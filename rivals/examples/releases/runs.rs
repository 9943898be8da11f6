//! Runs as processes.

use opencode_tokio::config::{Approval, DataHome, Isolation, Resume, RunConfigError, RunFlags};
use opencode_tokio::process::Version;
use opencode_tokio::run::Backend;
use opencode_tokio::{RunEnd, RunError, RunReport, RunRequest};
use serde_json::json;
use testkit::conformance::real::runs::bash;
use testkit::model::{Reply, Script};

use crate::cell::{Cell, Limit};
use crate::world::{World, scenarios};

scenarios! {
    version
    run_text
    run_tools
    run_permission
    run_approval
    run_model
    run_agent
    run_credentials
    run_retry
    run_cancel
    run_continue
    run_server
}

/// Report of a run, successful or not.
async fn report(world: &World, request: RunRequest) -> RunReport {
    match world.runs.run(request).await {
        Ok(report) => report,
        Err(RunError::Ended(report)) => *report,
        Err(error) => panic!("{error:?}"),
    }
}

async fn version(world: &World) -> Cell {
    assert_eq!(world.runs.opencode.version().await.unwrap(), world.version());
    Cell::Passed
}

async fn run_text(world: &World) -> Cell {
    let report = world.runs.run(world.runs.request("Hello?")).await.unwrap();
    assert_eq!(report.text(), "Hello from the scripted model.");
    assert_eq!(report.version, Some(world.version()));
    assert!(report.answer().tokens().total > 0 && report.answer().cost() > 0.0);
    Cell::Passed
}

async fn run_tools(world: &World) -> Cell {
    let file = world.runs.write("project/known.txt", "known");
    let missing = world.runs.path("project/missing.txt");
    let script = Script::new()
        .then(Reply::new().tool("read", json!({ "filePath": file })))
        .then(Reply::new().tool("read", json!({ "filePath": missing })))
        .then(Reply::new().tool("bash", bash("echo one")))
        .then(Reply::new().text("Done."));
    world.script("run-tools", script);
    let report = world.runs.run(world.runs.request("Go [[run-tools]]")).await.unwrap();
    assert_eq!(report.text(), "Done.");
    let tools: Vec<_> = report.answer().tools().iter().map(|tool| tool.state.status()).collect();
    match &tools[..] {
        ["completed", "error", "completed"] => Cell::Passed,
        ["completed", "completed"] if world.version() < Version::new(1, 2, 20) => {
            Cell::Limited(Limit::FailedToolsUnprinted)
        }
        _ => panic!("{tools:?}"),
    }
}

/// A run that needs the permission to read a file outside of the project.
fn asking(world: &World, flags: RunFlags) -> RunRequest {
    let file = world.runs.write("outside/known.txt", "known");
    let script = Script::new()
        .then(Reply::new().tool("read", json!({ "filePath": file })))
        .then(Reply::new().text("Done."));
    world.script("run-asking", script);
    let config = world.runs.config().with_flags(flags.with_title("a test"));
    world.runs.request_with("Go [[run-asking]]", config)
}

async fn run_permission(world: &World) -> Cell {
    let report = report(world, asking(world, RunFlags::new())).await;
    assert!(matches!(report.outcome.end, RunEnd::PermissionRejected { .. }), "{report:?}");
    Cell::Passed
}

async fn run_approval(world: &World) -> Cell {
    let request = asking(world, RunFlags::new().with_approval(Approval::Auto));
    match world.runs.run(request).await {
        Ok(report) => assert_eq!(report.text(), "Done."),
        Err(RunError::Config(RunConfigError::Unsupported(_))) => {
            return Cell::Limited(Limit::Refused);
        }
        Err(error) => panic!("{error:?}"),
    }
    Cell::Passed
}

async fn run_model(world: &World) -> Cell {
    let config = world.runs.config().with_model("scripted/unheard-of".parse().unwrap());
    let report = report(world, world.runs.request_with("Hello?", config)).await;
    let end = &report.outcome.end;
    let version = world.version();
    let is_unnamed = version >= Version::new(1, 15, 0) && version < Version::new(1, 17, 18);
    if end.to_string().contains("unheard-of") {
        return Cell::Passed;
    }
    assert!(is_unnamed && matches!(end, RunEnd::AgentError(_)), "{end}");
    Cell::Limited(Limit::ModelUnnamed)
}

async fn run_agent(world: &World) -> Cell {
    let config = world.runs.config().with_agent("unheard-of");
    let report = report(world, world.runs.request_with("Hello?", config)).await;
    assert!(report.outcome.end.to_string().contains("unheard-of"), "{}", report.outcome.end);
    Cell::Passed
}

async fn run_credentials(world: &World) -> Cell {
    world.script("run-401", Script::new().then(Reply::error(401, "who are you")).repeat_last());
    let report = report(world, world.runs.request("Hello? [[run-401]]")).await;
    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{report:?}") };
    assert!(error.message.contains("who are you"), "{error:?}");
    Cell::Passed
}

async fn run_retry(world: &World) -> Cell {
    let busy = Reply::error(429, "busy").header("retry-after-ms", 10);
    let attempts = vec![busy, Reply::new().text("At last.")];
    world.script("run-429", Script::new().then(attempts));
    let report = world.runs.run(world.runs.request("Hello? [[run-429]]")).await.unwrap();
    assert_eq!(report.text(), "At last.");
    Cell::Passed
}

async fn run_cancel(world: &World) -> Cell {
    let started = world.runs.path("project/run-cancel");
    let command = format!("touch {} && sleep 300", started.display());
    let reply = Reply::new().text("I wait.").tool("bash", bash(&command));
    world.script("run-cancel", Script::new().then(reply));
    let mut run = world.runs.opencode.stream(world.runs.request("Wait [[run-cancel]]"));
    while !started.exists() {
        let wait = tokio::time::timeout(std::time::Duration::from_millis(50), run.next_event());
        if let Ok(None) = wait.await {
            panic!("the run has ended: {:?}", run.outcome().await)
        }
    }
    run.cancel();
    let error = run.outcome().await.unwrap_err();
    let report = error.report().unwrap();
    assert_eq!((report.outcome.end.name(), &*report.text()), ("cancelled", "I wait."));
    Cell::Passed
}

async fn run_continue(world: &World) -> Cell {
    let data = world.runs.path("data");
    let isolation = || Isolation::new().with_data(DataHome::At(data.clone()));
    let config = world.runs.config().with_isolation(isolation());
    let first = world.runs.request_with("The first question?", config.clone());
    let first = world.runs.run(first).await.unwrap();
    let session = first.answer().session().unwrap().clone();
    world.script("run-more", Reply::new().text("More."));
    let flags = RunFlags::new().with_resume(Resume::session(session.as_str()));
    let more = world.runs.request_with("And? [[run-more]]", config.with_flags(flags));
    let more = world.runs.run(more).await.unwrap();
    assert_eq!((&*more.text(), more.answer().session()), ("More.", Some(&session)));
    let asked = world.calls("run-more")[0].body().to_string();
    assert!(asked.contains("The first question?"), "{asked}");
    Cell::Passed
}

async fn run_server(world: &World) -> Cell {
    let request = world.runs.request("Hello?").with_backend(Backend::NewServer);
    let report = world.runs.run(request).await.unwrap();
    assert_eq!(report.text(), "Hello from the scripted model.");
    assert_eq!(report.version, Some(world.version()));
    Cell::Passed
}
